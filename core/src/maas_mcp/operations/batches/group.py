"""The engine for batches: one operation on many machines, each followed on its own, told as one.

Which machines belong to a batch is kept in MAAS, as their ``agent_name``: so its handle is as short as any other, and
another process finds the members by asking MAAS. What was allocated for a batch and not begun on is given back.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import (
    MaasError,
    MaasMcpError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.reading import Listing
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.batches.abort import Stopping
from maas_mcp.operations.batches.allocation import give_back, release_idle
from maas_mcp.operations.batches.batch import BatchOperation, Member, size_of
from maas_mcp.operations.batches.labels import Label, batches_on, first_event_of, label_of, ordered_for
from maas_mcp.operations.batches.members import LOST, Follow, checked, of_batch, report_batch, timed_out, together
from maas_mcp.operations.batches.requests import BatchRequests
from maas_mcp.operations.batches.starting import Starting
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy, resolve_cancel_policy
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.outages import deadline_after, seconds_until
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.last_seen import LastSeen, Unseen
from maas_mcp.operations.running.start_requests import RequestState, StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.survey import Survey

FORGOTTEN: Final = (
    "Machines may be left allocated for nothing, since MAAS did not answer: release those with the agent name {name}."
)


class UnderWay(NamedTuple):
    """Batches under way."""

    statuses: list[OperationStatus[Any]]
    parts: dict[SystemId, Handle]
    """The batch of each machine that waits for its start, or is at it."""


class BatchEngine:
    """Runs batches, each member through the engine.

    Args:
        engine: Runs the members.
        maas: The region.
        requests: Those of the engine.
        tasks: Where goes on what a call leaves; it ends with the server.
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
        self._last_seen = LastSeen(maas, requests.timing)
        self._running: dict[str, bool] = {}
        """The batches that a call here has started and follows; whether their machines are chosen."""
        self._stopping: dict[str, Stopping] = {}
        """Those being aborted."""

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
    ) -> OperationStatus[ResultT]:
        """Start a batch called ``name``, and follow it to the end of every member or for ``wait`` seconds.

        Raises:
            MaasMcpError: The machines cannot be had, or the operation has failed on all of them.
        """
        policy, until = resolve_cancel_policy(batch, on_cancel), deadline_after(wait)
        each = batch.each()
        with cancellation.guard():
            handle = Handle(batch.name, name, int(self._now()), await self._maas.newest_event_id(), ())
            requested = self._requests.begin(handle)
            turns = self._maas.limited(batch.starts_at_once)
            starting = Starting(self._engine, each, turns, requested, cancellation)
            progress.report(0.0, "Choosing the machines")
            async with self._cleaned_up(batch, handle, policy, cancellation):
                ctx = ToolContext(self._maas, progress, cancellation, timing=self._timing)
                chosen = await batch.members(ctx, args, name)
                self._running[name] = True
                limit = self._expires(batch, handle)
                following = {each.system_id(one): starting.follow(one, min(until, limit)) for one in chosen}
                members = await together(each.name, following, progress)
            if not requested.by_machine and (earlier := await self._earlier(batch, members, starting.handles)):
                return await self.resume(batch, earlier, progress, cancellation, wait=seconds_until(until))
            members = await self._in_time(batch, handle, checked(members, requested.by_machine), limit)
            await self._give_back_in_vain(name, members, cancellation)
        return report_batch(batch, handle, members, progress, confirmed=self._requests.is_confirmed(name))

    async def _give_back_in_vain(self, name: str, members: Sequence[Member], cancellation: CancellationToken) -> None:
        """Give back the machines on which nothing was begun, now or once MAAS refuses what it holds."""
        vain = {member.system_id for member in members if self._is_idle(member, name)}
        if vain:
            kept = {each.system_id for each in members} - vain
            await give_back(self._maas, name, cancellation, self._timing, keep=kept)
        for request in self._requests.of(name):
            if request.under_way:
                self._tasks.start_soon(self._mind, name, request)

    @asynccontextmanager
    async def _cleaned_up(
        self,
        batch: BatchOperation[Any, Any],
        handle: Handle,
        policy: CancelPolicy,
        cancellation: CancellationToken,
    ) -> AsyncIterator[None]:
        """Where the block does not come to its end, abort or leave what it has begun, and give back all else."""
        name = handle.system_id
        self._running[name] = False
        try:
            yield
        except BaseException as error:
            requests = self._requests.of(name)
            if requests and name in self._stopping:  # the abort has ended this call
                raise
            if requests and policy is CancelPolicy.ABORT and cancellation.reason is CancelReason.CLIENT:
                stopping = self._stop(batch, handle)
                with cancellation.undoing(self._timing.abort_limit):
                    await stopping.settled.wait()
                raise
            uncertain = not (self._running[name] or isinstance(error, Exception))
            left = await self._leave(name, requests, cancellation, uncertain=uncertain)
            if not left and isinstance(error, MaasMcpError):
                error.hint = f"{error.hint or ''} {FORGOTTEN.format(name=name)}".strip()
            raise
        finally:
            del self._running[name]

    async def _leave(
        self, name: str, requests: Sequence[StartRequest], cancellation: CancellationToken, *, uncertain: bool
    ) -> bool:
        """Let MAAS go on with what it has, and give back the rest; answers whether that could be done."""
        for request in requests:
            await request.close()
        started = {request.handle.system_id for request in requests if request.refusal is None}
        return await give_back(self._maas, name, cancellation, self._timing, started=started, uncertain=uncertain)

    async def _mind(self, name: str, request: StartRequest) -> None:
        """Give a machine back whose request MAAS refuses once its call has left, if it was allocated for the batch."""
        await request.over()
        if request.refusal is not None and name not in self._stopping:
            with anyio.move_on_after(self._timing.release_limit):
                await release_idle(self._maas, name, self._timing, ids=[request.handle.system_id])

    async def under_way(self, seen: Survey, batches: Sequence[BatchOperation[Any, Any]]) -> UnderWay:
        """The batches under way on the caller's machines, whichever process started them.

        A batch counts while a machine of it waits for its start, or is at it; so one whose server was killed is found,
        with what it has left allocated.
        """
        known = {batch.name: batch for batch in batches}
        found = UnderWay([], {})
        for label, machines in batches_on(seen.machines, seen.events).items():
            if label.operation in known and (first := await self._first_event(seen, label, machines)) is not None:
                handle = Handle(label.operation, label.name, int(self._now()), first - 1, ())
                found.statuses.append(_at_a_glance(handle, len(machines)))
                found.parts.update(dict.fromkeys([each.system_id for each in machines], handle))
        shown = {each.handle.system_id for each in found.statuses}
        for requested in self._requests.under_way():
            own = requested.handle
            if own.operation in known and own.system_id not in shown:
                found.statuses.append(_at_a_glance(own, len(requested.by_machine)))
                found.parts.update(dict.fromkeys(requested.by_machine, own))
        return found

    async def _first_event(self, seen: Survey, label: Label, machines: Sequence[Machine]) -> int | None:
        """The id of the first event of a batch. Where the survey has all its machines, it has that event, too."""
        if len(machines) < size_of(label.name):
            return await first_event_of(self._maas, label)
        named = [each.id for one in machines for each in seen.events[one.system_id] if label_of(each) == label]
        return min(named, default=None)

    async def _earlier(
        self, batch: BatchOperation[Any, Any], members: Sequence[Member], handles: Mapping[SystemId, Handle]
    ) -> Handle | None:
        """The batch of just these machines, if they are at one: by the requests held here, and by MAAS's log."""
        at_it = [handles[member.system_id] for member in members if member.state == "working"]
        if len(at_it) < len(members):
            return None
        batches = [found for each in at_it if (found := self._requests.batch_of(each))]
        others = [each.system_id for each in at_it if self._requests.batch_of(each) is None]
        if others:
            labelled = await ordered_for(self._maas, others)
            if labelled is None:
                return None
            label, first = labelled
            batches.append(Handle(label.operation, label.name, int(self._now()), first - 1, ()))
        first_known = batches[0] if len({(each.operation, each.system_id) for each in batches}) == 1 else None
        if first_known is None or first_known.operation != batch.name:
            return None
        return first_known if size_of(first_known.system_id) == len(members) else None

    async def abort(self, batch: BatchOperation[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Abort a batch: its requests that were not sent first of all, then what MAAS is at.

        What was allocated for it and not begun on is given back. MAAS may hold requests: what it begins by them is
        aborted as soon as it shows, also after this call.

        Raises:
            MaasError: MAAS refused to on one of them, or did not answer; the others were tried all the same.
        """
        cancellation.raise_if_cancelled()
        stopping = self._stop(batch, handle)
        with anyio.move_on_after(self._timing.batch_abort_limit):
            await stopping.settled.wait()
        for error in stopping.failures.values():
            raise error

    def _stop(self, batch: BatchOperation[Any, Any], handle: Handle) -> Stopping:
        """Let the server abort a batch, if it is not at it already."""
        name = handle.system_id

        async def stop() -> None:
            try:
                await stopping.run()
            finally:
                del self._stopping[name]

        if name not in self._stopping:
            stopping = self._stopping[name] = Stopping(
                batch.each(), handle, self._engine, self._maas, requests=self._requests, of_all=self._all_requests
            )
            self._tasks.start_soon(stop)
        return self._stopping[name]

    async def resume(
        self,
        batch: BatchOperation[ArgsT, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> OperationStatus[ResultT]:
        """Pick up the batch that ``handle`` names.

        Its members are the machines that have its name in MAAS, and those that this process has requested for it and
        that MAAS has not accepted so far.

        Raises:
            MaasMcpError: MAAS cannot be asked, or the operation has failed on all machines.
        """
        name, until = handle.system_id, deadline_after(wait)
        with cancellation.guard():
            while self._running.get(name) is False:
                if anyio.current_time() >= until:
                    return OperationStatus(handle, 0.0, "Its machines are being chosen")
                await anyio.sleep(min(self._timing.outage_pause, until - anyio.current_time()))
            try:
                found = await self._last_seen.read(
                    handle, progress, until, lambda maas: maas.machine_listing(agent_name=name)
                )
            except Unseen as unseen:
                return unseen.status
            limit = self._expires(batch, handle)
            following = self._following(batch, handle, found, cancellation, min(until, limit))
            members = await together(batch.each.name, following, progress)
            for member in members:
                if isinstance(member.error, MaasError) and member.error.may_pass:
                    raise member.error  # an outage is no verdict on this one, nor on the others
            members = await self._in_time(batch, handle, members, limit)
        missing = size_of(name) - len(members)
        members += [Member("", "failed", LOST)] * missing
        confirmed = self._requests.is_confirmed(name)
        return report_batch(batch, handle, members, progress, stopping=name in self._stopping, confirmed=confirmed)

    def _following(
        self,
        batch: BatchOperation[Any, Any],
        handle: Handle,
        found: Listing[Machine],
        cancellation: CancellationToken,
        until: float,
    ) -> dict[SystemId, Follow]:
        """What follows each member of a batch that is picked up."""
        each, name = batch.each(), handle.system_id
        known = {machine.system_id: machine for machine in found}

        def follow(system_id: SystemId) -> Follow:
            machine = known.get(system_id)
            own = self._own(batch, system_id, machine, handle)

            async def run(part: ProgressReporter) -> OperationStatus[Any]:
                while name in self._running and machine and self._is_yet_to_be_requested(name, machine):
                    if anyio.current_time() >= until:
                        return OperationStatus(own, 0.0, "It is not requested yet")
                    await anyio.sleep(min(self._timing.outage_pause, until - anyio.current_time()))
                return await self._engine.resume(each, own, part, cancellation, wait=seconds_until(until))

            return run

        # One that MAAS lists and that cannot be read is no lost member: following it says what is wrong.
        unreadable = [str(each.identity) for each in found.left_out if each.identity is not None]
        # MAAS names a machine that was not allocated for the batch only once it has accepted the request.
        requests = self._requests.of(name)
        still_open = [each.handle.system_id for each in requests if each.state is not RequestState.ACCEPTED]
        return {system_id: follow(system_id) for system_id in dict.fromkeys([*known, *unreadable, *still_open])}

    def _own(
        self, batch: BatchOperation[Any, Any], system_id: SystemId, machine: Machine | None, handle: Handle
    ) -> Handle:
        """The handle of one member of a batch that is picked up."""
        if request := self._requests.on(handle.system_id, system_id):
            return request.handle
        own = of_batch(batch.each.name, system_id, handle)
        if machine and machine.status in batch.each.lifecycle.pending:
            # When it was requested is not known here: it has until the batch's own deadline.
            own = replace(own, started=own.started + int((batch.deadline - batch.each.deadline).total_seconds()))
        return own

    def _is_yet_to_be_requested(self, name: str, machine: Machine) -> bool:
        return machine.status is MachineStatus.ALLOCATED and self._requests.on(name, machine.system_id) is None

    def _expires(self, batch: BatchOperation[Any, Any], handle: Handle) -> float:
        """When a batch is over its deadline, in anyio's clock."""
        return anyio.current_time() + handle.started + batch.deadline.total_seconds() - self._now()

    async def _in_time(
        self, batch: BatchOperation[Any, Any], handle: Handle, members: list[Member], limit: float
    ) -> list[Member]:
        """The members; past the deadline, those that have not ended are timed out, and nothing is sent any more."""
        if anyio.current_time() < limit:
            return members
        ended = [timed_out(batch, member) for member in members]
        late = {each.system_id: each.error for each in ended if isinstance(each.error, OperationTimedOutError)}
        for request in self._requests.of(handle.system_id):
            await request.withdraw(late.get(request.handle.system_id))
        return ended

    def _is_idle(self, member: Member, name: str) -> bool:
        """Whether nothing was begun on a machine, as far as is known; if it is allocated, it is so in vain."""
        request = self._requests.on(name, member.system_id)
        never_started = request is not None and request.refusal is not None
        return never_started or isinstance(member.error, MaasError | OperationRefusedError | OperationFailedError)


def _at_a_glance(handle: Handle, working: int) -> OperationStatus[Any]:
    """The status of a batch of which only what is under way was read."""
    size = size_of(handle.system_id)
    ended = f", {size - working} of {size} ended" if working < size else ""
    return OperationStatus(handle, None, f"{working} of {size} working{ended}")
