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
from maas_mcp.calls.next_steps import tool_for
from maas_mcp.operations.next_steps import LIST_MACHINES
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.extensions import advertise_extensions
from maas_mcp.server.handlers import LazyServer
from maas_mcp.server.request_context import Context, client_features
from maas_mcp.server.request_state import SealedRequestState
from maas_mcp.settings import Settings

INSTRUCTIONS: Final[tuple[tuple[str, str | None], ...]] = (
    (
        "Manages machines (bare-metal servers and VMs) with Canonical MAAS: list, allocate, deploy (install an OS),",
        None,
    ),
    ("commission, test, release, erase, power on or off, reboot, lock, rescue, repair and abort them,", None),
    ("and list or import OS images.", None),
    ("Tools identify a machine by its system_id; find it with {tool}.", LIST_MACHINES.tool),
    ("Deploying, commissioning, testing, releasing, rescue mode and image imports take minutes to hours:", None),
    ("one call starts the operation, reports progress and returns when it has ended.", None),
    ("With wait_seconds it returns earlier, with an operation_id for {tool}.", "maas_wait_operation"),
    ("If the same operation is already running, a call starts nothing and returns its operation_id.", None),
    ("Cancelling a call only stops following: MAAS continues, unless on_cancel is `abort`.", None),
    ("With plan=true, a tool changes nothing and shows what it would do, with a plan_id for ten minutes.", None),
    ("The same call with that plan_id, instead of plan, carries it out. Show the plan to the user first.", None),
)
"""Parts of the text for the model, each with the tool that it names, if any. A part without its tool is left out."""

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
    served, log = catalogue or Catalogue(registry), ClientLog()

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        served.remember(ctx)
        return served.listing(client_features(ctx))

    @asynccontextmanager
    async def lifespan(_server: Server[Host]) -> AsyncIterator[Host]:
        async with open_host(settings, served.tools, connections, plugin_observers(registry)) as host:
            with served.served_by(host):
                yield host

    server = LazyServer(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=instructions_for(served.tools),
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
    server.middleware += middleware

    def update_instructions() -> None:
        server.instructions = instructions_for(served.tools)

    served.when_reloaded(update_instructions)
    return server


def instructions_for(tools: Mapping[str, AnyTool]) -> str:
    """The server's instructions for the model, for these tools."""
    parts = [(sentence, wanted, wanted and tool_for(wanted, tools)) for sentence, wanted in INSTRUCTIONS]
    return " ".join(sentence.format(tool=name) for sentence, wanted, name in parts if name or not wanted)


def plugin_observers(registry: Registry) -> list[Observer]:
    """The plugins' observers of operation changes."""
    return [Observer(f"The plugin {name}", show) for name, show in registry.observers.items()]
