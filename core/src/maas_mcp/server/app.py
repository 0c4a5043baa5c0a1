"""The MCP server: lists the registry's tools and calls them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any, Final

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError

from maas_mcp import __version__
from maas_mcp.calls.arguments import ClientFeatures, ProgressToken
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connection, Connections
from maas_mcp.calls.host import Host, running
from maas_mcp.calls.next_steps import resolved, tool_for
from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.text import replace_surrogates
from maas_mcp.operations.next_steps import LIST_MACHINES
from maas_mcp.operations.progress import Progress, ProgressSend
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.operation_tools import OPERATION_TOOLS
from maas_mcp.server.tools import failure, mcp_tool, sendable, shown
from maas_mcp.settings import Settings

INSTRUCTIONS: Final[tuple[tuple[str, str | None], ...]] = (
    ("Drives Canonical MAAS: physical machines, by their system_id.", None),
    ("Find it with {tool}.", LIST_MACHINES.tool),
    ("Deploying, commissioning and releasing take minutes:", None),
    ("one call starts the operation, follows it with progress, and answers when it has ended.", None),
    ("With wait_seconds it answers earlier, with an operation_id for {tool}.", "maas_wait_operation"),
    ("A machine that is already at it is not started again.", None),
    ("Cancelling a call stops the following only, unless on_cancel is `abort`.", None),
)
"""The text for the model in parts, each with the tool that it names, if any: without that tool it is left out."""

EARLY_REVISION: Final = "2024-11-05"
"""The protocol revision whose clients may send ``_meta`` among the arguments."""

Context = ServerRequestContext[Host, object]
Running = Callable[
    [Settings, Mapping[str, AnyTool], Connections, Sequence[Observer]], AbstractAsyncContextManager[Host]
]


def build(registry: Registry, settings: Settings, connections: Connections, running: Running = running) -> Server[Host]:
    """The server for the tools of ``registry`` and the host's own.

    Args:
        registry: What the plugins offer.
        settings: What the host is made from.
        connections: The clients' connections, with the calls under way.
        running: Makes the host, for as long as the server runs.
    """
    tools = served_tools(registry)

    @cache
    def listing(client: ClientFeatures) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[mcp_tool(tool, client) for tool in tools.values()])

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listing(features_of(ctx))

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await answered(tool, params.arguments, ctx)

    @asynccontextmanager
    async def lifespan(_server: Server[Host]) -> AsyncIterator[Host]:
        async with running(settings, tools, connections, observers_of(registry)) as host:
            yield host

    return Server(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=instructions_for(tools),
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def instructions_for(tools: Mapping[str, AnyTool]) -> str:
    """What the model reads of the server as a whole."""
    told = [(sentence, wanted, wanted and tool_for(wanted, tools)) for sentence, wanted in INSTRUCTIONS]
    return " ".join(sentence.format(tool=name) for sentence, wanted, name in told if name or not wanted)


def observers_of(registry: Registry) -> list[Observer]:
    """What the plugins want to be shown the changes of operations."""
    return [Observer(f"The plugin {name}", show) for name, show in registry.observers.items()]


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The tools of the plugins and the host's own, by name."""
    own = {tool.name: tool() for tool in OPERATION_TOOLS}
    return dict(sorted({**registry.tools, **own}.items()))


async def answered(tool: AnyTool, given: dict[str, Any] | None, ctx: Context) -> types.CallToolResult:
    """Call a tool with what the client gave. Every failure is a result that a model can read."""
    host, request_id = ctx.lifespan_context, ctx.request_id
    # In a test, client and server may share the process and no stream: then nobody cancels by the request's id.
    connection = ctx.request if isinstance(ctx.request, Connection) else host.connections.connect()
    try:
        answer = await run_call(
            host,
            tool,
            given,
            connection=connection,
            sender=lambda token: _sender(ctx, token),
            request_id=None if request_id is None else coerce_request_id(request_id),
            client=features_of(ctx),
        )
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        return sendable(tool.name, shown(tool, answer))
    except MaasMcpError as error:
        return sendable(tool.name, failure(error, resolved(error.next_steps, host.tools)))


def features_of(ctx: Context) -> ClientFeatures:
    """What the client of a request can do."""
    return ClientFeatures(meta_argument=ctx.protocol_version == EARLY_REVISION)


def _sender(ctx: Context, argument_token: ProgressToken | None) -> ProgressSend:
    """Sends progress for the request's own token; for one among the arguments only where the request has none."""
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
