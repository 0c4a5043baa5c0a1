"""Which batch a machine was ordered for, by the comments in MAAS's log: for whoever does not have the batch's id.

MAAS 3.7 lists machines by their agent name, which is the batch's name, but shows it nowhere. A comment it shows: behind
the user's name, in the event of what the user ordered.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, SystemId
from maas_mcp.operations.feed import EVENTS_LIMIT
from maas_mcp.operations.reading_groups import chunks

LARGEST: Final = 1000
"""Machines in a batch. Anybody may write a label into a comment: it must not make this process count to a million."""
_LABEL: Final = re.compile(r"\[(\w{1,64}) (b([1-9]\d{0,3})x[0-9a-f]{10})\]$", re.ASCII)


class Label(NamedTuple):
    """A batch."""

    operation: str
    name: str
    """Its agent name."""

    def comment(self, own: str | None = None) -> str:
        """The comment that names it, behind the user's own."""
        return f"{own or ''} [{self.operation} {self.name}]".lstrip()


async def allocated_for(maas: MaasClient, ids: Collection[SystemId]) -> dict[Label, int]:
    """The batches that the last order to one of these machines was an allocation for, each with that event's id."""
    found: dict[Label, int] = {}
    for chunk in chunks(ids):
        orders = [each for each in await maas.events(ids=chunk, limit=EVENTS_LIMIT) if each.type.startswith("User ")]
        for last in {each.node: each for each in orders}.values():
            label = _label_of(last)
            if label and last.type == "User acquiring node":
                found[label] = min(last.id, found.get(label, last.id))
    return found


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
