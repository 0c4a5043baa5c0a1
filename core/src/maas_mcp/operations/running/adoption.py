"""What is under way already: runs that this process, another one or another program has started, and their handles."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel

from maas_mcp.errors import OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.declaring.operation import Operation, OperationContext
from maas_mcp.operations.declaring.tool import ArgsT, ResultT
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.start_requests import StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.watching.event_feed import EVENTS_LIMIT
from maas_mcp.operations.wording import listed, state_of

_LABELS: Final = frozenset({"agent_name", "comment", "take_over"})
"""Arguments of MAAS's forms that change nothing about what is done."""


class Adoption:
    """Finds what MAAS is at, and makes handles for it.

    Args:
        maas: The region.
        requests: Those of the process.
        caller: The user whose API key is used.
        now: Seconds since 1970.
    """

    def __init__(
        self, maas: MaasClient, requests: StartRequests, caller: Caller, *, now: Callable[[], float] = time.time
    ) -> None:
        self._maas = maas
        self._requests = requests
        self._caller = caller
        self._now = now

    async def adopt(self, operation: Operation[Any, Any], machine: Machine) -> Handle:
        """A handle for what is under way on ``machine``, whoever started it."""
        entered = _entered(operation, await self._newest_events(machine))
        cursor = entered[-1] - 1 if entered else await self._maas.newest_event_id()
        return self.handle(operation, machine, cursor, ())

    async def _newest_events(self, machine: Machine) -> list[Event]:
        return await self._maas.events(ids=[machine.system_id], limit=EVENTS_LIMIT)

    async def under_way(self, operations: Sequence[Operation[Any, Any]], limit: int) -> list[Handle]:
        """Handles for what is under way on this user's machines, ``limit`` at the most, by hostname.

        What MAAS was requested to start and shows nothing of comes last, as far as this process holds the request.
        """
        statuses = {status for operation in operations for status in operation.lifecycle.pending}
        if not statuses:
            return []
        found = await self._maas.machines(status=sorted(status.filter_value for status in statuses))
        mine = sorted([each for each in found if await self._caller.owns(each)], key=lambda machine: machine.hostname)
        handles = [handle for machine in mine[:limit] if (handle := await self._what_runs_on(machine, operations))]
        names, busy = (
            {operation.name for operation in operations},
            {machine.system_id for machine in found},
        )
        held = [each.handle for each in self._requests.all_under_way() if each.handle.operation in names]
        return [*handles, *(handle for handle in held if handle.system_id not in busy)][:limit]

    async def _what_runs_on(self, machine: Machine, operations: Sequence[Operation[Any, Any]]) -> Handle | None:
        """The operation that began first of those that a status on the way may belong to.

        A commissioning passes through *Testing*: of it and a test, it is the one that the machine entered earlier.
        """
        events = await self._newest_events(machine)
        fitting = [each for each in operations if each.lifecycle.may_be_at(machine, events)]
        handles = {each.name: await self.adopt(each, machine) for each in fitting}
        fitting.sort(key=lambda each: (handles[each.name].cursor, len(each.lifecycle.pending), each.name))
        return handles[fitting[0].name] if fitting else None

    def handle(
        self, operation: Operation[Any, Any], machine: Machine, cursor: int, runs: tuple[int | None, ...]
    ) -> Handle:
        """A handle for a run that begins now, or is found now."""
        on_vm_host = machine.pod is not None
        return Handle(operation.name, machine.system_id, int(self._now()), cursor, runs, on_vm_host=on_vm_host)

    async def already(
        self, operation: Operation[ArgsT, ResultT], args: ArgsT, ctx: OperationContext
    ) -> OperationStatus[ResultT]:
        """What is under way already, if it is what the caller asks for.

        Raises:
            OperationRefusedError: It is something else, such as another image.
        """
        machine = ctx.machine
        already = f"{machine.hostname} is {state_of(machine)} already"
        events = await self._newest_events(machine)
        if not operation.lifecycle.may_be_at(machine, events):
            raise OperationRefusedError(
                f"{already}, but {operation.name} has not started that. Nothing was sent to MAAS.",
                hint="Wait until it has ended, or abort it first. maas_list_operations has its operation id.",
            )
        entered = _entered(operation, events)
        first = self._requests.latest(operation.name, machine.system_id)
        ours = first is not None and first.refusal is None and sum(each > first.handle.cursor for each in entered) == 1
        if first is not None and ours:
            unlike = _unlike(first.args, args)
            other = unlike and (await operation.differs(ctx, args) or unlike)
        else:
            other = await operation.differs(ctx, args)
        if other is not None:
            raise OperationRefusedError(
                f"{already}, but {other}. Nothing was sent to MAAS.",
                hint="Wait until it has ended, or abort it first if you want yours instead. "
                "maas_list_operations has its operation id.",
            )
        cursor = entered[-1] - 1 if entered else await self._maas.newest_event_id()
        handle = self.handle(operation, machine, cursor, ())
        message = f"{already}: not started a second time ({machine.status_message or 'no message'})"
        if not ours and (unknown := _set(operation, args) - operation.compared):
            message += f". MAAS does not show whether it was started with the same {listed(sorted(unknown))}"
        return OperationStatus(handle, None, message)


def _entered(operation: Operation[Any, Any], events: Iterable[Event]) -> list[int]:
    """The ids of the events that took the machine into a status in which the operation begins, oldest first."""
    return [event.id for event in events if operation.lifecycle.is_entered_by(event)]


def _set(operation: Operation[ArgsT, Any], args: ArgsT) -> frozenset[str]:
    """The arguments that say how it is to be done, as far as they are no defaults."""
    which = operation.system_id(args)
    return frozenset(name for name, value in args.model_dump(exclude_defaults=True).items() if value != which) - _LABELS


def _unlike(first: BaseModel | None, second: BaseModel) -> str | None:
    """Which arguments of two requests differ, without those that only label what is done; values may be secrets."""
    if first is None:
        return None
    one, other = first.model_dump(exclude=set(_LABELS)), second.model_dump(exclude=set(_LABELS))
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return f"with another value of {listed(names)}" if names else None


def requested_already(first: StartRequest, args: BaseModel, state: str) -> OperationStatus[Any]:
    """The answer to a request that this process has sent already, and that MAAS has not answered.

    Raises:
        OperationRefusedError: That request has other arguments.
    """
    standing = f"{first.standing()} ({state})"
    if other := _unlike(first.args, args):
        raise OperationRefusedError(
            f"{standing}. The earlier request was made {other}; this one was not sent to MAAS.",
            hint="Wait until it has ended, or abort it first. maas_list_operations has its operation id.",
        )
    return OperationStatus(first.handle, None, f"{standing}. It was not requested a second time", confirmed=False)
