"""What the caller's machines are at: read for all of them at once, in a handful of requests."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.timeline import ACQUIRING
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.watching.event_feed import EVENTS_LIMIT
from maas_mcp.operations.watching.grouping import chunks

PAGES: Final = 3
"""Requests for events: fifty deployments write some 3,000, and MAAS gives 1,000 at a time."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The caller's machines that MAAS is at work on."""

    machines: tuple[Machine, ...]
    """By hostname."""
    events: dict[SystemId, list[Event]]
    """The newest events of each, oldest first, from before MAAS began; as far as :data:`PAGES` go."""

    @property
    def newest(self) -> int:
        """The highest id of an event that was read; 0 where there is none."""
        return max((each[-1].id for each in self.events.values() if each), default=0)


async def survey(
    maas: MaasClient, caller: Caller, operations: Sequence[Operation[Any, Any]], beside: Collection[MachineStatus] = ()
) -> Survey:
    """Read the machines in the statuses in which these operations are under way, and ``beside`` these.

    Raises:
        MaasError: MAAS cannot be asked.
    """
    pending = frozenset(status for operation in operations for status in operation.lifecycle.pending)
    wanted = sorted(status.filter_value for status in pending.union(beside))
    if not wanted:
        return Survey((), {})
    found = await maas.machines(status=wanted, owner=await caller.name())
    mine = sorted(found, key=lambda machine: machine.hostname)
    return Survey(tuple(mine), await _events(maas, [each.system_id for each in mine], pending))


async def _events(
    maas: MaasClient, ids: Sequence[SystemId], pending: Collection[MachineStatus]
) -> dict[SystemId, list[Event]]:
    """Read back from the newest, until the change of status is there by which MAAS began on each machine."""
    found: dict[SystemId, list[Event]] = {system_id: [] for system_id in ids}
    for chunk in chunks(ids):
        left, before = set(chunk), None
        for _ in range(PAGES):
            page = await maas.events(before=before, ids=sorted(left), limit=EVENTS_LIMIT)
            for event in reversed(page):
                if event.node in left:
                    found[event.node].append(event)
            left = {each for each in left if not any(_begins(pending, event) for event in found[each])}
            if not left or len(page) < EVENTS_LIMIT:
                break
            before = page[0].id
    return {system_id: list(reversed(events)) for system_id, events in found.items()}


def _begins(pending: Collection[MachineStatus], event: Event) -> bool:
    """Whether the machine was allocated with it, or MAAS began to work on it, whatever it is at."""
    change = event.status_change
    return event.type == ACQUIRING or (change is not None and change[1] in pending and change[0] not in pending)
