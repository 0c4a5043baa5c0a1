"""The interface of instruments, such as metrics, traces and the context of logs, and their use in a call."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from maas_mcp.errors import MaasError, MaasMcpError
from maas_mcp.maas.models import SystemId
from maas_mcp.maas.observer import Exchange
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.running.status import OperationStatus

OK: Final = "ok"
CANCELLED: Final = "cancelled"
UNEXPECTED: Final = "unexpected"
"""The outcome of a call that ended with an error of the server itself."""


@dataclass(slots=True)
class ObservedCall:
    """A call of a client, from its arguments to its result."""

    tool: str
    principal: str
    """The name of the principal; empty for the local user."""
    request_id: str | int | None
    outcome: str = OK
    """:data:`OK`, the code of the error, :data:`CANCELLED` or :data:`UNEXPECTED`. Valid at the end of the call."""

    def note(self, status: OperationStatus[Any] | None) -> None:
        """Record the status of an operation, whose result may be unreadable."""
        if status is not None and status.problem is not None:
            self.outcome = status.problem.code


@dataclass(frozen=True, slots=True)
class Following:
    """A part of a call that starts an operation, reads it or follows it."""

    operation: str
    system_id: SystemId
    operation_id: str = ""
    """The id of the operation; empty before it starts."""


class Instrument:
    """Observes calls, operations and requests to MAAS. Each method does nothing unless overridden.

    The methods run on the event loop. They return at once and raise nothing.
    """

    def call(self, _call: ObservedCall, /) -> AbstractContextManager[None]:
        """Observe a call, which runs in the block."""
        return nullcontext()

    def following(self, _part: Following, /) -> AbstractContextManager[None]:
        """Observe the part of a call that concerns an operation, which runs in the block."""
        return nullcontext()

    def operation_changed(self, _change: OperationChange, /) -> None:
        """Observe a change of an operation, in the task of the call that follows it."""

    def exchange(self, _exchange: Exchange, /) -> AbstractContextManager[None]:
        """Observe a request to MAAS, which is sent in the block."""
        return nullcontext()

    def polled(self, _error: MaasError | None, /) -> None:
        """Observe a poll of the watcher, which may have failed."""


def observing(
    instruments: Sequence[Instrument], tool: str, principal: str, request_id: str | int | None
) -> AbstractContextManager[ObservedCall]:
    """Show the call in the block to the instruments."""
    call = ObservedCall(tool, principal, request_id)
    return _observing(instruments, call) if instruments else nullcontext(call)


@contextmanager
def _observing(instruments: Sequence[Instrument], call: ObservedCall) -> Iterator[ObservedCall]:
    with _all(each.call(call) for each in instruments):
        try:
            yield call
        except MaasMcpError as error:
            call.outcome = error.code
            raise
        except BaseException as error:
            call.outcome = CANCELLED if is_cancellation(error) else UNEXPECTED
            raise


def following(instruments: Sequence[Instrument], part: Following) -> AbstractContextManager[None]:
    """Show the part of a call in the block to the instruments."""
    return _all(each.following(part) for each in instruments) if instruments else nullcontext()


@contextmanager
def _all(contexts: Iterable[AbstractContextManager[None]]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in contexts:
            stack.enter_context(each)
        yield
