"""The one way in: every call passes these steps, such as policy and audit, whether it comes from MCP or a tool."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from maas_mcp.calls.arguments import ClientFeatures, ProgressToken, parse_arguments
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.connections import Connection
from maas_mcp.calls.host import Host
from maas_mcp.calls.operations_service import OperationsService
from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.address import ApiKey
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import Tool, ToolContext, plugin_error
from maas_mcp.operations.progress import PartialProgress, ProgressReporter, ProgressSend
from maas_mcp.operations.running.results import structured
from maas_mcp.plugins.registry import AnyTool

logger = logging.getLogger(__name__)

Next = Callable[[ToolCall], Awaitable[CallResult]]
Step = Callable[[ToolCall, Next], Awaitable[CallResult]]
"""Passes a call on to the next step, or refuses it by raising a ``MaasMcpError``."""


async def run_call(
    host: Host,
    tool: AnyTool,
    given: Mapping[str, Any] | None,
    *,
    connection: Connection,
    sender: Callable[[ProgressToken | None], ProgressSend],
    request_id: str | int | None = None,
    client: ClientFeatures = ClientFeatures(),  # noqa: B008 - it is frozen
    api_key: ApiKey | None = None,
) -> CallResult:
    """Call a tool.

    Args:
        host: The process.
        tool: What is called.
        given: The arguments, as they came.
        connection: By what they came.
        sender: Makes what sends progress, for a token among the arguments.
        request_id: What the client names the call by when it cancels it.
        client: What the client can do.
        api_key: Whose call it is, if not that of the settings' key.

    Raises:
        MaasMcpError: The arguments do not fit, it is not allowed, or it has failed; nothing else leaves a tool.
    """
    with shielded(tool):
        arguments, options = parse_arguments(tool, given, client)
        progress = ProgressReporter(sender(options.token))
        # What is no exception must not reach the reporter's task group, which would end with it.
        async with host.tenant(api_key) as tenant, progress.reporting():
            with shielded(tool), connection.running(request_id) as running:
                call = ToolCall(
                    tool=tool,
                    arguments=arguments,
                    options=options,
                    effects=tool.effects(arguments),
                    host=host,
                    tenant=tenant,
                    client=client,
                    progress=progress,
                    running=running,
                )
                return await pass_on(call)


async def call_within(outer: ToolCall, tool: AnyTool, given: Mapping[str, Any]) -> CallResult:
    """Call a tool from another one: through the same steps, with the progress and the cancellation of that."""
    with shielded(tool):
        arguments, options = parse_arguments(tool, given, outer.client)
        # How large a part of the whole it is cannot be known: so its messages are passed on, and no fractions.
        progress = PartialProgress(lambda _fraction, message: outer.progress.report(None, message))
        inner = replace(
            outer,
            tool=tool,
            arguments=arguments,
            options=options,
            effects=tool.effects(arguments),
            progress=progress,
        )
        return await pass_on(inner)


async def pass_on(call: ToolCall, steps: tuple[Step, ...] | None = None) -> CallResult:
    """Pass a call through the steps that are left, and then run it."""
    first, *rest = STEPS if steps is None else steps or (None,)
    if first is None:
        return await _run(call)
    return await first(call, lambda passed: pass_on(passed, tuple(rest)))


async def _audit(call: ToolCall, following: Next) -> CallResult:
    """Record who called what. Nothing is recorded so far."""
    return await following(call)


async def _check_policy(call: ToolCall, following: Next) -> CallResult:
    """Refuse what is not allowed. Everything is allowed so far."""
    return await following(call)


STEPS: Final[tuple[Step, ...]] = (_audit, _check_policy)
"""From the outermost to the last one before the tool."""


async def _run(call: ToolCall) -> CallResult:
    """Run the tool, or start the operation and follow it."""
    operations = OperationsService(call, call_within)
    if isinstance(call.tool, LongRunning):
        return await operations.start_and_follow()
    ctx = ToolContext(
        call.tenant.maas, call.progress, call.cancellation, operations=operations, timing=call.tenant.timing
    )
    result = await call.tool.run(ctx, call.arguments)
    return CallResult(result=result, content=structured(call.tool, result))


@contextmanager
def shielded(tool: Tool[Any, Any] | LongRunning[Any, Any]) -> Iterator[None]:
    """Let nothing leave a tool but a cancellation and errors with a message: the other calls go on.

    Raises:
        PluginError: The plugin raised something else, whatever it was.
    """
    try:
        yield
    except BaseException as error:
        if is_cancellation(error) or isinstance(error, MaasMcpError):
            raise
        logger.exception("%s failed", tool.name)
        raise plugin_error(tool.name, error) from error
