"""The events of all followed machines, in one request: MAAS answers it with one SQL query however many they are."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.models import Event, SystemId
from maas_mcp.maas.reading import Listing
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.cursor import Cursor
from maas_mcp.operations.watching.grouping import chunks
from maas_mcp.operations.watching.subscription import Subscription

EVENTS_LIMIT: Final = MAX_EVENTS
"""The most events that MAAS gives in one answer; with ``after`` these are the oldest ones, so a full answer has more
behind it."""
FEW: Final = 50
"""Up to so many machines are asked for by name; beyond, their ids would take more than the others' events do."""
MANY_STRANGERS: Final = 200
"""So many events of machines that nobody follows, and more than there are of the others, are too many to be sent."""
NARROW_AGAIN: Final = 150
"""Intervals after which to see whether the region is still busy with others: five minutes, as configured."""
FAR: Final = 1000
"""A follower that many ids behind the others catches up in a request of its own."""


@dataclass
class _Poll:
    """What one tick's requests brought."""

    by_name: dict[SystemId, list[Subscription]]
    latest: list[Event] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)
    strangers: int = 0
    news: bool = False
    latency: float = 0.0

    def take(self, events: Sequence[Event]) -> None:
        """Give every follower what is new of its machine."""
        ours: defaultdict[SystemId, list[Event]] = defaultdict(list)
        for event in events:
            ours[event.node].append(event)
        for node, group in ours.items():
            for subscription in self.by_name.get(node, ()):
                self.news = subscription.add_events(group) or self.news
            self.strangers += 0 if node in self.by_name else len(group)
        self.ids.update(event.id for event in events)
        self.latest += events[-1:]

    @property
    def crowded(self) -> bool:
        """Whether most of what came is of machines that nobody follows."""
        return self.strangers >= MANY_STRANGERS and self.strangers * 2 > len(self.ids)


class EventFeed:
    """Reads the event log on, for all followers together.

    Args:
        maas: The region.
        cadence: How long events may be under way, and how often silence is checked.
    """

    def __init__(self, maas: MaasClient, cadence: Cadence) -> None:
        self._maas = maas
        self._cadence = cadence
        self._cursor = Cursor(cadence.overlap, now=0.0)
        self._narrow_until = -math.inf
        self.latency = 0.0
        """Seconds that the slowest answer of the last read took."""

    def begin(self) -> None:
        """Someone follows again after a while in which nobody did: nothing is known of the log any longer."""
        self._cursor = Cursor(self._cadence.overlap, anyio.current_time())

    async def read(self, subscriptions: Sequence[Subscription]) -> bool:
        """Give each subscription the events that it does not have; answers whether there were any.

        What was given stays given if a later request fails; what was not is asked for again the next time.

        Raises:
            MaasError: MAAS did not answer, or refused to.
        """
        self.latency = 0.0
        if not subscriptions:
            return False
        began = anyio.current_time()
        poll = _Poll(_by_name(subscriptions))
        start = self._cursor.floor(began)
        near = [each for each in subscriptions if each.floor >= start - FAR]
        far = [each for each in subscriptions if each.floor < start - FAR]
        wide = len(near) > FEW and self._cursor.newest > 0 and began >= self._narrow_until
        if not (wide and await self._read_wide(near, poll)):
            wide = False
            await self._read_narrow(near, poll)
        await self._read_narrow(far, poll)
        self.latency = poll.latency
        await self._check(subscriptions, near, poll, wide=wide)
        floor = self._cursor.floor(began)
        for each in subscriptions:
            each.read_up_to(floor, again=not wide)
        return poll.news

    async def _read_wide(self, near: Sequence[Subscription], poll: _Poll) -> bool:
        """Ask for the events of all machines there are; false if most are not ours and there are more to come."""
        after = min(each.floor for each in near)
        while True:
            events = await self._page(after, (), poll)
            if poll.crowded:
                self._narrow_until = anyio.current_time() + NARROW_AGAIN * self._cadence.interval
            if not events or events.total < EVENTS_LIMIT:
                return True
            if poll.crowded:
                return False
            after = events[-1].id

    async def _read_narrow(self, subscriptions: Sequence[Subscription], poll: _Poll) -> None:
        """Ask for the events of these machines, by name."""
        if not subscriptions:
            return
        start = min(each.floor for each in subscriptions)
        for ids in chunks(_by_name(subscriptions)):
            after, more = start, True
            while more:
                events = await self._page(after, ids, poll)
                more = bool(events) and events.total >= EVENTS_LIMIT
                after = events[-1].id if events else after
        for each in subscriptions:
            each.expect_in(poll.ids, start)

    async def _page(self, after: int, ids: Sequence[SystemId], poll: _Poll) -> Listing[Event]:
        began = anyio.current_time()
        events = await self._maas.event_listing(after=after, ids=ids, level="DEBUG", limit=EVENTS_LIMIT)
        poll.latency = max(poll.latency, anyio.current_time() - began)
        poll.take(events)
        return events

    async def _check(
        self, subscriptions: Sequence[Subscription], near: Sequence[Subscription], poll: _Poll, *, wide: bool
    ) -> None:
        """Notice an event log that is no longer the one that was read."""
        now, cursor = anyio.current_time(), self._cursor
        asked_for = None if wide else frozenset(each.system_id for each in subscriptions)
        after = min((each.floor for each in near), default=cursor.newest)
        doubtful = cursor.missing(poll.ids, asked_for, after)
        lost = cursor.anchor.node if doubtful and cursor.anchor else None
        if doubtful or (not poll.latest and cursor.unconfirmed_for(now) >= self._cadence.reconcile):
            newest = await self._maas.newest_event_id()
            cursor.confirm(now)
            if newest < max(cursor.newest, *(each.floor for each in subscriptions)):
                cursor.restart(newest, now)
                for each in subscriptions:
                    each.restart(newest)
                return
        for each in poll.by_name.get(lost or "", ()):
            each.read_soon()
        cursor.advance(poll.latest, now)


def _by_name(subscriptions: Sequence[Subscription]) -> dict[SystemId, list[Subscription]]:
    by_name: dict[SystemId, list[Subscription]] = {}
    for each in subscriptions:
        by_name.setdefault(each.system_id, []).append(each)
    return by_name
