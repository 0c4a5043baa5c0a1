"""Runs every call, from MCP or from another tool, through the same steps, such as policy and audit."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from maas_mcp.calls.approval import approve, fills_in, needs_approval
from maas_mcp.calls.arguments import ClientFeatures, ProgressToken, parse_arguments
from maas_mcp.calls.asking import EarlyAsker
from maas_mcp.calls.audit import recording_outcome
from maas_mcp.calls.audited_call import admit_current
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.caller_access import access_of
from maas_mcp.calls.connections import Connection
from maas_mcp.calls.contributed import DeclaredTool, ReadResource
from maas_mcp.calls.guard import check_policy
from maas_mcp.calls.host import Host
from maas_mcp.calls.limiting import counting_machines
from maas_mcp.calls.next_steps import in_region
from maas_mcp.calls.operation_start import start_and_follow
from maas_mcp.calls.operations_service import OperationsService
from maas_mcp.calls.planning import plan_call, rehearse
from maas_mcp.calls.plugin_errors import plugin_errors
from maas_mcp.calls.principal import Principal
from maas_mcp.calls.rehearsal import Rehearsal
from maas_mcp.calls.served import Served
from maas_mcp.calls.telemetry import observing
from maas_mcp.calls.tenant import Tenant
from maas_mcp.errors import InvalidArgumentsError, MaasMcpError, PluginError
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.questions import NOBODY, Asker
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.progress import PartialProgress, ProgressReporter, ProgressSend
from maas_mcp.operations.running.results import structured
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.validation import OPERATION_ID
from maas_mcp.policy.judgement import refused_by

logger = logging.getLogger(__name__)

Run = Callable[[ToolCall], Awaitable[CallResult]]
"""Runs after the last step."""


async def run_call(
    host: Host,
    tool: AnyTool,
    given: Mapping[str, Any] | None,
    *,
    connection: Connection,
    sender: Callable[[ProgressToken | None], ProgressSend],
    request_id: str | int | None = None,
    client: ClientFeatures = ClientFeatures(),  # noqa: B008 - it is frozen
    run: Run | None = None,
    user: Asker = NOBODY,
    served: Served | None = None,
    answer_by: Callable[[ProgressToken | None], float] = lambda _token: math.inf,
) -> CallResult:
    """Call a tool.

    Args:
        host: The host.
        tool: The tool.
        given: The client's arguments.
        connection: The client's connection, with the principal.
        sender: Returns a function that sends progress, for the token among the arguments.
        request_id: The id by which the client can cancel the call.
        client: The client's features.
        run: Runs after the last step instead of the tool, for a request that reads or changes the same as the tool but
            needs another form of the result.
        user: Asks the client.
        served: The tools that the request can use; ``None`` for those of the host.
        answer_by: Returns the time by which the call answers, for the token among the arguments.

    Raises:
        MaasMcpError: The arguments are invalid, or the call was refused or failed. A tool raises no other error.
    """
    called = observing(host.instruments, tool.name, connection.principal.name, request_id)
    with called as observed, plugin_errors(tool.name):
        principal = connection.principal
        try:
            arguments, options = parse_arguments(tool, given, client, host.regions_of(principal))
        except InvalidArgumentsError:
            if refusal := (served or host.served).refusal(tool.name, changes=False):
                raise refused_by(refusal) from None  # better arguments would not help
            raise
        region = options.region or await region_of_operation(host, principal, tool, arguments)
        progress = ProgressReporter(sender(options.token))
        answer = answer_by(options.token)
        # A BaseException must not reach the reporter's task group, because it would end the group.
        async with host.tenant(principal, region) as tenant, progress.reporting():
            with _steps_in(tenant), plugin_errors(tool.name), connection.running(request_id) as running:
                running.region = tenant.region
                call = ToolCall(
                    tool=tool,
                    arguments=arguments,
                    options=options,
                    effects=tool.effects(arguments),
                    principal=principal,
                    host=host,
                    tenant=tenant,
                    served=served or host.served,
                    client=client,
                    progress=progress,
                    running=running,
                    user=EarlyAsker(user, tool.name),
                    answer_by=answer,
                )
                result = await run_steps(call, run=run)
                observed.note(result.status)
                return result


async def region_of_operation(host: Host, principal: Principal, tool: AnyTool, arguments: BaseModel) -> str:
    """The region of the operation that a call names, or an empty string for the default."""
    named = tool.operation_id if isinstance(tool, ReadResource) else getattr(arguments, OPERATION_ID, None)
    if named is None or len(host.regions_of(principal)) < 2:  # noqa: PLR2004 - there is no choice
        return ""
    return await host.region_of(principal, named) or ""


@contextmanager
def _steps_in(tenant: Tenant) -> Iterator[None]:
    """Let the next steps of an error choose the region of the call."""
    try:
        yield
    except MaasMcpError as error:
        error.next_steps = in_region(error.next_steps, tenant.region)
        raise


async def call_within(outer: ToolCall, tool: AnyTool, given: Mapping[str, Any]) -> CallResult:
    """Call a tool from another tool: through the same steps, with the outer call's progress and cancellation."""
    with plugin_errors(tool.name):
        arguments, options = parse_arguments(tool, given, outer.client)
        if options.plan or options.plan_id is not None:
            raise PluginError(
                f"{outer.tool.name} passes a plan option to {tool.name}, which is a bug in the plugin. Expected none, "
                "because the plan of a call covers the calls that it makes."
            )
        # The inner call's share of the outer call is unknown, so only its messages are passed on, not its fractions.
        progress = PartialProgress(lambda _fraction, message: outer.progress.report(None, message))
        inner = replace(
            outer,
            tool=tool,
            arguments=arguments,
            options=options,
            effects=tool.effects(arguments),
            progress=progress,
            judgement=None,
        )
        return await run_steps(inner)


async def run_steps(call: ToolCall, run: Run | None = None) -> CallResult:
    """Check a call by the site's policy, and run it or return its plan. The audit records the outcome."""
    async with recording_outcome(call) as recorded:
        judged = await check_policy(call)
        following = partial(_approve_and_run, run=run)
        # A call within a planned call is rehearsed with it.
        recorded.result = await (plan_call(judged, following) if call.options.plan else following(judged))
    return recorded.result


async def _approve_and_run(call: ToolCall, run: Run | None) -> CallResult:
    """Check the plan of a call, or ask the user to confirm it, if the policy requires that. Then run the call.

    The call is rehearsed before the question, because its tool may refuse it or need to send nothing.
    """
    if needs_approval(call) and not fills_in(call.tool):
        rehearsed = await rehearse(call, partial(_count_and_run, run=run), Rehearsal())
        if rehearsed is not None:
            return rehearsed
    return await _count_and_run(await approve(call), run)


async def _count_and_run(call: ToolCall, run: Run | None) -> CallResult:
    """Run a call that nothing has refused. The policy's limits count its machines, and the audit records it first."""
    async with counting_machines(call) as counted:
        if call.effects.changes and call.rehearsal is None:
            await admit_current(call.tenant.known_username)
        counted.result = await (run(call) if run and call.rehearsal is None else _run(call))
    return counted.result


async def _run(call: ToolCall) -> CallResult:
    """Run the tool, or start the operation and follow it."""
    if isinstance(call.tool, LongRunning):
        return await start_and_follow(call)
    plugin = await call.tenant.plugins.open(call.tool.declared if isinstance(call.tool, DeclaredTool) else call.tool)
    ctx = ToolContext(
        call.maas,
        call.progress,
        call.cancellation,
        operations=OperationsService(call, call_within),
        cursors=call.tenant.cursors(call.tool.name),
        access=access_of(call),
        timing=call.tenant.timing,
        client=call.user,
        plugin=plugin,
    )
    result = await call.tool.run(ctx, call.arguments)
    return CallResult(result=result, content=structured(call.tool, result))
