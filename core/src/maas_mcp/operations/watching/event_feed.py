"""The event feed: one request for the events of all followed machines, which costs MAAS one SQL query."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from maas_mcp.errors import MaasError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.machine_ids import chunks
from maas_mcp.maas.models import Event, SystemId
from maas_mcp.maas.reading import Listing
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.cursor import Cursor
from maas_mcp.operations.watching.event_tail import FIRST_EVENTS, EventTail
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
KEPT_IDS: Final = 500
"""How many ids back a machine's newest event is still read again. Its absence shows that the machine was deleted."""
KEPT_IDS_OF_ALL: Final = 100
"""The same in requests for the events of all machines, each of which returns all events from there on."""
MAX_TAIL_PAGES: Final = 5
"""Maximum responses with the events of all machines for listeners in a poll. With more events, they are left out."""
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
    all_after: int | None = None
    """The id after which the events of all machines were read; ``None`` if only those of the subscriptions were."""

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
        self.tail: EventTail | None = None
        """Collects the events of all machines, if anyone listens to them."""
        self.latency = 0.0
        """Seconds of the slowest response of the last read."""

    def begin(self) -> None:
        """Start with an unknown log, after a time without polls."""
        self._cursor = Cursor(self._cadence.overlap, anyio.current_time())
        self.tail = None if self.tail is None else EventTail()

    def collect_all(self) -> None:
        """Collect the events of all machines from now on, and read them soon."""
        self.tail = self.tail or EventTail()
        self.tail.read_at = -math.inf

    @property
    def tail_read_at(self) -> float:
        """When the events of all machines were last read."""
        return -math.inf if self.tail is None else self.tail.read_at

    @property
    def is_begun(self) -> bool:
        """Whether the log is known because listeners have received it all the time."""
        return self.tail is not None and self.tail.floor is not None

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
        many = len(near) > MAX_BY_ID
        wide = bool(near) and (many or self.tail is not None) and self._knows_log and began >= self._narrow_until
        if wide:
            await self._read_wide(near, poll, for_listeners=not many)
        if poll.all_after is None:
            await self._read_narrow(near, poll)
        await self._read_narrow(far, poll)
        self.latency = poll.latency
        await self._check(subscriptions, near, poll)
        floor = self._cursor.floor(began)
        for each in subscriptions:
            each.read_up_to(floor, again=KEPT_IDS if poll.all_after is None else 0 if many else KEPT_IDS_OF_ALL)
        if poll.all_after is not None and self.tail is not None:
            self.tail.finish(floor, began)
        return poll.news

    async def read_tail(self, subscriptions: Sequence[Subscription]) -> None:
        """Read the new events of all machines for the listeners, in requests of their own.

        Args:
            subscriptions: They restart if the log was reset.

        Raises:
            MaasError: MAAS did not respond, or refused the request.
        """
        tail, cursor = self.tail, self._cursor
        if tail is None:
            return
        began = anyio.current_time()
        poll = _PollResult({})
        if cursor.newest > 0 and cursor.unconfirmed_for(began) >= self._cadence.reconcile:
            await self._check_newest(subscriptions)
        if tail.floor is not None:
            after = tail.floor
            if not await self._read_on(after, poll):
                tail.stop()
            elif cursor.is_anchor_missing(poll.ids, None, after):
                await self._check_newest(subscriptions)
        if tail.floor is None:
            poll = _PollResult({})
            newest = await self._page(None, (), poll, FIRST_EVENTS)
            if newest.total < FIRST_EVENTS:
                tail.start(poll.ids, 0)
            else:
                tail.start(poll.ids, newest[0].id - 1 if newest else await self._maas.newest_event_id())
        cursor.advance(poll.latest, anyio.current_time())
        tail.finish(cursor.floor(began), began)
        self.latency = poll.latency

    @property
    def _knows_log(self) -> bool:
        return self._cursor.newest > 0 or self.is_begun

    async def _read_wide(self, near: Sequence[Subscription], poll: _PollResult, *, for_listeners: bool) -> None:
        """Read the events of all machines, unless most are of machines that are not followed, and more remain.

        Args:
            near: The subscriptions.
            poll: Receives the events.
            for_listeners: Whether the subscriptions alone would be read by id. If reading fails, they are from now on.
        """
        tail = self.tail
        start = after = min([each.floor for each in near] + ([tail.floor] if tail and tail.floor is not None else []))
        more = True
        while more:
            try:
                events = await self._page(after, (), poll)
            except MaasError:
                if for_listeners:
                    self._read_narrow_for_now()
                raise
            more = bool(events) and events.total >= MAX_EVENTS
            if poll.is_crowded and (more or tail is None):
                self._read_narrow_for_now()
            if poll.is_crowded and more:
                return
            after = events[-1].id if events else after
        poll.all_after = start
        if tail is not None and tail.floor is None:
            tail.start(poll.ids, start)
        for each in near if for_listeners else ():
            each.check_newest(poll.ids, start)

    def _read_narrow_for_now(self) -> None:
        self._narrow_until = anyio.current_time() + NARROW_INTERVALS * self._cadence.interval

    async def _read_on(self, after: int, poll: _PollResult) -> bool:
        """Read the events of all machines for the listeners. Return whether none remains."""
        for _ in range(MAX_TAIL_PAGES):
            events = await self._page(after, (), poll)
            if not events or events.total < MAX_EVENTS:
                return True
            after = events[-1].id
        return False

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

    async def _page(
        self, after: int | None, ids: Sequence[SystemId], poll: _PollResult, limit: int | None = None
    ) -> Listing[Event]:
        began = anyio.current_time()
        events = await self._maas.event_listing(after=after, ids=ids, level="DEBUG", limit=limit or MAX_EVENTS)
        poll.latency = max(poll.latency, anyio.current_time() - began)
        if self.tail is not None and not ids:
            self.tail.add(events)
        for system_id in poll.take(events):
            self._on_news(system_id)
        return events

    async def _check(
        self, subscriptions: Sequence[Subscription], near: Sequence[Subscription], poll: _PollResult
    ) -> None:
        """Detect a reset of the event log."""
        now, cursor, after = anyio.current_time(), self._cursor, poll.all_after
        asked_for = None
        if after is None:
            asked_for = frozenset(each.system_id for each in subscriptions)
            after = min((each.floor for each in near), default=cursor.newest)
        is_missing = cursor.is_anchor_missing(poll.ids, asked_for, after)
        lost = cursor.anchor.node if is_missing and cursor.anchor else None
        is_silent = not poll.latest and cursor.unconfirmed_for(now) >= self._cadence.reconcile
        # A log is never silent if the events of all machines are read, because the newest one is read again each time.
        newest = max([cursor.newest, *poll.ids])
        is_behind = self.tail is not None and asked_for is None and any(each.floor > newest for each in near)
        if (is_missing or is_silent or is_behind) and await self._check_newest(subscriptions):
            return
        for each in poll.by_name.get(lost or "", ()):
            each.read_soon()
        cursor.advance(poll.latest, now)

    async def _check_newest(self, subscriptions: Sequence[Subscription]) -> bool:
        """Check the newest id of the log. If the log was reset, restart everything, and return True."""
        newest = await self._maas.newest_event_id()
        now, cursor = anyio.current_time(), self._cursor
        cursor.confirm(now)
        if newest >= max([cursor.newest, *(each.floor for each in subscriptions)]):
            return False
        cursor.restart(newest, now)
        for each in subscriptions:
            each.restart(newest)
        if self.tail is not None:
            self.tail.stop()
        return True


def _by_name(subscriptions: Sequence[Subscription]) -> dict[SystemId, list[Subscription]]:
    by_name: dict[SystemId, list[Subscription]] = {}
    for each in subscriptions:
        by_name.setdefault(each.system_id, []).append(each)
    return by_name
