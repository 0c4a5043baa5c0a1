"""The MCP server: lists the registry's tools and calls them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any, Final

import mcp_types as types
from mcp.server import Server
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError

from maas_mcp import __version__
from maas_mcp.calls.arguments import ClientFeatures, ProgressToken, published_arguments
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.next_steps import resolve_steps, tool_for
from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.text import replace_surrogates
from maas_mcp.operations.next_steps import LIST_MACHINES
from maas_mcp.operations.progress import Progress, ProgressSend
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.completions import CompletionHandler
from maas_mcp.server.listening import Listening
from maas_mcp.server.operation_tools import OPERATION_TOOLS
from maas_mcp.server.own_resources import served_resources
from maas_mcp.server.prompts import PromptCatalogue, add_prompts
from maas_mcp.server.request_context import Context, client_connection, client_features
from maas_mcp.server.resources import ResourceHandlers, add_resources
from maas_mcp.server.skills import SkillCatalogue, add_skills
from maas_mcp.server.tools import ensure_sendable, failure, mcp_tool, success
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
    ("If the same operation is already running, a call follows it and does not start it again.", None),
    ("Cancelling a call only stops following: MAAS continues, unless on_cancel is `abort`.", None),
)
"""Parts of the text for the model, each with the tool that it names, if any. A part without its tool is left out."""

LIST_TTL: Final = 60_000
"""Milliseconds for which a client may keep a list. A change of the list is announced as well."""
CACHED_LISTS: Final[tuple[CacheableMethod, ...]] = ("tools/list", "resources/list", "resources/templates/list")

OpenHost = Callable[
    [Settings, Mapping[str, AnyTool], Connections, Sequence[Observer]], AbstractAsyncContextManager[Host]
]


def build(
    registry: Registry, settings: Settings, connections: Connections, open_host: OpenHost = open_host
) -> Server[Host]:
    """Build the server for the tools of ``registry`` and the host's own tools.

    Args:
        registry: The tools and observers of the plugins.
        settings: The settings.
        connections: The clients' connections and their running calls.
        open_host: Opens the host for the lifetime of the server.
    """
    tools = served_tools(registry)
    resources = served_resources(registry)
    skills = SkillCatalogue(registry.skills, tools)

    @cache
    def listing(client: ClientFeatures) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[mcp_tool(tool, client) for tool in tools.values()])

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listing(client_features(ctx))

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await respond(tool, params.arguments, ctx)

    @cache  # the SDK asks for it at each call over HTTP
    def input_schema(name: str) -> Schema | None:
        return published_arguments(tools[name], ClientFeatures()) if name in tools else None

    @asynccontextmanager
    async def lifespan(_server: Server[Host]) -> AsyncIterator[Host]:
        async with open_host(settings, tools, connections, plugin_observers(registry)) as host:
            host.plugins.use(registry.plugins)
            host.updates.serve(resources)
            yield host

    server = Server(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=instructions_for(tools),
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=Listening(InMemorySubscriptionBus()),
        on_completion=CompletionHandler(registry, resources),
        cache_hints=dict.fromkeys(CACHED_LISTS, CacheHint(ttl_ms=LIST_TTL)),
        # Without it, the SDK lists all tools before each call over HTTP.
        get_tool_input_schema=input_schema,
    )
    add_resources(server, ResourceHandlers(resources, skills))
    if registry.skills or registry.prompts:
        add_prompts(server, PromptCatalogue(registry.prompts, skills), client_connection)
        if registry.skills:
            add_skills(server, skills)
    return server


def instructions_for(tools: Mapping[str, AnyTool]) -> str:
    """The server's instructions for the model, for these tools."""
    parts = [(sentence, wanted, wanted and tool_for(wanted, tools)) for sentence, wanted in INSTRUCTIONS]
    return " ".join(sentence.format(tool=name) for sentence, wanted, name in parts if name or not wanted)


def plugin_observers(registry: Registry) -> list[Observer]:
    """The plugins' observers of operation changes."""
    return [Observer(f"The plugin {name}", show) for name, show in registry.observers.items()]


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The plugins' tools and the host's own tools, by name."""
    own = {tool.name: tool() for tool in OPERATION_TOOLS}
    return dict(sorted({**registry.tools, **own}.items()))


async def respond(tool: AnyTool, given: dict[str, Any] | None, ctx: Context) -> types.CallToolResult:
    """Call a tool with the client's arguments. Every failure becomes a result that a model can read."""
    host, request_id = ctx.lifespan_context, ctx.request_id
    connection = client_connection(ctx)
    try:
        answer = await run_call(
            host,
            tool,
            given,
            connection=connection,
            sender=lambda token: _sender(ctx, token),
            request_id=None if request_id is None else coerce_request_id(request_id),
            client=client_features(ctx),
        )
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        return ensure_sendable(tool.name, success(tool, answer))
    except MaasMcpError as error:
        return ensure_sendable(tool.name, failure(error, resolve_steps(error.next_steps, host.tools)))


def _sender(ctx: Context, argument_token: ProgressToken | None) -> ProgressSend:
    """A function that sends progress for the request's token, or else for the token among the arguments."""
    request_meta = (ctx.params or {}).get("_meta") or {}
    if argument_token is None or "progressToken" in request_meta:

        async def send(progress: Progress) -> None:
            await ctx.session.report_progress(progress.value, progress.total, replace_surrogates(progress.message))

    else:

        async def send(progress: Progress) -> None:
            await ctx.session.send_progress_notification(
                argument_token, progress.value, progress.total, replace_surrogates(progress.message)
            )

    return send
