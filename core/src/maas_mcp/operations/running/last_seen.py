"""The last known state of each operation, shown during an outage."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.assessment import Assessment
from maas_mcp.operations.outages import ReadT, check_outage, is_answering, wait_out_outage
from maas_mcp.operations.progress import ProgressReporter, describe_outage
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing

REMEMBERED: Final = 256
"""Maximum remembered operations."""


class AnswerTimeoutError(Exception):
    """MAAS did not answer within the caller's time; ``status`` has the last known state."""

    def __init__(self, status: OperationStatus[Any]) -> None:
        super().__init__(status.message)
        self.status = status


class LastSeen:
    """Remembers the latest assessment of each operation.

    Args:
        maas: The region.
        timing: The pauses between reads, and the limit of an outage.
    """

    def __init__(self, maas: MaasClient, timing: Timing) -> None:
        self._maas = maas
        self._once = maas.once()
        self._timing = timing
        self._seen: dict[Handle, Assessment] = {}

    def remember(self, handle: Handle, seen: Assessment) -> None:
        """Remember the assessment."""
        self._seen.pop(handle, None)
        self._seen[handle] = seen
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def forget(self, handle: Handle) -> None:
        """Forget the assessment: a new run has the same handle."""
        self._seen.pop(handle, None)

    def end_of(self, handle: Handle) -> Assessment | None:
        """The final assessment, if it is known."""
        seen = self._seen.get(handle)
        return seen if seen is not None and seen.verdict.final else None

    def status(self, handle: Handle, silent: float, *, answering: bool) -> OperationStatus[Any]:
        """The status after so many seconds without a successful read."""
        last = self._seen.get(handle)
        seen = f"last seen: {last.message}" if last else "this server has not read its state yet"
        said = describe_outage(silent, answering=answering)
        return OperationStatus(handle, last.fraction if last else None, f"{said}; {seen}")

    async def read(
        self,
        handle: Handle,
        progress: ProgressReporter,
        until: float,
        read: Callable[[MaasClient], Awaitable[ReadT]],
    ) -> ReadT:
        """Read a run that is resumed. Waits out an outage if there is time.

        Raises:
            AnswerTimeoutError: MAAS did not answer by ``until``.
            MaasError: MAAS cannot be reached: at once without a wait, otherwise after too long an outage.
        """
        asked = anyio.current_time()
        if until <= asked:
            return await read(self._maas)

        def report(silent: float, answering: bool) -> None:
            known = self.status(handle, silent, answering=answering)
            progress.report(known.fraction, known.message)
            check_outage(silent, self._timing.outage_limit, known.message)

        try:
            return await wait_out_outage(lambda: read(self._once), report, self._timing, until=until)
        except TimeoutError as late:
            answering = is_answering(late.__cause__)
            raise AnswerTimeoutError(self.status(handle, anyio.current_time() - asked, answering=answering)) from None
