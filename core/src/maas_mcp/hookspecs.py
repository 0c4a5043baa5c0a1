"""The hooks that a plugin may implement: two return classes at start-up, and the third receives changes of operations.

The ``v1`` in the entry point group ``maas_mcp.plugins.v1`` is the version of these hooks. An incompatible change gets a
new group.
"""

from collections.abc import Sequence
from typing import Final

import pluggy

from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.tool import Tool

PROJECT: Final = "maas_mcp"
PLUGIN_GROUP: Final = "maas_mcp.plugins.v1"
"""The entry point group of plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook with the same name."""


@hookspec
def maas_mcp_operations() -> Sequence[type[LongRunning]]:  # type: ignore[type-arg,empty-body] # any arguments and result
    """Return the classes of the plugin's long-running operations."""


@hookspec
def maas_mcp_operation_changed(change: OperationChange) -> None:
    """Receive each change of an operation that this process follows: started, progressed, or ended.

    The host calls the hook in a thread, with one change at a time, so the hook delays no operation. If it raises or
    falls 1000 changes behind, the host logs this and stops calling it.
    """


@hookspec
def maas_mcp_tools() -> Sequence[type[Tool]]:  # type: ignore[type-arg,empty-body] # any arguments and result
    """Return the classes of the plugin's tools."""
