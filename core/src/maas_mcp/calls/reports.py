"""Reports of operations for clients: state, result or error, and the call to continue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from maas_mcp.calls.next_steps import resolve_steps
from maas_mcp.errors import (
    MaasMcpError,
    MachineGoneError,
    OperationError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.next_step import NextStep
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operations import ErrorReport, OperationReport, State
from maas_mcp.operations.handles import HandleSigner
from maas_mcp.operations.next_steps import ABORT_OPERATION
from maas_mcp.operations.running.results import structured, summary_of
from maas_mcp.operations.running.status import OperationState, OperationStatus
from maas_mcp.plugins.registry import AnyTool


class StartReport(BaseModel, defer_build=True):
    """The result of a call that starts an operation. A failure is an error, not a report."""

    operation_id: str
    state: OperationState
    progress: float | None
    """From 0.0 to 1.0; ``None`` if unknown."""
    message: str
    result: dict[str, Any] | None
    """The tool's result, once it has succeeded."""
    warnings: list[str]
    """Things to check, such as arguments that will probably not work, or another user's machine."""


def report(
    operation: LongRunning[Any, Any], status: OperationStatus[Any], signer: HandleSigner, tools: Mapping[str, AnyTool]
) -> OperationReport:
    """The report of an operation that has succeeded or is running; ``tools`` are the served tools."""
    operation_id = signer.sign(status.handle)
    suggest_get_operation(status, operation_id)
    return OperationReport(
        operation_id=operation_id,
        state=status.state,
        progress=status.fraction,
        message=status.problem.message if status.problem else status.message,
        result=None if status.result is None else structured(operation, status.result),
        error=None if status.problem is None else _error_report(status.problem, tools),
    )


def report_failure(error: OperationError, operation_id: str, tools: Mapping[str, AnyTool]) -> OperationReport:
    """The report of an operation that has ended without success; ``tools`` are the served tools."""
    add_operation_id(error, operation_id)
    return OperationReport(
        operation_id=operation_id,
        state=end_state(error),
        progress=None,
        message=error.message.splitlines()[0],
        result=None,
        error=_error_report(error, tools),
    )


def suggest_get_operation(status: OperationStatus[Any], operation_id: str) -> None:
    """Add a next step to the problem of an operation whose result could not be read."""
    if status.problem is not None:
        why = "Get the operation again, which may return its result"
        status.problem.next_steps = (NextStep("maas_get_operation", {"operation_id": operation_id}, why=why),)


def add_operation_id(error: MaasMcpError, operation_id: str) -> None:
    """Add the operation's id to the step that aborts it. The engine does not know the id."""
    named = replace(ABORT_OPERATION, arguments={"operation_id": operation_id, **ABORT_OPERATION.arguments})
    error.next_steps = tuple(named if step == ABORT_OPERATION else step for step in error.next_steps)


def _error_report(error: MaasMcpError, tools: Mapping[str, AnyTool]) -> ErrorReport:
    return ErrorReport(
        code=error.code,
        message=error.message,
        hint=error.hint,
        next_steps=resolve_steps(error.next_steps, tools),
        maas_says=error.maas_says,
    )


def end_state(error: MaasMcpError) -> State:
    """The state of an operation that ended with this error."""
    match error:
        case OperationRevertedError():
            return "reverted"
        case MachineGoneError():
            return "gone"
        case OperationTimedOutError():
            return "timed_out"
        case _:
            return "failed"


def status_lines(
    operation: LongRunning[Any, Any], status: OperationStatus[Any], operation_id: str, warnings: Sequence[str]
) -> str:
    """A line or two for people, and one for each warning."""
    return "\n".join([_status_text(operation, status, operation_id), *(f"Warning: {each}" for each in warnings)])


def _status_text(operation: LongRunning[Any, Any], status: OperationStatus[Any], operation_id: str) -> str:
    if status.handle.reached:
        return f"{status.message}."
    if status.ended:
        return summary_of(operation, status.result)
    percent = "" if status.fraction is None else f" ({status.fraction:.0%})"
    running = "It is still running. " if status.confirmed else ""
    return f"{status.message}{percent}. {running}Wait for it: maas_wait_operation with operation_id {operation_id}."
