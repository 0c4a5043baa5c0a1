"""Which batch a machine was ordered for, by the comments in MAAS's log: for whoever does not have the batch's id.

MAAS 3.7 lists machines by their agent name, which is the batch's name, but shows it nowhere. A comment it shows: behind
the user's name, in the event of what the user ordered.
"""

import re
from collections.abc import Collection, Sequence
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


async def batches_on(maas: MaasClient, machines: Collection[Machine]) -> dict[Label, set[SystemId]]:
    """The batches that were the last to request something of these machines, each with its machines among them.

    A machine belongs to its batch while it waits for its start (*Allocated*), and once that has begun: an allocation
    that was followed by something else, or a start that was undone, does not count.
    """
    found: dict[Label, set[SystemId]] = {}
    last = await _last_requests(maas, [machine.system_id for machine in machines])
    for machine in machines:
        request = last.get(machine.system_id)
        label = _label_of(request) if request else None
        if request and label and (machine.status is MachineStatus.ALLOCATED) is (request.type == ACQUIRING):
            found.setdefault(label, set()).add(machine.system_id)
    return found


async def first_event_of(maas: MaasClient, label: Label) -> int | None:
    """The id of the first event that names a batch, as far as MAAS still has them."""
    members = await maas.machines(agent_name=label.name)
    events = [each for one in members for each in await maas.events(ids=[one.system_id], limit=EVENTS_LIMIT)]
    return min((each.id for each in events if _label_of(each) == label), default=None)


async def _last_requests(maas: MaasClient, ids: Sequence[SystemId]) -> dict[SystemId, Event]:
    """What a user requested last of each machine, as far as MAAS still has it.

    Several machines share a request; one whose events did not fit into the answer is asked for alone.
    """
    last: dict[SystemId, Event] = {}
    for chunk in chunks(ids, TOGETHER):
        page = await maas.events(ids=chunk, limit=EVENTS_LIMIT)
        last |= {each.node: each for each in page if each.type.startswith("User ")}
        if len(chunk) > 1 and len(page) == EVENTS_LIMIT:
            for system_id in chunk:
                last |= {} if system_id in last else await _last_requests(maas, [system_id])
    return last


async def ordered_for(maas: MaasClient, ids: Sequence[SystemId]) -> tuple[Label, int] | None:
    """The one batch that all these machines were ordered for last, and the id of the first event that tells of it."""
    found: set[Label] = set()
    first: list[int] = []
    for system_id in ids:
        labels = [(_label_of(each), each.id) for each in await maas.events(ids=[system_id], limit=EVENTS_LIMIT)]
        known = [(label, number) for label, number in labels if label]
        if not known:
            return None
        latest = known[-1][0]
        found.add(latest)
        first += [number for label, number in known if label == latest]
    return (found.pop(), min(first)) if len(found) == 1 else None


def _label_of(event: Event) -> Label | None:
    match = _LABEL.search(event.description) if event.type.startswith("User ") else None
    if match is None or int(match[3]) > LARGEST:
        return None
    return Label(match[1], match[2])
