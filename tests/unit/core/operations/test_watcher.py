"""The watcher: its requests to MAAS, the observations for its followers, and outages."""

from functools import partial
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest

from maas_mcp.errors import (
    MaasAuthError,
    MaasBadRequestError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    MaasTlsError,
    MaasUnavailableError,
)
from maas_mcp.maas.models import ScriptSetName
from maas_mcp.maas.statuses import MachineStatus as S
from maas_mcp.operations.judging.evidence import Needs
from maas_mcp.operations.watching.watcher import Watcher
from tests.unit.core.operations.event_log import EventLog, SentRequest, names
from tests.unit.core.operations.following import scene

pytestmark = pytest.mark.anyio

COMMISSIONING = Needs(script_sets=frozenset({ScriptSetName.COMMISSIONING, ScriptSetName.TESTING}))
POLLED = Needs(events=False)


def working(*nodes: str) -> EventLog:
    """Machines that are deploying, with the events that show it."""
    log = EventLog(dict.fromkeys(nodes, S.READY))
    for node in nodes:
        log.change(node, S.DEPLOYING)
    return log


async def test_no_requests_are_sent_while_nothing_is_followed() -> None:
    async with scene(working("a")) as s:
        await anyio.sleep(100)
        assert s.log.count() == 0
        reported = s.follow("a")
        await anyio.sleep(10)
        reported.leave()
        await anyio.lowlevel.checkpoint()
        request = s.log.count()
        await anyio.sleep(100)
    assert request
    assert s.log.count() == request


async def test_a_running_poll_is_cancelled_when_the_last_follower_leaves() -> None:
    log, closed = working("a"), anyio.Event()

    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            closed.set()

    log.trouble = lambda _asked: hang()
    async with scene(log) as s:
        reported = s.follow("a")
        await anyio.sleep(1)
        assert not closed.is_set()
        reported.leave()
        with anyio.fail_after(0.1):
            await closed.wait()


async def test_a_follower_that_joins_while_the_last_one_leaves_is_served() -> None:
    async with scene(working("a", "b")) as s:
        first = s.follow("a")
        await anyio.sleep(5)
        first.leave()
        second = s.follow("b")
        await anyio.sleep(5)
    assert second.reads


async def test_all_followers_share_one_request_for_events() -> None:
    nodes = names(40)
    async with scene(working(*nodes)) as s:
        for node in nodes:
            s.follow(node)
        await anyio.sleep(9)
    request = [each for each in s.log.requests if each.kind == "events"]
    assert [each.time for each in request] == [0, 2, 4, 6, 8]
    assert {tuple(sorted(each.ids)) for each in request} == {tuple(nodes)}


async def test_a_slow_follower_gets_all_events_in_one_observation() -> None:
    log = working("a")
    async with scene(log) as s:
        with s.watcher.follow("a", log.newest) as news:
            for time, kind in ((3, "Loading ephemeral"), (6, "Configuring storage"), (9, "Installing OS")):
                s.at(time, lambda kind=kind: log.write_event("a", kind))  # type: ignore[misc] # mypy cannot infer the default
            await anyio.sleep(20)
            observation = await news.next()
    assert [event.type for event in observation.events] == ["Loading ephemeral", "Configuring storage", "Installing OS"]
    assert observation.machine


async def test_two_followers_of_one_machine_share_one_read() -> None:
    log = working("a")
    async with scene(log) as s:
        one, other = s.follow("a"), s.follow("a")
        s.at(5, lambda: log.change("a", S.DEPLOYED))
        await anyio.sleep(7)
    assert one.events == other.events == [log.newest]
    assert [each.ids for each in log.requests if each.kind == "machines"] == [("a",), ("a",)]


class TestReadingMachines:
    async def test_a_machine_is_read_in_the_tick_whose_events_show_its_end(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(20.5, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(30)
        assert [seen.machine.status for time, seen in reported.observations if seen.machine and time == 22] == [
            S.DEPLOYED
        ]

    async def test_a_machine_is_read_after_a_change_to_an_unknown_status(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(20.5, lambda: log.write_event("a", "Node changed status", "From 'Deploying' to 'Something new'"))
            await anyio.sleep(30)
        assert 22 in reported.reads

    async def test_a_machine_is_read_at_its_end_even_if_another_run_starts_in_the_same_tick(self) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a")
            for status in (S.RELEASING, S.READY, S.ALLOCATED, S.DEPLOYING):
                s.at(5, partial(s.log.change, "a", status))
            await anyio.sleep(10)
        assert [time for time in reported.reads if time >= 5] == [6]

    async def test_leaving_the_pending_statuses_of_the_operation_is_an_end_even_to_another_pending_status(
        self,
    ) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a", pending={S.DEPLOYING})
            s.at(5, lambda: s.log.change("a", S.RELEASING))
            await anyio.sleep(10)
        assert [time for time in reported.reads if time >= 5] == [6]

    @pytest.mark.parametrize("kind", ["Deployed", "Failed commissioning", "Released", "Marking node failed", "Ready"])
    async def test_an_event_that_only_an_end_writes_replaces_a_missing_status_event(self, kind: str) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a")

            def end_silently() -> None:
                s.log.status["a"] = S.DEPLOYED
                s.log.write_event("a", kind)

            s.at(5, end_silently)
            await anyio.sleep(10)
        assert [time for time in reported.reads if time >= 5] == [6]

    async def test_a_machine_that_does_not_show_its_end_yet_is_read_again_soon(self) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a")
            s.at(5, lambda: s.log.write_event("a", "Deployed"))
            s.at(10, lambda: s.log.status.update(a=S.DEPLOYED))
            await anyio.sleep(30)
        at_once, again = [time for time in reported.reads if time >= 5][:2]
        assert at_once == 6
        assert 10 < again <= 6 + 16

    async def test_a_machine_in_a_pending_status_is_read_within_15_seconds(self) -> None:
        log = EventLog({"a": S.READY})
        async with scene(log) as s:
            log.change("a", S.DEPLOYING)
            reported = s.follow("a", cursor=0)
            await anyio.sleep(30)
        assert [12 < read <= 18 for read in reported.reads] == [True]

    async def test_a_pending_machine_shares_an_urgent_read(self) -> None:
        log = working("b")
        log.status["a"] = S.READY
        async with scene(log) as s:
            s.follow("b")
            s.at(9, lambda: log.change("a", S.DEPLOYING))
            s.at(9.5, lambda: s.follow("a", cursor=log.newest - 1))
            s.at(15, lambda: log.change("b", S.DEPLOYED))
            await anyio.sleep(20)
        assert [each.ids for each in log.requests if each.kind == "machines"] == [("b",), ("b", "a")]

    async def test_a_machine_without_status_events_in_the_first_poll_is_read_at_once(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(1)
        assert reported.reads == [0]

    async def test_machines_without_news_are_read_every_30_to_60_seconds_in_few_requests(self) -> None:
        nodes = names(100)
        log = working(*nodes)
        async with scene(log) as s:
            reported = [s.follow(node) for node in nodes]
            await anyio.sleep(600)
        waits = [late - early for each in reported for early, late in pairwise(each.reads)]
        assert min(waits) >= 30
        assert max(waits) <= 75
        requests = [each for each in log.requests if each.kind == "machines"]
        assert len(requests) <= 2 + 2 * 20
        assert max(len(each.ids) for each in requests) <= 50

    async def test_a_missing_machine_is_read_twice_at_once_and_then_rarely(self) -> None:
        log = working("a", "b")
        async with scene(log) as s:
            reported = s.follow("a")
            s.follow("b")
            s.at(10, lambda: log.status.pop("a"))
            await anyio.sleep(300)
        absences = [time for time, seen in reported.observations if seen.absent]
        assert absences[1] - absences[0] <= 9
        assert len(absences) <= 8

    @pytest.mark.parametrize("others", [[], ["b"], names(20)], ids=["alone", "one more", "many"])
    async def test_a_deleted_machine_is_noticed_within_seconds_because_its_events_disappear(
        self, others: list[str]
    ) -> None:
        async with scene(working("a", *others)) as s:
            reported = s.follow("a")
            s.at(3, lambda: s.log.write_event("a"))
            for time, other in enumerate(others, 4):
                s.follow(other)
                s.at(time, partial(s.log.write_event, other))
            await anyio.sleep(25)

            def delete() -> None:
                del s.log.status["a"]
                for number in [number for number, event in s.log.events.items() if event["node"] == "a"]:
                    del s.log.events[number]

            delete()
            deleted_at = anyio.current_time()
            await anyio.sleep(15)
        absent = [time for time, seen in reported.observations if seen.absent]
        assert absent[1] - deleted_at < 12

    async def test_routine_reads_pause_while_maas_is_slow(self) -> None:
        nodes = names(200)
        log = working(*nodes)
        async with scene(log) as s:
            for node in nodes:
                s.follow(node)
            await anyio.sleep(30)
            log.requests.clear()
            log.trouble = lambda request: anyio.sleep(3) if request.kind == "machines" else None
            await anyio.sleep(300)
        times = [each.time for each in log.requests if each.kind == "machines"]
        assert len(times) > 10
        assert min(late - early for early, late in pairwise(times)) >= 3 + 4 * 3

    async def test_a_read_that_takes_a_minute_delays_neither_events_nor_urgent_reads(self) -> None:
        log = working("a", "b")

        def slow(request: SentRequest) -> object:
            return anyio.sleep(55) if request.kind == "machines" and request.ids == ("a",) else None

        async with scene(log) as s:
            s.follow("b")
            await anyio.sleep(5)
            log.trouble = slow
            reported = s.follow("a")
            s.at(20.5, lambda: log.write_event("a", "Installing OS"))
            s.at(30.5, lambda: log.change("b", S.DEPLOYED))
            await anyio.sleep(50)
        (news,) = [time for time, seen in reported.observations if seen.events]
        assert news <= 24
        (end,) = [
            each.time for each in log.requests if each.kind == "machines" and each.ids == ("b",) and each.time > 30
        ]
        assert end <= 34
        assert [each.ids for each in log.requests].count(("a",)) == 1, "it is not requested again meanwhile"
        assert reported.outages == []

    async def test_a_read_older_than_a_status_event_is_discarded_and_repeated(self) -> None:
        log = working("a")
        log.trouble = lambda request: anyio.sleep(20) if request.kind == "machines" else None
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(10.5, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(60)
        first, again = [each.time for each in log.requests if each.kind == "machines"][:2]
        assert first == 0
        assert 20 <= again <= 24
        assert reported.reads[0] == again + 20

    async def test_a_follower_that_joins_during_a_read_does_not_get_its_result(self) -> None:
        log = working("a")
        log.trouble = lambda request: anyio.sleep(10) if request.kind == "machines" else None
        async with scene(log) as s:
            s.follow("a")
            await anyio.sleep(5)
            reported = s.follow("a")
            await anyio.sleep(20)
        assert reported.reads[0] >= 15


class TestPollingTheStatus:
    async def test_machines_are_read_at_every_tick_and_no_events_are_requested(self) -> None:
        nodes = names(60)
        log = working(*nodes)
        async with scene(log) as s:
            reported = [s.follow(node, POLLED) for node in nodes]
            await anyio.sleep(9)
        assert log.counts() == {"machines": 10}
        assert {tuple(each.reads) for each in reported} == {(0, 2, 4, 6, 8)}

    async def test_the_interval_widens_while_nothing_changes(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a", POLLED)
            s.at(600, lambda: log.status.update(a=S.DEPLOYED))
            await anyio.sleep(700)
        waits = [late - early for early, late in pairwise(reported.reads)]
        assert max(waits) == 9
        assert waits[-1] > 2
        quick = [late - early for early, late in pairwise(reported.reads) if 609 <= early <= 620]
        assert set(quick) == {2}


class TestScriptSets:
    def commissioning(self) -> EventLog:
        log = EventLog({"a": S.READY}, {("a", "current-commissioning"): 7, ("a", "current-testing"): 8})
        log.change("a", S.COMMISSIONING)
        return log

    async def test_script_sets_are_read_every_12_seconds_and_reported_together(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            reported = s.follow("a", COMMISSIONING, cursor=0)
            await anyio.sleep(59)
        assert log.counts()["current-commissioning"] == 5
        assert log.counts()["current-testing"] == 1, "it does not change before its turn"
        last = [seen.script_sets for _, seen in reported.observations if seen.script_sets][-1]
        assert {name: each.id for name, each in last.items()} == {
            ScriptSetName.COMMISSIONING: 7,
            ScriptSetName.TESTING: 8,
        }

    async def test_the_completed_set_is_read_once_more_and_then_the_next_one(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            s.follow("a", COMMISSIONING, cursor=0)
            await anyio.sleep(20)
            log.requests.clear()
            log.change("a", S.TESTING)
            await anyio.sleep(50)
        assert log.counts()["current-commissioning"] == 1
        assert log.counts()["current-testing"] >= 4

    async def test_no_set_is_read_in_a_status_without_script_sets(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            s.follow("a", COMMISSIONING, cursor=0)
            s.at(20, lambda: log.change("a", S.READY))
            await anyio.sleep(30)
            log.requests.clear()
            await anyio.sleep(60)
        assert set(log.counts()) == {"events", "machines"}

    async def test_no_set_is_read_for_followers_that_need_none(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            s.follow("a", cursor=0)
            await anyio.sleep(30)
        assert set(log.counts()) == {"events", "machines"}

    async def test_a_set_that_does_not_exist_is_omitted(self) -> None:
        log = self.commissioning()
        del log.sets["a", "current-testing"]
        async with scene(log) as s:
            reported = s.follow("a", COMMISSIONING, cursor=0)
            await anyio.sleep(5)
        (seen,) = (seen for _, seen in reported.observations if seen.script_sets)
        assert list(seen.script_sets) == [ScriptSetName.COMMISSIONING]

    @pytest.mark.parametrize("error", [MaasUnavailableError("504"), MaasNotFoundError("404")], ids=["504", "404"])
    async def test_a_set_that_cannot_be_read_affects_nothing_else_and_is_retried(self, error: Exception) -> None:
        log = self.commissioning()

        def trouble(request: SentRequest) -> None:
            if request.kind == "current-commissioning":
                raise error

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a", COMMISSIONING, cursor=0)
            s.at(7, lambda: log.write_event("a", "Gathering information"))
            await anyio.sleep(30)
        assert reported.events == [1, 2]
        assert reported.reads
        assert reported.outages == []
        assert reported.error is None
        assert log.counts()["current-commissioning"] == 3

    async def test_many_slow_sets_do_not_delay_the_events(self) -> None:
        nodes = names(40)
        log = EventLog(dict.fromkeys(nodes, S.READY), {(node, "current-commissioning"): 7 for node in nodes})
        log.trouble = lambda request: anyio.sleep(0.4) if request.kind.startswith("current-") else None
        for node in nodes:
            log.change(node, S.COMMISSIONING)
        needs = Needs(script_sets=frozenset({ScriptSetName.COMMISSIONING}))
        async with scene(log) as s:
            reported = [s.follow(node, needs, cursor=0) for node in nodes]
            for time in range(0, 60, 2):
                s.at(time + 0.5, lambda: log.write_event(nodes[0]))
            await anyio.sleep(60)
        times = [each.time for each in log.requests if each.kind == "events"]
        assert max(late - early for early, late in pairwise(times)) == 2
        assert all(any(seen.script_sets for _, seen in each.observations) for each in reported)


class TestOutages:
    async def test_an_outage_is_reported_at_every_tick_and_the_machine_is_read_after_it(self) -> None:
        log = working("a")

        def trouble(request: SentRequest) -> None:
            if 10 <= request.time < 30:
                raise MaasUnavailableError("503")

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(15, lambda: log.write_event("a"))
            await anyio.sleep(40)
        assert reported.outages[0] == 2
        assert reported.outages == sorted(reported.outages)
        assert reported.outages[-1] >= 18
        assert max(late - early for early, late in pairwise(reported.outages)) <= 4
        assert reported.events == [log.newest]
        assert any(30 <= read <= 34 for read in reported.reads)

    async def test_a_read_that_fails_after_a_minute_is_reported_with_its_duration(self) -> None:
        log = working("a")

        async def time_out() -> None:
            await anyio.sleep(60)
            raise MaasUnavailableError("timeout")

        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(9)
            log.trouble = lambda request: time_out() if request.kind == "machines" else None
            s.at(10.5, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(90)
        assert reported.events == [2]
        assert reported.outages[0] >= 60

    async def test_an_outage_is_reported_without_requests_while_maas_asks_to_wait(self) -> None:
        log = working("a")

        def trouble(request: SentRequest) -> None:
            if request.time == 10:
                raise MaasUnavailableError("503", retry_after=60)

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(100)
        times = [each.time for each in log.requests]
        assert not [time for time in times if 10 < time < 70]
        assert len(reported.outages) > 8
        assert max(reported.outages) >= 50
        assert [time for time in times if 70 <= time <= 80]

    async def test_a_response_to_another_request_ends_the_wait(self) -> None:
        log = working("a")

        async def slow() -> None:
            await anyio.sleep(5)

        def trouble(request: SentRequest) -> object:
            if request.kind == "events" and request.time == 10:
                raise MaasUnavailableError("503", retry_after=60)
            return slow() if request.kind == "machines" else None

        log.trouble = trouble
        async with scene(log) as s:
            s.follow("a")
            s.at(7, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(40)
        times = [each.time for each in log.requests if each.kind == "events"]
        assert [time for time in times if 10 < time <= 16]

    async def test_an_unreadable_machine_loses_no_events_and_hardly_delays_others(self) -> None:
        log = working(*names(60))

        def trouble(request: SentRequest) -> None:
            if request.kind == "machines" and "m00000" in request.ids:
                raise MaasUnavailableError("504")

        log.trouble = trouble
        async with scene(log) as s:
            reported = {node: s.follow(node) for node in names(60)}
            s.at(5, lambda: log.write_event("m00000"))
            await anyio.sleep(300)
        broken = reported.pop("m00000")
        assert broken.events == [61]
        assert broken.reads == []
        assert broken.outages[-1] > 40
        assert all(each.reads[0] < 20 for each in reported.values())
        assert all(len(each.reads) >= 4 for each in reported.values())

    async def test_a_list_that_times_out_in_a_proxy_is_split(self) -> None:
        log = working(*names(60))

        def trouble(request: SentRequest) -> None:
            if request.kind == "machines" and len(request.ids) > 15:
                raise MaasUnavailableError("504")

        log.trouble = trouble
        async with scene(log) as s:
            reported = [s.follow(node) for node in names(60)]
            await anyio.sleep(20)
        assert all(each.reads for each in reported)

    @pytest.mark.parametrize("error", [MaasAuthError("revoked"), MaasTlsError("not trusted")], ids=["401", "TLS"])
    async def test_a_repeated_refusal_of_everything_ends_all_following_and_all_requests(self, error: Exception) -> None:
        log = working("a", "b")

        def trouble(request: SentRequest) -> None:
            if request.time >= 100:
                raise error

        log.trouble = trouble
        async with scene(log) as s:
            reported = [s.follow("a"), s.follow("b")]
            await anyio.sleep(160)
        assert [each.error for each in reported] == [error, error]
        assert len([each for each in log.requests if each.time >= 100]) == 2
        assert log.requests[-1].time - log.requests[-2].time == 2

    @pytest.mark.parametrize("kind", ["events", "machines"])
    @pytest.mark.parametrize(
        "error",
        [
            MaasAuthError("401"),
            MaasTlsError("not trusted"),
            MaasPermissionError("403"),
            MaasNotFoundError("404"),
            MaasBadRequestError("400"),
            MaasProtocolError("404 page not found"),
            OverflowError("a fault of ours"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_any_single_error_is_only_an_outage(self, error: Exception, kind: str) -> None:
        log = working("a", "b")
        errors = [error]

        def trouble(request: SentRequest) -> None:
            if errors and request.time >= 10 and request.kind == kind:
                raise errors.pop()

        log.trouble = trouble
        async with scene(log) as s:
            reported = [s.follow("a"), s.follow("b")]
            s.at(11, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(60)
        assert not errors
        assert [each.error for each in reported] == [None, None]
        assert reported[0].outages
        assert reported[0].events == [log.newest]
        assert reported[0].observations[-1][1].unreachable_for is None
        assert max(reported[0].reads) > 11

    async def test_a_lasting_refusal_of_one_kind_of_request_is_an_outage_while_it_lasts(self) -> None:
        log = working("a")

        def trouble(request: SentRequest) -> None:
            if request.kind == "machines":
                raise MaasPermissionError("403")

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(11, lambda: log.write_event("a"))
            await anyio.sleep(200)
        assert reported.error is None
        assert reported.events == [log.newest]
        assert reported.outages[-1] > 180

    async def test_an_unexpected_error_is_logged_with_its_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        log = working("a")
        log.trouble = lambda request: request.ids[9]
        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(20)
        assert "IndexError" in caplog.text
        assert 1 < len(reported.outages) < 20

    async def test_others_can_follow_after_a_refusal(self) -> None:
        log = working("a")
        errors: list[Exception] = [MaasAuthError("revoked"), MaasAuthError("revoked")]

        def trouble(_asked: SentRequest) -> None:
            if errors:
                raise errors.pop()

        log.trouble = trouble
        async with scene(log) as s:
            first = s.follow("a")
            await anyio.sleep(10)
            reported = s.follow("a")
            await anyio.sleep(10)
        assert first.error is not None
        assert reported.error is None
        assert reported.reads


async def test_a_slow_maas_is_polled_less_often() -> None:
    log = working("a")
    log.latency = 0.8
    async with scene(log) as s:
        s.follow("a")
        for time in range(100):
            s.at(time, lambda: log.write_event("a"))
        await anyio.sleep(100)
    times = [each.time for each in log.requests if each.kind == "events"]
    assert {late - early for early, late in pairwise(times[1:])} == {8}


async def test_a_follower_that_joins_after_a_long_silence_is_polled_for_at_once() -> None:
    log = working("a", "b")
    async with scene(log) as s:
        s.follow("a")
        await anyio.sleep(300.5)
        reported = s.follow("b")
        await anyio.sleep(2)
    assert reported.reads


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_watcher_runs_on_asyncio_and_trio_in_real_time() -> None:
    log = working("a")
    watcher = Watcher(log.client, interval=0.01)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watcher.run)
            with watcher.follow("a", log.newest) as news:
                assert (await news.next()).machine
                number = log.write_event("a")
                assert [event.id for event in (await news.next()).events] == [number]
            tasks.cancel_scope.cancel()
