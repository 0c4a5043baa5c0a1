"""The engine: starts an operation once, follows it, and ends with its result or with the reason why there is none."""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import anyio

from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasError,
    MaasNotFoundError,
    MaasUnavailableError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.diagnosis import explain, gone, next_step
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.operation import CancelPolicy, LongRunning, Operation, OperationContext
from maas_mcp.operations.outcome import Outcome
from maas_mcp.operations.polling import (
    NOTHING,
    Assessment,
    Baseline,
    Evidence,
    Observation,
    PollingStrategy,
    Verdict,
)
from maas_mcp.operations.progress import ProgressReporter, nobody, readable
from maas_mcp.operations.tool import ArgsT, ResultT
from maas_mcp.operations.watcher import EVENTS_LIMIT, Subscription, Watcher

logger = logging.getLogger(__name__)

ReadT = TypeVar("ReadT")

START_GRACE: Final = 60.0
"""Seconds that a started operation may take to show in MAAS. A proxy may have answered 504 while MAAS went on."""
PAUSE: Final = 5.0
"""Seconds until the next try, where MAAS is silent."""
ABORT_LIMIT: Final = 10.0
"""Seconds for the order to abort after a cancellation. MAAS powers the machine off before it answers."""


@dataclass(frozen=True, slots=True)
class _Run(Generic[ArgsT, ResultT]):
    """One operation being run, by whoever started it or picked it up."""

    operation: Operation[ArgsT, ResultT]
    polling: PollingStrategy
    args: ArgsT
    ctx: OperationContext
    handle: Handle

    @property
    def name(self) -> str:
        return f"{self.operation.name} on {self.ctx.before.hostname}"

    @property
    def hides_an_abort(self) -> bool:
        """Whether an abort may end where a success does: a test begins and ends in the same statuses."""
        lifecycle = self.operation.lifecycle
        return self.operation.can_abort and bool(lifecycle.start_from & lifecycle.success)

    def assess(self, evidence: Evidence, observation: Observation) -> Assessment:
        return self.polling.assess(self.operation.lifecycle, evidence, observation)

    def working(self, assessment: Assessment) -> Outcome[ResultT]:
        return Outcome(self.handle, assessment.fraction, assessment.message)


class Engine:
    """Runs operations.

    Args:
        maas: The region.
        watcher: Watches the machines; its ``run()`` has to be running.
        outage_limit: Seconds without an answer from MAAS after which an operation is no longer followed.
        polling: The strategy for every operation, instead of its own.
        now: Seconds since 1970, which all processes share; other times are of anyio's clock.
    """

    def __init__(
        self,
        maas: MaasClient,
        watcher: Watcher,
        *,
        outage_limit: float = 300.0,
        polling: PollingStrategy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._maas = maas
        self._watcher = watcher
        self._outage_limit = outage_limit
        self._polling = polling
        self._now = now
        self._username: str | None = None

    async def run(
        self,
        operation: Operation[ArgsT, ResultT],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
        starting: AbstractAsyncContextManager[object] | None = None,
    ) -> Outcome[ResultT]:
        """Start ``operation``, and follow it to its end or for ``wait`` seconds.

        A machine that is already at it for this very user is not started again: its handle is the answer.

        Args:
            operation: What to do.
            args: With what.
            progress: Hears how far it is.
            cancellation: Stops the following, and with ``CancelPolicy.ABORT`` what MAAS does, too. A lost connection
                never aborts.
            wait: Seconds to follow it; ``None``: to its end.
            on_cancel: Instead of the operation's own policy.
            starting: Entered while it is being started, where that has to take turns.

        Raises:
            OperationRefusedError: The machine is not in a state for it; nothing was sent that changes MAAS.
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS refused to start it, or cannot be asked any longer.
        """
        policy = policy_of(operation, on_cancel)
        with cancellation.guard():
            machine = await self._maas.machine(operation.system_id(args))
            if machine.status in operation.lifecycle.pending and await self._is_mine(machine):
                return await self._already(operation, machine)
            refusal = why_not(operation, machine)
            if refusal is not None:
                raise refusal
            # The cursor comes last: what happened before it must not read as this run's.
            cursor = await self._maas.newest_event_id()
            baseline = Baseline(machine, cursor, operation.lifecycle.runs(machine))
            handle = self._handle(operation, machine, cursor, baseline.runs)
            run = self._run(operation, args, OperationContext(self._maas, progress, cancellation, machine), handle)
            # Before the order: MAAS speaks to the BMC before it answers, and a client hears nothing for so long.
            opening = run.assess(Evidence(baseline), NOTHING).fraction
            progress.report(opening, f"Starting on {machine.hostname}")
            try:
                async with starting or nullcontext():
                    doubt = await start_once(cancellation, lambda: operation.start(run.ctx, args))
                return await self._follow(run, Evidence(baseline), wait, doubt)
            except anyio.get_cancelled_exc_class():
                if policy is CancelPolicy.ABORT and not cancellation.detached:
                    await abort_cancelled(run.name, cancellation, lambda: operation.abort(run.ctx, args))
                raise

    async def resume(
        self,
        operation: Operation[ArgsT, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> Outcome[ResultT]:
        """Pick up what ``handle`` names, by what MAAS says of it; follow it to its end or for ``wait`` seconds.

        Raises:
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS cannot be asked.
        """
        with cancellation.guard():
            try:
                machine = await self._maas.machine(handle.system_id)
            except MaasNotFoundError:
                return _ended_without_machine(operation, handle)
            run = self._run(
                operation,
                operation.arguments_for(handle.system_id),
                OperationContext(self._maas, progress, cancellation, machine),
                handle,
            )
            seen = await self._all_since(run, machine)
            assessment = run.assess(Evidence(Baseline(machine, handle.cursor, handle.runs)), seen)
            if assessment.verdict.final:
                return await self._end(run, assessment)
            if not assessment.evidence.started and self._now() > handle.started + START_GRACE:
                raise _never_started(run)
            if wait is not None and wait <= 0:
                return run.working(assessment)
            return await self._follow(run, assessment.evidence, wait, None)

    async def adopt(self, operation: Operation[Any, Any], machine: Machine) -> Handle:
        """A handle for what is under way on ``machine``, whoever started it."""
        newest = await self._maas.events(ids=[machine.system_id], limit=EVENTS_LIMIT)
        entered = [event.id for event in newest if operation.lifecycle.is_entered_by(event)]
        cursor = entered[-1] - 1 if entered else await self._maas.newest_event_id()
        return self._handle(operation, machine, cursor, ())

    async def under_way(self, operations: Sequence[Operation[Any, Any]], limit: int) -> list[Handle]:
        """Handles for what is under way on this user's machines, ``limit`` at the most, by hostname."""
        statuses = {status for operation in operations for status in operation.lifecycle.pending}
        if not statuses:
            return []
        found = await self._maas.machines(status=sorted(status.filter_value for status in statuses))
        mine = sorted([each for each in found if await self._is_mine(each)], key=lambda machine: machine.hostname)
        return [handle for machine in mine[:limit] if (handle := await self._what_runs_on(machine, operations))]

    async def _what_runs_on(self, machine: Machine, operations: Sequence[Operation[Any, Any]]) -> Handle | None:
        """The operation that began first of those that a status on the way may belong to.

        A commissioning passes through *Testing*: of it and a test, it is the one that the machine entered earlier; of
        a test alone both are entered by the same event, and the test passes through less.
        """
        fitting = [each for each in operations if machine.status in each.lifecycle.pending]
        handles = {each.name: await self.adopt(each, machine) for each in fitting}
        fitting.sort(key=lambda each: (handles[each.name].cursor, len(each.lifecycle.pending), each.name))
        return handles[fitting[0].name] if fitting else None

    async def abort(self, operation: Operation[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Order MAAS to abort what ``handle`` names.

        Raises:
            OperationRefusedError: MAAS has no way back from it, or it is over.
            MaasError: MAAS refused to, or did not answer.
        """
        machine = await self._maas.machine(handle.system_id)
        if not operation.can_abort or machine.status not in operation.lifecycle.pending:
            raise OperationRefusedError(
                f"{machine.hostname} ({machine.system_id}) is {machine.status_name}: there is nothing that "
                f"{operation.name} could abort.",
                hint=next_step(machine),
            )
        ctx = OperationContext(self._maas, ProgressReporter(nobody), cancellation, machine)
        await operation.abort(ctx, operation.arguments_for(handle.system_id))

    def _run(
        self, operation: Operation[ArgsT, ResultT], args: ArgsT, ctx: OperationContext, handle: Handle
    ) -> "_Run[ArgsT, ResultT]":
        return _Run(operation, self._polling or operation.polling, args, ctx, handle)

    def _handle(
        self, operation: Operation[Any, Any], machine: Machine, cursor: int, runs: tuple[int | None, ...]
    ) -> Handle:
        on_vm_host = machine.pod is not None
        return Handle(operation.name, machine.system_id, int(self._now()), cursor, runs, on_vm_host=on_vm_host)

    async def _is_mine(self, machine: Machine) -> bool:
        if self._username is None:
            self._username = (await self._maas.whoami()).username
        return machine.owner == self._username

    async def _already(self, operation: Operation[ArgsT, ResultT], machine: Machine) -> Outcome[ResultT]:
        handle = await self.adopt(operation, machine)
        doing = f"{machine.hostname} is {machine.status_name} for {machine.owner} already: not started a second time"
        return Outcome(handle, None, f"{doing} ({machine.status_message or 'no message'})")

    async def _all_since(self, run: "_Run[ArgsT, ResultT]", machine: Machine) -> Observation:
        """Everything that MAAS still knows of a run, in one observation."""
        events: list[Event] = []
        cursor, more = run.handle.cursor, True
        while more:
            page = await self._maas.events(after=cursor, ids=[machine.system_id], limit=EVENTS_LIMIT)
            events += page
            cursor, more = (page[-1].id if page else cursor), len(page) == EVENTS_LIMIT
        sets = {name: await self._maas.script_set(machine.system_id, name) for name in run.polling.needs.script_sets}
        known = {name: scripts for name, scripts in sets.items() if scripts is not None}
        return Observation(machine, events=tuple(events), script_sets=known)

    async def _follow(
        self, run: "_Run[ArgsT, ResultT]", evidence: Evidence, wait: float | None, doubt: MaasError | None
    ) -> Outcome[ResultT]:
        now = anyio.current_time()
        left = run.handle.started + run.operation.deadline.total_seconds() - self._now()
        until = math.inf if wait is None else now + wait
        started_by = look_at = now + START_GRACE
        assessment = run.assess(evidence, NOTHING)
        if evidence.started:
            run.ctx.progress.report(assessment.fraction, assessment.message)
        with (
            anyio.CancelScope(deadline=now + left),
            self._watcher.follow(run.handle.system_id, run.handle.cursor, run.polling.needs) as news,
        ):
            while not assessment.verdict.final:
                if not assessment.evidence.started and anyio.current_time() >= look_at:
                    if news.answered_at >= started_by:
                        raise doubt or _never_started(run)
                    look_at = anyio.current_time() + PAUSE  # a silent MAAS says nothing of a start either
                if anyio.current_time() >= until:
                    return run.working(assessment)
                observation = await _news(news, until if assessment.evidence.started else min(until, look_at))
                assessment = run.assess(assessment.evidence, observation)
                if not assessment.verdict.final:
                    run.ctx.progress.report(assessment.fraction, assessment.message)
                if observation.unreachable_for is not None:
                    self._check_outage(observation.unreachable_for, assessment.message)
        if assessment.verdict.final:
            return await self._end(run, assessment)
        raise OperationTimedOutError(
            f"{run.name} was not over after {readable(run.operation.deadline.total_seconds())}; "
            f"last seen: {assessment.message}.",
            hint="MAAS may still be at work on the machine. Read it with maas_get_machine.",
        )

    async def _end(self, run: "_Run[ArgsT, ResultT]", assessment: Assessment) -> Outcome[ResultT]:
        if assessment.verdict is Verdict.SUCCEEDED and run.hides_an_abort:
            # The events were read before the machine: one that tells of an abort may have come in between.
            seen = await self._patiently(run, assessment, lambda: self._all_since(run, run.ctx.before))
            assessment = run.assess(assessment.evidence, replace(seen, machine=None))
        if assessment.verdict is not Verdict.SUCCEEDED:
            run.ctx.progress.report(assessment.fraction, assessment.message)
            raise await explain(self._maas, run.operation.lifecycle, assessment)
        if assessment.evidence.gone:
            result = run.operation.result_if_gone(run.args)
        else:
            result = await self._patiently(run, assessment, lambda: run.operation.result(run.ctx, run.args))
        run.ctx.progress.report(1.0, assessment.message)
        return Outcome(run.handle, 1.0, assessment.message, result)

    async def _patiently(
        self, run: "_Run[ArgsT, ResultT]", assessment: Assessment, read: Callable[[], Awaitable[ReadT]]
    ) -> ReadT:
        """What MAAS answers to a read, once it does: an operation that has succeeded is not lost to an outage.

        Raises:
            MaasError: The outage lasts too long, or it is none.
        """
        began = anyio.current_time()
        while True:
            try:
                return await read()
            except MaasError as error:
                silence = anyio.current_time() - began
                if not error.may_pass or silence >= self._outage_limit:
                    raise
            known = f"{assessment.message}; MAAS unreachable for {readable(silence)} while its result is read"
            run.ctx.progress.report(assessment.evidence.fraction or None, known)
            await anyio.sleep(PAUSE)

    def _check_outage(self, unreachable_for: float, message: str) -> None:
        if unreachable_for >= self._outage_limit:
            raise MaasUnavailableError(
                f"{message}. Gave up following; nothing is known to have failed.",
                hint="MAAS goes on by itself. Read the machine with maas_get_machine once the region answers.",
            )


def policy_of(operation: LongRunning[Any, Any], asked_for: CancelPolicy | None) -> CancelPolicy:
    """What a cancelled call shall do.

    Raises:
        InvalidArgumentsError: MAAS cannot do that.
    """
    policy = asked_for or operation.on_cancel
    if policy is CancelPolicy.ABORT and not operation.can_abort:
        raise InvalidArgumentsError(
            f"{operation.name} cannot be aborted: MAAS offers no way back from it.",
            hint="Leave on_cancel out, or say `detach`: then cancelling only stops the following.",
        )
    return policy


async def start_once(cancellation: CancellationToken, start: Callable[[], Awaitable[None]]) -> MaasError | None:
    """Post once. Returns the failure that leaves it open whether MAAS took it; never posts again."""
    cancellation.raise_if_cancelled()
    try:
        await start()
    except MaasError as error:
        if not error.may_have_acted:
            raise
        return error
    return None


async def abort_cancelled(name: str, cancellation: CancellationToken, abort: Callable[[], Awaitable[None]]) -> None:
    """Order to abort, for a call that was cancelled: bounded, and with nothing said to the client."""
    with cancellation.undoing(ABORT_LIMIT) as scope:
        try:
            await abort()
        except MaasError as error:
            logger.warning("%s was cancelled, but could not be aborted: %s", name, error)
    if scope.cancelled_caught:
        logger.warning("%s was cancelled; MAAS did not confirm the abort in time", name)


async def _news(subscription: Subscription, until: float) -> Observation:
    """The next observation, or an empty one at ``until`` (seconds of anyio's clock)."""
    with anyio.CancelScope(deadline=until):
        return await subscription.next()
    return NOTHING


def why_not(operation: Operation[ArgsT, ResultT], machine: Machine) -> OperationRefusedError | None:
    """Why the operation cannot be started on a machine in this state, or ``None``."""
    lifecycle = operation.lifecycle
    if machine.locked:
        return OperationRefusedError(
            f"{machine.hostname} ({machine.system_id}) is locked; nothing was sent to MAAS.",
            hint="Locked machines are protected on purpose. maas_unlock_machine unlocks it, if that is right.",
        )
    if machine.status in lifecycle.start_from:
        return None
    where = f"{machine.hostname} ({machine.system_id}) is {machine.status_name}"
    if machine.status in lifecycle.pending:
        owner = f" for {machine.owner}" if machine.owner else ""
        return OperationRefusedError(
            f"{where}{owner} already: {machine.status_message or 'no message'}. It was not started a second time.",
            hint="Read the machine with maas_get_machine to see how far it is.",
        )
    wanted = ", ".join(status.display for status in sorted(lifecycle.start_from))
    return OperationRefusedError(
        f"{where}; {operation.name} starts from: {wanted}. Nothing was sent to MAAS.",
        hint=next_step(machine),
    )


def _ended_without_machine(operation: Operation[ArgsT, ResultT], handle: Handle) -> Outcome[ResultT]:
    """How an operation has ended whose machine is not there any longer.

    Raises:
        MachineGoneError: It has not succeeded by that.
    """
    if operation.lifecycle.verdict_if_gone(on_vm_host=handle.on_vm_host) is not Verdict.SUCCEEDED:
        raise gone(handle.system_id)
    result = operation.result_if_gone(operation.arguments_for(handle.system_id))
    return Outcome(handle, 1.0, f"{handle.system_id} is no longer in MAAS", result)


def _never_started(run: "_Run[ArgsT, ResultT]") -> OperationFailedError:
    return OperationFailedError(
        f"MAAS accepted {run.name}, but {readable(START_GRACE)} later nothing shows that it began: neither a status on "
        "the way nor a new run.",
        hint="Read the machine with maas_get_machine, and look at the region's log.",
    )
