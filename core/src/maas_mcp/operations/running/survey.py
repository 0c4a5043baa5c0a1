"""A survey of the caller's machines in progress, read together in a few requests."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.machine_ids import chunks
from maas_mcp.maas.models import Event, Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.timeline import ACQUIRING
from maas_mcp.operations.running.ownership import Caller

PAGES: Final = 3
"""Pages of events to read: fifty deployments log some 3,000, and MAAS returns 1,000 at a time."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The caller's machines on which MAAS is working."""

    machines: tuple[Machine, ...]
    """By hostname."""
    events: dict[SystemId, list[Event]]
    """The events of each machine since MAAS started, oldest first, within the limit of :data:`PAGES`."""

    @property
    def newest(self) -> int:
        """The highest event id; 0 without events."""
        return max((each[-1].id for each in self.events.values() if each), default=0)


async def survey(
    maas: MaasClient,
    caller: Caller,
    operations: Sequence[Operation[Any, Any]],
    extra_statuses: Collection[MachineStatus] = (),
) -> Survey:
    """Read the caller's machines in a pending status of these operations, or in one of the ``extra_statuses``.

    Raises:
        MaasError: MAAS cannot be reached.
    """
    pending = frozenset(status for operation in operations for status in operation.lifecycle.pending)
    wanted = sorted(status.filter_value for status in pending.union(extra_statuses))
    if not wanted:
        return Survey((), {})
    found = await maas.machines(status=wanted, owner=await caller.name())
    machines = sorted(found, key=lambda machine: machine.hostname)
    return Survey(tuple(machines), await _events(maas, [each.system_id for each in machines], pending))


async def _events(
    maas: MaasClient, ids: Sequence[SystemId], pending: Collection[MachineStatus]
) -> dict[SystemId, list[Event]]:
    """Read backwards from the newest event to the status change that started each machine's run."""
    found: dict[SystemId, list[Event]] = {system_id: [] for system_id in ids}
    for chunk in chunks(ids):
        left, before = set(chunk), None
        for _ in range(PAGES):
            page = await maas.events(before=before, ids=sorted(left), limit=MAX_EVENTS)
            for event in reversed(page):
                if event.node in left:
                    found[event.node].append(event)
            left = {each for each in left if not any(_is_start(pending, event) for event in found[each])}
            if not left or len(page) < MAX_EVENTS:
                break
            before = page[0].id
    return {system_id: list(reversed(events)) for system_id, events in found.items()}


def _is_start(pending: Collection[MachineStatus], event: Event) -> bool:
    """Whether the event allocated the machine, or started a run on it."""
    change = event.status_change
    return event.type == ACQUIRING or (change is not None and change[1] in pending and change[0] not in pending)
