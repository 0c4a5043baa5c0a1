"""The engine: starts an operation once, follows it, and returns its result or raises an error with the reason.

``run`` is ``prepare`` → ``start`` → ``follow``; ``resume`` follows an earlier run by its handle. The differences
between a machine and the region are in their subjects.
"""

import logging
import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
from pydantic import BaseModel

from maas_mcp.errors import MaasError
from maas_mcp.maas.change_request import RehearsedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning, Operation, resolve_cancel_policy
from maas_mcp.operations.declaring.operation_change import ChangeKind
from maas_mcp.operations.declaring.plugin_services import NO_SERVICES
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.strategies import PollingStrategy
from maas_mcp.operations.outages import deadline_after, giving_up
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running import region
from maas_mcp.operations.running.adoption import Adoption, Found, answer_repeated_request
from maas_mcp.operations.running.following import publishing_failure, watch, watch_resumed
from maas_mcp.operations.running.last_seen import AnswerTimeoutError, LastSeen
from maas_mcp.operations.running.machine import MachineSubject
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.region import RegionSubject
from maas_mcp.operations.running.run import Prepared, Run
from maas_mcp.operations.running.run_change import Publish, discard_change
from maas_mcp.operations.running.start_requests import RequestState, StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.subject import AlreadyRunningError, ServicesOf, Shared, Subject
from maas_mcp.operations.running.survey import Survey, survey
from maas_mcp.operations.watching.shared_reads import SharedReads
from maas_mcp.operations.watching.watcher import Watcher

logger = logging.getLogger(__name__)


class Engine:
    """Runs operations on machines and on the region.

    Args:
        maas: The region.
        watcher: Watches the machines. Its ``run()`` must be running.
        requests: The start requests, shared by all engines of a process.
        polling: Replaces the polling strategy of every machine operation.
        publish: Receives each change of a run.
        observed: Whether changes name the MAAS user, which takes one read; by default if there is a ``publish``.
        services: Returns the settings and the state of an operation's plugin.
        now: Seconds since 1970, for times that processes share. Other times are on anyio's clock.
    """

    def __init__(
        self,
        maas: MaasClient,
        watcher: Watcher,
        requests: StartRequests,
        *,
        polling: PollingStrategy | None = None,
        publish: Publish = discard_change,
        observed: bool | None = None,
        services: ServicesOf = lambda _operation: NO_SERVICES,
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
            services,
        )
        self._observed = publish is not discard_change if observed is None else observed

    async def machine(self, system_id: SystemId) -> Machine:
        """Read a machine. Concurrent reads are combined into one request.

        Raises:
            MaasError: There is no such machine, or MAAS cannot be reached.
        """
        return await self._shared.reads.machine(self._shared.maas, system_id)

    async def username(self) -> str:
        """Return the name of the API key's user, which is read once.

        Raises:
            MaasError: MAAS cannot be reached.
        """
        return await self._shared.caller.name()

    @property
    def known_username(self) -> str | None:
        """The user of the API key, if the name was already read."""
        return self._shared.caller.known_name

    def context(
        self, operation: LongRunning[Any, Any], progress: ProgressReporter, cancellation: CancellationToken
    ) -> ToolContext:
        """Return the services for an operation's code."""
        return self._shared.context(operation, progress, cancellation)

    async def run(
        self,
        operation: LongRunning[ArgsT, ResultT],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
        start_by: float = math.inf,
    ) -> OperationStatus[ResultT]:
        """Start ``operation``, and follow it to its end or for ``wait`` seconds.

        If this user's run of it is already in progress, it is not started again; the status has that run's handle.
        If MAAS takes longer to answer the start request than the call waits, the server keeps the request open.

        Args:
            operation: The operation.
            args: Its arguments.
            progress: Receives the progress.
            cancellation: Stops following, and with ``CancelPolicy.ABORT`` aborts the run in MAAS. A lost connection
                never aborts.
            wait: Seconds to follow it; ``None`` to follow it to its end.
            on_cancel: Replaces the operation's own policy.
            start_by: When to give up if MAAS has not answered the reads before the start, on anyio's clock.

        Raises:
            OperationRefusedError: It cannot start now. Nothing was changed in MAAS.
            OperationError: It did not succeed. The message gives the reason.
            MaasError: MAAS refused to start it, or can no longer be reached.
        """
        policy, until = resolve_cancel_policy(operation, on_cancel), deadline_after(wait)
        with cancellation.guard():
            with giving_up(operation.name, start_by):
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
        """Check whether ``operation`` can start. Nothing is changed in MAAS.

        Returns:
            The prepared operation, whose handle can be stored before the start. A status if the operation is already
            running, or the machine needs no change.

        Raises:
            OperationRefusedError: It cannot start now.
            MaasError: MAAS cannot be reached.
        """
        ctx = self.context(operation, progress, cancellation)
        if self._observed:
            await self._shared.caller.name_if_known()  # read once, for the observers
        subject = await _subject_class(operation).prepare(self._shared, operation, args, ctx)
        return subject if isinstance(subject, OperationStatus) else Prepared(subject, args)

    async def rehearse(
        self,
        operation: LongRunning[Any, ResultT],
        args: BaseModel,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        maas: MaasClient,
    ) -> OperationStatus[ResultT] | Sequence[str]:
        """Do everything that :meth:`run` does up to its start request, which ``maas`` records instead of sending it.

        Returns:
            Warnings about the start. A status if a call would send nothing.

        Raises:
            OperationRefusedError: It cannot start now.
            MaasError: MAAS cannot be reached.
        """
        prepared = await self.prepare(operation, args, progress, cancellation)
        if isinstance(prepared, OperationStatus):
            return prepared
        subject = prepared.subject
        held = self._shared.requests.pending(operation.name, subject.handle.system_id)
        if held is not None:
            return answer_repeated_request(held, args, subject.state)
        with suppress(RehearsedError):
            await subject.send(maas, args)
        return subject.warnings

    def start(
        self, prepared: Prepared[ArgsT, ResultT], maas: MaasClient | None = None
    ) -> Run[ArgsT, ResultT] | OperationStatus[ResultT]:
        """Submit the start request of a prepared operation; then :meth:`follow` the run.

        Returns:
            The run; a status if this process has already sent the same request.

        Raises:
            OperationRefusedError: This process has sent the request with other arguments.
            OperationCancelledError: The call was cancelled before anything was sent.
        """
        subject, args = prepared.subject, prepared.args
        subject.ctx.cancellation.raise_if_cancelled()
        held = self._shared.requests.pending(subject.operation.name, subject.handle.system_id)
        if held is not None:
            return answer_repeated_request(held, args, subject.state)
        request = self._shared.requests.submit(
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
        """Wait for MAAS's response to the start request, then follow the run to its end or until ``until``.

        Args:
            run: The run that :meth:`start` returned.
            until: When to return, on anyio's clock.

        Raises:
            OperationError: It did not succeed. The message gives the reason.
            MaasError: MAAS refused to start it, or can no longer be reached.
        """
        with publishing_failure(run):
            try:
                answered = await run.wait_for_answer(until)
            except AlreadyRunningError as other:
                run.publish(ChangeKind.ENDED, run.subject.latest.fraction, other.message, other)
                return other.status
            status = await watch(run, until) if answered else run.working()
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
        """Read the run of ``handle`` from MAAS, and follow it to its end or for ``wait`` seconds.

        During an outage the call waits for the same time. The status includes the state of the start request, if this
        process has it.

        Raises:
            OperationError: It did not succeed, or its deadline has passed. The message gives the reason.
            MaasError: MAAS cannot be reached: at once without a wait, otherwise after too long an outage.
        """
        until, request = deadline_after(wait), self._shared.requests.find(handle)
        with cancellation.guard():
            if not await _wait_until_sent(request, progress, until):
                return OperationStatus(handle, None, request.describe(), confirmed=False)
            asked = anyio.current_time()
            ctx = self.context(operation, progress, cancellation)
            try:
                subject = await _subject_class(operation).resume(self._shared, operation, request, ctx, until)
            except AnswerTimeoutError as timeout:
                return timeout.status
            if isinstance(subject, OperationStatus):
                return subject
            return await watch_resumed(Run(subject, request), asked, until)

    async def abort(self, operation: LongRunning[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Abort the run of ``handle``. A start request that was not sent yet is withdrawn instead.

        Raises:
            OperationRefusedError: MAAS cannot abort it, it has ended, or another run is in progress.
            MaasError: MAAS refused the abort or did not answer.
        """
        request = self._shared.requests.find(handle)
        if request.state is RequestState.WAITING:
            await request.withdraw()
        else:
            await _subject_class(operation).abort(self._shared, operation, handle, cancellation)

    async def rehearse_abort(
        self, operation: LongRunning[Any, Any], handle: Handle, cancellation: CancellationToken, maas: MaasClient
    ) -> None:
        """Do everything that :meth:`abort` does up to its request, which ``maas`` records instead of sending it.

        Raises:
            OperationRefusedError: There is nothing to abort.
            MaasError: MAAS cannot be reached.
        """
        if self._shared.requests.find(handle).state is not RequestState.WAITING:  # else nothing was sent yet
            with suppress(RehearsedError):
                await _subject_class(operation).abort(replace(self._shared, maas=maas), operation, handle, cancellation)

    async def survey(
        self, operations: Sequence[Operation[Any, Any]], extra_statuses: Collection[MachineStatus] = ()
    ) -> Survey:
        """Read the user's machines on which one of these operations may run, or in one of the ``extra_statuses``."""
        return await survey(self._shared.maas, self._shared.caller, operations, extra_statuses)

    def find_running(self, seen: Survey, operations: Sequence[Operation[Any, Any]]) -> list[Found]:
        """The runs that a survey shows."""
        return self._shared.adoption.find_running(seen, operations)

    async def find_running_on_region(self, operations: Sequence[RegionOperation[Any, Any, Any]]) -> list[Handle]:
        """Handles of the operations that the region is running, started by any user. Takes one read for each."""
        return await region.find_running(self._shared, operations)

    async def _abort_started(self, run: Run[Any, Any], cancellation: CancellationToken) -> None:
        """Abort the run of a cancelled call within some seconds, without messages to the client."""
        limit, name = self._shared.timing.abort_limit, run.subject.name
        with cancellation.undoing(limit) as scope:
            try:
                await run.subject.abort_started(run.request)
            except MaasError as error:
                logger.warning("%s was cancelled, but could not be aborted: %s", name, error)
        if scope.cancelled_caught:
            logger.warning("%s was cancelled, but MAAS did not show within %.0f s that it was aborted", name, limit)


def _subject_class(operation: LongRunning[Any, ResultT]) -> type[Subject[Any, ResultT]]:
    """The subject class for this kind of operation."""
    match operation:
        case Operation():
            return MachineSubject
        case RegionOperation():
            return RegionSubject
    raise TypeError(f"{operation.name}: expected an Operation or a RegionOperation")


async def _wait_until_sent(request: StartRequest, progress: ProgressReporter, until: float) -> bool:
    """Wait until the request is sent: before that, MAAS cannot show its run. Returns whether it was sent."""
    if request.state is RequestState.WAITING:
        progress.report(0.0, request.describe())
        await request.wait_for_turn(until)
    return request.state is not RequestState.WAITING
