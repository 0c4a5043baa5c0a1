"""The hooks that a plugin may implement: most return declarations at start-up; one receives changes of operations.

The ``v1`` in the entry point group ``maas_mcp.plugins.v1`` is the version of these hooks. An incompatible change gets a
new group.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pluggy
from pydantic import BaseModel

from maas_mcp.operations.declaring.completion import Completion
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.plugin_services import LifespanContext
from maas_mcp.operations.declaring.prompt import Prompt
from maas_mcp.operations.declaring.resource import Resource
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
def maas_mcp_resources() -> Sequence[type[Resource]]:  # type: ignore[empty-body] # a specification has no body
    """Return the classes of the plugin's resources and resource templates."""


@hookspec
def maas_mcp_completions() -> Sequence[type[Completion]]:  # type: ignore[empty-body] # as above
    """Return the classes that complete the arguments of prompts and resource templates."""


@hookspec
def maas_mcp_settings() -> type[BaseModel]:  # type: ignore[empty-body] # as above
    """Return the pydantic model of the plugin's settings.

    The host reads them at start-up: from the variables ``MAAS_MCP_<PLUGIN>_<FIELD>``, and from the table
    ``[plugins.<plugin>]`` of the TOML file. The variables take precedence. A plugin with invalid settings is not
    loaded.
    """


@hookspec
def maas_mcp_process_lifespan() -> Callable[[Any], AbstractAsyncContextManager[Any]]:  # type: ignore[empty-body] # as above
    """Return a function that takes the plugin's settings (``None`` without any) and returns an async context manager.

    The host enters it when a call first needs the plugin, and leaves it when the server stops. All callers share the
    value that it yields. If entering it fails, that call fails, and the next one tries again.
    """


@hookspec
def maas_mcp_lifespan() -> Callable[[LifespanContext], AbstractAsyncContextManager[Any]]:  # type: ignore[empty-body] # as above
    """Return a function that takes a ``LifespanContext`` and returns an async context manager.

    The host enters it once for each caller, when a call first needs the plugin, and leaves it when the caller has sent
    nothing for some time, or the server stops. The value that it yields is ``ctx.state``. If entering it fails, that
    call fails, and the next one tries again.
    """


@hookspec
def maas_mcp_skills() -> Sequence[str]:  # type: ignore[empty-body]
    """Return the names of Python packages whose folder ``skills`` has the plugin's skills.

    Each folder in it is a skill with a file ``SKILL.md``. The files are read when a client first asks for skills or
    prompts. A broken skill is left out, and the log says why.
    """


@hookspec
def maas_mcp_prompts() -> Sequence[type[Prompt]]:  # type: ignore[type-arg,empty-body] # any arguments
    """Return the classes of the plugin's prompts. A skill is a prompt without this hook."""
