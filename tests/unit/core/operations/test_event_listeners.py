"""Listeners of all events: each event once, from the requests that follow operations, and few requests without any."""

from collections import Counter
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from maas_mcp.errors import MaasAuthError, MaasError, MaasUnavailableError
from maas_mcp.maas.statuses import MachineStatus as S
from maas_mcp.operations.event_news import IDLE, EventNews
from maas_mcp.operations.judging.evidence import Needs
from tests.unit.core.operations.event_log import EventLog, SentRequest, names
from tests.unit.core.operations.following import listening, scene

OURS = "a"
OTHER_MACHINE = "z"
HOUR = 3600.0


def filled(events: int = 150) -> EventLog:
    """A log with a followed machine, and with events of another one."""
    log = EventLog({OURS: S.DEPLOYING, OTHER_MACHINE: S.READY})
    for _ in range(events):
        log.write_event(OTHER_MACHINE)
    return log


def polls(log: EventLog) -> list[SentRequest]:
    return [each for each in log.requests if each.kind == "events"]


@pytest.mark.anyio
class TestNews:
    async def test_events_of_all_machines_are_received_in_their_order_and_polls_without_news_too(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                await anyio.sleep(20)
                s.log.write_event(OTHER_MACHINE)
                s.log.write_event(OURS)
                await anyio.sleep(30)
        assert [[event.id for event in each.events] for each in received.news] == [[], [], [151, 152], []]
        assert [each.asked for each in received.news] == [0, 15, 30, 45]

    async def test_only_the_first_news_are_incomplete(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                await anyio.sleep(200)
        assert [each.complete for each in received.news] == [False] + [True] * 13

    async def test_a_later_listener_knows_that_it_missed_the_past(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as early:
                await anyio.sleep(20)
                with listening(s) as late:
                    await anyio.sleep(20)
        assert early.gaps == [0]
        assert late.gaps == [20]

    async def test_an_event_that_appears_after_a_newer_one_is_received(self) -> None:
        log = filled()
        log.write_event(OTHER_MACHINE)
        log.visible_at[log.newest] = 8.0
        log.write_event(OTHER_MACHINE)
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(50)
        assert received.events == [151]

    async def test_nobody_is_called_after_a_failed_poll_and_no_event_is_lost(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(1)
                log.trouble = fail(MaasUnavailableError("503"))
                log.write_event(OTHER_MACHINE)
                await anyio.sleep(100)
                assert received.times == [0]
                log.trouble = None
                await anyio.sleep(20)
        assert received.events == [151]
        assert received.gaps == [0]

    async def test_a_reset_log_is_received_as_incomplete_and_its_new_events_once(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(20)
                log.events.clear()
                log.write_event(OTHER_MACHINE, number=7)
                await anyio.sleep(20)
                log.write_event(OTHER_MACHINE)
                await anyio.sleep(20)
        assert received.gaps == [0, 30]
        assert received.events == [8]

    async def test_a_log_that_becomes_empty_is_received_as_incomplete(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(20)
                log.events.clear()
                await anyio.sleep(20)
                log.write_event(OTHER_MACHINE, number=1)
                await anyio.sleep(20)
        assert received.gaps == [0, 30]
        assert received.events == [1]

    async def test_thousands_of_events_between_two_polls_are_all_received(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(1)
                for _ in range(4_500):
                    log.write_event(OTHER_MACHINE)
                await anyio.sleep(30)
        assert received.events == list(range(151, 4_651))
        assert received.gaps == [0]

    async def test_a_flood_is_cut_and_received_as_incomplete(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(1)
                for _ in range(50_000):
                    log.write_event(OTHER_MACHINE)
                await anyio.sleep(15)
                number = log.write_event(OTHER_MACHINE)
                await anyio.sleep(15)
        assert received.gaps == [0, 15]
        assert received.events[-1] == number
        assert log.count() <= 10


@pytest.mark.parametrize("followed", [1, 50, 60])
def test_a_listener_costs_no_requests_while_operations_are_followed(followed: int) -> None:
    alone, received = (
        trio.run(followed_for_minutes, followed, listens, clock=trio.testing.MockClock(autojump_threshold=0))
        for listens in (False, True)
    )
    assert received.counts() == alone.counts() + Counter(newest=1)


@pytest.mark.anyio
class TestRequests:
    @pytest.mark.parametrize("events", [0, 1, 150])
    async def test_an_idle_listener_costs_240_requests_an_hour(self, events: int) -> None:
        async with scene(filled(events)) as s:
            with listening(s):
                await anyio.sleep(HOUR)
        assert s.log.count() <= 240 + 1

    async def test_a_listener_of_a_log_whose_newest_events_were_deleted_costs_no_more(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s):
                await anyio.sleep(20)
                log.events = {number: event for number, event in log.events.items() if number < 100}
                log.requests.clear()
                await anyio.sleep(HOUR)
        assert log.count() <= 240 + 2

    async def test_the_shortest_idle_time_of_all_listeners_counts(self) -> None:
        async with scene(filled()) as s:
            with listening(s, idle=60), listening(s, idle=30):
                await anyio.sleep(HOUR)
        assert 119 <= s.log.count() <= 122

    async def test_nothing_is_requested_after_the_last_listener_has_left(self) -> None:
        async with scene(filled()) as s:
            with listening(s):
                await anyio.sleep(20)
            s.log.requests.clear()
            await anyio.sleep(HOUR)
        assert s.log.requests == []

    async def test_listening_can_start_again(self) -> None:
        async with scene(filled()) as s:
            with listening(s):
                await anyio.sleep(20)
            await anyio.sleep(20)
            s.log.write_event(OTHER_MACHINE)
            with listening(s) as received:
                await anyio.sleep(1)
                s.log.write_event(OTHER_MACHINE)
                await anyio.sleep(20)
        assert received.gaps == [40]
        assert received.events == [152]

    async def test_a_followed_machine_and_a_listener_share_each_request(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                await anyio.sleep(1.5)
                s.log.requests.clear()
                reported = s.follow(OURS)
                for _ in range(60):
                    await anyio.sleep(2)
                    s.log.write_event(OURS)
                    s.log.write_event(OTHER_MACHINE)
        assert {each.ids for each in polls(s.log)} == {()}
        assert s.log.counts()["events"] == len(polls(s.log)) == len(received.news) - 1
        assert set(reported.events) == {each for each in received.events if each % 2}

    async def test_following_starts_at_once_although_a_listener_waits(self) -> None:
        async with scene(filled()) as s:
            with listening(s):
                await anyio.sleep(6.3)
                s.log.requests.clear()
                s.follow(OURS)
                await anyio.sleep(0.1)
        assert [each.kind for each in s.log.requests] == ["events", "machines"]

    async def test_listening_goes_on_at_its_pace_after_the_last_operation(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                reported = s.follow(OURS)
                await anyio.sleep(20.5)
                reported.leave()
                s.log.requests.clear()
                await anyio.sleep(60)
        assert 3 <= s.log.count() <= 4
        assert received.gaps == [0]

    async def test_a_poll_waits_as_long_as_maas_asks(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s):
                await anyio.sleep(1)
                log.trouble = fail(MaasUnavailableError("503", retry_after=50))
                await anyio.sleep(15)
                log.requests.clear()
                await anyio.sleep(45)
        assert log.requests == []

    async def test_a_slow_region_is_polled_for_a_tenth_of_the_time(self) -> None:
        log = filled()
        log.latency = 5.0
        async with scene(log) as s:
            with listening(s):
                await anyio.sleep(HOUR)
        assert log.count() <= HOUR / 50 + 1

    async def test_a_refused_key_is_tried_ever_more_rarely(self) -> None:
        log = filled()
        log.trouble = fail(MaasAuthError("401"))
        async with scene(log) as s:
            with listening(s):
                await anyio.sleep(HOUR)
        assert log.count() < 20


@pytest.mark.anyio
class TestOtherMachines:
    """Most events are of machines that nobody follows."""

    async def test_a_backlog_does_not_delay_what_is_followed(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                reported = s.follow(OURS)
                await anyio.sleep(10.5)
                for _ in range(3_000):
                    s.log.write_event(OTHER_MACHINE)
                number = s.log.write_event(OURS)
                s.log.requests.clear()
                await anyio.sleep(2.5)
                assert reported.events == [number]
                assert [each.ids for each in s.log.requests] == [(), (OURS,)]
                await anyio.sleep(20)
        assert received.events == list(range(151, number + 1))
        assert received.gaps == [0]

    async def test_a_flood_is_cut_for_listeners_only(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                reported = s.follow(OURS)
                await anyio.sleep(10.5)
                numbers = []
                for _ in range(10):
                    for _ in range(6_000):
                        s.log.write_event(OTHER_MACHINE)
                    numbers.append(s.log.write_event(OURS))
                    await anyio.sleep(15)
        assert reported.events == numbers
        assert len(received.gaps) > 5
        assert len(received.events) == len(set(received.events))

    async def test_listeners_then_read_at_their_own_pace(self) -> None:
        async with scene(filled()) as s:
            with listening(s):
                s.follow(OURS)
                await anyio.sleep(10)
                for _ in range(3_000):
                    s.log.write_event(OTHER_MACHINE)
                await anyio.sleep(20)
                s.log.requests.clear()
                await anyio.sleep(120)
        assert len([each for each in polls(s.log) if not each.ids]) <= 120 / IDLE + 1

    async def test_they_are_read_for_a_listener_if_only_statuses_are_polled(self) -> None:
        async with scene(filled()) as s:
            with listening(s) as received:
                s.follow(OURS, Needs(events=False))
                await anyio.sleep(60)
                s.log.write_event(OTHER_MACHINE)
                await anyio.sleep(20)
        assert received.events == [151]
        assert s.log.counts()["events"] <= 80 / IDLE + 1


@pytest.mark.anyio
class TestFollowed:
    async def test_a_deleted_machine_is_noticed_as_soon_as_without_a_listener(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s):
                reported = s.follow(OURS)
                number = log.write_event(OURS)
                log.write_event(OTHER_MACHINE)
                await anyio.sleep(20.5)
                del log.status[OURS]
                del log.events[number]
                await anyio.sleep(6)
        assert [seen for _, seen in reported.observations if seen.absent]

    async def test_a_reset_log_is_noticed_at_once(self) -> None:
        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                reported = s.follow(OURS)
                await anyio.sleep(20.5)
                log.events.clear()
                log.write_event(OURS, number=7)
                await anyio.sleep(10)
                number = log.write_event(OURS)
                await anyio.sleep(9)
        assert [read for read in reported.reads if 20 < read <= 24]
        assert reported.events == [number]
        assert len(received.gaps) == 2
        assert received.events == [number]

    async def test_a_cursor_beyond_the_newest_event_is_noticed(self) -> None:
        async with scene(filled()) as s:
            with listening(s):
                await anyio.sleep(20)
                reported = s.follow(OURS, cursor=50_000)
                await anyio.sleep(10)
                number = s.log.write_event(OURS)
                await anyio.sleep(10)
        assert reported.events == [number]

    async def test_an_operation_that_starts_far_back_does_not_delay_listeners(self) -> None:
        log = filled()
        number = log.write_event(OURS)
        for _ in range(5_000):
            log.write_event(OTHER_MACHINE)
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep(20)
                log.requests.clear()
                reported = s.follow(OURS, cursor=0)
                await anyio.sleep(20)
        assert reported.events == [number]
        assert {each.ids for each in polls(log) if (each.after or 0) < 4_000} == {(OURS,)}
        assert len(received.news) >= 3

    async def test_a_machine_is_followed_by_id_if_the_events_of_all_machines_cannot_be_read(self) -> None:
        def trouble(request: SentRequest) -> None:
            if request.kind in ("events", "newest") and not request.ids:
                raise MaasUnavailableError("504")

        log = filled()
        async with scene(log) as s:
            with listening(s) as received:
                reported = s.follow(OURS)
                await anyio.sleep(20.5)
                log.trouble = trouble
                for _ in range(50):
                    log.write_event(OURS)
                    await anyio.sleep(2)
                assert len(reported.events) == 50
                assert len(reported.outages) == 1
                log.trouble = None
                await anyio.sleep(20)
        assert received.events == reported.events
        assert received.gaps == [0]


@pytest.mark.anyio
class TestFailingListeners:
    async def test_one_that_fails_is_dropped_and_the_others_go_on(self) -> None:
        calls: list[EventNews] = []

        def failing(news: EventNews) -> None:
            calls.append(news)
            raise ValueError("a bug in a plugin")

        async with scene(filled()) as s:
            with s.watcher.listen(failing), listening(s) as received:
                reported = s.follow(OURS)
                await anyio.sleep(1)
                number = s.log.write_event(OURS)
                await anyio.sleep(30)
        assert len(calls) == 1
        assert received.events == reported.events == [number]

    async def test_nothing_is_requested_after_the_last_one_has_failed(self) -> None:
        def failing(_news: EventNews) -> None:
            raise ValueError("a bug in a plugin")

        async with scene(filled()) as s:
            with s.watcher.listen(failing):
                await anyio.sleep(20)
                s.log.requests.clear()
                await anyio.sleep(HOUR)
                assert s.log.requests == []
                reported = s.follow(OURS)
                await anyio.sleep(1)
                number = s.log.write_event(OURS)
                await anyio.sleep(10)
        assert reported.events == [number]


def fail(error: MaasError) -> Any:
    """Fail every request."""

    def trouble(_request: SentRequest) -> None:
        raise error

    return trouble


async def followed_for_minutes(followed: int, listens: bool) -> EventLog:
    """The log after four minutes in which the followed machines have events, and others too."""
    nodes = names(followed)
    log = EventLog(dict.fromkeys((*nodes, OTHER_MACHINE), S.DEPLOYING))
    for _ in range(150):
        log.write_event(OTHER_MACHINE)
    async with scene(log) as s:
        with listening(s) if listens else contextmanager(lambda: iter([None]))():
            for node in nodes:
                s.follow(node)
            await anyio.sleep(0.5)
            for number in range(80):
                await anyio.sleep(3)
                log.write_event(nodes[number % followed])
                log.write_event(OTHER_MACHINE)
    return log
