"""Adoption of runs that are already in progress, whichever process or program started them."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from maas_mcp.errors import OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
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
from maas_mcp.operations.wording import listed, state_of

_LABEL_ARGUMENTS: Final = frozenset({"agent_name", "comment", "take_over"})
"""Form fields of MAAS that label a request without changing its effect."""


class Found(NamedTuple):
    """An operation that is running on a machine."""

    operation: Operation[Any, Any]
    handle: Handle
    hostname: str | None
    """``None`` if MAAS does not show the run yet."""
    status: OperationStatus[Any]
    """The status according to the survey. It reads no script sets, so it may be less exact than the operation's own."""


class Adoption:
    """Finds runs in progress and makes handles for them.

    Args:
        maas: The region.
        requests: The start requests of the process.
        caller: The user of the API key.
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
        return await self._maas.events(ids=[machine.system_id], limit=MAX_EVENTS)

    def find_running(self, seen: Survey, operations: Sequence[Operation[Any, Any]]) -> list[Found]:
        """Runs on the user's machines, by hostname.

        Unanswered requests of this process that MAAS does not show yet come last.
        """
        shown = (self._operation_on(seen, machine, operations) for machine in seen.machines)
        found = [each for each in shown if each is not None]
        by_name = {operation.name: operation for operation in operations}
        busy = {each.handle.system_id for each in found}
        for request in self._requests.all_pending():
            operation = by_name.get(request.handle.operation)
            if operation is not None and request.handle.system_id not in busy:
                status: OperationStatus[Any] = OperationStatus(
                    request.handle, None, request.describe(), confirmed=False
                )
                found.append(Found(operation, request.handle, None, status))
        return found

    def _operation_on(self, seen: Survey, machine: Machine, operations: Sequence[Operation[Any, Any]]) -> Found | None:
        """The operation that is running on the machine; the one that started first if several fit.

        Commissioning passes through *Testing*, so a status may fit two operations.
        """
        events = seen.events[machine.system_id]
        fitting = [each for each in operations if each.lifecycle.may_be_at(machine, events)]
        if not fitting:
            return None
        entered = {each.name: _entry_events(each, events) for each in fitting}
        began_at = {name: max(ids, default=math.inf) for name, ids in entered.items()}
        first = min(fitting, key=lambda each: (began_at[each.name], len(each.lifecycle.pending), each.name))
        request, began = self._requests.latest(first.name, machine.system_id), entered[first.name]
        if request is not None and _belongs_to(request, began):
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
        """A handle for a run that starts now or is found now."""
        on_vm_host = machine.pod is not None
        return Handle(operation.name, machine.system_id, int(self._now()), cursor, runs, on_vm_host=on_vm_host)

    async def adopt(
        self, operation: Operation[ArgsT, ResultT], args: ArgsT, ctx: OperationContext
    ) -> OperationStatus[ResultT]:
        """The status of the run in progress, if it does what the caller requests.

        Raises:
            OperationRefusedError: The run does something else, such as deploying another image.
        """
        machine = ctx.machine
        already = f"{machine.hostname} is already {state_of(machine)}"
        events = await self._newest_events(machine)
        if not operation.lifecycle.may_be_at(machine, events):
            raise OperationRefusedError(
                f"{already}, but {operation.name} did not start that. Nothing was sent to MAAS.",
                hint="Wait until it ends, or abort it first.",
                next_steps=[FIND_OPERATION],
            )
        entered = _entry_events(operation, events)
        first = self._requests.latest(operation.name, machine.system_id)
        requested_here = first is not None and _belongs_to(first, entered)
        if first is not None and requested_here:
            differing = _differing_arguments(first.args, args)
            other = differing and (await operation.differs(ctx, args) or differing)
        else:
            other = await operation.differs(ctx, args)
        if other is not None:
            raise OperationRefusedError(
                f"{already}, but {other}. Nothing was sent to MAAS.",
                hint="Wait until it ends, or abort it first to run yours instead.",
                next_steps=[FIND_OPERATION],
            )
        cursor = entered[-1] - 1 if entered else await self._maas.newest_event_id()
        handle = self.handle(operation, machine, cursor, ())
        message = f"{already}: not started again ({machine.status_message or 'no message'})"
        if not requested_here and (unknown := _explicit_arguments(operation, args) - operation.compared):
            message += f". MAAS does not show whether it was started with the same {listed(sorted(unknown))}"
        return OperationStatus(handle, None, message)


def _entry_events(operation: Operation[Any, Any], events: Iterable[Event]) -> list[int]:
    """The ids of the events by which the machine entered a first status of the operation, oldest first."""
    return [event.id for event in events if operation.lifecycle.is_entered_by(event)]


def _belongs_to(request: StartRequest, entered: Sequence[int]) -> bool:
    """Whether these events show exactly one start since the request, which is then its run."""
    return request.refusal is None and sum(each > request.handle.cursor for each in entered) == 1


def _explicit_arguments(operation: Operation[ArgsT, Any], args: ArgsT) -> frozenset[str]:
    """The arguments without defaults, labels and the machine's id."""
    which = operation.system_id(args)
    return (
        frozenset(name for name, value in args.model_dump(exclude_defaults=True).items() if value != which)
        - _LABEL_ARGUMENTS
    )


def _differing_arguments(first: BaseModel | None, second: BaseModel) -> str | None:
    """Names the arguments that differ, without labels. Values are left out, since they may be secrets."""
    if first is None:
        return None
    one, other = first.model_dump(exclude=set(_LABEL_ARGUMENTS)), second.model_dump(exclude=set(_LABEL_ARGUMENTS))
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return f"with a different {listed(names)}" if names else None


def answer_repeated_request(first: StartRequest, args: BaseModel, state: str) -> OperationStatus[Any]:
    """The status for a request that repeats an unanswered request of this process.

    Raises:
        OperationRefusedError: The first request has other arguments.
    """
    standing = f"{first.describe()} ({state})"
    if other := _differing_arguments(first.args, args):
        raise OperationRefusedError(
            f"{standing}. The earlier request was made {other}, so this one was not sent to MAAS.",
            hint="Wait until it ends, or abort it first.",
            next_steps=[FIND_OPERATION],
        )
    return OperationStatus(first.handle, None, f"{standing}. It was not requested again", confirmed=False)
