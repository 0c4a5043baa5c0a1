"""Answers a call of a tool: with a result, with questions for the user, or with a task."""

from typing import Any

import mcp_types as types
from mcp.server import Server
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError

from maas_mcp.calls.answer_time import answer_time
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.host import Host
from maas_mcp.calls.next_steps import resolve_steps
from maas_mcp.calls.operation_start import start_when_answered
from maas_mcp.errors import CannotAskError, MaasMcpError
from maas_mcp.operations.declaring.questions import AnswersNeededError
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.server.asking import asker_for, missing_capability, questions_result
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.narrowing import served_to
from maas_mcp.server.request_context import (
    Context,
    client_connection,
    client_features,
    has_token,
    is_modern,
    progress_sender,
)
from maas_mcp.server.tasks import check_callable, new_task, starts_after_answer, starts_task
from maas_mcp.server.tools import ensure_sendable, failure, success

Response = types.CallToolResult | types.InputRequiredResult | dict[str, Any]
"""A tool's result, questions for the user, or a task."""


def add_handlers(server: Server[Host], served: Catalogue, log: ClientLog) -> None:
    """Handle ``tools/call``."""

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Response:
        tool = served.loaded.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await respond(tool, params, ctx, log)

    # As an argument of the server, the SDK's types would not allow a task as the result.
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)


async def respond(tool: AnyTool, params: types.CallToolRequestParams, ctx: Context, log: ClientLog) -> Response:
    """Call a tool with the client's arguments. Every failure becomes a result that a model can read."""
    host, request_id, given = ctx.lifespan_context, ctx.request_id, params.arguments
    connection = client_connection(ctx)
    check_callable(ctx, tool)
    served = await served_to(ctx)
    as_task, asker = starts_task(ctx, tool, given), asker_for(ctx, params, log)
    in_task = as_task and starts_after_answer(tool, asker)
    try:
        answer = await run_call(
            host,
            tool,
            {**(given or {}), "wait_seconds": 0} if as_task else given,
            connection=connection,
            sender=lambda token: progress_sender(ctx, token),
            request_id=None if request_id is None else coerce_request_id(request_id),
            client=client_features(ctx),
            user=asker,
            served=served,
            answer_by=lambda token: answer_time(host.settings.answer_within, has_token=has_token(ctx, token)),
            run=start_when_answered if in_task else None,
        )
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        if as_task and (task := new_task(ctx, answer, given)):
            return task
        return ensure_sendable(tool.name, success(tool, answer))
    except AnswersNeededError as needed:
        return questions_result(needed, params)
    except CannotAskError as error:
        if is_modern(ctx):
            raise missing_capability(error) from None
        return failure(error)
    except MaasMcpError as error:
        return ensure_sendable(tool.name, failure(error, resolve_steps(error.next_steps, served.tools)))
