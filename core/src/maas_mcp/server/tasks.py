"""Tasks (SEP-2663): a long-running operation as a task, for clients that poll it and need no open request.

A task's id is the operation's id. Nothing about a task is stored: each request reads MAAS, so that tasks survive a
restart and any replica with the same secret serves them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.server import Server
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import decode_header_value

from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.chain import Run, call_within, run_call
from maas_mcp.calls.guard import check_tier
from maas_mcp.calls.host import Host
from maas_mcp.calls.next_steps import resolve_steps
from maas_mcp.calls.operations_service import OperationsService
from maas_mcp.calls.served import Served
from maas_mcp.calls.waiting import WaitingOperation
from maas_mcp.errors import (
    InsufficientScopeError,
    InvalidArgumentsError,
    MaasMcpError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationRefusedError,
    OperationRevertedError,
    PluginError,
    UnknownOperationError,
)
from maas_mcp.machine_text import make_visible
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.questions import Asker
from maas_mcp.operations.progress import ProgressSend, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.judgement import refused_by
from maas_mcp.server.asking import mcp_request, read_answer
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.extensions import TASKS
from maas_mcp.server.narrowing import served_to
from maas_mcp.server.operation_tools import CancelOperation, GetOperation
from maas_mcp.server.request_context import Context, client_connection, client_features, declares_extension, is_modern
from maas_mcp.server.task_wire import (
    Task,
    TaskId,
    TaskParams,
    TaskStatus,
    UpdateTaskParams,
    operation_name,
    unknown_task,
)
from maas_mcp.server.tools import ensure_sendable, failure, success


def add_handlers(server: Server[Host], _served: Catalogue, _log: ClientLog) -> None:
    """Handle the requests of the extension."""
    server.add_request_handler("tasks/get", TaskParams, _get)
    server.add_request_handler("tasks/update", UpdateTaskParams, _update)
    server.add_request_handler("tasks/cancel", TaskParams, _cancel)


def starts_task(ctx: Context, tool: AnyTool, given: Mapping[str, Any] | None) -> bool:
    """Whether a call is answered with a task.

    A call with ``wait_seconds`` is not: its caller wants an answer in that time. A plan starts nothing.
    """
    waits = bool({"wait_seconds", "plan"} & {name for name, value in (given or {}).items() if value is not None})
    return isinstance(tool, LongRunning) and not waits and declares_extension(ctx, TASKS)


def new_task(ctx: Context, answer: CallResult, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The task for an operation that a call has started; ``None`` if the operation has ended."""
    status = answer.status
    if status is None or status.ended:
        return None
    asked = (given or {}).get("on_cancel")
    task_id = TaskId(answer.operation_id, CancelPolicy(asked) if asked else None)
    message = " ".join([_message(status), *(f"Warning: {each}" for each in answer.warnings)])
    task = Task(
        task_id=str(task_id),
        status="working",
        message=message,
        started=status.handle.started,
        poll_interval=ctx.lifespan_context.settings.poll_interval,
    )
    return {"resultType": "task", **task.to_wire()}


def starts_after_answer(tool: AnyTool, asker: Asker) -> bool:
    """Whether the task of a call exists before the user is asked. Otherwise the question comes first."""
    in_task = isinstance(tool, LongRunning) and not isinstance(tool, BatchOperation) and tool.asks_in_task
    return in_task and asker.can_ask()


def check_callable(ctx: Context, tool: AnyTool) -> None:
    """Check that the client can call a tool that runs only as a task.

    Raises:
        MCPError: It cannot.
    """
    if isinstance(tool, LongRunning) and tool.only_as_task and not declares_extension(ctx, TASKS):
        raise _missing_capability()


async def read_task(
    ctx: Context, task_id: str, *, seconds: float | None = 0.0, send: ProgressSend = discard_progress
) -> Task:
    """Read a task, or follow it to its end or for this many seconds.

    Args:
        ctx: The client's request.
        task_id: The task's id.
        seconds: How long to follow it; ``None`` until its end.
        send: Receives the progress.

    Raises:
        MCPError: The caller has no such task, or it cannot be read.
    """
    reading = _Reading(TaskId.parse(task_id).operation_id, seconds)
    served = await _served_for(ctx, task_id, GetOperation.name)
    status: TaskStatus
    details: dict[str, Any]
    try:
        if waiting := _waiting(ctx, reading.operation_id):
            return _waiting_task(ctx, task_id, waiting, served)
        arguments = {"operation_id": reading.operation_id}
        answer = await _pass_on(ctx, GetOperation(), arguments, served=served, run=reading.follow, send=send)
    except MaasMcpError as error:
        if isinstance(error, UnknownOperationError | OperationCancelledError) or not reading.started:
            raise _refusal(error) from None
        if reading.unreachable:
            status, message, details = "working", error.message, {}
        else:
            status, message, details = _unsuccessful(error, served)
    else:
        status, message, details = _successful(answer, ctx.lifespan_context)
    return Task(
        task_id=task_id,
        status=status,
        message=message,
        started=reading.started,
        poll_interval=ctx.lifespan_context.settings.poll_interval,
        details=details,
    )


def _waiting(ctx: Context, operation_id: str) -> WaitingOperation | None:
    """The operation, if it waits for answers in this process or did not start."""
    return ctx.lifespan_context.waiting.find(client_connection(ctx).principal.name, operation_id)


async def _served_for(ctx: Context, task_id: str, tool: str) -> Served:
    """The tools for a request about a task, which is passed on as a call of a tool for operations.

    A client that can call the operation's own tool can also follow and cancel its tasks.

    Raises:
        MCPError: The request can use neither tool.
    """
    served, operation = await served_to(ctx), operation_name(task_id)
    if operation in served.tools:
        return served.including(tool)
    if tool in served.tools:
        return served
    refusal = served.refused.get(operation) or served.refused.get(tool)
    raise unknown_task() if refusal is None else _refusal(refused_by(refusal))


def _waiting_task(ctx: Context, task_id: str, waiting: WaitingOperation, served: Served) -> Task:
    status: TaskStatus = "working"
    message = "Starting"
    details: dict[str, Any] = {}
    if waiting.error is not None:
        status, message, details = _unsuccessful(waiting.error, served)
    elif waiting.pending:
        requests = {key: mcp_request(each) for key, each in waiting.pending.items()}
        status, message = "input_required", "Waiting for an answer"
        details["inputRequests"] = {
            key: each.model_dump(mode="json", by_alias=True, exclude_none=True) for key, each in requests.items()
        }
    return Task(
        task_id=task_id,
        status=status,
        message=message,
        started=waiting.started,
        poll_interval=ctx.lifespan_context.settings.poll_interval,
        details=details,
    )


@dataclass(slots=True)
class _Reading:
    """One reading of an operation."""

    operation_id: str
    seconds: float | None
    started: int = 0
    """When the operation started, once its id is known to be valid."""
    unreachable: bool = False
    """Whether MAAS did not answer, so that the state is unknown."""

    async def follow(self, call: ToolCall) -> CallResult:
        """Follow the operation.

        Raises:
            MaasMcpError: It did not succeed, or could not be read.
        """
        operations = OperationsService(call, call_within)
        self.started = operations.started(self.operation_id)
        try:
            answer = await operations.follow(self.operation_id, self.seconds)
        except MaasUnavailableError as error:
            self.unreachable = not operations.is_start_failure(self.operation_id, error)
            raise
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        return answer


def _successful(answer: CallResult, host: Host) -> tuple[TaskStatus, str, dict[str, Any]]:
    status = answer.status
    if status is None:
        raise TypeError("an operation without a status was read")
    if not status.ended:
        return "working", _message(status), {}
    operation = host.operations[status.handle.operation]
    return "completed", status.message, {"result": _wire(success(operation, answer), operation.name)}


def _unsuccessful(error: MaasMcpError, served: Served) -> tuple[TaskStatus, str, dict[str, Any]]:
    """The state of a task whose reading raised an error.

    The SEP keeps ``failed`` for faults of the server. A failed operation is the result of a completed task.
    """
    if isinstance(error, OperationRevertedError):
        return "cancelled", "\n".join([error.message, *([error.hint] if error.hint else [])]), {}
    if isinstance(error, PluginError):
        return "failed", error.message, {"error": {"code": types.INTERNAL_ERROR, "message": error.message}}
    result = failure(error, resolve_steps(error.next_steps, served.tools))
    return "completed", error.message, {"result": _wire(result, "tasks/get")}


def _message(status: OperationStatus[Any]) -> str:
    """The status message: what MAAS does, and the fraction, which a task has no field for."""
    return status.message if status.fraction is None else f"{status.message} ({status.fraction:.0%})"


def _wire(result: types.CallToolResult, name: str) -> dict[str, Any]:
    return ensure_sendable(name, result).model_dump(mode="json", by_alias=True, exclude_none=True)


async def _get(ctx: Context, params: TaskParams) -> dict[str, Any]:
    check_task_request(ctx, params.task_id)
    return (await read_task(ctx, params.task_id)).to_wire()


async def _update(ctx: Context, params: UpdateTaskParams) -> dict[str, Any]:
    """Take a client's answers. Those to requests that the task does not make are ignored, as the SEP says."""
    check_task_request(ctx, params.task_id)
    waiting = _waiting(ctx, TaskId.parse(params.task_id).operation_id)
    if waiting is None:
        await read_task(ctx, params.task_id)  # refuses an unknown id
        return {}
    operation = _operation_of(ctx, params.task_id)
    if refusal := (await served_to(ctx)).refusal(operation.name, changes=True):
        raise _refusal(refused_by(refusal))
    _check_scope(ctx, operation, waiting)
    for key, given in params.input_responses.items():
        waiting.answer(key, lambda request, given=given: read_answer(request, given))  # type: ignore[misc] # as above
    return {}


async def _cancel(ctx: Context, params: TaskParams) -> dict[str, Any]:
    """Cancel a task: what a cancelled call would do, according to ``on_cancel`` or the operation's own policy.

    With ``detach``, the operation continues in MAAS, and the task shows this. The SEP leaves that to the server.
    """
    check_task_request(ctx, params.task_id)
    task_id, operation, cancel = TaskId.parse(params.task_id), _operation_of(ctx, params.task_id), CancelOperation()
    served = await _served_for(ctx, params.task_id, cancel.name)
    waiting = _waiting(ctx, task_id.operation_id)
    if waiting is not None and (waiting.pending or waiting.error):
        _check_scope(ctx, cancel, waiting)
        waiting.end(OperationRevertedError("It was cancelled before anything was sent to MAAS."))
        return {}
    aborts = (task_id.on_cancel or operation.on_cancel) is CancelPolicy.ABORT
    try:
        await _pass_on(ctx, cancel, {"operation_id": task_id.operation_id, "abort": aborts}, served=served)
    except OperationRefusedError:
        pass  # it has ended, or cannot be aborted now; the task shows which
    except MaasMcpError as error:
        raise _refusal(error) from None
    return {}


def _operation_of(ctx: Context, task_id: str) -> LongRunning[Any, Any]:
    """The operation that a task id names. The id may be forged.

    Raises:
        MCPError: There is no such operation.
    """
    operation = ctx.lifespan_context.operations.get(operation_name(task_id))
    if operation is None:
        raise unknown_task()
    return operation


def _check_scope(ctx: Context, tool: AnyTool, waiting: WaitingOperation) -> None:
    """Check that the caller may start an operation that waits for answers, which changes outside the chain.

    Raises:
        MCPError: The caller lacks the scope.
    """
    try:
        check_tier(client_connection(ctx).principal, tool, waiting.tier)
    except InsufficientScopeError as error:
        raise _refusal(error) from None


async def _pass_on(
    ctx: Context,
    tool: AnyTool,
    arguments: Mapping[str, Any],
    *,
    served: Served,
    run: Run | None = None,
    send: ProgressSend = discard_progress,
) -> CallResult:
    """Pass a request about a task through the chain, as a call of the tool for operations that does the same."""
    return await run_call(
        ctx.lifespan_context,
        tool,
        arguments,
        connection=client_connection(ctx),
        sender=lambda _token: send,
        request_id=None if ctx.request_id is None else coerce_request_id(ctx.request_id),
        client=client_features(ctx),
        served=served,
        run=run,
    )


def check_task_request(ctx: Context, task_id: str) -> None:
    """Check that the client knows tasks, and over HTTP that its routing header names the task.

    Raises:
        MCPError: It does not.
    """
    check_declared(ctx)
    headers = getattr(ctx.request, "headers", None)
    if headers is not None and decode_header_value(headers.get("mcp-name")) != task_id:
        raise MCPError(
            code=types.HEADER_MISMATCH, message="The header Mcp-Name must be the taskId of the request. Send it."
        )


def check_declared(ctx: Context) -> None:
    """Check that the client declares the extension.

    Raises:
        MCPError: It does not, or its protocol revision has no tasks.
    """
    if not is_modern(ctx):
        raise MCPError(code=types.METHOD_NOT_FOUND, message="Tasks need the protocol revision 2026-07-28.")
    if not declares_extension(ctx, TASKS):
        raise _missing_capability()


def _missing_capability() -> MCPError:
    return MCPError(
        code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        message=f"This request needs the client capability {TASKS}, which the request does not declare.",
        data={"requiredCapabilities": {"extensions": {TASKS: {}}}},
    )


def _refusal(error: MaasMcpError) -> MCPError:
    if isinstance(error, UnknownOperationError | InvalidArgumentsError):
        return unknown_task()
    hint = f" {error.hint}" if error.hint else ""
    return MCPError(code=types.INTERNAL_ERROR, message=make_visible(f"{error.message}{hint}"))
