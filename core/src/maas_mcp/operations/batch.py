"""Batches: one operation on many machines, each followed on its own, told as one.

Which machines belong to a batch is kept in MAAS, as their ``agent_name``: so its handle is as short as any other, and
another process finds the members by asking MAAS.
"""

import secrets
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import anyio
from pydantic import BaseModel

from maas_mcp.errors import MaasMcpError, OperationCancelledError, OperationFailedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.engine import Engine, policy_of
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.operation import CancelPolicy, LongRunning, Operation
from maas_mcp.operations.outcome import Outcome
from maas_mcp.operations.progress import ProgressReporter, nobody
from maas_mcp.operations.tool import ArgsT, ResultT, ToolContext

NAME_BYTES: Final = 5
"""Randomness in a batch's name: 40 bits keep one user's batches apart."""


MemberState = Literal["working", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of a batch, and what became of it."""

    system_id: SystemId
    """Empty for one that is no longer known."""
    state: MemberState
    message: str
    fraction: float | None = None
    result: BaseModel | None = None
    """Of the operation on this machine; there once it has succeeded."""
    error: MaasMcpError | None = None
    """There if it has failed."""


class BatchOperation(LongRunning[ArgsT, ResultT]):
    """An operation on many machines at once. A machine that fails does not stop the others."""

    coroutines = ("members",)

    each: ClassVar[type[Operation[Any, Any]]]
    """What is done to each machine; its arguments need a field ``agent_name``."""
    starts_at_once: ClassVar[int] = 4
    """How many machines are started at the same time: each start holds one of the few places that MAAS has."""

    @property
    def can_abort(self) -> bool:
        """Whether it is possible for each machine."""
        return self.each().can_abort

    @abstractmethod
    def size(self, args: ArgsT) -> int:
        """How many machines it is to be."""

    @abstractmethod
    async def members(self, ctx: ToolContext, args: ArgsT, agent_name: str) -> Sequence[BaseModel]:
        """Choose the machines: the arguments of :attr:`each`, one set a machine, each with ``agent_name``.

        Raises:
            MaasMcpError: There are not enough of them; then nothing may be left allocated.
        """

    @abstractmethod
    def result(self, members: Sequence[Member]) -> ResultT:
        """What to answer once every member has ended, and one of them at least has succeeded."""


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
        policy = policy_of(batch, on_cancel)
        each, starting = batch.each(), anyio.CapacityLimiter(batch.starts_at_once)
        with cancellation.guard():
            handle = Handle(batch.name, name, int(self._now()), await self._maas.newest_event_id(), ())
            progress.report(0.0, "Choosing the machines")
            chosen = await batch.members(ToolContext(self._maas, progress, cancellation), args, name)

            def follow(one: BaseModel) -> Follow:
                return lambda part: self._engine.run(
                    each, one, part, cancellation, wait=wait, on_cancel=policy, starting=starting
                )

            members = await _together({each.system_id(one): follow(one) for one in chosen}, progress)
        return _told(batch, handle, members, progress)

    async def abort(self, batch: BatchOperation[Any, Any], handle: Handle, cancellation: CancellationToken) -> None:
        """Order MAAS to abort what is still under way of a batch.

        Raises:
            MaasError: MAAS refused to, or did not answer; the machines after that one were not tried.
        """
        each = batch.each()
        for machine in await self._maas.machines(agent_name=handle.system_id):
            if machine.status in each.lifecycle.pending:
                own = Handle(each.name, machine.system_id, handle.started, handle.cursor, ())
                await self._engine.abort(each, own, cancellation)

    async def resume(
        self,
        batch: BatchOperation[ArgsT, ResultT],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> Outcome[ResultT]:
        """Pick up the batch that ``handle`` names; its members are the machines that have its name in MAAS.

        Raises:
            MaasMcpError: MAAS cannot be asked, or the operation has failed on all machines.
        """
        each = batch.each()
        with cancellation.guard():
            machines = await self._maas.machines(agent_name=handle.system_id)

            def follow(machine: Machine) -> Follow:
                own = Handle(each.name, machine.system_id, handle.started, handle.cursor, ())
                return lambda part: self._engine.resume(each, own, part, cancellation, wait=wait)

            members = await _together({machine.system_id: follow(machine) for machine in machines}, progress)
        missing = _size_of(handle.system_id) - len(members)
        return _told(batch, handle, [*members, *[Member("", "failed", LOST)] * missing], progress)


def new_name(batch: BatchOperation[ArgsT, Any], args: ArgsT) -> str:
    """A name for a batch, which says how many machines it has."""
    return f"b{batch.size(args)}x{secrets.token_hex(NAME_BYTES)}"


LOST: Final = "It no longer belongs to this batch: it was released, deleted, or taken by someone else."
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
    if count["working"]:
        done = [1.0 if member.state != "working" else member.fraction or 0.0 for member in members]
        return Outcome(handle, min(sum(done) / len(members), BEFORE_ALL), message)
    if not count["succeeded"]:
        raise _all_failed(batch, members)
    progress.report(1.0, message)
    return Outcome(handle, 1.0, message, batch.result(members), partial=bool(count["failed"]))


def _all_failed(batch: BatchOperation[Any, Any], members: Sequence[Member]) -> OperationFailedError:
    reasons = [f"{member.system_id}: {member.message}" for member in members]
    hints = dict.fromkeys(member.error.hint for member in members if member.error and member.error.hint)
    return OperationFailedError(
        f"{batch.name} failed on all {len(members)} machines.",
        hint=" ".join(hints) or None,
        maas_says="\n".join(reasons) or None,
    )


def _size_of(name: str) -> int:
    """How many machines a batch of this name had."""
    return int(name[1:].partition("x")[0])


class _Part(ProgressReporter):
    """Progress of one member, which goes into that of the batch."""

    def __init__(self, told: Callable[[float | None, str], None]) -> None:
        super().__init__(nobody)
        self._told = told

    def report(self, fraction: float | None, message: str) -> None:
        """Pass it on."""
        self._told(fraction, message)
