"""What is under way already: runs that this process, another one or another program has started, and their handles."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from maas_mcp.errors import OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.declaring.operation import Operation, OperationContext
from maas_mcp.operations.declaring.tool import ArgsT, ResultT
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Observation
from maas_mcp.operations.judging.fallback import FallbackPolling
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.start_requests import StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.survey import Survey
from maas_mcp.operations.watching.event_feed import EVENTS_LIMIT
from maas_mcp.operations.wording import listed, state_of

_LABELS: Final = frozenset({"agent_name", "comment", "take_over"})
"""Arguments of MAAS's forms that change nothing about what is done."""


class Found(NamedTuple):
    """An operation that is under way on a machine."""

    operation: Operation[Any, Any]
    handle: Handle
    hostname: str | None
    """``None`` where MAAS does not show it yet."""
    status: OperationStatus[Any]
    """By what was surveyed: without script sets, so it may be less exact than the operation's own."""


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

    async def _newest_events(self, machine: Machine) -> list[Event]:
        return await self._maas.events(ids=[machine.system_id], limit=EVENTS_LIMIT)

    def under_way(self, seen: Survey, operations: Sequence[Operation[Any, Any]], limit: int) -> list[Found]:
        """What is under way on this user's machines, ``limit`` at the most, by hostname.

        What MAAS was requested to start and shows nothing of comes last, as far as this process holds the request.
        """
        shown = (self._what_runs_on(seen, machine, operations) for machine in seen.machines)
        found = [each for each in shown if each is not None]
        by_name = {operation.name: operation for operation in operations}
        busy = {each.handle.system_id for each in found}
        for request in self._requests.all_under_way():
            operation = by_name.get(request.handle.operation)
            if operation is not None and request.handle.system_id not in busy:
                status: OperationStatus[Any] = OperationStatus(
                    request.handle, None, request.standing(), confirmed=False
                )
                found.append(Found(operation, request.handle, None, status))
        return found[:limit]

    def _what_runs_on(self, seen: Survey, machine: Machine, operations: Sequence[Operation[Any, Any]]) -> Found | None:
        """The operation that began first of those that a status on the way may belong to.

        A commissioning passes through *Testing*: of it and a test, it is the one that the machine entered earlier.
        """
        events = seen.events[machine.system_id]
        fitting = [each for each in operations if each.lifecycle.may_be_at(machine, events)]
        if not fitting:
            return None
        entered = {each.name: _entered(each, events) for each in fitting}
        began_at = {name: max(ids, default=math.inf) for name, ids in entered.items()}
        first = min(fitting, key=lambda each: (began_at[each.name], len(each.lifecycle.pending), each.name))
        request, began = self._requests.latest(first.name, machine.system_id), entered[first.name]
        if request is not None and _is_of(request, began):
            handle = request.handle
        else:
            handle = self.handle(first, machine, began[-1] - 1 if began else seen.newest, ())
        evidence = Evidence(Baseline(machine, handle.cursor, handle.runs))
        polling = FallbackPolling(first.polling, first.name)
        news = tuple(event for event in events if event.id > handle.cursor)
        assessed = polling.assess(first.lifecycle, evidence, Observation(machine, events=news))
        status: OperationStatus[Any] = OperationStatus(handle, assessed.fraction, assessed.message)
        return Found(first, handle, machine.hostname, status)

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
                hint="Wait until it has ended, or abort it first.",
                next_steps=[FIND_OPERATION],
            )
        entered = _entered(operation, events)
        first = self._requests.latest(operation.name, machine.system_id)
        ours = first is not None and _is_of(first, entered)
        if first is not None and ours:
            unlike = _unlike(first.args, args)
            other = unlike and (await operation.differs(ctx, args) or unlike)
        else:
            other = await operation.differs(ctx, args)
        if other is not None:
            raise OperationRefusedError(
                f"{already}, but {other}. Nothing was sent to MAAS.",
                hint="Wait until it has ended, or abort it first if you want yours instead.",
                next_steps=[FIND_OPERATION],
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


def _is_of(request: StartRequest, entered: Sequence[int]) -> bool:
    """Whether the run that the machine has entered last, by these events, is the one that was requested here."""
    return request.refusal is None and sum(each > request.handle.cursor for each in entered) == 1


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
            hint="Wait until it has ended, or abort it first.",
            next_steps=[FIND_OPERATION],
        )
    return OperationStatus(first.handle, None, f"{standing}. It was not requested a second time", confirmed=False)
