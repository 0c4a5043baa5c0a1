"""Changes of statuses from before the informer's time, as MAAS's events show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from maas_inventory.event_search import BATCH, SLACK
from maas_mcp.api import Event, ToolContext

MAX_READS: Final = 5
"""Requests for events. Older changes than theirs are not reported."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A machine's new status."""

    at: float
    """Unix time."""
    system_id: str
    hostname: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Past:
    """The changes of statuses in a period, oldest first."""

    changes: Sequence[StatusChange]
    since: float
    """They are complete from this time on."""


async def read_past(ctx: ToolContext, since: float, until: float) -> Past:
    """Read the changes of statuses in a period, both ends in Unix time, from the newest event backwards."""
    found: list[StatusChange] = []
    before: int | None = None
    for _ in range(MAX_READS):
        events = await ctx.maas.event_listing(after=None, before=before, ids=(), level="DEBUG", limit=BATCH)
        found += [change for event in events if (change := _change(event)) and since <= change.at <= until]
        times = [event.at for event in events if event.at is not None]
        if events.total < BATCH or not events or (times and max(times) < since - SLACK):
            return Past(sorted(found, key=lambda change: change.at), since)
        before = events[0].id
    reached = min((change.at for change in found), default=until)
    return Past(sorted(found, key=lambda change: change.at), max(since, reached))


def _change(event: Event) -> StatusChange | None:
    if event.status_change is None or event.at is None or not event.node:
        return None
    old, new = (None if each is None else each.display for each in event.status_change)
    return StatusChange(event.at, event.node, event.hostname or event.node, old or "unknown", new or "unknown")
