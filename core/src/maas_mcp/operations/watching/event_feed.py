"""The event feed: one request for the events of all followed machines, which costs MAAS one SQL query."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.machine_ids import chunks
from maas_mcp.maas.models import Event, SystemId
from maas_mcp.maas.reading import Listing
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.cursor import Cursor
from maas_mcp.operations.watching.subscription import Subscription

"""MAAS's maximum number of events in a response. With ``after`` it returns the oldest ones, so more follow a full
response."""
MAX_BY_ID: Final = 50
"""Maximum machines to request by id. With more, their ids take more bytes than the events of all other machines."""
MANY_UNFOLLOWED: Final = 200
"""Machines are requested by id again if a response has at least this many events of machines that are not followed,
and these are the majority."""
NARROW_INTERVALS: Final = 150
"""Intervals until events of all machines are requested again: five minutes by default."""
FAR_BEHIND: Final = 1000
"""A subscription this many ids behind the others is read in a separate request."""


@dataclass
class _PollResult:
    """The result of one tick's requests."""

    by_name: dict[SystemId, list[Subscription]]
    latest: list[Event] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)
    unfollowed: int = 0
    news: bool = False
    latency: float = 0.0

    def take(self, events: Sequence[Event]) -> set[SystemId]:
        """Pass each subscription the new events of its machine. Return the machines with news."""
        changed: set[SystemId] = set()
        by_machine: defaultdict[SystemId, list[Event]] = defaultdict(list)
        for event in events:
            by_machine[event.node].append(event)
        for node, group in by_machine.items():
            for subscription in self.by_name.get(node, ()):
                if subscription.add_events(group):
                    self.news = True
                    changed.add(node)
            self.unfollowed += 0 if node in self.by_name else len(group)
        self.ids.update(event.id for event in events)
        self.latest += events[-1:]
        return changed

    @property
    def is_crowded(self) -> bool:
        """Whether most events received are of machines that are not followed."""
        return self.unfollowed >= MANY_UNFOLLOWED and self.unfollowed * 2 > len(self.ids)


class EventFeed:
    """Reads new events for all subscriptions together.

    Args:
        maas: The region.
        cadence: How late events may appear, and how often a log without news is checked.
        on_news: Called with each machine that has new events.
    """

    def __init__(
        self, maas: MaasClient, cadence: Cadence, on_news: Callable[[SystemId], None] = lambda _system_id: None
    ) -> None:
        self._maas = maas
        self._cadence = cadence
        self._on_news = on_news
        self._cursor = Cursor(cadence.overlap, now=0.0)
        self._narrow_until = -math.inf
        self.latency = 0.0
        """Seconds of the slowest response of the last read."""

    def begin(self) -> None:
        """Start with an unknown log, after a time without subscriptions."""
        self._cursor = Cursor(self._cadence.overlap, anyio.current_time())

    async def read(self, subscriptions: Sequence[Subscription]) -> bool:
        """Pass each subscription its new events; return whether there were any.

        If a later request fails, events already passed on are kept, and the others are requested again the next time.

        Raises:
            MaasError: MAAS did not respond, or refused the request.
        """
        self.latency = 0.0
        if not subscriptions:
            return False
        began = anyio.current_time()
        poll = _PollResult(_by_name(subscriptions))
        start = self._cursor.floor(began)
        near = [each for each in subscriptions if each.floor >= start - FAR_BEHIND]
        far = [each for each in subscriptions if each.floor < start - FAR_BEHIND]
        wide = len(near) > MAX_BY_ID and self._cursor.newest > 0 and began >= self._narrow_until
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

    async def _read_wide(self, near: Sequence[Subscription], poll: _PollResult) -> bool:
        """Read the events of all machines.

        Returns:
            False if most events are of machines that are not followed, and more remain.
        """
        after = min(each.floor for each in near)
        while True:
            events = await self._page(after, (), poll)
            if poll.is_crowded:
                self._narrow_until = anyio.current_time() + NARROW_INTERVALS * self._cadence.interval
            if not events or events.total < MAX_EVENTS:
                return True
            if poll.is_crowded:
                return False
            after = events[-1].id

    async def _read_narrow(self, subscriptions: Sequence[Subscription], poll: _PollResult) -> None:
        """Read the events of these machines, by id."""
        if not subscriptions:
            return
        start = min(each.floor for each in subscriptions)
        for ids in chunks(_by_name(subscriptions)):
            after, more = start, True
            while more:
                events = await self._page(after, ids, poll)
                more = bool(events) and events.total >= MAX_EVENTS
                after = events[-1].id if events else after
        for each in subscriptions:
            each.check_newest(poll.ids, start)

    async def _page(self, after: int, ids: Sequence[SystemId], poll: _PollResult) -> Listing[Event]:
        began = anyio.current_time()
        events = await self._maas.event_listing(after=after, ids=ids, level="DEBUG", limit=MAX_EVENTS)
        poll.latency = max(poll.latency, anyio.current_time() - began)
        for system_id in poll.take(events):
            self._on_news(system_id)
        return events

    async def _check(
        self, subscriptions: Sequence[Subscription], near: Sequence[Subscription], poll: _PollResult, *, wide: bool
    ) -> None:
        """Detect a reset of the event log."""
        now, cursor = anyio.current_time(), self._cursor
        asked_for = None if wide else frozenset(each.system_id for each in subscriptions)
        after = min((each.floor for each in near), default=cursor.newest)
        is_missing = cursor.is_anchor_missing(poll.ids, asked_for, after)
        lost = cursor.anchor.node if is_missing and cursor.anchor else None
        if is_missing or (not poll.latest and cursor.unconfirmed_for(now) >= self._cadence.reconcile):
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
