"""The engine: starts an operation once, follows it, and ends with its result or with the reason why there is none."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

import anyio

from maas_mcp.errors import (
    MaasError,
    MaasNotFoundError,
    OperationError,
    OperationRefusedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy, GoneContext, Operation, OperationContext
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.advice import next_step
from maas_mcp.operations.judging.evidence import ABSENCES_TO_BE_GONE, NOTHING, Baseline, Evidence, Observation
from maas_mcp.operations.judging.fallback import FallbackPolling
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.judging.strategies import MachineAssessment, PollingStrategy
from maas_mcp.operations.outages import ReadT, answers, check_outage, until_of, wait_out_outage
from maas_mcp.operations.progress import ProgressReporter, nobody, silence
from maas_mcp.operations.running.aborting import EVENTS_ONLY, abort_begun, abort_cancelled, policy_of
from maas_mcp.operations.running.adoption import Adoption, requested_already
from maas_mcp.operations.running.diagnosis import explain, gone, refused, started_by_another
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.results import Reading
from maas_mcp.operations.running.run import Run
from maas_mcp.operations.running.snapshot import all_since, read_snapshot
from maas_mcp.operations.running.start_requests import Order, Orders
from maas_mcp.operations.running.starting import check_start, send_start, wait_for_answer
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.watching.watcher import Subscription, Watcher
from maas_mcp.operations.wording import named, state_of

logger = logging.getLogger(__name__)

REMEMBERED: Final = 256
"""Of how many operations it is kept what was seen last."""


class Engine:
    """Runs operations.

    Args:
        maas: The region.
        watcher: Watches the machines; its ``run()`` has to be running.
        orders: Holds the orders to start; the same for all engines of a process.
        outage_limit: Seconds without an answer from MAAS after which an operation is no longer followed.
        polling: The strategy for every operation, instead of its own.
        now: Seconds since 1970, which all processes share; other times are of anyio's clock.
    """

    def __init__(
        self,
        maas: MaasClient,
        watcher: Watcher,
        orders: Orders,
        *,
        outage_limit: float = 300.0,
        polling: PollingStrategy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._maas = maas
        self._once = maas.once()
        self._watcher = watcher
        self._orders = orders
        self._timing = orders.timing
        self._outage_limit = outage_limit
        self._polling = polling
        self._now = now
        self._caller = Caller(maas)
        self.adoption = Adoption(maas, orders, self._caller, now=now)
        """Finds what is under way already."""
        self._last_seen: dict[Handle, MachineAssessment] = {}

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
        handle: Handle | None = None,
    ) -> OperationStatus[ResultT]:
        """Start ``operation``, and follow it to its end or until ``wait`` seconds after the call.

        A machine that is already at it for this very user is not started again: its handle is the answer. Where MAAS
        holds the order to start for longer than the call waits, the order is held on without it.

        Args:
            operation: What to do.
            args: With what.
            progress: Hears how far it is.
            cancellation: Stops the following, and with ``CancelPolicy.ABORT`` what MAAS does, too. A lost connection
                never aborts.
            wait: Seconds to follow it; ``None``: to its end.
            on_cancel: Instead of the operation's own policy.
            starting: Entered while it is being started, where that has to take turns.
            handle: How it is known, where it is a part of something else.

        Raises:
            OperationRefusedError: The machine is not in a state for it; nothing was sent that changes MAAS.
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS refused to start it, or cannot be asked any longer.
        """
        policy, until = policy_of(operation, on_cancel), until_of(wait)
        with cancellation.guard():
            read_at = anyio.current_time()
            machine = await self._maas.machine(operation.system_id(args))
            ctx = OperationContext(self._maas, progress, cancellation, machine, timing=self._timing)
            if operation.is_reached(args, machine):
                handle = replace(handle or self.adoption.handle(operation, machine, 0, ()), reached=True)
                return await self._reached(operation, ctx, handle, "was already")
            if machine.status in operation.lifecycle.pending and await self._caller.owns(machine):
                return await self.adoption.already(operation, args, ctx)
            if machine.locked or machine.status not in operation.lifecycle.start_from:
                raise refused(operation, machine, await self._caller.name_if_known())
            # The cursor comes last: what happened before it must not read as this run's.
            cursor = await self._maas.newest_event_id()
            baseline = Baseline(machine, cursor, operation.lifecycle.runs(machine))
            handle = handle or self.adoption.handle(operation, machine, cursor, baseline.runs)
            run = self._run(operation, ctx, handle)
            order: Order | None = None
            warnings = await self._name_owner(run, baseline)
            try:
                cancellation.raise_if_cancelled()
                if held := self._orders.under_way(operation.name, machine.system_id):
                    return requested_already(machine, held[0], args)
                order = self._orders.give(
                    handle,
                    lambda maas: send_start(maas, run, args),
                    starting,
                    args,
                    lambda maas: check_start(maas, run, baseline, read_at),
                )
                if await wait_for_answer(run, baseline, order, until):
                    outcome = await self._follow(run, Evidence(baseline), until, order.doubt)
                else:
                    outcome = run.working(run.assess(Evidence(baseline), NOTHING))
                return replace(outcome, warnings=warnings)
            except anyio.get_cancelled_exc_class():
                if order is not None:
                    await order.withdraw()
                    if (
                        policy is CancelPolicy.ABORT
                        and cancellation.reason is CancelReason.CLIENT
                        and order.refusal is None
                    ):
                        await self._abort_begun(run, baseline, order)
                raise

    async def resume(
        self,
        operation: Operation[ArgsT, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> OperationStatus[ResultT]:
        """Pick up what ``handle`` names, by what MAAS says of it; follow it to its end or for ``wait`` seconds.

        An outage is waited for as long. What this process still holds of its order is told as well.

        Raises:
            OperationError: It did not succeed, or its deadline is over; the message says why.
            MaasError: MAAS cannot be asked: at once where there is no time to wait, else after too long an outage.
        """
        until = until_of(wait)
        with cancellation.guard():
            order = self._orders.order(handle)
            if order is not None and not await self._is_sent(order, progress, until):
                return OperationStatus(handle, None, order.standing(), confirmed=False)
            ctx = ToolContext(self._maas, progress, cancellation, timing=self._timing)
            return await self._pick_up(operation, handle, ctx, order.doubt if order else None, until)

    async def _pick_up(
        self,
        operation: Operation[ArgsT, ResultT],
        handle: Handle,
        services: ToolContext,
        doubt: MaasError | None,
        until: float,
    ) -> OperationStatus[ResultT]:
        polling, progress = self._polling or operation.polling, services.progress

        async def look(maas: MaasClient) -> tuple[Machine, Observation]:
            await self._caller.introduce(maas)
            return await read_snapshot(maas, polling.needs, handle, self._timing)

        asked = anyio.current_time()
        try:
            machine, observation = await self.seek(handle, progress, until, look)
        except MaasNotFoundError:
            return _ended_without_machine(operation, services, handle)
        except TimeoutError as late:
            return self.unseen(handle, anyio.current_time() - asked, answering=answers(late.__cause__))
        ctx = OperationContext(self._maas, progress, services.cancellation, machine, timing=self._timing)
        if handle.reached:
            return await self._reached(operation, ctx, handle, "needed no change, and is now")
        run = self._run(operation, ctx, handle)
        assessment = run.assess(Evidence(Baseline(machine, handle.cursor, handle.runs)), observation)
        self._remember(handle, assessment)
        run.check_start(assessment, asked, doubt)
        await self._check_doer(run, assessment)
        if assessment.verdict.final:
            return await self._end(run, assessment, doubt)
        if self._expires(run) <= anyio.current_time():
            raise run.timed_out(assessment)
        if until <= asked:
            return run.working(assessment)
        run.tell(assessment)
        return await self._follow(run, assessment.evidence, until, doubt)

    @staticmethod
    async def _is_sent(order: Order, progress: ProgressReporter, until: float) -> bool:
        """Wait until then for a request that waits for its turn: what MAAS shows before is not by it."""
        if await order.has_turn(anyio.current_time()):
            return True
        progress.report(0.0, order.standing())
        return await order.has_turn(until)

    async def abort(self, operation: Operation[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Order MAAS to abort what ``handle`` names; an order that was not sent yet is taken back instead.

        Raises:
            OperationRefusedError: MAAS has no way back from it, it is over, or what runs is not what was begun.
            MaasError: MAAS refused to, or did not answer.
        """
        order = self._orders.order(handle)
        if order is not None and order.under_way and not order.sent:
            await order.take_back()
            return
        machine, observation = await read_snapshot(self._maas, EVENTS_ONLY, handle, self._timing)
        held = self._orders.under_way(operation.name, handle.system_id)
        if held and operation.can_abort and machine.status not in operation.lifecycle.pending:
            raise OperationRefusedError(
                f"{held[0].standing()}. {machine.hostname} is {machine.status_name}: there is nothing to abort so far.",
                hint="Ask for the operation again, and abort it once it has begun.",
            )
        if not operation.can_abort or machine.status not in operation.lifecycle.pending:
            raise OperationRefusedError(
                f"{named(machine)} is {state_of(machine)}: there is nothing that {operation.name} could abort.",
                hint=next_step(machine, await self._caller.name_if_known()),
            )
        evidence = Evidence(Baseline(machine, handle.cursor, handle.runs)).with_(operation.lifecycle, observation)
        ours = evidence.started and await self._caller.started(operation.lifecycle, evidence)
        if evidence.superseded or not ours:
            raise OperationRefusedError(
                f"{named(machine)} is {state_of(machine)}, but not by this operation: another run was started since. "
                "It was not aborted.",
                hint="maas_list_operations has the ids of what runs on your machines.",
            )
        ctx = OperationContext(self._maas, ProgressReporter(nobody), cancellation, machine, timing=self._timing)
        await operation.abort(ctx)

    async def _abort_begun(self, run: Run[Any, Any], baseline: Baseline, order: Order) -> None:
        await abort_cancelled(
            run.name,
            run.ctx.cancellation,
            self._timing.abort_limit,
            lambda: abort_begun(self._once, run, baseline, order, self._caller),
        )

    def _run(self, operation: Operation[ArgsT, ResultT], ctx: OperationContext, handle: Handle) -> Run[ArgsT, ResultT]:
        polling = FallbackPolling(self._polling or operation.polling, operation.name)
        return Run(operation, polling, ctx, handle, self._orders)

    async def _name_owner(self, run: Run[Any, Any], baseline: Baseline) -> tuple[str, ...]:
        """Report whose the machine is, if it is another user's; a warning that says so afterwards."""
        who, owner = named(baseline.machine), await self._caller.other_owner(baseline.machine)
        if owner is None:
            return ()
        run.ctx.progress.report(run.assess(Evidence(baseline), NOTHING).fraction, f"{who} belongs to {owner}")
        return (f"{who} belonged to {owner} when this was requested.",)

    @staticmethod
    async def _reached(
        operation: Operation[ArgsT, ResultT], ctx: OperationContext, handle: Handle, how: str
    ) -> OperationStatus[ResultT]:
        """The outcome for a machine that is, or was, like what was asked for already."""
        message = f"{ctx.machine.hostname} {how} {state_of(ctx.machine)}; nothing was sent to MAAS"
        ctx.progress.report(1.0, message)
        reading = Reading(operation, message)
        with reading.watched():
            reading.result = await operation.result(ctx)
        return reading.outcome(handle)

    async def _follow(
        self, run: Run[ArgsT, ResultT], evidence: Evidence, until: float, doubt: MaasError | None
    ) -> OperationStatus[ResultT]:
        assessment = run.assess(evidence, NOTHING)
        with (
            anyio.CancelScope(deadline=self._expires(run)) as scope,
            self._watcher.follow(
                run.handle.system_id, run.handle.cursor, run.polling.needs, run.operation.lifecycle.pending
            ) as news,
        ):
            pause = self._timing.outage_pause
            if doubt is not None:
                run.tell(assessment)
                pause = min(pause, self._timing.grace_after(doubt) / 2)
            while not assessment.verdict.final:
                # A MAAS that is silent says nothing of a start either: what counts is until when it has answered.
                run.check_start(assessment, news.answered_at, doubt)
                now = anyio.current_time()
                if now >= until:
                    return run.working(assessment)
                settled = assessment.evidence.started and not self._orders.is_held(run.handle)
                observation = await _news(news, until if settled else min(until, now + pause))
                assessment = run.assess(assessment.evidence, observation) if observation else assessment
                if scope.deadline == math.inf:  # it waited for its turn
                    scope.deadline = self._expires(run)
                if not assessment.verdict.final:
                    run.tell(assessment)
                if observation and observation.unreachable_for is not None:
                    check_outage(observation.unreachable_for, self._outage_limit, assessment.message)
                elif observation:
                    self._remember(run.handle, assessment)
                await self._check_doer(run, assessment)
        if not assessment.verdict.final:
            assessment = await self._last_look(run, assessment)
        self._orders.check_refusal(run.handle, run.name)
        if not assessment.verdict.final:
            raise run.timed_out(assessment)
        return await self._end(run, assessment, doubt)

    def _expires(self, run: Run[Any, Any]) -> float:
        """When it is over its deadline, in anyio's clock."""
        return self._orders.expires(run.handle, run.operation.deadline.total_seconds())

    async def _last_look(self, run: Run[Any, Any], assessment: MachineAssessment) -> MachineAssessment:
        """What MAAS shows once the time is up: what was seen before may be long past, as after an outage."""
        with anyio.move_on_after(self._timing.last_look):
            try:
                _, observation = await read_snapshot(self._once, run.polling.needs, run.handle, self._timing)
            except MaasNotFoundError:
                gone_by_now = replace(assessment.evidence, absences=ABSENCES_TO_BE_GONE)
                return run.assess(gone_by_now, NOTHING)
            except MaasError as error:
                logger.info("no last look at %s: %s", run.name, error)
            else:
                return run.assess(assessment.evidence, observation)
        return assessment

    async def _check_doer(self, run: Run[ArgsT, ResultT], assessment: MachineAssessment) -> None:
        """Make sure that what began is ours, as long as MAAS has not said so: an order may never have reached it.

        Raises:
            OperationRevertedError: It is somebody else's.
        """
        lifecycle, evidence = run.operation.lifecycle, assessment.evidence
        if evidence.machine is None or not evidence.started or self._orders.is_confirmed(run.handle):
            return
        if not await self._read(run, assessment, lambda: self._caller.started(lifecycle, evidence)):
            raise started_by_another(evidence, run.name, await self._caller.name_if_known())

    async def _end(
        self, run: Run[ArgsT, ResultT], assessment: MachineAssessment, doubt: MaasError | None = None
    ) -> OperationStatus[ResultT]:
        if run.may_have_ended_otherwise(assessment):
            seen = await self._read(run, assessment, lambda: all_since(self._once, run.polling.needs, run.handle))
            assessment = run.assess(assessment.evidence, replace(seen, machine=assessment.evidence.machine))
        if assessment.verdict is not Verdict.SUCCEEDED:
            run.ctx.progress.report(assessment.fraction, assessment.message)
            raise await self._explain(run, assessment, doubt)
        machine, reading = assessment.evidence.machine, Reading(run.operation, assessment.message)
        with reading.watched():
            if assessment.evidence.gone or machine is None:
                reading.result = run.operation.result_if_gone(_gone(run.ctx, run.handle))
            else:
                ctx = replace(run.ctx, maas=self._once, machine=machine)
                reading.result = await self._read(run, assessment, lambda: run.operation.result(ctx))
        run.ctx.progress.report(1.0, assessment.message)
        return reading.outcome(run.handle)

    async def _explain(
        self, run: Run[Any, Any], assessment: MachineAssessment, answer: MaasError | None = None
    ) -> OperationError:
        caller = await self._caller.name_if_known()
        return await explain(self._maas, run.operation.lifecycle, assessment, caller=caller, answer=answer)

    async def _read(
        self, run: Run[ArgsT, ResultT], assessment: MachineAssessment, read: Callable[[], Awaitable[ReadT]]
    ) -> ReadT:
        """What MAAS answers to a read, once it does: an operation that has succeeded is not lost to an outage."""

        def tell(silent: float, answering: bool) -> None:
            told = silence(silent, answering=answering)
            known = f"{assessment.message}; {told} while its result is read"
            run.ctx.progress.report(assessment.evidence.milestone.fraction or None, known)
            check_outage(silent, self._outage_limit, known)

        return await wait_out_outage(read, tell, self._timing)

    def _remember(self, handle: Handle, assessment: MachineAssessment) -> None:
        """Keep what was seen last, to be told where MAAS is silent; nothing is ever judged by it."""
        self._last_seen.pop(handle, None)
        self._last_seen[handle] = assessment
        if len(self._last_seen) > REMEMBERED:
            del self._last_seen[next(iter(self._last_seen))]

    def unseen(self, handle: Handle, silent: float, *, answering: bool) -> OperationStatus[Any]:
        """All that can be told of an operation while nothing can be read."""
        last = self._last_seen.get(handle)
        seen = f"last seen: {last.message}" if last else "nothing was seen of it here so far"
        told = silence(silent, answering=answering)
        return OperationStatus(handle, last.fraction if last else None, f"{told}; {seen}")

    async def seek(
        self,
        handle: Handle,
        progress: ProgressReporter,
        until: float,
        read: Callable[[MaasClient], Awaitable[ReadT]],
    ) -> ReadT:
        """Read what MAAS knows of an operation that is picked up: through an outage, if there is time for that.

        Raises:
            TimeoutError: MAAS has not answered until then.
            MaasError: It cannot be asked: at once where there is no time, else after too long an outage.
        """
        if until <= anyio.current_time():
            return await read(self._maas)

        def tell(silent: float, answering: bool) -> None:
            known = self.unseen(handle, silent, answering=answering)
            progress.report(known.fraction, known.message)
            check_outage(silent, self._outage_limit, known.message)

        return await wait_out_outage(lambda: read(self._once), tell, self._timing, until=until)


async def _news(subscription: Subscription, until: float) -> Observation | None:
    """The next observation, or none at ``until`` (seconds of anyio's clock)."""
    with anyio.CancelScope(deadline=until):
        return await subscription.next()
    return None


def _gone(ctx: ToolContext, handle: Handle) -> GoneContext:
    return GoneContext(ctx.maas, ctx.progress, ctx.cancellation, handle.system_id)


def _ended_without_machine(
    operation: Operation[ArgsT, ResultT], ctx: ToolContext, handle: Handle
) -> OperationStatus[ResultT]:
    """How an operation has ended whose machine is not there any longer.

    Raises:
        MachineGoneError: It has not succeeded by that.
    """
    if operation.lifecycle.verdict_if_gone(on_vm_host=handle.on_vm_host) is not Verdict.SUCCEEDED:
        raise gone(handle.system_id)
    reading = Reading(operation, f"{handle.system_id} is no longer in MAAS")
    with reading.watched():
        reading.result = operation.result_if_gone(_gone(ctx, handle))
    return reading.outcome(handle)
