"""What a plugin may implement: hooks that return declarations, called once at start-up, and one that observes.

The entry point group ``maas_mcp.plugins.v1`` names these hooks by its ``v1``: an incompatible change is a new group.
"""

from collections.abc import Sequence
from typing import Final

import pluggy

from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.tool import Tool

PROJECT: Final = "maas_mcp"
PLUGIN_GROUP: Final = "maas_mcp.plugins.v1"
"""The entry point group that plugins are found in."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of the same name."""


@hookspec
def maas_mcp_operations() -> Sequence[type[LongRunning]]:  # type: ignore[type-arg,empty-body] # any arguments and result
    """The long-running operations that the plugin offers, as classes."""


@hookspec
def maas_mcp_operation_changed(change: OperationChange) -> None:
    """Called with each change of an operation that this process follows: it has started, moved on, or ended.

    It runs in a thread, with one change at a time, and holds up nothing. One that raises, or that is a thousand changes
    behind, is not called any longer; the log says so.
    """


@hookspec
def maas_mcp_tools() -> Sequence[type[Tool]]:  # type: ignore[type-arg,empty-body] # any arguments and result
    """The tools that the plugin offers, as classes."""
