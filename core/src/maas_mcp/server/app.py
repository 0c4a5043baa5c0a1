"""The MCP server: lists the registry's tools and calls them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from maas_mcp import __version__
from maas_mcp.errors import MaasMcpError, PluginError
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.operation import Operation
from maas_mcp.operations.progress import Progress, ProgressReporter, ProgressSend
from maas_mcp.operations.tool import ToolContext
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.services import Services, running
from maas_mcp.server.tools import ProgressToken, failure, mcp_tool, parse_arguments, success
from maas_mcp.settings import Settings

logger = logging.getLogger(__name__)

INSTRUCTIONS: Final = """\
Drives Canonical MAAS: physical machines, by their system_id (find it with maas_list_machines).
Deploying, commissioning and releasing take minutes: one call starts the operation, follows it with progress, and
answers when it has ended. Never call again for a machine that is already at it. Cancelling a call stops the following
only; MAAS goes on."""

Context = ServerRequestContext[Services, Any]


def build(registry: Registry, settings: Settings) -> Server[Services]:
    """The server for the tools of ``registry``."""
    listing = types.ListToolsResult(tools=[mcp_tool(tool) for tool in registry.tools.values()])

    async def list_tools(_ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listing

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = registry.tools.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await _call(tool, params.arguments, ctx)

    @asynccontextmanager
    async def lifespan(_server: Server[Services]) -> AsyncIterator[Services]:
        async with running(settings) as services:
            yield services

    return Server(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _call(tool: AnyTool, given: dict[str, Any] | None, ctx: Context) -> types.CallToolResult:
    """Call a tool. Every failure is a result that a model can read; only a cancellation leaves without one."""
    try:
        arguments, token = parse_arguments(tool, given)
        progress = ProgressReporter(_sender(ctx, token))
        cancellation = CancellationToken()
        async with progress.reporting():
            with cancellation.guard():
                result = await _run(tool, arguments, ctx.lifespan_context, progress, cancellation)
        return success(tool, result)
    except MaasMcpError as error:
        return failure(error)
    except Exception as error:
        logger.exception("%s failed", tool.name)
        fault = PluginError(
            f"{tool.name} failed inside its plugin ({type(error).__name__}), which is a fault of the plugin.",
            hint="The server's log has the details. What was already asked of MAAS may have taken effect.",
        )
        return failure(fault)


async def _run(
    tool: AnyTool, arguments: BaseModel, services: Services, progress: ProgressReporter, cancellation: CancellationToken
) -> BaseModel:
    if isinstance(tool, Operation):
        result: BaseModel = await services.engine.run(tool, arguments, progress, cancellation)
        return result
    answer: BaseModel = await tool.run(ToolContext(services.maas, progress, cancellation), arguments)
    return answer


def _sender(ctx: Context, argument_token: ProgressToken | None) -> ProgressSend:
    """Sends progress for the request's own token; for one among the arguments only where the request has none."""
    request_meta = (ctx.params or {}).get("_meta") or {}
    if argument_token is None or "progressToken" in request_meta:

        async def send(progress: Progress) -> None:
            await ctx.session.report_progress(progress.value, progress.total, progress.message)

    else:

        async def send(progress: Progress) -> None:
            await ctx.session.send_progress_notification(
                argument_token, progress.value, progress.total, progress.message
            )

    return send
