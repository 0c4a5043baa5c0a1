"""The engine for batches: one operation on many machines, reported as one.

MAAS stores the members of a batch by their ``agent_name``. So a handle stays short, and another process can find the
members. Machines that were allocated but not started are released.
"""

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import MaasError, MaasMcpError
from maas_mcp.maas.change_request import RehearsedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import CHANGE_TIMEOUT
from maas_mcp.operations.batches.abort import BatchAbort
from maas_mcp.operations.batches.allocation import release_idle, release_late, release_unused
from maas_mcp.operations.batches.batch import BatchOperation, Member, size_of
from maas_mcp.operations.batches.deadline import apply_deadline, expires
from maas_mcp.operations.batches.members import (
    NOT_IN_BATCH,
    NOT_SHOWN,
    fail_members_started_elsewhere,
    follow_all,
    report_batch,
)
from maas_mcp.operations.batches.requests import BatchRequests, RequestedBatch
from maas_mcp.operations.batches.resumer import MemberResumer
from maas_mcp.operations.batches.search import BatchSearch, RunningBatches
from maas_mcp.operations.batches.starter import MemberStarter
from maas_mcp.operations.batches.unstarted import read_batch, unstarted_status
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy, resolve_cancel_policy
from maas_mcp.operations.declaring.tool import ArgsT, ResultT
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.outages import deadline_after, giving_up, seconds_until
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.last_seen import AnswerTimeoutError, LastSeen
from maas_mcp.operations.running.start_requests import StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.survey import Survey

LEFT_ALLOCATED: Final = (
    "Unused machines may still be allocated, because MAAS did not answer. Release those with the agent name {name}."
)


class BatchEngine:
    """Runs batches, each member through the engine.

    Args:
        engine: Runs the members.
        maas: The region.
        requests: The start requests of the engine.
        tasks: The task group for work that outlives a call. It ends with the server.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine,
        maas: MaasClient,
        requests: StartRequests,
        tasks: TaskGroup,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._maas = maas
        self._all_requests = requests
        self._tasks = tasks
        self._now = now
        self._timing = requests.timing
        self._requests = BatchRequests()
        self._search = BatchSearch(maas, self._requests, now)
        self._last_seen = LastSeen(maas, requests.timing)
        self._aborts: dict[str, BatchAbort] = {}
        """The batches that are being aborted."""

    async def run(
        self,
        batch: BatchOperation[ArgsT, ResultT],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        name: str,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
        start_by: float = math.inf,
    ) -> OperationStatus[ResultT]:
        """Start a batch called ``name``, and follow all members to their end or for ``wait`` seconds.

        Raises:
            MaasMcpError: There are not enough machines, or the operation failed on all of them.
        """
        policy, until = resolve_cancel_policy(batch, on_cancel), deadline_after(wait)
        with cancellation.guard():
            with giving_up(batch.name, start_by):
                newest = await self._maas.newest_event_id()
            handle = Handle(batch.name, name, int(self._now()), newest, ())
            requested = self._requests.register(handle, cancellation)
            start = partial(self._start, batch, args, requested, requested.noting(progress), policy=policy, until=until)
            self._tasks.start_soon(requested.carry_out, start)
            return await requested.wait_for_start(until, start_by, self._timing)

    async def _start(
        self,
        batch: BatchOperation[ArgsT, ResultT],
        args: ArgsT,
        requested: RequestedBatch,
        progress: ProgressReporter,
        *,
        policy: CancelPolicy,
        until: float,
    ) -> OperationStatus[ResultT]:
        """Choose the machines, start the operation on each, and follow all to their end or until ``until``."""
        handle, cancellation, each = requested.handle, requested.cancellation, batch.each()
        name, limit = handle.system_id, expires(batch, handle, self._now)
        starter = MemberStarter(self._engine, each, self._maas.limited(batch.starts_at_once), requested)
        progress.report(0.0, requested.message)
        async with self._cleaned_up(batch, requested, policy):
            ctx = self._engine.context(batch, progress, cancellation)
            chosen = await batch.members(ctx, args, name)
            requested.chosen.set()
            followers = {each.system_id(one): starter.follow(one, min(until, limit)) for one in chosen}
            members = await follow_all(each.name, followers, progress)
        if not requested.by_machine:
            requested.same_as = await self._search.find_same_machines(batch, members, starter.handles)
        if requested.same_as is not None:
            return await self.resume(batch, requested.same_as, progress, cancellation, wait=seconds_until(until))
        members = fail_members_started_elsewhere(members, requested.by_machine)
        members = await apply_deadline(batch, members, limit, self._requests.for_batch(name))
        await self._release_unstarted(name, members, cancellation)
        return report_batch(batch, handle, members, progress, confirmed=self._requests.is_confirmed(name))

    async def rehearse(
        self,
        batch: BatchOperation[ArgsT, Any],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        maas: MaasClient,
        *,
        name: str,
    ) -> Sequence[str]:
        """Do everything that :meth:`run` does up to the first request for each machine, which ``maas`` records.

        Returns:
            Warnings: the machines that would not start, and why.

        Raises:
            MaasMcpError: There are not enough machines, or none of them would start.
        """
        ctx = replace(self._engine.context(batch, progress, cancellation), maas=maas)
        try:
            chosen = await batch.members(ctx, args, name)
        except RehearsedError:
            return ()  # MAAS chooses the machines
        each, warnings, errors = batch.each(), list[str](), list[MaasMcpError]()
        for one in chosen:
            try:
                found = await self._engine.rehearse(each, one, progress, cancellation, maas)
            except MaasMcpError as error:
                errors.append(error)
                found = [error.message]
            said = [f"{found.message}."] if isinstance(found, OperationStatus) else found
            warnings += [f"{each.system_id(one)}: {text}" for text in said]
        if errors and len(errors) == len(chosen):
            raise errors[0]
        return warnings

    async def rehearse_abort(
        self, batch: BatchOperation[Any, Any], handle: Handle, cancellation: CancellationToken, maas: MaasClient
    ) -> None:
        """Do everything that :meth:`abort` does up to the request for each machine, which ``maas`` records.

        Raises:
            OperationRefusedError: No machine has anything to abort.
            MaasError: MAAS cannot be reached.
        """
        resumer = self._resumer(batch, handle)
        running = [
            machine
            for machine in await self._maas.machines(agent_name=handle.system_id)
            if machine.status in resumer.each.lifecycle.pending
        ]
        for machine in running:
            member = resumer.handle_of(machine.system_id, machine)
            await self._engine.rehearse_abort(resumer.each, member, cancellation, maas)

    async def _release_unstarted(self, name: str, members: Sequence[Member], cancellation: CancellationToken) -> None:
        """Release the machines that were not started, and later those whose open request MAAS refuses."""
        unused = {member.system_id for member in members if self._requests.was_not_started(name, member)}
        if unused:
            kept = {each.system_id for each in members} - unused
            await release_unused(self._maas, name, cancellation, self._timing, keep=kept)
        for request in self._requests.for_batch(name):
            if request.is_pending:
                self._tasks.start_soon(self._release_if_refused, name, request)

    @asynccontextmanager
    async def _cleaned_up(
        self, batch: BatchOperation[Any, Any], requested: RequestedBatch, policy: CancelPolicy
    ) -> AsyncIterator[None]:
        """If the block raises, abort or leave the started machines, and release all others."""
        name, cancellation = requested.handle.system_id, requested.cancellation
        try:
            yield
        except BaseException as error:
            requests = self._requests.for_batch(name)
            if requests and name in self._aborts:  # the abort of the batch ended this call
                raise
            if requests and policy is CancelPolicy.ABORT and cancellation.reason is CancelReason.CLIENT:
                abort = self._start_abort(batch, requested.handle)
                with cancellation.undoing(self._timing.abort_limit):
                    await abort.settled.wait()
                raise
            if not (cancellation.cancelled or isinstance(error, Exception)):
                cancellation.announce(CancelReason.CONNECTION_LOST)  # the server ends, and has little time left
            requested.message = "Nothing is started; releasing the machines that were allocated"
            uncertain = not (requested.chosen.is_set() or isinstance(error, Exception))
            released = await self._abandon(name, requests, cancellation, uncertain=uncertain)
            requested.left_allocated = not released
            if uncertain and cancellation.cancelled:
                self._tasks.start_soon(release_late, self._maas, name, self._timing)
            if not released and isinstance(error, MaasMcpError):
                error.hint = f"{error.hint or ''} {LEFT_ALLOCATED.format(name=name)}".strip()
            raise

    async def _abandon(
        self, name: str, requests: Sequence[StartRequest], cancellation: CancellationToken, *, uncertain: bool
    ) -> bool:
        """Leave started runs to MAAS, and release all other machines. Returns whether that succeeded."""
        for request in requests:
            await request.close()
        started = {request.handle.system_id for request in requests if request.refusal is None}
        return await release_unused(self._maas, name, cancellation, self._timing, started=started, uncertain=uncertain)

    async def _release_if_refused(self, name: str, request: StartRequest) -> None:
        """Release a machine if MAAS refuses its request after the call has ended."""
        await request.wait_until_answered()
        if request.refusal is not None and name not in self._aborts:
            with anyio.move_on_after(self._timing.release_limit):
                await release_idle(self._maas, name, self._timing, ids=[request.handle.system_id])

    def start_over(self, handle: Handle) -> anyio.Event | None:
        """Return the event that ends the start of a batch, while this process is starting it."""
        requested = self._requests.starting(handle.system_id)
        return None if requested is None else requested.over

    async def find_running(self, seen: Survey, batches: Sequence[BatchOperation[Any, Any]]) -> RunningBatches:
        """Find the batches in progress on the caller's machines, whichever process started them."""
        return await self._search.find_running(seen, batches)

    async def abort(self, batch: BatchOperation[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Abort a batch: stop its start, withdraw its unsent requests, then abort its runs.

        Allocated machines that were not started are released. MAAS may start a run later, from a request that it has
        not answered yet. The server aborts that run as soon as MAAS shows it, even after this call.

        Raises:
            MaasError: MAAS refused an abort or did not answer. The other machines were tried as well.
        """
        cancellation.raise_if_cancelled()
        until = anyio.current_time() + self._timing.batch_abort_limit
        requested = self._requests.starting(handle.system_id)
        if requested is not None and not requested.is_requested:
            requested.cancellation.cancel(CancelReason.CANCEL_TOOL)
            with anyio.CancelScope(deadline=until):
                await requested.over.wait()
        abort = self._start_abort(batch, handle)
        with anyio.CancelScope(deadline=until):
            await abort.settled.wait()
        for error in abort.failures.values():
            raise error

    def _start_abort(self, batch: BatchOperation[Any, Any], handle: Handle) -> BatchAbort:
        """Start the abort of a batch in the server, unless it is already running."""
        name = handle.system_id

        async def run_abort() -> None:
            try:
                await abort.run()
            finally:
                del self._aborts[name]
            if abort.only_released and self._requests.find(name) is None:  # MAAS shows nothing of the batch any more
                self._requests.register(handle, CancellationToken()).end()

        if name not in self._aborts:
            abort = self._aborts[name] = BatchAbort(
                batch.each(), handle, self._engine, self._maas, requests=self._requests, of_all=self._all_requests
            )
            self._tasks.start_soon(run_abort)
        return self._aborts[name]

    async def resume(
        self,
        batch: BatchOperation[ArgsT, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> OperationStatus[ResultT]:
        """Resume a batch.

        Its members are the machines with its name in MAAS, and those of this process's requests that MAAS has not
        accepted yet.

        Raises:
            MaasMcpError: MAAS cannot be reached, or the operation failed on all machines.
        """
        until, pause = deadline_after(wait), self._timing.outage_pause
        with cancellation.guard():
            requested = self._requests.find(handle.system_id)
            if requested is not None and not await requested.wait_for_choice(until, progress, pause):
                return requested.status()
            while True:
                if requested is not None:
                    requested.check_start()
                    handle = requested.same_as or handle
                status, is_starting = await self._poll(batch, handle, progress, cancellation, until)
                if not is_starting or anyio.current_time() >= until:
                    return status
                progress.report(status.fraction, status.message)
                await anyio.sleep(min(pause, until - anyio.current_time()))

    async def _poll(
        self,
        batch: BatchOperation[Any, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        until: float,
    ) -> tuple[OperationStatus[ResultT], bool]:
        """Follow the members that are known now. Returns the status, and whether further members may appear.

        Raises:
            MaasMcpError: MAAS cannot be reached, so that the state is unknown, or the operation failed on all machines.
        """
        name, limit = handle.system_id, expires(batch, handle, self._now)
        by_other = self._requests.find(name) is None and name not in self._aborts
        read = partial(read_batch, handle=handle, by_other_process=by_other)
        try:
            found = await self._last_seen.read(handle, progress, until, read)
        except AnswerTimeoutError as timeout:
            return timeout.status, False
        if found.allocated_at is not None:
            return unstarted_status(handle, found.machines, found.allocated_at, self._now(), self._timing), True
        followers = self._resumer(batch, handle).followers(found.machines, cancellation, min(until, limit))
        members = await follow_all(batch.each.name, followers, progress)
        for member in members:
            if isinstance(member.error, MaasError) and member.error.may_pass:
                raise member.error
        members = await apply_deadline(batch, members, limit, self._requests.for_batch(name))
        missing = size_of(name) - len(members)
        held = missing > 0 and self._may_appear(handle)
        confirmed = self._requests.is_confirmed(name) and (bool(members) or not held)
        members += [Member("", "working", NOT_SHOWN) if held else Member("", "failed", NOT_IN_BATCH)] * missing
        is_aborting = name in self._aborts
        return report_batch(batch, handle, members, progress, is_aborting=is_aborting, confirmed=confirmed), held

    def _resumer(self, batch: BatchOperation[Any, Any], handle: Handle) -> MemberResumer:
        return MemberResumer(
            self._engine, batch, batch.each(), handle, requests=self._requests, pause=self._timing.outage_pause
        )

    def _may_appear(self, handle: Handle) -> bool:
        """Whether further members may appear, for which MAAS has not carried out the start request yet."""
        requested = self._requests.find(handle.system_id)
        if requested is not None:
            return not requested.is_requested
        return self._now() < handle.started + CHANGE_TIMEOUT + self._timing.start_grace
