"""The region, on which an operation runs: one of each kind at a time, polled at an interval.

MAAS writes no events about it, so the watcher is not used.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Generic, Self

import anyio
from typing_extensions import override

from maas_mcp.errors import OperationError, OperationFailedError, OperationRefusedError, OperationRevertedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.region_operation import ObservationT, RegionOperation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import REGION, Handle
from maas_mcp.operations.judging.advice import Advice
from maas_mcp.operations.judging.assessment import BEFORE_SUCCESS, Assessment, Milestone
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.outages import check_outage, wait_out_outage
from maas_mcp.operations.progress import ProgressReporter, describe_outage, discard_progress, format_duration
from maas_mcp.operations.running.start_requests import RequestState, StartRequest
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.subject import AlreadyRunningError, Shared, Subject


class RegionSubject(Subject[ArgsT, ResultT], Generic[ArgsT, ResultT, ObservationT]):
    """The region, polled at an interval."""

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
        """The observation before the request; ``None`` if the run was resumed."""
        self._last_observation = before
        """The latest observation."""
        self._running_observation: ObservationT | None = None
        """The latest observation of the running operation; ``_before`` if it ended before a full poll."""
        self._began = anyio.current_time()
        self._polled_at = -math.inf
        """The time of the last full poll."""

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
            return _already_running(shared, operation)
        before = await operation.observe(ctx, None)
        return cls(shared, operation, ctx, new_handle(shared, operation), before)

    @classmethod
    @override
    async def resume(
        cls,
        shared: Shared,
        operation: RegionOperation[ArgsT, ResultT, ObservationT],
        request: StartRequest,
        ctx: ToolContext,
        until: float,
    ) -> Self | OperationStatus[ResultT]:
        subject = cls(shared, operation, ctx, request.handle, None)
        request.check_refusal(operation.name)
        if end := shared.last_seen.end_of(request.handle):  # the region may run the next one of this kind by now
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
        ctx = shared.context(operation, ProgressReporter(discard_progress), cancellation)
        if not operation.can_abort or not await operation.is_running(ctx):
            held = shared.requests.pending(operation.name, handle.system_id)
            if held and operation.can_abort:
                raise OperationRefusedError(f"{held.describe()}. There is nothing to abort yet.")
            raise OperationRefusedError(f"{operation.name} has nothing to abort.")
        late = shared.now() > handle.started + operation.deadline.total_seconds()
        if late or shared.last_seen.end_of(handle):
            raise OperationRefusedError(
                f"This operation has ended. Another {operation.name} is running, and was not aborted.",
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
    def timeout_advice(self) -> Advice:
        return Advice("MAAS may still be working on it. Check it again later.")

    @property
    @override
    def started(self) -> bool:
        return self._running_observation is not None

    @property
    @override
    def read_at(self) -> float:
        return self._polled_at

    @override
    def message(self, request_state: str) -> str:
        return self.latest.message or request_state

    @override
    async def check(self, maas: MaasClient) -> None:
        """Check again whether the operation is running: the first observation took many reads."""
        if await self.operation.is_running(replace(self.ctx, maas=maas)):
            raise AlreadyRunningError(_already_running(self.shared, self.operation))
        self.shared.last_seen.forget(self.handle)  # an earlier run may have started in the same second

    @override
    async def send(self, maas: MaasClient, args: ArgsT) -> None:
        await self.operation.start(replace(self.ctx, maas=maas), args)
        self._began = anyio.current_time()

    @override
    async def poll(self, request: StartRequest, until: float) -> None:
        """Poll after the interval. During an outage the last known state is kept."""
        await anyio.sleep(min(self._poll_delay, until - anyio.current_time()))
        seen = self.latest

        def report(silent: float, answering: bool) -> None:
            self.silent_for = silent
            last_seen = seen.message or request.describe()
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
        """Poll once, and update :attr:`latest`.

        Raises:
            OperationError: MAAS refused to start the operation.
            MaasError: MAAS cannot be reached.
        """
        ctx, overdue = replace(self.ctx, maas=maas), request.is_overdue(anyio.current_time())
        request.check_refusal(self.name)
        if self._is_unconfirmed and not overdue and not await self._needs_full_poll(ctx):
            self.latest = seen or self.latest
            return
        observation = self._last_observation = await self.operation.observe(ctx, self._last_observation)
        self._polled_at = anyio.current_time()
        if self._before is None and self._running_observation is None and not (observation.running or overdue):
            self.latest = NOT_STARTED
            return
        assessment = self.operation.assess(self._before, self._running_observation, observation)
        self.latest = replace(
            assessment, milestone=Milestone(self._never_lower(assessment.fraction), assessment.message)
        )
        if observation.running:
            self._running_observation = observation

    async def _needs_full_poll(self, ctx: ToolContext) -> bool:
        """Whether it is running, which takes one request, or a full poll, which takes many, is due."""
        if await self.operation.is_running(ctx):
            self._running_observation = self._before
            return True
        return anyio.current_time() >= self._polled_at + self.operation.interval.total_seconds()

    @override
    def judge_missing_start(self, request: StartRequest) -> None:
        """Treat the operation as one that ran between two polls, if its work is done."""
        if self._before is None or self._last_observation is None:
            return
        assessment = self.operation.assess(self._before, self._before, self._last_observation)
        if request.ambiguous_error is not None:
            raise request.ambiguous_error
        if assessment.verdict is not Verdict.SUCCEEDED:
            raise OperationFailedError(
                f"MAAS accepted {self.name}, but {format_duration(self.shared.timing.start_grace)} later MAAS does not "
                "show that it ran: no poll saw it running, and nothing has changed.",
                hint="It may have found nothing to do and ended between two polls. Check the region's log.",
            )
        self.latest = assessment

    @override
    async def explain(self, request: StartRequest) -> OperationError:
        message = f"{self.name}: {self.latest.message}."
        if self.latest.verdict is Verdict.REVERTED:
            return OperationRevertedError(message, hint="It can be started again. Its results so far are kept.")
        return OperationFailedError(message, hint="Check the region's log for the reason, then start it again.")

    @override
    async def result(self) -> ResultT:
        ctx = replace(self.ctx, maas=self.shared.once)
        return await self.read(lambda: self.operation.result(ctx))

    @override
    async def abort_started(self, request: StartRequest) -> None:
        """Abort the operation as soon as it runs: MAAS may not have handled the start request yet."""
        ctx = replace(self.ctx, maas=self.shared.once)
        while True:
            if request.state is RequestState.ACCEPTED or await self.operation.is_running(ctx):
                return await _stop(self.shared, self.operation, self.handle, self.ctx)
            await anyio.sleep(self.shared.timing.abort_again)

    @property
    def _is_unconfirmed(self) -> bool:
        """Whether this call requested the operation and MAAS does not show it yet."""
        return self._before is not None and self._running_observation is None

    @property
    def _poll_delay(self) -> float:
        """Seconds until the next poll."""
        if self._running_observation is not None:
            return self.operation.interval.total_seconds()
        timing = self.shared.timing
        closely = self._is_unconfirmed and anyio.current_time() < self._began + timing.region_fast_phase
        return timing.region_fast_interval if closely else timing.region_start_interval

    def _never_lower(self, fraction: float | None) -> float | None:
        before = self.latest.fraction
        if fraction is None or not math.isfinite(fraction):
            return before
        return max(before or 0.0, min(fraction, BEFORE_SUCCESS))

    @property
    def _measured_fraction(self) -> float | None:
        return self.latest.fraction


NOT_STARTED: Final = Assessment(Verdict.PENDING, Milestone(None, ""))
"""MAAS does not show that it started."""


async def find_running(shared: Shared, operations: Sequence[RegionOperation[Any, Any, Any]]) -> list[Handle]:
    """Handles of the operations that the region is running, started by any user. Takes one read for each."""

    def ctx(operation: RegionOperation[Any, Any, Any]) -> ToolContext:
        return shared.context(operation, ProgressReporter(discard_progress), CancellationToken())

    return [new_handle(shared, each) for each in operations if await each.is_running(ctx(each))]


def new_handle(shared: Shared, operation: RegionOperation[Any, Any, Any]) -> Handle:
    """A handle for a run that starts now or is found now."""
    return Handle(operation.name, REGION, int(shared.now()), 0, ())


def _already_running(shared: Shared, operation: RegionOperation[Any, ResultT, Any]) -> OperationStatus[ResultT]:
    message = f"{operation.name} is already running: not started again"
    return OperationStatus(new_handle(shared, operation), None, message)


async def _stop(shared: Shared, operation: RegionOperation[Any, Any, Any], handle: Handle, ctx: ToolContext) -> None:
    await operation.abort(ctx)
    shared.last_seen.remember(handle, Assessment(Verdict.REVERTED, Milestone(None, "it was stopped on request")))
