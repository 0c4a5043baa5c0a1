"""Which batch a machine was ordered for, by the comments in MAAS's log: for whoever does not have the batch's id.

MAAS 3.7 lists machines by their agent name, which is the batch's name, but shows it nowhere. A comment it shows: behind
the user's name, in the event of what the user ordered.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.judging.timeline import ACQUIRING
from maas_mcp.operations.watching.event_feed import EVENTS_LIMIT
from maas_mcp.operations.watching.grouping import chunks

LARGEST: Final = 1000
"""Machines in a batch. Anybody may write a label into a comment: it must not make this process count to a million."""
TOGETHER: Final = 10
"""Machines whose events are read together: a deployment writes some 60, and MAAS gives 1,000."""
_LABEL: Final = re.compile(r"\[(\w{1,64}) (b([1-9]\d{0,3})x[0-9a-f]{10})\]$", re.ASCII)


class Label(NamedTuple):
    """A batch."""

    operation: str
    name: str
    """Its agent name."""

    def comment(self, own: str | None = None) -> str:
        """The comment that names it, behind the user's own."""
        return f"{own or ''} [{self.operation} {self.name}]".lstrip()


def batches_on(machines: Iterable[Machine], events: Mapping[SystemId, Sequence[Event]]) -> dict[Label, list[Machine]]:
    """The batches that were the last to request something of these machines, each with its machines among them.

    A machine belongs to its batch while it waits for its start (*Allocated*), and once that has begun: an allocation
    that was followed by something else, or a start that was undone, does not count.
    """
    found: dict[Label, list[Machine]] = {}
    for machine in machines:
        requests = [each for each in events[machine.system_id] if each.type.startswith("User ")]
        label = label_of(requests[-1]) if requests else None
        if label and (machine.status is MachineStatus.ALLOCATED) is (requests[-1].type == ACQUIRING):
            found.setdefault(label, []).append(machine)
    return found


async def first_event_of(maas: MaasClient, label: Label) -> int | None:
    """The id of the first event that names a batch, as far as MAAS still has them."""
    members = await maas.machines(agent_name=label.name)
    events = [
        event
        for chunk in chunks([each.system_id for each in members], TOGETHER)
        for event in await maas.events(ids=chunk, limit=EVENTS_LIMIT)
    ]
    return min((each.id for each in events if label_of(each) == label), default=None)


async def ordered_for(maas: MaasClient, ids: Sequence[SystemId]) -> tuple[Label, int] | None:
    """The one batch that all these machines were ordered for last, and the id of the first event that tells of it."""
    found: set[Label] = set()
    first: list[int] = []
    for system_id in ids:
        labels = [(label_of(each), each.id) for each in await maas.events(ids=[system_id], limit=EVENTS_LIMIT)]
        known = [(label, number) for label, number in labels if label]
        if not known:
            return None
        latest = known[-1][0]
        found.add(latest)
        first += [number for label, number in known if label == latest]
    return (found.pop(), min(first)) if len(found) == 1 else None


def label_of(event: Event) -> Label | None:
    """The batch that a user's request names in its comment."""
    match = _LABEL.search(event.description) if event.type.startswith("User ") else None
    if match is None or int(match[3]) > LARGEST:
        return None
    return Label(match[1], match[2])
