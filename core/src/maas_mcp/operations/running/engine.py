"""The engine: starts an operation once, follows it, and ends with its result or with the reason why there is none.

``prepare`` → ``start`` → ``follow``, or ``resume`` by a handle; ``run`` is the first three. What a machine and the
region do differently is their subject's.
"""

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio

from maas_mcp.errors import MaasError, MaasMcpError, OperationCancelledError, OperationError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning, Operation, resolve_cancel_policy
from maas_mcp.operations.declaring.operation_change import ChangeKind
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.judging.strategies import PollingStrategy
from maas_mcp.operations.outages import check_outage, deadline_after
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running import region
from maas_mcp.operations.running.adoption import Adoption, Found, requested_already
from maas_mcp.operations.running.last_seen import LastSeen, Unseen
from maas_mcp.operations.running.machine import MachineSubject
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.region import RegionSubject
from maas_mcp.operations.running.results import Reading
from maas_mcp.operations.running.run import Prepared, Run
from maas_mcp.operations.running.run_change import Publish, unpublished
from maas_mcp.operations.running.start_requests import RequestState, StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.subject import Shared, Subject, UnderWayError
from maas_mcp.operations.running.survey import Survey, survey
from maas_mcp.operations.watching.shared_reads import SharedReads
from maas_mcp.operations.watching.watcher import Watcher

logger = logging.getLogger(__name__)


class Engine:
    """Runs operations on machines and of the region.

    Args:
        maas: The region.
        watcher: Watches the machines; its ``run()`` has to be running.
        requests: Holds the requests to start; the same for all engines of a process.
        polling: The strategy for every operation on a machine, instead of its own.
        publish: Takes each change of a run.
        now: Seconds since 1970, which all processes share; other times are of anyio's clock.
    """

    def __init__(
        self,
        maas: MaasClient,
        watcher: Watcher,
        requests: StartRequests,
        *,
        polling: PollingStrategy | None = None,
        publish: Publish = unpublished,
        now: Callable[[], float] = time.time,
    ) -> None:
        reads = SharedReads(requests.timing)
        caller = Caller(maas, reads)
        self._shared = Shared(
            maas,
            maas.once(),
            reads,
            watcher,
            requests,
            caller,
            Adoption(maas, requests, caller, now=now),
            LastSeen(maas, requests.timing),
            polling,
            now,
            publish,
        )

    async def run(
        self,
        operation: LongRunning[ArgsT, ResultT],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
    ) -> OperationStatus[ResultT]:
        """Start ``operation``, and follow it to its end or until ``wait`` seconds after the call.

        A machine that is already at it for this very user is not started again: its handle is the answer. Where MAAS
        holds the request to start for longer than the call waits, the request is held on without it.

        Args:
            operation: What to do.
            args: With what.
            progress: Reports how far it is.
            cancellation: Stops the following, and with ``CancelPolicy.ABORT`` what MAAS does, too. A lost connection
                never aborts.
            wait: Seconds to follow it; ``None``: to its end.
            on_cancel: Instead of the operation's own policy.

        Raises:
            OperationRefusedError: It cannot be started now; nothing was sent that changes MAAS.
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS refused to start it, or cannot be asked any longer.
        """
        policy, until = resolve_cancel_policy(operation, on_cancel), deadline_after(wait)
        with cancellation.guard():
            prepared = await self.prepare(operation, args, progress, cancellation)
            run = prepared if isinstance(prepared, OperationStatus) else self.start(prepared)
            if isinstance(run, OperationStatus):
                return run
            try:
                return await self.follow(run, until)
            except anyio.get_cancelled_exc_class():
                await run.request.close()
                aborts = policy is CancelPolicy.ABORT and cancellation.reason is CancelReason.CLIENT
                if aborts and run.request.refusal is None:
                    await self._abort_started(run, cancellation)
                raise

    async def prepare(
        self,
        operation: LongRunning[ArgsT, ResultT],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
    ) -> Prepared[ArgsT, ResultT] | OperationStatus[ResultT]:
        """Check whether ``operation`` can be started. Nothing is sent that changes MAAS.

        Returns:
            The operation, whose handle can be stored before it is started; or a status, where it is under way already,
            or the machine is already as requested.

        Raises:
            OperationRefusedError: It cannot be started now.
            MaasError: MAAS cannot be asked.
        """
        ctx = ToolContext(self._shared.maas, progress, cancellation, timing=self._shared.timing)
        if self._shared.publish is not unpublished:
            await self._shared.caller.name_if_known()  # once: observers are shown who started it
        subject = await _kind(operation).prepare(self._shared, operation, args, ctx)
        return subject if isinstance(subject, OperationStatus) else Prepared(subject, args)

    def start(
        self, prepared: Prepared[ArgsT, ResultT], maas: MaasClient | None = None
    ) -> Run[ArgsT, ResultT] | OperationStatus[ResultT]:
        """Request what was prepared, when one of the turns of ``maas`` has come; :meth:`follow` it.

        Returns:
            The run; or a status, where this process has requested the same already.

        Raises:
            OperationRefusedError: It has requested it with other arguments.
            OperationCancelledError: The call was cancelled before anything was sent.
        """
        subject, args = prepared.subject, prepared.args
        subject.ctx.cancellation.raise_if_cancelled()
        held = self._shared.requests.under_way(subject.operation.name, subject.handle.system_id)
        if held is not None:
            return requested_already(held, args, subject.state)
        request = self._shared.requests.give(
            subject.handle,
            lambda maas: subject.send(maas, args),
            maas or self._shared.maas,
            check=subject.check,
            args=args,
        )
        run = Run(subject, request)
        run.publish(ChangeKind.STARTED, subject.latest.fraction, subject.starting)
        return run

    async def follow(self, run: Run[Any, ResultT], until: float = math.inf) -> OperationStatus[ResultT]:
        """Wait for MAAS's answer to the request of a run, then follow the run to its end, or until then.

        Args:
            run: What :meth:`start` gave.
            until: When to answer, in anyio's clock.

        Raises:
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS refused to start it, or cannot be asked any longer.
        """
        with _end_published(run):
            try:
                answered = await run.wait_for_answer(until)
            except UnderWayError as other:
                return other.status
            status = await self._watch(run, until) if answered else run.working()
        return replace(status, warnings=run.subject.warnings)

    async def resume(
        self,
        operation: LongRunning[Any, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> OperationStatus[ResultT]:
        """Pick up what ``handle`` names, by what MAAS shows of it; follow it to its end or for ``wait`` seconds.

        An outage is waited for as long. What this process still knows of its request is reported as well.

        Raises:
            OperationError: It did not succeed, or its deadline is over; the message says why.
            MaasError: MAAS cannot be asked: at once where there is no time to wait, else after too long an outage.
        """
        until, request = deadline_after(wait), self._shared.requests.of(handle)
        with cancellation.guard():
            if not await _is_sent(request, progress, until):
                return OperationStatus(handle, None, request.standing(), confirmed=False)
            asked = anyio.current_time()
            ctx = ToolContext(self._shared.maas, progress, cancellation, timing=self._shared.timing)
            try:
                subject = await _kind(operation).pick_up(self._shared, operation, request, ctx, until)
            except Unseen as unseen:
                return unseen.status
            if isinstance(subject, OperationStatus):
                return subject
            run = Run(subject, request)
            with _end_published(run):
                run.check_start()
                await self._take_in(run)
                if subject.latest.verdict.final:
                    return await self._end(run)
                if run.expires <= anyio.current_time():
                    raise run.timed_out()
                if until <= asked:
                    return run.working()
                run.report()
                return await self._watch(run, until)

    async def abort(self, operation: LongRunning[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Request that MAAS abort what ``handle`` names; a request that was not sent yet is taken back instead.

        Raises:
            OperationRefusedError: MAAS has no way back from it, it is over, or what runs is not what was started.
            MaasError: MAAS refused to, or did not answer.
        """
        request = self._shared.requests.of(handle)
        if request.state is RequestState.WAITING:
            await request.withdraw()
        else:
            await _kind(operation).abort(self._shared, operation, handle, cancellation)

    async def survey(self, operations: Sequence[Operation[Any, Any]], beside: Collection[MachineStatus] = ()) -> Survey:
        """Read this user's machines on which one of these operations may be under way, and those ``beside`` these."""
        return await survey(self._shared.maas, self._shared.caller, operations, beside)

    def under_way(self, seen: Survey, operations: Sequence[Operation[Any, Any]], limit: int) -> list[Found]:
        """What a survey shows to be under way, ``limit`` at the most."""
        return self._shared.adoption.under_way(seen, operations, limit)

    async def region_under_way(self, operations: Sequence[RegionOperation[Any, Any, Any]]) -> list[Handle]:
        """Handles for what the region is doing, started by any user: one read for each operation."""
        return await region.under_way(self._shared, operations)

    async def _watch(self, run: Run[Any, ResultT], until: float) -> OperationStatus[ResultT]:
        subject = run.subject
        with anyio.CancelScope(deadline=run.expires) as scope, subject.watched():
            if run.request.ambiguous_error is not None:
                run.report()
            while not subject.latest.verdict.final:
                # A MAAS that is silent says nothing of a start either: what counts is until when it has answered.
                run.check_start()
                if subject.latest.verdict.final:
                    break
                if anyio.current_time() >= until:
                    return run.working()
                await subject.poll(run.request, until)
                scope.deadline = run.expires  # infinite until the request had its turn
                if not subject.latest.verdict.final:
                    run.report()
                if subject.silent_for is not None:
                    check_outage(subject.silent_for, self._shared.timing.outage_limit, subject.latest.message)
                await self._take_in(run)
        if not subject.latest.verdict.final:
            await subject.last_poll()
        run.request.check_refusal(subject.name)
        if not subject.latest.verdict.final:
            raise run.timed_out()
        return await self._end(run)

    async def _take_in(self, run: Run[Any, Any]) -> None:
        """Remember what was seen, and make sure that it is of this run."""
        if run.subject.silent_for is None:
            self._shared.last_seen.remember(run.subject.handle, run.subject.latest)
        await run.subject.check_ours(run.request)

    async def _end(self, run: Run[Any, ResultT]) -> OperationStatus[ResultT]:
        subject, progress = run.subject, run.subject.ctx.progress
        await subject.confirm_end()
        self._shared.last_seen.remember(subject.handle, subject.latest)
        message = subject.latest.message
        if subject.latest.verdict is not Verdict.SUCCEEDED:
            progress.report(subject.latest.fraction, message)
            raise await subject.explain(run.request)
        reading = Reading(subject.operation, message)
        with reading.watched():
            reading.result = await subject.result()
        progress.report(1.0, message)
        run.publish(ChangeKind.ENDED, 1.0, message)
        return reading.status(subject.handle)

    async def _abort_started(self, run: Run[Any, Any], cancellation: CancellationToken) -> None:
        """Abort, for a call that was cancelled: within some seconds, and with nothing said to the client."""
        limit, name = self._shared.timing.abort_limit, run.subject.name
        with cancellation.undoing(limit) as scope:
            try:
                await run.subject.abort_started(run.request)
            except MaasError as error:
                logger.warning("%s was cancelled, but could not be aborted: %s", name, error)
        if scope.cancelled_caught:
            logger.warning("%s was cancelled, but within %.0f s it did not show to be aborted", name, limit)


def _kind(operation: LongRunning[Any, ResultT]) -> type[Subject[Any, ResultT]]:
    """What an operation of this kind runs on."""
    match operation:
        case Operation():
            return MachineSubject
        case RegionOperation():
            return RegionSubject
    raise TypeError(f"{operation.name}: expected an Operation or a RegionOperation")


@contextmanager
def _end_published(run: Run[Any, Any]) -> Iterator[None]:
    """Publish that a run has ended without success, where that is what the block raises."""
    try:
        yield
    except OperationCancelledError:
        raise
    except MaasMcpError as error:
        # MAAS's own refusal of the request ends it as well; an outage ends the following only.
        if isinstance(error, OperationError) or run.request.refusal is error:
            run.publish(ChangeKind.ENDED, run.subject.latest.fraction, error.message, error)
        raise


async def _is_sent(request: StartRequest, progress: ProgressReporter, until: float) -> bool:
    """Wait until then for a request that waits for its turn: what MAAS shows before is not by it."""
    if request.state is RequestState.WAITING:
        progress.report(0.0, request.standing())
        await request.has_turn(until)
    return request.state is not RequestState.WAITING
