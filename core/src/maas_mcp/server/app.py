"""The MCP server: lists the registry's tools and calls them."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from maas_mcp import __version__
from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.text import whole
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import fault_of
from maas_mcp.operations.progress import Progress, ProgressReporter, ProgressSend
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.arguments import CallOptions, ProgressToken, parse_arguments
from maas_mcp.server.calls import Calls, Connection
from maas_mcp.server.operation_tools import OPERATION_TOOLS, HostContext
from maas_mcp.server.reports import about_served
from maas_mcp.server.services import Services, running
from maas_mcp.server.tools import failure, mcp_tool, outcome_of, sendable, success
from maas_mcp.settings import Settings

logger = logging.getLogger(__name__)

INSTRUCTIONS: Final = """\
Drives Canonical MAAS: physical machines, by their system_id. Find it with maas_list_machines.
Deploying, commissioning and releasing take minutes: one call starts the operation, follows it with progress, and
answers when it has ended. With wait_seconds it answers earlier, with an operation_id for maas_wait_operation. A machine
that is already at it is not started again. Cancelling a call stops the following only, unless on_cancel is `abort`."""

Context = ServerRequestContext[Services, object]


def build(
    registry: Registry,
    settings: Settings,
    calls: Calls,
    running: Callable[[Settings], AbstractAsyncContextManager[Services]] = running,
) -> Server[Services]:
    """The server for the tools of ``registry`` and the host's own.

    Args:
        registry: What the plugins offer.
        settings: What the services are made from.
        calls: The calls under way.
        running: Makes the services, for as long as the server runs.
    """
    tools = served_tools(registry)
    host = _Host(tools, {name: tool for name, tool in tools.items() if isinstance(tool, LongRunning)}, calls)

    @cache
    def listing(revision: str) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[mcp_tool(tool, revision) for tool in tools.values()])

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listing(ctx.protocol_version)

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await host.call(tool, params.arguments, ctx)

    @asynccontextmanager
    async def lifespan(_server: Server[Services]) -> AsyncIterator[Services]:
        async with running(settings) as services:
            yield services

    return Server(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=about_served(INSTRUCTIONS, tools),
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The tools of the plugins and the host's own, by name."""
    own = {tool.name: tool() for tool in OPERATION_TOOLS}
    return dict(sorted({**registry.tools, **own}.items()))


@dataclass(frozen=True, slots=True)
class _Host:
    """Calls tools. Every failure is a result that a model can read; only a cancellation leaves without one."""

    tools: Mapping[str, AnyTool]
    operations: Mapping[str, LongRunning[Any, Any]]
    calls: Calls

    async def call(self, tool: AnyTool, given: dict[str, Any] | None, ctx: Context) -> types.CallToolResult:
        """Call a tool with what the client gave."""
        try:
            arguments, options = parse_arguments(tool, given, ctx.protocol_version)
            progress = ProgressReporter(_sender(ctx, options.token))
            async with progress.reporting():
                result = await self._answer(tool, arguments, options, ctx, progress)
        except BaseException as error:
            if is_cancellation(error):
                raise
            return self._failed(tool, error)
        return result

    async def _answer(
        self,
        tool: AnyTool,
        arguments: BaseModel,
        options: CallOptions,
        ctx: Context,
        progress: ProgressReporter,
    ) -> types.CallToolResult:
        """The tool's answer, whatever that is: what is no exception must not reach a task group, which would end."""
        try:
            return sendable(tool.name, await self._run(tool, arguments, options, ctx, progress))
        except BaseException as error:
            if is_cancellation(error):
                raise
            return self._failed(tool, error)

    async def _run(
        self,
        tool: AnyTool,
        arguments: BaseModel,
        options: CallOptions,
        request: Context,
        progress: ProgressReporter,
    ) -> types.CallToolResult:
        services, request_id = request.lifespan_context, request.request_id
        # In a test, client and server may share the process and no stream: then nobody cancels by the request's id.
        connection = request.request if isinstance(request.request, Connection) else self.calls.connect()
        with connection.running(None if request_id is None else coerce_request_id(request_id)) as call:
            if isinstance(tool, LongRunning):
                sealer = services.sealer  # before anything is started: without it nobody could ask for that again
                warnings = tool.warnings(arguments)  # before anything is started, in case that this fails
                outcome = await services.run(
                    tool, arguments, progress, call, wait=options.wait_seconds, on_cancel=options.on_cancel
                )
                return outcome_of(tool, outcome, sealer, warnings)
            ctx = HostContext(
                services.maas,
                progress,
                call.token,
                call,
                services,
                self.calls,
                self.operations,
                self.tools,
                timing=services.timing,
            )
            return success(tool, await tool.run(ctx, arguments))

    def _failed(self, tool: AnyTool, error: BaseException) -> types.CallToolResult:
        """The result of a call that came to nothing; whatever a plugin raises, the other calls go on."""
        if isinstance(error, MaasMcpError):
            error.hint = about_served(error.hint or "", self.tools) or None
            return sendable(tool.name, failure(error))
        logger.error("%s failed", tool.name, exc_info=error)
        return failure(fault_of(tool.name, error))


def _sender(ctx: Context, argument_token: ProgressToken | None) -> ProgressSend:
    """Sends progress for the request's own token; for one among the arguments only where the request has none."""
    request_meta = (ctx.params or {}).get("_meta") or {}
    if argument_token is None or "progressToken" in request_meta:

        async def send(progress: Progress) -> None:
            await ctx.session.report_progress(progress.value, progress.total, whole(progress.message))

    else:

        async def send(progress: Progress) -> None:
            await ctx.session.send_progress_notification(
                argument_token, progress.value, progress.total, whole(progress.message)
            )

    return send
