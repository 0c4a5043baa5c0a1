"""One run of what the region does by itself: what it is, what was seen of it, and what is told of it."""

import math
from dataclasses import dataclass, field
from typing import Generic

import anyio

from maas_mcp.errors import OperationFailedError, OperationRevertedError
from maas_mcp.operations.declaring.region_operation import RegionOperation, SeenT
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.assessment import BEFORE_SUCCESS
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.outages import check_outage
from maas_mcp.operations.progress import readable, silence
from maas_mcp.operations.running.results import Reading
from maas_mcp.operations.running.start_requests import Orders
from maas_mcp.operations.running.status import OperationStatus


@dataclass(frozen=True, slots=True)
class End:
    """How one has ended."""

    verdict: Verdict
    message: str


@dataclass(slots=True)
class RegionRun(Generic[ArgsT, ResultT, SeenT]):
    """One operation being followed, and what is known of it so far. Times are of anyio's clock."""

    operation: RegionOperation[ArgsT, ResultT, SeenT]
    ctx: ToolContext
    handle: Handle
    orders: Orders
    before: SeenT | None = None
    latest: SeenT | None = None
    running: SeenT | None = None
    """The latest look at which it was running; the one from before, where it was over before a look was complete."""
    fraction: float | None = None
    message: str = "Starting"
    trouble: str | None = None
    """What is told instead, while MAAS does not answer."""
    began: float = field(default_factory=anyio.current_time)
    """When it was begun, or picked up."""
    looked: float = -math.inf
    """When it was last looked at as a whole."""
    answered: float = field(default_factory=anyio.current_time)
    """When MAAS last answered."""

    @property
    def unseen(self) -> bool:
        """Whether it was begun here, and nothing has shown it so far."""
        return self.before is not None and self.running is None

    @property
    def rest(self) -> float:
        """Seconds until the next look."""
        if self.running is not None:
            return self.operation.interval.total_seconds()
        timing = self.orders.timing
        closely = self.unseen and anyio.current_time() < self.began + timing.region_at_first
        return timing.region_closely if closely else timing.region_soon

    async def look(self, *, overdue: bool) -> Verdict:
        """Look once, and tell. ``overdue``: if it is not running now, it has been.

        Raises:
            OperationError: MAAS refused to start it.
            MaasError: MAAS cannot be asked.
        """
        self.orders.check_refusal(self.handle, self.operation.name)
        if self.unseen and not overdue and not await self._worth_a_look():
            self.answered, self.trouble = anyio.current_time(), None
            return Verdict.PENDING
        seen = await self.operation.observe(self.ctx, self.latest)
        self.latest, self.trouble = seen, None
        self.looked = self.answered = anyio.current_time()
        if self.before is None and self.running is None and not (seen.running or overdue):
            self.message = self.orders.standing(self.handle)
            return Verdict.PENDING
        assessment = self.operation.assess(self.before, self.running, seen)
        self.message = assessment.message
        self._advance(assessment.fraction)
        if seen.running:
            self.running = seen
        if not assessment.verdict.final:
            self.ctx.progress.report(self.fraction, self.message)
        return assessment.verdict

    async def _worth_a_look(self) -> bool:
        """Whether it runs, by one request, or was not looked at as a whole for long: that takes many."""
        if await self.operation.is_running(self.ctx):
            self.running = self.before
            return True
        return anyio.current_time() >= self.looked + self.operation.interval.total_seconds()

    def assume_it_ran(self) -> Verdict:
        """What the latest look comes to, if it ran unseen: whatever there was to do is done, or it is not."""
        if self.latest is None:
            return Verdict.PENDING
        assessment = self.operation.assess(self.before, self.before, self.latest)
        if assessment.verdict is Verdict.SUCCEEDED:
            self.message = assessment.message
        return assessment.verdict

    def _advance(self, fraction: float | None) -> None:
        if fraction is not None and math.isfinite(fraction):
            self.fraction = max(self.fraction or 0.0, min(fraction, BEFORE_SUCCESS))

    def tell_outage(self, silent: float, limit: float, *, answering: bool) -> None:
        """Nothing could be read for so many seconds: tell, and keep what was last seen.

        Raises:
            MaasUnavailableError: It has not for ``limit`` seconds.
        """
        self.trouble = f"{silence(silent, answering=answering)}; last seen: {self.message}"
        self.ctx.progress.report(self.fraction, self.trouble)
        check_outage(silent, limit, self.trouble)

    def working(self) -> OperationStatus[ResultT]:
        """The outcome as long as it goes on."""
        confirmed = self.running is not None or self.orders.is_confirmed(self.handle)
        return OperationStatus(self.handle, self.fraction, self.trouble or self.message, confirmed=confirmed)

    async def end(self, verdict: Verdict) -> OperationStatus[ResultT]:
        """The result, or why there is none."""
        if verdict is not Verdict.SUCCEEDED:
            self.ctx.progress.report(self.fraction, self.message)
            told = f"{self.operation.name}: {self.message}."
            if verdict is Verdict.REVERTED:
                raise OperationRevertedError(told, hint="It can be started again; what has come by then stays.")
            raise OperationFailedError(told, hint="The region's log says why. It can be repeated.")
        reading = Reading(self.operation, self.message)
        with reading.watched():
            reading.result = await self.operation.result(self.ctx)
        self.ctx.progress.report(1.0, self.message)
        return reading.outcome(self.handle)

    def never_started(self) -> OperationFailedError:
        """Why it is given up where MAAS has accepted it."""
        return OperationFailedError(
            f"MAAS accepted {self.operation.name}, but {readable(self.orders.timing.start_grace)} later nothing shows "
            "that it ran: it was not seen at it, and nothing has changed.",
            hint="It may have found nothing to do, and ended between two looks. The region's log tells.",
        )
