"""What clients are told of an operation: where it stands, how to ask for it again, and its result."""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from pydantic import Field

from maas_mcp.errors import (
    MaasMcpError,
    MachineGoneError,
    OperationError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.operations import ErrorReport, OperationReport, State
from maas_mcp.operations.handles import Sealer
from maas_mcp.operations.running.results import structured, summary_of
from maas_mcp.operations.running.status import OperationStatus

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")
_TOOL: Final = re.compile(r"\bmaas_\w+", re.ASCII)


class StartReport(OperationReport):
    """What the call that starts an operation answers."""

    warnings: list[str] = Field(
        default=[],
        description="What to check: arguments that will probably not work as intended, another user's machine.",
    )


def report(operation: LongRunning[Any, Any], outcome: OperationStatus[Any], sealer: Sealer) -> OperationReport:
    """The report of an operation that has succeeded or goes on."""
    return OperationReport(
        operation_id=sealer.seal(outcome.handle),
        state=outcome.state,
        progress=outcome.fraction,
        message=outcome.problem.message if outcome.problem else outcome.message,
        result=None if outcome.result is None else structured(operation, outcome.result),
        error=None if outcome.problem is None else _why(outcome.problem, outcome.problem.hint),
    )


def report_failure(error: OperationError, operation_id: str, served: Collection[str]) -> OperationReport:
    """The report of an operation that has ended without success; ``served`` are the tools that its hint may name."""
    return OperationReport(
        operation_id=operation_id,
        state=state_of(error),
        progress=None,
        message=error.message.splitlines()[0],
        result=None,
        error=_why(error, about_served(error.hint or "", served) or None),
    )


def cut(text: str, length: int) -> str:
    """The text, or its first ``length`` characters and a mark that there are more."""
    return text if len(text) <= length else f"{text[:length]}…"


def _why(error: MaasMcpError, hint: str | None) -> ErrorReport:
    return ErrorReport(code=error.code, message=error.message, hint=hint, maas_says=error.maas_says)


def about_served(text: str, served: Collection[str]) -> str:
    """The text without its sentences that name a tool which is not served: it may not be installed, or blocked."""
    sentences = _SENTENCE_END.split(text)
    return " ".join(each for each in sentences if all(name in served for name in _TOOL.findall(each)))


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
    operation: LongRunning[Any, Any], outcome: OperationStatus[Any], operation_id: str, warnings: Sequence[str]
) -> str:
    """A line or two for people, and one for each warning."""
    return "\n".join([_told(operation, outcome, operation_id), *(f"Warning: {each}" for each in warnings)])


def _told(operation: LongRunning[Any, Any], outcome: OperationStatus[Any], operation_id: str) -> str:
    if outcome.handle.reached:
        return f"{outcome.message}."
    if outcome.ended:
        return summary_of(operation, outcome.result)
    how_far = "" if outcome.fraction is None else f" ({outcome.fraction:.0%})"
    ask = "It goes on; ask" if outcome.confirmed else "Ask"
    return f"{outcome.message}{how_far}. {ask} with maas_wait_operation for operation_id {operation_id}."
