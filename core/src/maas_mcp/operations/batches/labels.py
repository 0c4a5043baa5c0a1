"""Labels that name a batch in MAAS's log, so that a batch is found without its id.

MAAS 3.7 lists machines by their agent name, which is the batch's name, but does not show it. It does show comments,
after the user's name in the event of each request.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.machine_ids import chunks
from maas_mcp.maas.models import Event, Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.judging.timeline import ACQUIRING

LARGEST: Final = 1000
"""The most machines in a batch. Any user can write a label, so its number is limited as well."""
MACHINES_PER_READ: Final = 10
"""Machines whose events are read together: a deployment logs some 60, and MAAS returns 1,000."""
_LABEL: Final = re.compile(r"\[(\w{1,64}) (b([1-9]\d{0,3})x[0-9a-f]{10})\]$", re.ASCII)


class Label(NamedTuple):
    """The label of a batch."""

    operation: str
    name: str
    """The agent name of its machines."""

    def comment(self, user_comment: str | None = None) -> str:
        """Return a comment with the label after the user's own comment."""
        return f"{user_comment or ''} [{self.operation} {self.name}]".lstrip()


def batches_on(machines: Iterable[Machine], events: Mapping[SystemId, Sequence[Event]]) -> dict[Label, list[Machine]]:
    """The batches that made the last request on these machines, each with its machines.

    A machine belongs to its batch while it waits for its start (*Allocated*) and after its start. It does not after a
    reverted start, or if another request followed the allocation.
    """
    found: dict[Label, list[Machine]] = {}
    for machine in machines:
        requests = [each for each in events[machine.system_id] if each.type.startswith("User ")]
        label = label_of(requests[-1]) if requests else None
        if label and (machine.status is MachineStatus.ALLOCATED) is (requests[-1].type == ACQUIRING):
            found.setdefault(label, []).append(machine)
    return found


async def first_event_of(maas: MaasClient, label: Label) -> int | None:
    """Return the id of the first event that names a batch, if MAAS still has one."""
    members = await maas.machines(agent_name=label.name)
    events = [
        event
        for chunk in chunks([each.system_id for each in members], MACHINES_PER_READ)
        for event in await maas.events(ids=chunk, limit=MAX_EVENTS)
    ]
    return min((each.id for each in events if label_of(each) == label), default=None)


async def latest_batch_of(maas: MaasClient, ids: Sequence[SystemId]) -> tuple[Label, int] | None:
    """Return the one batch that all these machines were last requested for, and the id of its first event."""
    found: set[Label] = set()
    first: list[int] = []
    for system_id in ids:
        labels = [(label_of(each), each.id) for each in await maas.events(ids=[system_id], limit=MAX_EVENTS)]
        known = [(label, number) for label, number in labels if label]
        if not known:
            return None
        latest = known[-1][0]
        found.add(latest)
        first += [number for label, number in known if label == latest]
    return (found.pop(), min(first)) if len(found) == 1 else None


def label_of(event: Event) -> Label | None:
    """Return the batch in the comment of a user's request."""
    match = _LABEL.search(event.description) if event.type.startswith("User ") else None
    if match is None or int(match[3]) > LARGEST:
        return None
    return Label(match[1], match[2])
