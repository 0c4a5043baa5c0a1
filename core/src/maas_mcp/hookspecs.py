"""The hooks that a plugin may implement: four return declarations at start-up, and one receives changes of operations.

The ``v1`` in the entry point group ``maas_mcp.plugins.v1`` is the version of these hooks. An incompatible change gets a
new group.
"""

from collections.abc import Sequence
from typing import Final

import pluggy

from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.prompt import Prompt
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


@hookspec
def maas_mcp_skills() -> Sequence[str]:  # type: ignore[empty-body]
    """Return the names of Python packages whose folder ``skills`` has the plugin's skills.

    Each folder in it is a skill with a file ``SKILL.md``. The files are read when a client first asks for skills or
    prompts. A broken skill is left out, and the log says why.
    """


@hookspec
def maas_mcp_prompts() -> Sequence[type[Prompt]]:  # type: ignore[type-arg,empty-body] # any arguments
    """Return the classes of the plugin's prompts. A skill is a prompt without this hook."""
