"""What clients are told of an operation: where it stands, how to ask for it again, and its result."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from maas_mcp.calls.next_steps import resolved
from maas_mcp.errors import (
    MaasMcpError,
    MachineGoneError,
    NextStep,
    OperationError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operations import ErrorReport, OperationReport, State
from maas_mcp.operations.handles import Sealer
from maas_mcp.operations.running.results import structured, summary_of
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.registry import AnyTool


class StartReport(OperationReport):
    """What the call that starts an operation answers."""

    warnings: list[str] = Field(
        default=[],
        description="What to check: arguments that will probably not work as intended, another user's machine.",
    )


def report(
    operation: LongRunning[Any, Any], status: OperationStatus[Any], sealer: Sealer, tools: Mapping[str, AnyTool]
) -> OperationReport:
    """The report of an operation that has succeeded or goes on; ``tools`` are those that are served."""
    operation_id = sealer.seal(status.handle)
    suggest_asking_again(status, operation_id)
    return OperationReport(
        operation_id=operation_id,
        state=status.state,
        progress=status.fraction,
        message=status.problem.message if status.problem else status.message,
        result=None if status.result is None else structured(operation, status.result),
        error=None if status.problem is None else _why(status.problem, tools),
    )


def report_failure(error: OperationError, operation_id: str, tools: Mapping[str, AnyTool]) -> OperationReport:
    """The report of an operation that has ended without success; ``tools`` are those that are served."""
    return OperationReport(
        operation_id=operation_id,
        state=state_of(error),
        progress=None,
        message=error.message.splitlines()[0],
        result=None,
        error=_why(error, tools),
    )


def suggest_asking_again(status: OperationStatus[Any], operation_id: str) -> None:
    """Let the reason why an operation has no result name the call that may return it."""
    if status.problem is not None:
        why = "Ask for the operation again, which may return its result"
        status.problem.next_steps = (NextStep("maas_get_operation", {"operation_id": operation_id}, why=why),)


def cut(text: str, length: int) -> str:
    """The text, or its first ``length`` characters and a mark that there are more."""
    return text if len(text) <= length else f"{text[:length]}…"


def _why(error: MaasMcpError, tools: Mapping[str, AnyTool]) -> ErrorReport:
    return ErrorReport(
        code=error.code,
        message=error.message,
        hint=error.hint,
        next_steps=resolved(error.next_steps, tools),
        maas_says=error.maas_says,
    )


def state_of(error: MaasMcpError) -> State:
    """How an operation has ended that raised this."""
    match error:
        case OperationRevertedError():
            return "reverted"
        case MachineGoneError():
            return "gone"
        case OperationTimedOutError():
            return "timed_out"
        case _:
            return "failed"


def text_of(
    operation: LongRunning[Any, Any], status: OperationStatus[Any], operation_id: str, warnings: Sequence[str]
) -> str:
    """A line or two for people, and one for each warning."""
    return "\n".join([_told(operation, status, operation_id), *(f"Warning: {each}" for each in warnings)])


def _told(operation: LongRunning[Any, Any], status: OperationStatus[Any], operation_id: str) -> str:
    if status.handle.reached:
        return f"{status.message}."
    if status.ended:
        return summary_of(operation, status.result)
    how_far = "" if status.fraction is None else f" ({status.fraction:.0%})"
    ask = "It goes on; ask" if status.confirmed else "Ask"
    return f"{status.message}{how_far}. {ask} with maas_wait_operation for operation_id {operation_id}."
