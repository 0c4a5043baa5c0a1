"""The MCP server: answers the requests of clients from the contributions of the plugins."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import mcp_types as types
from mcp.server import InitializationOptions, NotificationOptions, Server
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerMiddleware
from mcp.shared.exceptions import MCPError

from maas_mcp import __version__
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host, open_host
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.calling import Response, respond
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.instructions import InstructionsOfRequest
from maas_mcp.server.listening import Listening
from maas_mcp.server.prompts import add_prompts
from maas_mcp.server.request_context import Context, client_connection, client_features
from maas_mcp.server.request_state import SealedRequestState
from maas_mcp.server.resources import add_resources
from maas_mcp.server.skills import add_skills
from maas_mcp.server.task_notifications import TaskListener
from maas_mcp.server.tasks import serve_tasks
from maas_mcp.settings import Settings

LIST_TTL: Final = 60_000
"""Milliseconds for which a client may keep a list. A change of the list is announced as well."""
CACHED_LISTS: Final[tuple[CacheableMethod, ...]] = ("tools/list", "resources/list", "resources/templates/list")

OpenHost = Callable[
    [Settings, Mapping[str, AnyTool], Connections, Sequence[Observer]], AbstractAsyncContextManager[Host]
]


class _Server(Server[Host]):
    """Announces changes of its lists to clients before 2026-07-28 as well."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        every = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(
            notification_options or every, experimental_capabilities, extensions
        )


def build(
    registry: Registry,
    settings: Settings,
    connections: Connections,
    open_host: OpenHost = open_host,
    catalogue: Catalogue | None = None,
    *,
    middleware: Sequence[ServerMiddleware[Host]] = (),
) -> Server[Host]:
    """Build the server for the contributions of ``registry`` and the host's own tools.

    Args:
        registry: The contributions and observers of the plugins.
        settings: The settings.
        connections: The clients' connections and their running calls.
        open_host: Opens the host for the lifetime of the server.
        catalogue: What the server serves, if the caller may reload it.
        middleware: Observes the messages of clients, within the SDK's own spans.
    """
    served, log = catalogue or Catalogue(registry, settings), ClientLog()

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        served.remember(ctx)
        return (await served.view(ctx)).listing(client_features(ctx))

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Response:
        tool = served.loaded.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await respond(tool, params, ctx, log)

    async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await (await served.view(ctx)).completions(ctx, params)

    @asynccontextmanager
    async def lifespan(_server: Server[Host]) -> AsyncIterator[Host]:
        async with open_host(settings, served.loaded, connections, plugin_observers(registry)) as host:
            with served.served_by(host):
                yield host

    server = _Server(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=served.base.instructions,
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_subscriptions_listen=TaskListener(Listening(served.bus)),
        on_completion=complete,
        cache_hints=dict.fromkeys(CACHED_LISTS, CacheHint(ttl_ms=LIST_TTL)),
        # Without it, the SDK lists all tools before each call over HTTP.
        get_tool_input_schema=served.input_schema,
    )
    # As an argument, the SDK's types would not allow a task as the result.
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    serve_tasks(server)
    log.serve(server)
    server.middleware.append(SealedRequestState(settings, server.name))
    add_prompts(server, served.view, client_connection, log)
    add_skills(server, served.view)
    add_resources(server, served.view)
    server.middleware.append(InstructionsOfRequest(served.view))
    server.middleware += middleware

    def update_instructions() -> None:
        server.instructions = served.base.instructions

    served.when_reloaded(update_instructions)
    return server


def plugin_observers(registry: Registry) -> list[Observer]:
    """The plugins' observers of operation changes."""
    return [Observer(f"The plugin {name}", show) for name, show in registry.observers.items()]
