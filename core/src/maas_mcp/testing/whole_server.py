"""The complete server, with all installed plugins and an MCP client in the same process."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp_types import CallToolResult

from maas_mcp.calls import host as calls
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.operations.progress import Progress
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.server.app import build
from maas_mcp.settings import Settings
from maas_mcp.testing.host import Host, installed_plugins


async def call_tool(host: Host, name: str, arguments: Mapping[str, Any], reported: list[Progress]) -> CallToolResult:
    """Call a tool through MCP, and append its progress to ``reported``.

    Raises:
        PluginError: An installed plugin cannot be used.
    """

    @asynccontextmanager
    async def running(
        _settings: Settings,
        tools: Mapping[str, AnyTool],
        _connections: Connections,
        _observers: Sequence[Observer],
    ) -> AsyncIterator[calls.Host]:
        host.host.serve(tools)
        yield host.host

    async def note(progress: float, total: float | None, message: str | None) -> None:
        reported.append(Progress(progress, total, message or ""))

    server = build(installed_plugins(strict=True), host.settings, host.host.connections, running)
    async with Client(server) as client:
        return await client.call_tool(name, dict(arguments), progress_callback=note)
