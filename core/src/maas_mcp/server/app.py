"""The MCP server: answers the requests of clients from the contributions of the plugins."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import mcp_types as types
from mcp.server import Server
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerMiddleware

from maas_mcp import __version__
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host, open_host
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.extensions import advertise_extensions
from maas_mcp.server.handlers import LazyServer
from maas_mcp.server.instructions import InstructionsOfRequest
from maas_mcp.server.request_context import Context, client_features
from maas_mcp.server.request_state import SealedRequestState
from maas_mcp.settings import Settings

LIST_TTL: Final = 60_000
"""Milliseconds for which a client may keep a list. A change of the list is announced as well."""
CACHED_LISTS: Final[tuple[CacheableMethod, ...]] = ("tools/list", "resources/list", "resources/templates/list")

OpenHost = Callable[
    [Settings, Mapping[str, AnyTool], Connections, Sequence[Observer]], AbstractAsyncContextManager[Host]
]


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

    @asynccontextmanager
    async def lifespan(_server: Server[Host]) -> AsyncIterator[Host]:
        async with open_host(settings, served.loaded, connections, plugin_observers(registry)) as host:
            with served.served_by(host):
                yield host

    server = LazyServer(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=served.base.instructions,
        lifespan=lifespan,
        on_list_tools=list_tools,
        cache_hints=dict.fromkeys(CACHED_LISTS, CacheHint(ttl_ms=LIST_TTL)),
        # Without it, the SDK lists all tools before each call over HTTP.
        get_tool_input_schema=served.input_schema,
    )
    server.import_later(served, log)
    log.serve(server)
    server.middleware.append(SealedRequestState(settings, server.name))
    advertise_extensions(server)
    server.middleware.append(InstructionsOfRequest(served.view))
    server.middleware += middleware

    def update_instructions() -> None:
        server.instructions = served.base.instructions

    served.when_reloaded(update_instructions)
    return server


def plugin_observers(registry: Registry) -> list[Observer]:
    """The plugins' observers of operation changes."""
    return [Observer(f"The plugin {name}", show) for name, show in registry.observers.items()]
