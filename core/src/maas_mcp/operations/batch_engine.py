"""The engine for batches: one operation on many machines, each followed on its own, told as one.

Which machines belong to a batch is kept in MAAS, as their ``agent_name``: so its handle is as short as any other, and
another process finds the members by asking MAAS. What was allocated for a batch and not begun on is given back.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from pydantic import BaseModel

from maas_mcp.errors import (
    MaasError,
    MaasMcpError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.aborting import policy_of
from maas_mcp.operations.allocation import give_back
from maas_mcp.operations.batch import BatchOperation, Member, MemberState, size_of
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.engine import Engine
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.labels import allocated_for, ordered_for
from maas_mcp.operations.operation import CancelPolicy, Operation
from maas_mcp.operations.outcome import Outcome
from maas_mcp.operations.patience import answers, left_of, until_of
from maas_mcp.operations.progress import ProgressReporter, nobody
from maas_mcp.operations.tool import ArgsT, ResultT, ToolContext


class BatchEngine:
    """Runs batches, each member through the engine.

    Args:
        engine: Runs the members.
        maas: The region.
        now: Seconds since 1970.
    """

    def __init__(self, engine: Engine, maas: MaasClient, *, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._maas = maas
        self._now = now

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
    ) -> Outcome[ResultT]:
        """Start a batch called ``name``, and follow it to the end of every member or for ``wait`` seconds.

        Raises:
            MaasMcpError: The machines cannot be had, or the operation has failed on all of them.
        """
        policy, until = policy_of(batch, on_cancel), until_of(wait)
        each, orders = batch.each(), _Orders(batch.starts_at_once, aborted=policy is CancelPolicy.ABORT)

        def follow(one: BaseModel) -> Follow:
            turn, own = orders.turn(each.system_id(one)), _own(each, each.system_id(one), handle)

            async def run(part: ProgressReporter) -> Outcome[Any]:
                return await self._engine.run(
                    each, one, part, cancellation, wait=left_of(until), on_cancel=policy, starting=turn, handle=own
                )

            return run

        with cancellation.guard():
            handle = Handle(batch.name, name, int(self._now()), await self._maas.newest_event_id(), ())
            progress.report(0.0, "Choosing the machines")
            async with self._giving_back(name, orders, cancellation):
                chosen = await batch.members(ToolContext(self._maas, progress, cancellation), args, name)
                orders.chosen = True
                members = await _together({each.system_id(one): follow(one) for one in chosen}, progress)
            if not orders.given and (earlier := await self._earlier(batch, members)):
                return await self.resume(batch, earlier, progress, cancellation, wait=wait)
            members = [orders.checked(member) for member in members]
            vain = {member.system_id for member in members if _is_idle(member)}
            if vain:
                await give_back(self._maas, name, cancellation, keep={each.system_id for each in members} - vain)
        return _told(batch, handle, members, progress)

    @asynccontextmanager
    async def _giving_back(self, name: str, orders: "_Orders", cancellation: CancellationToken) -> AsyncIterator[None]:
        """Where the block does not come to its end, give back what it has allocated and not begun on."""
        try:
            yield
        except BaseException as error:
            done = await give_back(
                self._maas,
                name,
                cancellation,
                keep=orders.given if orders.aborted else (),
                begun=orders.given,
                in_doubt=not (orders.chosen or isinstance(error, Exception)),
            )
            if not done and isinstance(error, MaasMcpError):
                error.hint = f"{error.hint or ''} {FORGOTTEN.format(name=name)}".strip()
            raise

    async def unbegun(self, batches: Sequence[BatchOperation[Any, Any]]) -> list[Handle]:
        """Handles for those that have machines allocated on which nothing was begun: their server was killed."""
        known = {batch.name for batch in batches}
        idle = await self._maas.machines(status="allocated", owner=(await self._maas.whoami()).username)
        found = await allocated_for(self._maas, [machine.system_id for machine in idle])
        return [
            Handle(label.operation, label.name, int(self._now()), first - 1, ())
            for label, first in found.items()
            if label.operation in known
        ]

    async def _earlier(self, batch: BatchOperation[Any, Any], members: Sequence[Member]) -> Handle | None:
        """The batch of just these machines, if they are at one."""
        at_it = [member.system_id for member in members if member.state == "working"]
        found = await ordered_for(self._maas, at_it) if len(at_it) == len(members) else None
        if found is None or found[0].operation != batch.name or size_of(found[0].name) != len(members):
            return None
        return Handle(batch.name, found[0].name, int(self._now()), found[1] - 1, ())

    async def abort(self, batch: BatchOperation[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Order MAAS to abort what is still under way of a batch, and give back what has not begun.

        Raises:
            MaasError: MAAS refused to on one of them, or did not answer; the others were tried all the same.
        """
        each = batch.each()
        machines = await self._maas.machines(agent_name=handle.system_id)
        begun = [machine.system_id for machine in machines if machine.status is not MachineStatus.ALLOCATED]
        failures: list[MaasMcpError] = []
        for machine in machines:
            if machine.status in each.lifecycle.pending:
                own = _own(each, machine.system_id, handle)
                try:
                    await self._engine.abort(each, own, cancellation)
                except MaasMcpError as error:
                    failures.append(error)
        if len(begun) < len(machines):
            ordered = self._engine.unconfirmed(_own(each, "", handle))
            await give_back(self._maas, handle.system_id, cancellation, keep=begun, begun=ordered)
        if failures:
            raise failures[0]

    async def resume(
        self,
        batch: BatchOperation[ArgsT, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> Outcome[ResultT]:
        """Pick up the batch that ``handle`` names.

        Its members are the machines that have its name in MAAS, and those that this process has ordered for it without
        a yes from MAAS so far.

        Raises:
            MaasMcpError: MAAS cannot be asked, or the operation has failed on all machines.
        """
        each, asked, until = batch.each(), anyio.current_time(), until_of(wait)
        with cancellation.guard():
            try:
                machines = await self._engine.seek(
                    handle, progress, until, lambda maas: maas.machines(agent_name=handle.system_id)
                )
            except TimeoutError as late:
                silent = anyio.current_time() - asked
                return self._engine.unseen(handle, silent, answering=answers(late.__cause__))

            def follow(system_id: SystemId) -> Follow:
                own = _own(each, system_id, handle)
                return lambda part: self._engine.resume(each, own, part, cancellation, wait=left_of(until))

            # MAAS names a machine that was not allocated for the batch only once it has taken the order.
            found = [machine.system_id for machine in machines]
            ids = dict.fromkeys([*found, *self._engine.unconfirmed(_own(each, "", handle))])
            members = await _together({system_id: follow(system_id) for system_id in ids}, progress)
        for member in members:
            if isinstance(member.error, MaasError) and member.error.may_pass:
                raise member.error  # an outage is no verdict on this one, nor on the others
        missing = size_of(handle.system_id) - len(members)
        return _told(batch, handle, [*members, *[Member("", "failed", LOST)] * missing], progress)


def _own(each: Operation[Any, Any], system_id: SystemId, handle: Handle) -> Handle:
    """The handle of one member of a batch."""
    return Handle(each.name, system_id, handle.started, handle.cursor, ())


LOST: Final = (
    "It does not belong to this batch: MAAS did not begin it for this batch, or it was released, deleted or taken by "
    "someone else since."
)
FORGOTTEN: Final = (
    "Machines may be left allocated for nothing, since MAAS did not answer: release those with the agent name {name}."
)
BEFORE_ALL: Final = 0.99
"""The most that the members' progress may come to: the whole is told with the result."""

Follow = Callable[[ProgressReporter], Awaitable[Outcome[Any]]]
"""Follows one member, telling its progress; starts it first, where it has not been started."""


async def _together(following: Mapping[SystemId, Follow], progress: ProgressReporter) -> list[Member]:
    """Follow all members, with one progress over all."""
    members: dict[SystemId, Member] = {}
    fractions = dict.fromkeys(following, 0.0)

    def told(system_id: SystemId, fraction: float | None, message: str) -> None:
        fractions[system_id] = max(fractions[system_id], fraction or 0.0)
        done = sum(member.state != "working" for member in members.values())
        share = sum(fractions.values()) / len(fractions)
        progress.report(min(share, BEFORE_ALL), f"{done} of {len(fractions)} done; {system_id}: {message}")

    async def follow(system_id: SystemId, one: Follow) -> None:
        try:
            outcome = await one(_Part(lambda fraction, message: told(system_id, fraction, message)))
        except OperationCancelledError:
            return  # told for all of them below: one from each would arrive as a group
        except MaasMcpError as error:
            members[system_id] = Member(system_id, "failed", error.message, error=error)
        else:
            state: MemberState = "working" if outcome.result is None else "succeeded"
            members[system_id] = Member(system_id, state, outcome.message, outcome.fraction, outcome.result)
        if members[system_id].state != "working":
            told(system_id, 1.0, members[system_id].message)

    async with anyio.create_task_group() as tasks:
        for system_id, one in following.items():
            tasks.start_soon(follow, system_id, one)
    if len(members) < len(following):
        raise OperationCancelledError
    return [members[system_id] for system_id in following]


def _told(
    batch: BatchOperation[Any, ResultT], handle: Handle, members: Sequence[Member], progress: ProgressReporter
) -> Outcome[ResultT]:
    """What the members come to."""
    count = Counter(member.state for member in members)
    message = ", ".join(f"{number} of {len(members)} {state}" for state, number in sorted(count.items()))
    failed = [member for member in members if member.state == "failed"]
    if count["working"] and failed:
        others = f" (and {len(failed) - 1} more)" if failed[1:] else ""
        message += f"; {failed[0].system_id or 'one'}: {failed[0].message}{others}"
    if count["working"]:
        done = [1.0 if member.state != "working" else member.fraction or 0.0 for member in members]
        return Outcome(handle, min(sum(done) / len(members), BEFORE_ALL), message)
    if not count["succeeded"]:
        raise _failure(batch, members)
    progress.report(1.0, message)
    return Outcome(handle, 1.0, message, batch.result(members), partial=bool(count["failed"]))


def _failure(batch: BatchOperation[Any, Any], members: Sequence[Member]) -> MaasMcpError:
    """Why nothing has succeeded: the one reason that all have, or all reasons."""
    errors = {(type(member.error), member.message): member.error for member in members}
    common = next(iter(errors.values()))
    if common is not None and len(errors) == 1:
        return common
    reasons = [f"{member.system_id}: {member.message}" for member in members]
    hints = dict.fromkeys(member.error.hint for member in members if member.error and member.error.hint)
    return OperationFailedError(
        f"{batch.name} failed on all {len(members)} machines.",
        hint=" ".join(hints) or None,
        maas_says="\n".join(reasons) or None,
    )


@dataclass
class _Orders:
    """Whose turn it is to be started, and which machines had theirs."""

    at_once: int
    aborted: bool
    """Whether a cancellation aborts what was begun."""
    chosen: bool = False
    """Whether it is known which machines there are."""
    given: set[SystemId] = field(default_factory=set)
    """Machines that were ordered to begin; MAAS need not have taken the order."""

    def __post_init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(self.at_once)

    @asynccontextmanager
    async def turn(self, system_id: SystemId) -> AsyncIterator[None]:
        """The turn of a machine."""
        async with self._limiter:
            self.given.add(system_id)
            yield

    def checked(self, member: Member) -> Member:
        """A machine that was at it already belongs to whatever began that, and not to this batch."""
        if member.state != "working" or member.system_id in self.given:
            return member
        error = OperationRefusedError(f"{member.message}.", hint="maas_list_operations has its operation id.")
        return Member(member.system_id, "failed", error.message, error=error)


def _is_idle(member: Member) -> bool:
    """Whether nothing was begun on a machine, as far as is known; if it is allocated, it is so in vain."""
    return isinstance(member.error, MaasError | OperationRefusedError | OperationFailedError)


class _Part(ProgressReporter):
    """Progress of one member, which goes into that of the batch."""

    def __init__(self, told: Callable[[float | None, str], None]) -> None:
        super().__init__(nobody)
        self._told = told

    def report(self, fraction: float | None, message: str) -> None:
        """Pass it on."""
        self._told(fraction, message)
