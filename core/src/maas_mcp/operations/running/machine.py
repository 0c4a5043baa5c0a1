"""A machine on which an operation runs, judged by its status, events and script results."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any, ClassVar, Final, Self

import anyio
from typing_extensions import override

from maas_mcp.errors import (
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasPermissionError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import CHANGE_TIMEOUT
from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation, OperationContext
from maas_mcp.operations.declaring.permission import explain_refusal
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.advice import Advice, after_end, still_at_work
from maas_mcp.operations.judging.evidence import (
    ABSENCES_TO_BE_GONE,
    EMPTY_OBSERVATION,
    Baseline,
    Evidence,
    Needs,
    Observation,
)
from maas_mcp.operations.judging.fallback import FallbackPolling
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.judging.strategies import MachineAssessment
from maas_mcp.operations.next_steps import FIND_OPERATION, read_machine
from maas_mcp.operations.progress import ProgressReporter, discard_progress, format_duration
from maas_mcp.operations.rechecks import check_untouched
from maas_mcp.operations.running.diagnosis import explain, refused_error, started_by_another_error
from maas_mcp.operations.running.immediate_ends import already_reached, ended_without_machine, gone_context
from maas_mcp.operations.running.snapshot import read_since, read_snapshot
from maas_mcp.operations.running.start_requests import RequestState, StartRequest
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.subject import Shared, Subject
from maas_mcp.operations.watching.watcher import Subscription
from maas_mcp.operations.wording import named, state_of

logger = logging.getLogger(__name__)

EVENTS_ONLY: Final = Needs()
"""An abort needs only the events and the machine."""
_INVALID_TRANSITION: Final = re.compile(r"Invalid transition: (?P<status>.+?) -> ")


class MachineSubject(Subject[ArgsT, ResultT]):
    """A machine, followed by the watcher."""

    hold_elsewhere: ClassVar[float] = CHANGE_TIMEOUT
    operation: Operation[ArgsT, ResultT]
    ctx: OperationContext
    latest: MachineAssessment

    def __init__(
        self,
        shared: Shared,
        operation: Operation[ArgsT, ResultT],
        ctx: OperationContext,
        handle: Handle,
        baseline: Baseline,
        *,
        read_at: float,
    ) -> None:
        self._polling = FallbackPolling(shared.polling or operation.polling, operation.name)
        self._baseline = baseline
        self._read_at = read_at
        self._news: Subscription | None = None
        super().__init__(
            shared,
            operation,
            ctx,
            handle,
            self._polling.assess(operation.lifecycle, Evidence(baseline), EMPTY_OBSERVATION),
        )

    @classmethod
    @override
    async def prepare(
        cls, shared: Shared, operation: Operation[ArgsT, ResultT], args: ArgsT, ctx: ToolContext
    ) -> Self | OperationStatus[ResultT]:
        read_at = anyio.current_time()
        machine = await shared.reads.machine(shared.maas, operation.system_id(args))
        machine_ctx = _machine_context(ctx, machine)
        if operation.is_reached(args, machine):
            handle = replace(shared.adoption.handle(operation, machine, 0, ()), reached=True)
            return await already_reached(operation, machine_ctx, handle, "was already")
        if machine.status in operation.lifecycle.pending and await shared.caller.owns(machine):
            return await shared.adoption.adopt(operation, args, machine_ctx)
        if machine.locked or machine.status not in operation.lifecycle.start_from:
            raise refused_error(operation, machine, await shared.caller.name_if_known())
        # The cursor is read last, so that earlier events do not count as part of this run.
        cursor = await shared.reads.newest_event_id(shared.maas)
        baseline = Baseline(machine, cursor, operation.lifecycle.runs(machine))
        handle = shared.adoption.handle(operation, machine, cursor, baseline.runs)
        subject = cls(shared, operation, machine_ctx, handle, baseline, read_at=read_at)
        await subject._name_owner()
        return subject

    @classmethod
    @override
    async def resume(
        cls,
        shared: Shared,
        operation: Operation[ArgsT, ResultT],
        request: StartRequest,
        ctx: ToolContext,
        until: float,
    ) -> Self | OperationStatus[ResultT]:
        handle, asked = request.handle, anyio.current_time()
        needs = (shared.polling or operation.polling).needs

        async def poll(maas: MaasClient) -> tuple[Machine, Observation]:
            await shared.caller.read_name(maas)
            return await read_snapshot(shared, maas, needs, handle)

        try:
            machine, observation = await shared.last_seen.read(handle, ctx.progress, until, poll)
        except MaasNotFoundError:
            return ended_without_machine(operation, ctx, handle)
        machine_ctx = _machine_context(ctx, machine)
        if handle.reached:
            return await already_reached(operation, machine_ctx, handle, "needed no change, and is now")
        baseline = Baseline(machine, handle.cursor, handle.runs)
        subject = cls(shared, operation, machine_ctx, handle, baseline, read_at=asked)
        subject._record(observation)
        return subject

    @classmethod
    @override
    async def abort(
        cls, shared: Shared, operation: Operation[Any, Any], handle: Handle, cancellation: CancellationToken
    ) -> None:
        machine, observation = await read_snapshot(shared, shared.maas, EVENTS_ONLY, handle)
        is_pending = machine.status in operation.lifecycle.pending
        held = shared.requests.pending(operation.name, handle.system_id)
        if held and operation.can_abort and not is_pending:
            raise OperationRefusedError(
                f"{held.describe()}. {machine.hostname} is {machine.status_name}: there is nothing to abort yet.",
                hint="Check the operation again, and abort it once it has started.",
            )
        if not operation.can_abort or not is_pending:
            advice = after_end(machine, await shared.caller.name_if_known())
            raise OperationRefusedError(
                f"{named(machine)} is {state_of(machine)}: {operation.name} has nothing to abort.",
                hint=advice.hint,
                next_steps=advice.next_steps,
            )
        evidence = Evidence(Baseline(machine, handle.cursor, handle.runs)).with_(operation.lifecycle, observation)
        by_caller = evidence.started and await shared.caller.started(operation.lifecycle, evidence)
        if evidence.superseded or not by_caller:
            raise OperationRefusedError(
                f"{named(machine)} is {state_of(machine)} because of another run, not the one to abort. "
                "Nothing was aborted.",
                next_steps=[FIND_OPERATION],
            )
        services = shared.context(operation, ProgressReporter(discard_progress), cancellation)
        await operation.abort(_machine_context(services, machine))

    @property
    @override
    def name(self) -> str:
        return f"{self.operation.name} on {self.ctx.machine.hostname}"

    @property
    @override
    def state(self) -> str:
        return f"{self.ctx.machine.hostname} is {self.ctx.machine.status_name}"

    @property
    @override
    def starting(self) -> str:
        return f"Starting on {self.ctx.machine.hostname}"

    @property
    @override
    def timeout_advice(self) -> Advice:
        return still_at_work(self.handle.system_id)

    @property
    @override
    def started(self) -> bool:
        return self.latest.evidence.started

    @property
    @override
    def read_at(self) -> float:
        return self._read_at if self._news is None else self._news.answered_at

    @override
    def message(self, request_state: str) -> str:
        return self.latest.message if self.started else f"{request_state} ({self.latest.message})"

    @override
    async def check(self, maas: MaasClient) -> None:
        """Read the machine again if the first read is old: another user may have taken the machine since."""
        if anyio.current_time() > self._read_at + self.shared.timing.stale:
            await check_untouched(maas, self._baseline.machine, self._baseline.cursor)

    @override
    async def send(self, maas: MaasClient, args: ArgsT) -> None:
        """Send the request, and recognize a refusal that arrives after MAAS has started.

        If the BMC fails during a release with erase, MAAS 3.7.3 responds with a 409, ``Invalid transition: Disk erasing
        -> Deployed.``. By then the machine has entered *Disk erasing*.
        """
        try:
            await self.operation.start(replace(self.ctx, maas=maas), args)
        except MaasConflictError as error:
            left = _INVALID_TRANSITION.match(error.maas_says or "")
            status = MachineStatus.from_display(left["status"]) if left else None
            error.acted = status in self.operation.lifecycle.pending
            raise
        except MaasPermissionError as error:
            await explain_refusal(maas, self.ctx.machine, error)
            raise

    @contextmanager
    @override
    def watched(self) -> Iterator[None]:
        lifecycle, handle = self.operation.lifecycle, self.handle
        with self.shared.watcher.follow(
            handle.system_id, handle.cursor, self._polling.needs, lifecycle.pending
        ) as self._news:
            yield

    @override
    async def poll(self, request: StartRequest, until: float) -> None:
        """Wait for news from the watcher, but only some seconds while the start request has no response."""
        if self._news is None:
            raise RuntimeError("poll() was called outside `with watched()`: enter it first")
        timing = self.shared.timing
        pause = timing.outage_pause
        if request.ambiguous_error is not None:
            pause = min(pause, timing.grace_after(request.ambiguous_error) / 2)
        settled = self.started and not request.is_pending
        with anyio.CancelScope(deadline=until if settled else min(until, anyio.current_time() + pause)):
            self._record(await self._news.next())

    @override
    def judge_missing_start(self, request: StartRequest) -> None:
        ambiguous_error, machine = request.ambiguous_error, self.latest.evidence.machine or self.ctx.machine
        if ambiguous_error is None:
            accepted = request.state is RequestState.ACCEPTED
            requested = f"MAAS accepted {self.name}" if accepted else f"{self.name} was requested"
            raise OperationFailedError(
                f"{requested}, but {format_duration(request.age)} later MAAS does not show that it "
                f"started: the machine is {machine.status_name} and has no new run.",
                hint="Check the region's log.",
                next_steps=[read_machine(machine.system_id, "Read the machine before you start it again")],
            )
        answer = copy(ambiguous_error)  # the next call raises the same error
        shown = f"{named(machine)} is {state_of(machine)}"
        answer.hint = f"MAAS does not show that it started: {shown}. {ambiguous_error.hint or ''}".strip()
        raise answer

    @override
    async def check_started_by_caller(self, request: StartRequest) -> None:
        lifecycle, evidence = self.operation.lifecycle, self.latest.evidence
        if evidence.machine is None or not evidence.started or request.state is RequestState.ACCEPTED:
            return
        if not await self.read(lambda: self.shared.caller.started(lifecycle, evidence)):
            raise started_by_another_error(evidence, self.name, await self.shared.caller.name_if_known())

    @override
    async def confirm_end(self) -> None:
        """Read the events between the last event poll and the read of the machine.

        A reverted run can end in the same status as a success. A machine that moves on at once looks aborted.
        """
        verdict, evidence = self.latest.verdict, self.latest.evidence
        hidden = self.operation.can_abort and self.operation.lifecycle.hides_an_undoing
        end_unknown = verdict in {Verdict.REVERTED, Verdict.FAILED} and evidence.timeline.end is None
        if end_unknown or (verdict is Verdict.SUCCEEDED and hidden):
            seen = await self.read(lambda: read_since(self.shared.once, self._polling.needs, self.handle))
            self._record(replace(seen, machine=evidence.machine))

    @override
    async def last_poll(self) -> None:
        with anyio.move_on_after(self.shared.timing.last_poll):
            try:
                _, observation = await read_snapshot(self.shared, self.shared.once, self._polling.needs, self.handle)
            except MaasNotFoundError:
                self._record(EMPTY_OBSERVATION, replace(self.latest.evidence, absences=ABSENCES_TO_BE_GONE))
            except MaasError as error:
                logger.info("the last poll of %s failed: %s", self.name, error)
            else:
                self._record(observation)

    @override
    async def explain(self, request: StartRequest) -> OperationError:
        caller = await self.shared.caller.name_if_known()
        lifecycle = self.operation.lifecycle
        return await explain(self.shared.maas, lifecycle, self.latest, caller=caller, error=request.ambiguous_error)

    @override
    async def result(self) -> ResultT:
        machine = self.latest.evidence.machine
        if self.latest.evidence.gone or machine is None:
            return self.operation.result_if_gone(gone_context(self.ctx, self.handle))
        ctx = replace(self.ctx, maas=self.shared.once, machine=machine)
        return await self.read(lambda: self.operation.result(ctx))

    async def abort_started(self, request: StartRequest) -> None:
        """Request the abort until a poll shows that the run is over.

        MAAS may not have handled the start request yet, and a proxy may not have forwarded the abort. A second abort is
        harmless (409).
        """
        while True:
            if await self._is_over(request):
                return
            await anyio.sleep(self.shared.timing.abort_again)

    async def _is_over(self, request: StartRequest) -> bool:
        """Poll once and abort the caller's run. Returns whether nothing is left to abort."""
        lifecycle = self.operation.lifecycle
        accepted = request.state is RequestState.ACCEPTED
        try:
            _, observation = await read_snapshot(self.shared, self.shared.once, EVENTS_ONLY, self.handle)
            evidence = self._polling.assess(lifecycle, Evidence(self._baseline), observation).evidence
            machine = evidence.machine or self._baseline.machine
            if machine.status not in lifecycle.pending:
                return evidence.started or accepted
            if not evidence.started:  # another operation passes through this status, too
                return False
            if evidence.superseded or not (accepted or await self.shared.caller.started(lifecycle, evidence)):
                return True
            await self.operation.abort(replace(self.ctx, machine=machine))
        except MaasConflictError as error:  # its status has changed since the poll
            logger.info("MAAS did not abort %s: %s", self.name, error)
        except MaasError as error:
            if not error.may_pass:
                raise
            logger.info("MAAS did not abort %s or did not answer: %s", self.name, error)
        return False

    def _record(self, observation: Observation, evidence: Evidence | None = None) -> None:
        self.latest = self._polling.assess(self.operation.lifecycle, evidence or self.latest.evidence, observation)
        self.silent_for = observation.unreachable_for

    async def _name_owner(self) -> None:
        """Report the owner if it is another user, and warn about it in the status."""
        machine = self._baseline.machine
        owner = await self.shared.caller.other_owner(machine)
        if owner is not None:
            self.ctx.progress.report(self.latest.fraction, f"{named(machine)} belongs to {owner}")
            self.warnings = (f"{named(machine)} belonged to {owner} when this was requested.",)

    @property
    def _measured_fraction(self) -> float | None:
        return self.latest.evidence.milestone.fraction or None


def _machine_context(ctx: ToolContext, machine: Machine) -> OperationContext:
    return OperationContext(ctx.maas, ctx.progress, ctx.cancellation, machine, timing=ctx.timing, plugin=ctx.plugin)
