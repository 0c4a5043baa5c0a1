"""Searches the events backwards, and makes rows of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from maas_inventory.events import EventFilter, EventPage, EventRow
from maas_inventory.machine_names import resolve_machine
from maas_inventory.paging import digest, name_first, open_cursor
from maas_inventory.times import seconds_of, show
from maas_inventory.values import shorten
from maas_mcp.api import Event, Listing, ToolContext, fit_page

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer

BATCH: Final = 1_000
"""Events of one request, the most that MAAS allows."""
MAX_READS: Final = 5
"""Requests for events of one page. Then the page ends, and the next one continues."""
MAX_PROBES: Final = 20
"""Requests for a single event, by which the end of a period is found."""
SLACK: Final = 3_600.0
"""Seconds by which the times of events may be out of order: MAAS often takes them from the node's clock."""
MAX_NAME: Final = 100
"""Characters of a name or type in a row."""
SYSTEM: Final = "unknown"
"""MAAS's user of events that nobody caused."""


@dataclass(slots=True)
class Search:
    """A search through the events, from a place backwards."""

    ctx: ToolContext
    args: EventFilter
    ids: Sequence[str]
    since: float | None
    """The begin of the period in Unix time."""
    until: float | None
    """Its end."""
    before: int | None = None
    """Only older events are left to read, by id."""
    found: list[Event] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    oldest: float | None = None
    """The time of the oldest event that was read."""
    ended: bool = False
    """Whether all matching events were found."""

    async def read(self, limit: int, before: int | None) -> Listing[Event]:
        """Read events, newest first."""
        answer = await self.ctx.maas.get_op(
            "events/", "query", id=self.ids, level=self.args.level, owner=self.args.user, before=before, limit=limit
        )
        found = Event.list_from_response(answer.get("events") if isinstance(answer, dict) else None)
        return Listing(sorted(found, key=lambda event: event.id, reverse=True), found.left_out)

    async def skip_to(self, until: float) -> None:
        """Find the newest event of the period by its id, without reading all newer ones."""
        end, newest = until + SLACK, await self.read(1, None)
        low, high = 0, newest[0].id + 1 if newest else 0
        for _ in range(MAX_PROBES):
            if high - low <= BATCH:
                break
            middle = (low + high) // 2
            event = next(iter(await self.read(1, middle)), None)
            if event is not None and event.at is not None and event.at > end:
                high = event.id
            else:
                low = middle
        self.before = high + 1

    async def run(self) -> None:
        """Read until the page is full, the period is over, or :data:`MAX_READS` requests were sent."""
        args = self.args
        selective = args.text is not None or self.since is not None or self.until is not None
        size = BATCH if selective else args.limit + 1
        for _ in range(MAX_READS):
            events = await self.read(size, self.before)
            self.left_out += map(str, events.left_out)
            self.found += filter(self.matches, events)
            if events:
                self.before, self.oldest = events[-1].id, events[-1].at or self.oldest
            self.ended = events.total < size or not events or self._is_before_period()
            if self.ended or len(self.found) > args.limit:
                return

    def _is_before_period(self) -> bool:
        return self.since is not None and self.oldest is not None and self.oldest < self.since - SLACK

    def matches(self, event: Event) -> bool:
        """Whether an event is in the period and has the text. One with an unreadable time is in every period."""
        at = event.at
        early = self.since is not None and at is not None and at < self.since
        late = self.until is not None and at is not None and at > self.until
        text = (self.args.text or "").strip().lower()
        return not early and not late and text in f"{event.type} {str.lower(event.description)}".lower()


async def find_events(ctx: "ToolContext[Any, Informer]", args: EventFilter) -> EventPage:
    """Return a page of the events that match, newest first."""
    query = digest({"events": args.model_dump(mode="json", exclude={"limit", "cursor"})})
    last = open_cursor(ctx, args.cursor, query)
    ids = [] if args.machine is None else [(await resolve_machine(ctx, args.machine)).system_id]
    if last is None:
        now = ctx.state.unix_time()
        since, until = (None if each is None else seconds_of(each, now) for each in (args.since, args.until))
        search = Search(ctx, args, ids, since, until)
        if until is not None:
            await search.skip_to(until)
    else:
        search = Search(ctx, args, ids, last["since"], last["until"], last["before"])
    await search.run()
    rows = [_row(event) for event in search.found]
    shown = fit_page(rows, args.limit)
    more = len(shown) < len(rows)
    place = shown[-1].id if more else None if search.ended else search.before
    position = {"of": query, "since": search.since, "until": search.until}
    return EventPage(
        events=shown,
        next_cursor=None if place is None else ctx.cursors.seal(position | {"before": place}),
        hint=_explain(search, shown=len(shown), more=more),
        unreadable=[*_describe_left_out(search), *_describe_odd(search.found[: len(shown)])],
    )


def _row(event: Event) -> EventRow:
    return EventRow(
        id=event.id,
        at=show(event.at),
        hostname=shorten(event.hostname or event.node, MAX_NAME) or None,
        level=shorten(event.level, MAX_NAME),
        type=shorten(event.type, MAX_NAME),
        description=shorten(event.description) or None,
        user=None if event.username == SYSTEM else shorten(event.username, MAX_NAME),
    )


def _describe_left_out(search: Search) -> list[str]:
    return name_first([f"{each}, so this event is left out." for each in search.left_out], "events")


def _describe_odd(events: Iterable[Event]) -> list[str]:
    odd = [(event.id, ", ".join(f"`{name}`" for name in event.unreadable)) for event in events if event.unreadable]
    return name_first([f"event {number}: {names} cannot be read." for number, names in odd], "events")


def _explain(search: Search, *, shown: int, more: bool) -> str | None:
    if more or search.ended:
        hint = "" if search.args.level == "DEBUG" else " The level `DEBUG` has the most events."
        return None if shown else f"No event matches.{hint}"
    return f"The search has reached {show(search.oldest) or 'an older time'}; the next page continues it."
