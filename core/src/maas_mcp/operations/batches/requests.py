"""The batches that this process starts: each start in the background, with its start requests and its end."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from maas_mcp.errors import (
    MaasError,
    MaasMcpError,
    OperationCancelledError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.batch import Member, size_of
from maas_mcp.operations.cancellation import STOPPING, CancellationToken, CancelReason
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.next_steps import ABORT_OPERATION
from maas_mcp.operations.progress import PartialProgress, ProgressReporter
from maas_mcp.operations.running.start_requests import RequestState, StartRequest, refused
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing

logger = logging.getLogger(__name__)

KEPT: Final = 64
"""How many batches are remembered after MAAS has answered all their requests."""


@dataclass(eq=False, slots=True)
class RequestedBatch:
    """A batch that this process started.

    Its start chooses the machines, allocates them if necessary, and requests the operation on each. It runs in the
    background, because it may take longer than its call.
    """

    handle: Handle
    cancellation: CancellationToken
    """Stops the start; the token of the call that requested the batch."""
    by_machine: dict[SystemId, StartRequest] = field(default_factory=dict)
    unrequested: dict[SystemId, MaasMcpError] = field(default_factory=dict)
    """The machines for which nothing was requested, and why."""
    message: str = "Choosing the machines"
    """The current step of the start."""
    chosen: anyio.Event = field(default_factory=anyio.Event)
    """Set when the machines are chosen, or when the start has failed."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """Set when the start has ended, and nothing is left to release."""
    same_as: Handle | None = None
    """The batch that was already running on the same machines."""
    left_allocated: bool = False
    """Whether unused machines could not be released."""
    failure: OperationError | None = None
    """The reason why nothing was requested, for calls after the one that requested the batch."""
    _status: OperationStatus[Any] | None = None
    _error: Exception | None = None
    _is_answered: bool = False
    """Whether the call ended before the start, so that it does not report the error."""

    @property
    def is_pending(self) -> bool:
        """Whether the batch is being started, or MAAS has yet to answer a request."""
        return not self.over.is_set() or any(each.is_pending for each in self.by_machine.values())

    @property
    def is_requested(self) -> bool:
        """Whether the operation was requested on each machine, as far as that was possible."""
        return self.over.is_set() or len(self.by_machine) + len(self.unrequested) >= size_of(self.handle.system_id)

    def check_start(self) -> None:
        """Raise the error if nothing was requested.

        Raises:
            OperationError: The start failed or was cancelled.
        """
        if self.failure is not None:
            raise self.failure

    def status(self) -> OperationStatus[Any]:
        """The status during the start."""
        return OperationStatus(self.handle, 0.0, self.message, confirmed=False)

    def noting(self, progress: ProgressReporter) -> ProgressReporter:
        """Return a reporter for the start, which also passes its reports to ``progress``."""

        def note(fraction: float | None, message: str) -> None:
            self.message = message
            progress.report(fraction, message)

        return PartialProgress(note)

    async def carry_out(self, start: Callable[[], Awaitable[OperationStatus[Any]]]) -> None:
        """Start the batch, and keep the status or the error."""
        try:
            with self.cancellation.guard():
                self._status = await start()
        except Exception as error:
            self._error = error
            if self._is_answered and not isinstance(error, MaasMcpError):
                logger.exception("%s could not be started", self.handle.operation)
        except BaseException:
            self._error = OperationCancelledError(STOPPING)
            raise
        finally:
            if self._error is not None and not self.by_machine:
                self.failure = self._explain(self._error)
            self.chosen.set()
            self.over.set()

    def end(self) -> None:
        """Record that a batch of another process was aborted here before it started on a machine."""
        self.failure = OperationRevertedError(f"{self.handle.operation} was aborted before it started on a machine.")
        self.chosen.set()
        self.over.set()

    def _explain(self, error: Exception) -> OperationError:
        if isinstance(error, OperationCancelledError):
            failure: OperationError = OperationRevertedError(
                f"{self.handle.operation} was cancelled before it started on a machine."
            )
        else:
            failure = copy(refused(self.handle.operation, error))
        if self.left_allocated:
            failure.next_steps = (*failure.next_steps, ABORT_OPERATION)
        return failure

    async def wait_for_start(self, until: float, answer_by: float, timing: Timing) -> OperationStatus[Any]:
        """Wait for the start, in the call that requested the batch. It continues if it takes longer.

        A cancellation of the call stops the start.

        Args:
            until: When the call stops to follow the machines.
            answer_by: When the call answers at the latest. Before that, it waits until the machines are chosen: a
                program that ends after its call would end the allocation, too.
            timing: The time limits.

        Raises:
            Exception: The start failed.
        """
        window = timing.refusal_window
        until = max(until, anyio.current_time() + window)
        try:
            with anyio.CancelScope(deadline=max(until, answer_by)):
                await self.chosen.wait()
            if self.chosen.is_set():  # each member is followed until then, and after its request for the window
                with anyio.CancelScope(deadline=max(until, anyio.current_time() + window) + 2 * window):
                    await self.over.wait()
        except anyio.get_cancelled_exc_class():
            self.cancellation.cancel(CancelReason.SHUTDOWN)  # an earlier reason prevails
            with anyio.CancelScope(shield=True):
                await self.over.wait()
            raise
        self._is_answered = True
        if self._error is not None:
            raise self._error
        return self._status or self.status()

    async def wait_for_choice(self, until: float, progress: ProgressReporter, pause: float) -> bool:
        """Wait in a later call until the machines are chosen. Returns whether that happened by ``until``."""
        while not self.chosen.is_set() and anyio.current_time() < until:
            progress.report(0.0, self.message)
            with anyio.CancelScope(deadline=min(until, anyio.current_time() + pause)):
                await self.chosen.wait()
        return self.chosen.is_set()


class BatchRequests:
    """Remembers the batches of this process, and their start requests by machine."""

    def __init__(self) -> None:
        self._batches: dict[str, RequestedBatch] = {}

    def register(self, handle: Handle, cancellation: CancellationToken) -> RequestedBatch:
        """Remember a new batch."""
        over = [name for name, batch in self._batches.items() if not batch.is_pending]
        for name in over[:-KEPT]:
            del self._batches[name]
        batch = self._batches[handle.system_id] = RequestedBatch(handle, cancellation)
        return batch

    def find(self, name: str) -> RequestedBatch | None:
        """Return a batch, if this process started it."""
        return self._batches.get(name)

    def starting(self, name: str) -> RequestedBatch | None:
        """Return a batch that is being started."""
        batch = self._batches.get(name)
        return None if batch is None or batch.over.is_set() else batch

    def for_batch(self, name: str) -> list[StartRequest]:
        """Return the requests of a batch."""
        batch = self._batches.get(name)
        return [] if batch is None else list(batch.by_machine.values())

    def for_machine(self, name: str, system_id: SystemId) -> StartRequest | None:
        """Return the request for one machine of a batch."""
        batch = self._batches.get(name)
        return None if batch is None else batch.by_machine.get(system_id)

    def is_confirmed(self, name: str) -> bool:
        """Whether MAAS accepted a request of the batch; true for a batch of another process."""
        requests = self.for_batch(name)
        return not requests or any(each.state is RequestState.ACCEPTED for each in requests)

    def was_not_started(self, name: str, member: Member) -> bool:
        """Whether a machine of a batch was not started, as far as is known. If it is allocated, it is unused."""
        request = self.for_machine(name, member.system_id)
        never_started = request is not None and request.refusal is not None
        return never_started or isinstance(member.error, MaasError | OperationRefusedError | OperationFailedError)

    def pending(self) -> Iterator[RequestedBatch]:
        """Iterate over the batches that are being started or have unanswered requests."""
        return (batch for batch in self._batches.values() if batch.is_pending)

    def batch_of_member(self, member: Handle) -> Handle | None:
        """Return the batch of a member's run."""
        for batch in self._batches.values():
            request = batch.by_machine.get(member.system_id)
            if request is not None and request.handle == member:
                return batch.handle
        return None
