"""The event log: by machine, level, time, text and user, newest first, in small pages."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maas_inventory.events import EventPage, GetEvents
from maas_mcp.api import InvalidArgumentsError, MaasNotFoundError
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.odd import answering, spoilt
from tests.pages import check_page

LOGGED = 5_000
"""Events of a long log, one a minute."""
LAST = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
"""The time of its newest event."""


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        yield region


def events(region: MaasRegion, **arguments: Any) -> EventPage:
    return region.call(GetEvents, **arguments)


class LongLog:
    """A long log that is read as MAAS's, with the number of requests."""

    def __init__(self) -> None:
        self.requests = 0

    def event(self, number: int) -> JSON:
        at = LAST - timedelta(minutes=LOGGED - number)
        created = at.strftime("%a, %d %b. %Y %H:%M:%S")
        return {
            "id": number,
            "node": "7xneda",
            "hostname": "node01",
            "level": "INFO",
            "username": "unknown",
            "type": "Performing PXE boot",
            "description": f"boot {number}",
            "created": created,
        }

    def read(self, query: dict[str, list[str]]) -> JSON:
        self.requests += 1
        newest = min(LOGGED, int(query.get("before", ["999999"])[0]) - 1)
        oldest = max(0, newest - int(query["limit"][0]))
        return {"events": [self.event(number) for number in range(newest, oldest, -1)]}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LongLog:
    long, ask = LongLog(), HttpTransport.request

    async def request(self: HttpTransport, method: str, path: str, **rest: Any) -> JSON:
        if path != "events/":
            return await ask(self, method, path, **rest)
        query: dict[str, list[str]] = {}
        for key, value in rest["query"]:
            query.setdefault(key, []).append(value)
        return long.read(query)

    monkeypatch.setattr(HttpTransport, "request", request)
    return long


def test_events_are_listed_newest_first_with_machine_level_and_text(region: MaasRegion) -> None:
    page = events(region, limit=5)

    ids = [event.id for event in page.events]
    assert ids == sorted(ids, reverse=True)
    assert {event.hostname for event in page.events} <= {f"node{number:02}" for number in range(1, 13)}
    assert page.events[0].at is not None
    assert page.events[0].at.endswith("Z")


@pytest.mark.parametrize("name", ["node11", "node11.maas", "NODE11", "8pr8mk"])
def test_the_events_of_one_machine_are_listed_by_any_of_its_names(region: MaasRegion, name: str) -> None:
    page = events(region, machine=name, level="WARNING")

    assert {event.hostname for event in page.events} == {"node11"}
    assert {event.level for event in page.events} <= {"WARNING", "ERROR"}
    assert "Marking node failed" in {event.type for event in page.events}


def test_a_machine_that_does_not_exist_is_named(region: MaasRegion) -> None:
    with pytest.raises(MaasNotFoundError, match="node99"):
        events(region, machine="node99")


def test_the_user_of_an_event_is_shown_and_filtered(region: MaasRegion) -> None:
    region.deploy("node01", "bob")
    page = events(region, user="bob", level="DEBUG")

    assert page.events
    assert {event.user for event in page.events} == {"bob"}
    assert "by bob" in GetEvents().summary(page)
    assert {event.user for event in events(region, machine="node12").events} == {None}


def test_the_pages_of_a_log_have_every_event_once(region: MaasRegion) -> None:
    seen: list[int] = []
    cursor = None
    for _ in range(1_000):
        page = events(region, level="DEBUG", limit=40, cursor=cursor)
        seen += [event.id for event in page.events]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == len(region.log.query(lambda _event: True, limit=100_000, after=None, before=None, of=None))


def test_new_events_do_not_change_the_following_pages(region: MaasRegion) -> None:
    first = events(region, limit=3)
    region.deploy("node01", "bob")
    second = events(region, limit=3, cursor=first.next_cursor)

    assert second.events[0].id < first.events[-1].id


def test_a_period_is_found_without_reading_all_newer_events(region: MaasRegion, log: LongLog) -> None:
    until = LAST - timedelta(minutes=4_000)
    page = events(region, since=(until - timedelta(minutes=30)).isoformat(), until=until.isoformat(), limit=200)

    assert [event.id for event in page.events] == list(range(1_000, 969, -1))
    assert page.next_cursor is None
    assert log.requests <= 8


def test_the_end_of_a_period_is_not_read_beyond(region: MaasRegion, log: LongLog) -> None:
    page = events(region, since=(LAST - timedelta(minutes=5)).isoformat(), limit=200)

    assert [event.id for event in page.events] == list(range(5_000, 4_994, -1))
    assert page.next_cursor is None
    assert log.requests == 1


@pytest.mark.usefixtures("log")
def test_a_rare_text_is_searched_in_steps_that_a_cursor_continues(region: MaasRegion) -> None:
    page, found, calls = events(region, text="BOOT 33"), 0, 1
    while page.next_cursor is not None and calls < 200:
        found += len(page.events)
        page, calls = events(region, text="BOOT 33", cursor=page.next_cursor), calls + 1
    found += len(page.events)

    assert calls > 2
    assert found == sum("boot 33" in f"boot {number}" for number in range(1, LOGGED + 1))


def test_a_search_without_hits_says_how_far_it_has_come(region: MaasRegion, log: LongLog) -> None:
    page = events(region, text="no such event")

    assert page.events == []
    assert log.requests == 5
    assert page.next_cursor is not None
    assert page.hint == "The search has reached 2026-11-25T00:41:00Z; the next page continues it."


@pytest.mark.usefixtures("log")
def test_a_page_of_a_long_log_is_small(region: MaasRegion) -> None:
    page = check_page(region.call_tool("maas_get_events", limit=200))

    assert len(page["events"]) > 20
    assert page["next_cursor"]


def test_an_event_with_long_texts_does_not_make_the_page_large(region: MaasRegion) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        for event in answer["events"] if path == "events/" else []:
            event |= {"description": "d" * 50_000, "type": "t" * 50_000, "username": "u" * 50_000, "level": "l" * 9_000}
        return answer

    with spoilt(spoil):
        check_page(region.call_tool("maas_get_events", limit=50))


def test_unreadable_events_are_named_and_hide_no_other(region: MaasRegion) -> None:
    good = events(region, limit=10)

    def spoil(path: str, answer: JSON) -> JSON:
        if path == "events/":
            answer["events"] = [None, {"id": "many"}, *answer["events"]]
            answer["events"][4] |= {"created": 5, "description": None, "username": [], "node": 7}
        return answer

    with spoilt(spoil):
        page = events(region, limit=10)

    assert [event.id for event in page.events] == [event.id for event in good.events]
    assert page.unreadable[0] == "entry 1: it cannot be read, so this event is left out."
    assert page.unreadable[1] == "entry 2: `id` cannot be read, so this event is left out."
    (odd,) = page.unreadable[2:]
    assert odd.startswith(f"event {good.events[2].id}: ")
    assert all(f"`{name}`" in odd for name in ("created", "description", "username", "node"))


@pytest.mark.parametrize("answer", [None, [], 5, {}, {"events": None}])
def test_an_answer_without_events_is_refused(region: MaasRegion, answer: JSON) -> None:
    with answering(lambda path: answer if path == "events/" else NotImplemented):
        result = region.call_tool("maas_get_events")

    assert result.is_error


def test_a_cursor_of_another_search_is_refused(region: MaasRegion) -> None:
    cursor = events(region, limit=1).next_cursor

    with pytest.raises(InvalidArgumentsError, match="other arguments"):
        events(region, limit=1, level="DEBUG", cursor=cursor)


def test_another_users_events_are_hidden_from_a_plain_user(region: MaasRegion) -> None:
    page = region.call(GetEvents, username="bob")

    assert "node07" not in {event.hostname for event in page.events}


def test_a_period_before_now_stays_the_same_on_the_next_page(region: MaasRegion) -> None:
    first = events(region, since="2 weeks ago", limit=1)
    pages = [first]
    while cursor := pages[-1].next_cursor:
        pages.append(events(region, since="2 weeks ago", limit=1, cursor=cursor))
    whole = events(region, since="2 weeks ago")

    assert [each.id for page in pages for each in page.events] == [each.id for each in whole.events]
    assert len(pages) > 1


def test_no_event_of_the_last_minutes_is_no_error(region: MaasRegion) -> None:
    page = events(region, text="no such words", level="DEBUG")

    assert (page.events, page.hint) == ([], "No event matches.")
