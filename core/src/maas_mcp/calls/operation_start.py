"""Starts the long-running operation of a call, with its arguments filled in, or rehearses its start."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from maas_mcp.calls.answer_time import shorter_wait
from maas_mcp.calls.approval import approve_filled_in, fills_in
from maas_mcp.calls.asking import EarlyAsker
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.guard import check_policy
from maas_mcp.calls.plugin_errors import plugin_errors
from maas_mcp.calls.rehearsal import Rehearsal
from maas_mcp.calls.reports import suggest_get_operation
from maas_mcp.calls.telemetry import Following, following
from maas_mcp.calls.tenant import Tenant, subject_of
from maas_mcp.errors import MaasMcpError, PlanRefusedError, PluginError
from maas_mcp.maas.change_request import ChangeRequest, RehearsedError
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.questions import Asker
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.outages import giving_up
from maas_mcp.operations.running.results import kind_of, structured
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.policy.tiers import Tier


async def start_and_follow(call: ToolCall) -> CallResult:
    """Start the call's operation, and follow it to its end or for ``wait_seconds``."""
    operation, tenant = call.tool, call.tenant
    if not isinstance(operation, LongRunning):
        raise TypeError(f"{operation.name} is not a long-running operation")
    # Both may fail, so they run before the start. An operation without an id could not be followed again.
    signer = tenant.handle_signer
    arguments, nonce = await _fill_in(call, operation, call.user)
    if call.rehearsal is not None:
        return await _rehearse(call, operation, arguments, call.rehearsal)
    warnings = tuple(operation.warnings(arguments))
    subject = subject_of(operation, arguments, nonce)
    if isinstance(operation, BatchOperation) and nonce:
        await _check_unused(tenant, subject)
    options: dict[str, Any] = {
        "wait": shorter_wait(call.options.wait_seconds, call.answer_by),
        "on_cancel": call.options.on_cancel,
        "start_by": call.answer_by,
    }
    if isinstance(operation, BatchOperation):
        options["name"] = subject
    engine = tenant.engine_for(operation)
    part = Following(operation.name, subject)
    with call.running.following(operation.name, subject), following(call.host.instruments, part):
        status = await engine.run(operation, arguments, call.progress, call.cancellation, **options)
    _keep_starting(call, operation, status.handle)
    return operation_result(operation, status, signer.sign(status.handle), warnings)


def _keep_starting(call: ToolCall, operation: LongRunning[Any, Any], handle: Handle) -> None:
    """Let the start of a batch outlive the call. The cancel tool and a shutdown stop it like the call."""
    over = call.tenant.batches.start_over(handle) if isinstance(operation, BatchOperation) else None
    if over is None:
        return

    async def keep() -> None:
        connection, region = call.host.connections.connect(call.principal), call.tenant.region
        with connection.outliving(call.cancellation, operation.name, handle.system_id, region):
            await over.wait()

    call.host.run_later(call.principal, call.tenant.region, keep)


async def start_when_answered(call: ToolCall) -> CallResult:
    """Prepare the call's operation, and start it later, when the user has answered its questions."""
    operation, tenant, engine = call.tool, call.tenant, call.tenant.engine
    if not isinstance(operation, LongRunning):
        raise TypeError(f"{operation.name} is not a long-running operation")
    await tenant.plugins.open(operation)
    prepared = await engine.prepare(operation, call.arguments, call.progress, call.cancellation)
    if isinstance(prepared, OperationStatus):
        return operation_result(operation, prepared, tenant.handle_signer.sign(prepared.handle))
    handle, principal = prepared.subject.handle, call.principal.name
    operation_id = tenant.handle_signer.sign(handle)
    tier = Tier.DESTROY if call.judgement is None else call.judgement.call.tier
    waiting = call.host.waiting.add(principal, operation_id, call.user, handle.started, tier)

    async def start() -> None:
        try:
            with plugin_errors(operation.name):
                arguments, _ = await _fill_in(call, operation, waiting)
                if subject_of(operation, arguments) != handle.system_id:
                    raise PluginError(f"{operation.name}.fill_in chose another machine, which is not possible.")
                run = engine.start(replace(prepared, args=arguments))
                if not isinstance(run, OperationStatus):
                    await run.request.wait_for_answer()
        except MaasMcpError as error:
            waiting.end(error)
        else:
            call.host.waiting.remove(principal, operation_id)

    call.host.run_later(call.principal, tenant.region, start)
    status: OperationStatus[Any] = OperationStatus(handle, None, "Waiting for an answer", confirmed=False)
    return operation_result(operation, status, operation_id)


async def _rehearse(
    call: ToolCall, operation: LongRunning[Any, Any], arguments: BaseModel, rehearsal: Rehearsal
) -> CallResult:
    """Run the operation up to its start request. Returns only if a call would send nothing."""
    tenant = call.tenant
    rehearsal.warnings += operation.warnings(arguments)
    services = (call.progress, call.cancellation, tenant.maas.rehearsing(rehearsal.record))
    with giving_up(operation.name, call.answer_by):
        if isinstance(operation, BatchOperation):
            name = subject_of(operation, arguments, rehearsal.nonce)
            rehearsal.warnings += await tenant.batches.rehearse(operation, arguments, *services, name=name)
            raise RehearsedError
        found = await tenant.engine.rehearse(operation, arguments, *services)
    if isinstance(found, OperationStatus):
        return operation_result(operation, found, tenant.handle_signer.sign(found.handle))
    rehearsal.warnings += found
    raise RehearsedError


async def _check_unused(tenant: Tenant, batch: str) -> None:
    """Check that no process has started a planned batch, whose name is part of the plan.

    Raises:
        PlanRefusedError: A process has started it.
    """
    if await tenant.maas.machines(agent_name=batch):
        raise PlanRefusedError("The plan was already applied.")


async def _fill_in(call: ToolCall, operation: LongRunning[Any, Any], asker: Asker) -> tuple[BaseModel, bytes]:
    """The arguments, filled in with the user's answers, and the nonce of the plan that is applied, if any.

    Afterwards, the call cannot ask any more.
    """
    arguments = await _ask_for_arguments(call, operation, asker)
    approval = call.approval
    if fills_in(operation):
        # Only the call with the given arguments was judged and approved.
        asking, effects = EarlyAsker(asker, operation.name), operation.effects(arguments)
        # The user's answers may have taken an hour.
        filled_in = await check_policy(replace(call, arguments=arguments, effects=effects, user=asking))
        if call.rehearsal is not None:
            call.rehearsal.filled_in = filled_in
        else:
            approval = (await approve_filled_in(filled_in, call)).approval
    if approval is not None:
        await approval.use()
    if call.rehearsal is None:
        call.user.note_change()
    return arguments, b"" if approval is None or approval.plan is None else approval.plan.nonce


async def _ask_for_arguments(call: ToolCall, operation: LongRunning[Any, Any], asker: Asker) -> BaseModel:
    """The arguments that the operation's own code has filled in."""

    async def refuse(_change: ChangeRequest) -> None:
        raise PluginError(
            f"{operation.name}.fill_in changes something in MAAS, which is a bug in the plugin. Expected it only to "
            "read."
        )

    ctx: ToolContext[Any, Any] = ToolContext(
        call.tenant.maas.before_change(refuse),
        call.progress,
        call.cancellation,
        timing=call.tenant.timing,
        client=asker,
        plugin=await call.tenant.plugins.open(operation),
    )
    arguments: object = await operation.fill_in(ctx, call.arguments)
    if not isinstance(arguments, operation.arguments):
        raise PluginError(
            f"{operation.name}.fill_in returned {kind_of(arguments)}, which is a bug in the plugin. "
            f"Expected the arguments: return `args` or a copy, `args.model_copy(update=…)`."
        )
    return arguments


def operation_result(
    operation: LongRunning[Any, Any],
    status: OperationStatus[Any],
    operation_id: str,
    warnings: tuple[str, ...] = (),
) -> CallResult:
    """Return the result of a call that starts an operation, or of one that follows it as that call would."""
    suggest_get_operation(status, operation_id)
    return CallResult(
        result=status.result,
        content=None if status.result is None else structured(operation, status.result),
        status=status,
        operation_id=operation_id,
        warnings=(*warnings, *status.warnings),
    )
