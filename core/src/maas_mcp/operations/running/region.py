"""The region as what an operation runs on: it does one thing of a kind at a time, and is read at an interval.

MAAS writes no events of it, so the watcher has nothing to watch.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Generic, Self

import anyio
from typing_extensions import override

from maas_mcp.errors import OperationError, OperationFailedError, OperationRefusedError, OperationRevertedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.region_operation import ObservationT, RegionOperation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.advice import Advice
from maas_mcp.operations.judging.assessment import BEFORE_SUCCESS, Assessment, Milestone
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.outages import check_outage, wait_out_outage
from maas_mcp.operations.progress import ProgressReporter, describe_outage, discard_progress, format_duration
from maas_mcp.operations.running.start_requests import RequestState, StartRequest
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.subject import Shared, Subject, UnderWayError

REGION: Final[SystemId] = "region"
"""Stands in a handle where others have a machine."""


class RegionSubject(Subject[ArgsT, ResultT], Generic[ArgsT, ResultT, ObservationT]):
    """The region, looked at again and again."""

    operation: RegionOperation[ArgsT, ResultT, ObservationT]

    @override
    def __init__(
        self,
        shared: Shared,
        operation: RegionOperation[ArgsT, ResultT, ObservationT],
        ctx: ToolContext,
        handle: Handle,
        before: ObservationT | None,
    ) -> None:
        fraction = None if before is None else operation.assess(before, None, before).fraction
        super().__init__(shared, operation, ctx, handle, Assessment(Verdict.PENDING, Milestone(fraction, "")))
        self._before = before
        """What was there before it was requested; ``None`` where it was picked up."""
        self._sight = before
        """The latest look."""
        self._running: ObservationT | None = None
        """The latest look at which it was running; the one from before, where it was over before a look was whole."""
        self._began = anyio.current_time()
        self._polled_at = -math.inf
        """When it was last looked at as a whole."""

    @classmethod
    @override
    async def prepare(
        cls,
        shared: Shared,
        operation: RegionOperation[ArgsT, ResultT, ObservationT],
        args: ArgsT,
        ctx: ToolContext,
    ) -> Self | OperationStatus[ResultT]:
        if await operation.is_running(ctx):
            return _already(shared, operation)
        before = await operation.observe(ctx, None)
        return cls(shared, operation, ctx, new_handle(shared, operation), before)

    @classmethod
    @override
    async def pick_up(
        cls,
        shared: Shared,
        operation: RegionOperation[ArgsT, ResultT, ObservationT],
        request: StartRequest,
        ctx: ToolContext,
        until: float,
    ) -> Self | OperationStatus[ResultT]:
        subject = cls(shared, operation, ctx, request.handle, None)
        request.check_refusal(operation.name)
        if end := shared.last_seen.end_of(request.handle):  # the region may be at the next one of the kind
            subject.latest = end
        else:
            await shared.last_seen.read(
                request.handle, ctx.progress, until, lambda maas: subject._observe(maas, request)
            )
        return subject

    @classmethod
    @override
    async def abort(
        cls,
        shared: Shared,
        operation: RegionOperation[Any, Any, Any],
        handle: Handle,
        cancellation: CancellationToken,
    ) -> None:
        ctx = ToolContext(shared.maas, ProgressReporter(discard_progress), cancellation, timing=shared.timing)
        if not operation.can_abort or not await operation.is_running(ctx):
            held = shared.requests.under_way(operation.name, handle.system_id)
            so_far = f"{held.standing()}. So far there" if held and operation.can_abort else "There"
            raise OperationRefusedError(f"{so_far} is nothing that {operation.name} could abort.")
        late = shared.now() > handle.started + operation.deadline.total_seconds()
        if late or shared.last_seen.end_of(handle):
            raise OperationRefusedError(
                f"What this id names is over. The {operation.name} that is under way is another one, and goes on.",
                next_steps=[FIND_OPERATION],
            )
        await _stop(shared, operation, handle, ctx)

    @property
    @override
    def name(self) -> str:
        return self.operation.name

    @property
    @override
    def state(self) -> str:
        return f"MAAS does not show {self.name} yet"

    @property
    @override
    def starting(self) -> str:
        return "Starting"

    @property
    @override
    def still_at_work(self) -> Advice:
        return Advice("MAAS may still be at it. Ask for it again later.")

    @property
    @override
    def started(self) -> bool:
        return self._running is not None

    @property
    @override
    def asked_at(self) -> float:
        return self._polled_at

    @override
    def message(self, standing: str) -> str:
        return self.latest.message or standing

    @override
    async def check(self, maas: MaasClient) -> None:
        """Ask once more: the look before the request takes many reads."""
        if await self.operation.is_running(replace(self.ctx, maas=maas)):
            raise UnderWayError(_already(self.shared, self.operation))
        self.shared.last_seen.forget(self.handle)  # another one of the same second

    @override
    async def send(self, maas: MaasClient, args: ArgsT) -> None:
        await self.operation.start(replace(self.ctx, maas=maas), args)
        self._began = anyio.current_time()

    @override
    async def poll(self, request: StartRequest, until: float) -> None:
        """Look once the interval has passed. During an outage what was seen last stands."""
        await anyio.sleep(min(self._rest, until - anyio.current_time()))
        seen = self.latest

        def report(silent: float, answering: bool) -> None:
            self.silent_for = silent
            last_seen = seen.message or request.standing()
            message = f"{describe_outage(silent, answering=answering)}; last seen: {last_seen}"
            self.latest = Assessment(Verdict.PENDING, Milestone(seen.fraction, message))
            self.ctx.progress.report(self.latest.fraction, message)
            check_outage(silent, self.shared.timing.outage_limit, message)

        try:
            await wait_out_outage(
                lambda: self._observe(self.shared.once, request, seen), report, self.shared.timing, until=until
            )
        except TimeoutError:
            return
        self.silent_for = None

    async def _observe(self, maas: MaasClient, request: StartRequest, seen: Assessment | None = None) -> None:
        """Look once.

        Raises:
            OperationError: MAAS refused to start it.
            MaasError: MAAS cannot be asked.
        """
        ctx, overdue = replace(self.ctx, maas=maas), request.is_overdue(anyio.current_time())
        request.check_refusal(self.name)
        if self._unseen and not overdue and not await self._is_worth_a_poll(ctx):
            self.latest = seen or self.latest
            return
        sight = self._sight = await self.operation.observe(ctx, self._sight)
        self._polled_at = anyio.current_time()
        if self._before is None and self._running is None and not (sight.running or overdue):
            self.latest = UNSEEN
            return
        assessment = self.operation.assess(self._before, self._running, sight)
        self.latest = replace(assessment, milestone=Milestone(self._increased(assessment.fraction), assessment.message))
        if sight.running:
            self._running = sight

    async def _is_worth_a_poll(self, ctx: ToolContext) -> bool:
        """Whether it runs, by one request, or was not looked at as a whole for long: that takes many."""
        if await self.operation.is_running(ctx):
            self._running = self._before
            return True
        return anyio.current_time() >= self._polled_at + self.operation.interval.total_seconds()

    @override
    def judge_unseen(self, request: StartRequest) -> None:
        """Take it that it ran between two looks, if what there was to do is done."""
        if self._before is None or self._sight is None:
            return
        assessment = self.operation.assess(self._before, self._before, self._sight)
        if request.ambiguous_error is not None:
            raise request.ambiguous_error
        if assessment.verdict is not Verdict.SUCCEEDED:
            raise OperationFailedError(
                f"MAAS accepted {self.name}, but {format_duration(self.shared.timing.start_grace)} later nothing shows "
                "that it ran: it was not seen at it, and nothing has changed.",
                hint="It may have found nothing to do, and ended between two looks. The region's log tells.",
            )
        self.latest = assessment

    @override
    async def explain(self, request: StartRequest) -> OperationError:
        message = f"{self.name}: {self.latest.message}."
        if self.latest.verdict is Verdict.REVERTED:
            return OperationRevertedError(message, hint="It can be started again; what has come by then stays.")
        return OperationFailedError(message, hint="The region's log says why. It can be repeated.")

    @override
    async def result(self) -> ResultT:
        ctx = replace(self.ctx, maas=self.shared.once)
        return await self.read(lambda: self.operation.result(ctx))

    @override
    async def abort_started(self, request: StartRequest) -> None:
        """Stop it, once it runs: MAAS may still hold the request to start."""
        ctx = replace(self.ctx, maas=self.shared.once)
        while True:
            if request.state is RequestState.ACCEPTED or await self.operation.is_running(ctx):
                return await _stop(self.shared, self.operation, self.handle, self.ctx)
            await anyio.sleep(self.shared.timing.abort_again)

    @property
    def _unseen(self) -> bool:
        """Whether it was requested here, and nothing has shown it so far."""
        return self._before is not None and self._running is None

    @property
    def _rest(self) -> float:
        """Seconds until the next look."""
        if self._running is not None:
            return self.operation.interval.total_seconds()
        timing = self.shared.timing
        closely = self._unseen and anyio.current_time() < self._began + timing.region_fast_phase
        return timing.region_fast_interval if closely else timing.region_start_interval

    def _increased(self, fraction: float | None) -> float | None:
        before = self.latest.fraction
        if fraction is None or not math.isfinite(fraction):
            return before
        return max(before or 0.0, min(fraction, BEFORE_SUCCESS))

    @property
    def _measured(self) -> float | None:
        return self.latest.fraction


UNSEEN: Final = Assessment(Verdict.PENDING, Milestone(None, ""))
"""Nothing shows that it began."""


async def under_way(shared: Shared, operations: Sequence[RegionOperation[Any, Any, Any]]) -> list[Handle]:
    """Handles for what the region is doing, started by any user: one read for each operation."""
    ctx = ToolContext(shared.maas, ProgressReporter(discard_progress), CancellationToken())
    return [new_handle(shared, each) for each in operations if await each.is_running(ctx)]


def new_handle(shared: Shared, operation: RegionOperation[Any, Any, Any]) -> Handle:
    """A handle for a run that begins now, or is found now."""
    return Handle(operation.name, REGION, int(shared.now()), 0, ())


def _already(shared: Shared, operation: RegionOperation[Any, ResultT, Any]) -> OperationStatus[ResultT]:
    message = f"{operation.name} is under way already: not started a second time"
    return OperationStatus(new_handle(shared, operation), None, message)


async def _stop(shared: Shared, operation: RegionOperation[Any, Any, Any], handle: Handle, ctx: ToolContext) -> None:
    await operation.abort(ctx)
    shared.last_seen.remember(handle, Assessment(Verdict.REVERTED, Milestone(None, "it was stopped on request")))
