"""What the watcher asks of MAAS, what its followers are told, and what they are not troubled with."""

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
from tests.unit.core.operations.event_log import Asked, EventLog, names
from tests.unit.core.operations.following import scene

pytestmark = pytest.mark.anyio

COMMISSIONING = Needs(script_sets=frozenset({ScriptSetName.COMMISSIONING, ScriptSetName.TESTING}))
POLLED = Needs(events=False)


def working(*nodes: str) -> EventLog:
    """Machines that deploy, and have said so."""
    log = EventLog(dict.fromkeys(nodes, S.READY))
    for node in nodes:
        log.change(node, S.DEPLOYING)
    return log


async def test_nothing_is_asked_while_nothing_is_followed() -> None:
    async with scene(working("a")) as s:
        await anyio.sleep(100)
        assert s.log.count() == 0
        reported = s.follow("a")
        await anyio.sleep(10)
        reported.leave()
        await anyio.lowlevel.checkpoint()
        asked = s.log.count()
        await anyio.sleep(100)
    assert asked
    assert s.log.count() == asked


async def test_a_poll_under_way_is_closed_when_the_last_follower_leaves() -> None:
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


async def test_who_begins_while_the_last_one_leaves_is_still_watched_for() -> None:
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
    asked = [each for each in s.log.asked if each.what == "events"]
    assert [each.time for each in asked] == [0, 2, 4, 6, 8]
    assert {tuple(sorted(each.ids)) for each in asked} == {tuple(nodes)}


async def test_a_follower_that_is_slow_is_told_everything_at_once() -> None:
    log = working("a")
    async with scene(log) as s:
        with s.watcher.follow("a", log.newest) as news:
            for time, kind in ((3, "Loading ephemeral"), (6, "Configuring storage"), (9, "Installing OS")):
                s.at(time, lambda kind=kind: log.say("a", kind))  # type: ignore[misc] # mypy cannot infer the default
            await anyio.sleep(20)
            observation = await news.next()
    assert [event.type for event in observation.events] == ["Loading ephemeral", "Configuring storage", "Installing OS"]
    assert observation.machine


async def test_two_followers_of_one_machine_are_both_told_and_the_machine_is_read_once() -> None:
    log = working("a")
    async with scene(log) as s:
        one, other = s.follow("a"), s.follow("a")
        s.at(5, lambda: log.change("a", S.DEPLOYED))
        await anyio.sleep(7)
    assert one.events == other.events == [log.newest]
    assert [each.ids for each in log.asked if each.what == "machines"] == [("a",), ("a",)]


class TestReadingMachines:
    async def test_an_end_is_read_in_the_tick_that_tells_of_it(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(20.5, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(30)
        assert [seen.machine.status for time, seen in reported.observations if seen.machine and time == 22] == [
            S.DEPLOYED
        ]

    async def test_an_end_that_this_release_does_not_know_is_read_as_well(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(20.5, lambda: log.say("a", "Node changed status", "From 'Deploying' to 'Something new'"))
            await anyio.sleep(30)
        assert 22 in reported.reads

    async def test_so_is_one_that_another_run_has_followed_in_the_same_tick(self) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a")
            for status in (S.RELEASING, S.READY, S.ALLOCATED, S.DEPLOYING):
                s.at(5, partial(s.log.change, "a", status))
            await anyio.sleep(10)
        assert [time for time in reported.reads if time >= 5] == [6]

    async def test_a_change_between_two_statuses_that_are_on_the_way_elsewhere_is_an_end_for_this_operation(
        self,
    ) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a", pending={S.DEPLOYING})
            s.at(5, lambda: s.log.change("a", S.RELEASING))
            await anyio.sleep(10)
        assert [time for time in reported.reads if time >= 5] == [6]

    @pytest.mark.parametrize("kind", ["Deployed", "Failed commissioning", "Released", "Marking node failed", "Ready"])
    async def test_an_event_that_only_comes_at_an_end_does_where_no_status_event_was_written(self, kind: str) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a")

            def end_silently() -> None:
                s.log.status["a"] = S.DEPLOYED
                s.log.say("a", kind)

            s.at(5, end_silently)
            await anyio.sleep(10)
        assert [time for time in reported.reads if time >= 5] == [6]

    async def test_and_if_the_machine_does_not_show_it_yet_it_is_read_again_before_long(self) -> None:
        async with scene(working("a")) as s:
            reported = s.follow("a")
            s.at(5, lambda: s.log.say("a", "Deployed"))
            s.at(10, lambda: s.log.status.update(a=S.DEPLOYED))
            await anyio.sleep(30)
        at_once, again = [time for time in reported.reads if time >= 5][:2]
        assert at_once == 6
        assert 10 < again <= 6 + 16

    async def test_a_status_on_the_way_is_read_within_a_quarter_of_a_minute(self) -> None:
        log = EventLog({"a": S.READY})
        async with scene(log) as s:
            log.change("a", S.DEPLOYING)
            reported = s.follow("a", cursor=0)
            await anyio.sleep(30)
        assert [12 < read <= 18 for read in reported.reads] == [True]

    async def test_or_together_with_one_that_is_urgent(self) -> None:
        log = working("b")
        log.status["a"] = S.READY
        async with scene(log) as s:
            s.follow("b")
            s.at(9, lambda: log.change("a", S.DEPLOYING))
            s.at(9.5, lambda: s.follow("a", cursor=log.newest - 1))
            s.at(15, lambda: log.change("b", S.DEPLOYED))
            await anyio.sleep(20)
        assert [each.ids for each in log.asked if each.what == "machines"] == [("b",), ("b", "a")]

    async def test_one_that_the_first_look_tells_nothing_of_is_read_at_once(self) -> None:
        log = working("a")
        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(1)
        assert reported.reads == [0]

    async def test_without_news_each_is_read_every_half_to_whole_minute_in_few_requests(self) -> None:
        nodes = names(100)
        log = working(*nodes)
        async with scene(log) as s:
            reported = [s.follow(node) for node in nodes]
            await anyio.sleep(600)
        waits = [late - early for each in reported for early, late in pairwise(each.reads)]
        assert min(waits) >= 30
        assert max(waits) <= 75
        requests = [each for each in log.asked if each.what == "machines"]
        assert len(requests) <= 2 + 2 * 20
        assert max(len(each.ids) for each in requests) <= 50

    async def test_one_that_is_gone_is_looked_for_twice_and_then_seldom(self) -> None:
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
    async def test_one_whose_events_vanish_was_deleted_and_is_missed_within_seconds(self, others: list[str]) -> None:
        async with scene(working("a", *others)) as s:
            reported = s.follow("a")
            s.at(3, lambda: s.log.say("a"))
            for time, other in enumerate(others, 4):
                s.follow(other)
                s.at(time, partial(s.log.say, other))
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

    async def test_reads_that_nobody_waits_for_leave_a_slow_maas_in_peace(self) -> None:
        nodes = names(200)
        log = working(*nodes)
        async with scene(log) as s:
            for node in nodes:
                s.follow(node)
            await anyio.sleep(30)
            log.asked.clear()
            log.trouble = lambda asked: anyio.sleep(3) if asked.what == "machines" else None
            await anyio.sleep(300)
        times = [each.time for each in log.asked if each.what == "machines"]
        assert len(times) > 10
        assert min(late - early for early, late in pairwise(times)) >= 3 + 4 * 3

    async def test_one_that_takes_a_minute_holds_up_neither_events_nor_urgent_reads(self) -> None:
        log = working("a", "b")

        def slow(asked: Asked) -> object:
            return anyio.sleep(55) if asked.what == "machines" and asked.ids == ("a",) else None

        async with scene(log) as s:
            s.follow("b")
            await anyio.sleep(5)
            log.trouble = slow
            reported = s.follow("a")
            s.at(20.5, lambda: log.say("a", "Installing OS"))
            s.at(30.5, lambda: log.change("b", S.DEPLOYED))
            await anyio.sleep(50)
        (news,) = [time for time, seen in reported.observations if seen.events]
        assert news <= 24
        (end,) = [each.time for each in log.asked if each.what == "machines" and each.ids == ("b",) and each.time > 30]
        assert end <= 34
        assert [each.ids for each in log.asked].count(("a",)) == 1, "it is not asked for again meanwhile"
        assert reported.outages == []

    async def test_one_that_is_older_than_what_an_event_tells_is_not_told_but_made_again(self) -> None:
        log = working("a")
        log.trouble = lambda asked: anyio.sleep(20) if asked.what == "machines" else None
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(10.5, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(60)
        first, again = [each.time for each in log.asked if each.what == "machines"][:2]
        assert first == 0
        assert 20 <= again <= 24
        assert reported.reads[0] == again + 20

    async def test_one_that_joins_during_a_read_is_not_told_what_was_read_before_it(self) -> None:
        log = working("a")
        log.trouble = lambda asked: anyio.sleep(10) if asked.what == "machines" else None
        async with scene(log) as s:
            s.follow("a")
            await anyio.sleep(5)
            reported = s.follow("a")
            await anyio.sleep(20)
        assert reported.reads[0] >= 15


class TestPollingTheStatus:
    async def test_the_machines_are_read_at_every_tick_and_no_events_are_asked_for(self) -> None:
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

    async def test_they_are_read_every_twelve_seconds_and_told_together(self) -> None:
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

    async def test_the_one_that_was_passed_is_read_once_more_and_then_the_next(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            s.follow("a", COMMISSIONING, cursor=0)
            await anyio.sleep(20)
            log.asked.clear()
            log.change("a", S.TESTING)
            await anyio.sleep(50)
        assert log.counts()["current-commissioning"] == 1
        assert log.counts()["current-testing"] >= 4

    async def test_none_is_read_in_a_status_that_has_none(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            s.follow("a", COMMISSIONING, cursor=0)
            s.at(20, lambda: log.change("a", S.READY))
            await anyio.sleep(30)
            log.asked.clear()
            await anyio.sleep(60)
        assert set(log.counts()) == {"events", "machines"}

    async def test_none_is_read_for_those_who_do_not_want_any(self) -> None:
        log = self.commissioning()
        async with scene(log) as s:
            s.follow("a", cursor=0)
            await anyio.sleep(30)
        assert set(log.counts()) == {"events", "machines"}

    async def test_a_set_that_there_is_none_of_is_left_out(self) -> None:
        log = self.commissioning()
        del log.sets["a", "current-testing"]
        async with scene(log) as s:
            reported = s.follow("a", COMMISSIONING, cursor=0)
            await anyio.sleep(5)
        (seen,) = (seen for _, seen in reported.observations if seen.script_sets)
        assert list(seen.script_sets) == [ScriptSetName.COMMISSIONING]

    @pytest.mark.parametrize("error", [MaasUnavailableError("504"), MaasNotFoundError("404")], ids=["504", "404"])
    async def test_one_that_cannot_be_read_costs_nothing_else_and_is_asked_for_again(self, error: Exception) -> None:
        log = self.commissioning()

        def trouble(asked: Asked) -> None:
            if asked.what == "current-commissioning":
                raise error

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a", COMMISSIONING, cursor=0)
            s.at(7, lambda: log.say("a", "Gathering information"))
            await anyio.sleep(30)
        assert reported.events == [1, 2]
        assert reported.reads
        assert reported.outages == []
        assert reported.error is None
        assert log.counts()["current-commissioning"] == 3

    async def test_many_slow_ones_do_not_hold_up_the_events(self) -> None:
        nodes = names(40)
        log = EventLog(dict.fromkeys(nodes, S.READY), {(node, "current-commissioning"): 7 for node in nodes})
        log.trouble = lambda asked: anyio.sleep(0.4) if asked.what.startswith("current-") else None
        for node in nodes:
            log.change(node, S.COMMISSIONING)
        needs = Needs(script_sets=frozenset({ScriptSetName.COMMISSIONING}))
        async with scene(log) as s:
            reported = [s.follow(node, needs, cursor=0) for node in nodes]
            for time in range(0, 60, 2):
                s.at(time + 0.5, lambda: log.say(nodes[0]))
            await anyio.sleep(60)
        times = [each.time for each in log.asked if each.what == "events"]
        assert max(late - early for early, late in pairwise(times)) == 2
        assert all(any(seen.script_sets for _, seen in each.observations) for each in reported)


class TestOutages:
    async def test_it_is_told_at_every_tick_and_the_machine_is_read_after_it(self) -> None:
        log = working("a")

        def trouble(asked: Asked) -> None:
            if 10 <= asked.time < 30:
                raise MaasUnavailableError("503")

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(15, lambda: log.say("a"))
            await anyio.sleep(40)
        assert reported.outages[0] == 2
        assert reported.outages == sorted(reported.outages)
        assert reported.outages[-1] >= 18
        assert max(late - early for early, late in pairwise(reported.outages)) <= 4
        assert reported.events == [log.newest]
        assert any(30 <= read <= 34 for read in reported.reads)

    async def test_a_read_that_fails_after_a_minute_is_told_with_its_length(self) -> None:
        log = working("a")

        async def time_out() -> None:
            await anyio.sleep(60)
            raise MaasUnavailableError("timeout")

        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(9)
            log.trouble = lambda asked: time_out() if asked.what == "machines" else None
            s.at(10.5, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(90)
        assert reported.events == [2]
        assert reported.outages[0] >= 60

    async def test_while_maas_asks_to_be_left_alone_it_is_told_without_asking(self) -> None:
        log = working("a")

        def trouble(asked: Asked) -> None:
            if asked.time == 10:
                raise MaasUnavailableError("503", retry_after=60)

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(100)
        times = [each.time for each in log.asked]
        assert not [time for time in times if 10 < time < 70]
        assert len(reported.outages) > 8
        assert max(reported.outages) >= 50
        assert [time for time in times if 70 <= time <= 80]

    async def test_what_it_answers_meanwhile_to_another_question_ends_the_waiting(self) -> None:
        log = working("a")

        async def slow() -> None:
            await anyio.sleep(5)

        def trouble(asked: Asked) -> object:
            if asked.what == "events" and asked.time == 10:
                raise MaasUnavailableError("503", retry_after=60)
            return slow() if asked.what == "machines" else None

        log.trouble = trouble
        async with scene(log) as s:
            s.follow("a")
            s.at(7, lambda: log.change("a", S.DEPLOYED))
            await anyio.sleep(40)
        times = [each.time for each in log.asked if each.what == "events"]
        assert [time for time in times if 10 < time <= 16]

    async def test_a_machine_that_cannot_be_read_loses_no_events_and_holds_up_no_others_for_long(self) -> None:
        log = working(*names(60))

        def trouble(asked: Asked) -> None:
            if asked.what == "machines" and "m00000" in asked.ids:
                raise MaasUnavailableError("504")

        log.trouble = trouble
        async with scene(log) as s:
            reported = {node: s.follow(node) for node in names(60)}
            s.at(5, lambda: log.say("m00000"))
            await anyio.sleep(300)
        broken = reported.pop("m00000")
        assert broken.events == [61]
        assert broken.reads == []
        assert broken.outages[-1] > 40
        assert all(each.reads[0] < 20 for each in reported.values())
        assert all(len(each.reads) >= 4 for each in reported.values())

    async def test_a_list_that_is_too_long_for_a_proxys_patience_is_asked_for_in_parts(self) -> None:
        log = working(*names(60))

        def trouble(asked: Asked) -> None:
            if asked.what == "machines" and len(asked.ids) > 15:
                raise MaasUnavailableError("504")

        log.trouble = trouble
        async with scene(log) as s:
            reported = [s.follow(node) for node in names(60)]
            await anyio.sleep(20)
        assert all(each.reads for each in reported)

    @pytest.mark.parametrize("error", [MaasAuthError("revoked"), MaasTlsError("not trusted")], ids=["401", "TLS"])
    async def test_a_refusal_of_everything_that_is_repeated_ends_all_and_nothing_more_is_asked(
        self, error: Exception
    ) -> None:
        log = working("a", "b")

        def trouble(asked: Asked) -> None:
            if asked.time >= 100:
                raise error

        log.trouble = trouble
        async with scene(log) as s:
            reported = [s.follow("a"), s.follow("b")]
            await anyio.sleep(160)
        assert [each.error for each in reported] == [error, error]
        assert len([each for each in log.asked if each.time >= 100]) == 2
        assert log.asked[-1].time - log.asked[-2].time == 2

    @pytest.mark.parametrize("what", ["events", "machines"])
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
    async def test_whatever_comes_once_is_an_outage_and_no_more(self, error: Exception, what: str) -> None:
        log = working("a", "b")
        errors = [error]

        def trouble(asked: Asked) -> None:
            if errors and asked.time >= 10 and asked.what == what:
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

    async def test_a_refusal_that_stays_for_one_question_is_an_outage_for_as_long(self) -> None:
        log = working("a")

        def trouble(asked: Asked) -> None:
            if asked.what == "machines":
                raise MaasPermissionError("403")

        log.trouble = trouble
        async with scene(log) as s:
            reported = s.follow("a")
            s.at(11, lambda: log.say("a"))
            await anyio.sleep(200)
        assert reported.error is None
        assert reported.events == [log.newest]
        assert reported.outages[-1] > 180

    async def test_a_fault_of_ours_is_in_the_log_with_its_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        log = working("a")
        log.trouble = lambda asked: asked.ids[9]
        async with scene(log) as s:
            reported = s.follow("a")
            await anyio.sleep(20)
        assert "IndexError" in caplog.text
        assert 1 < len(reported.outages) < 20

    async def test_after_a_refusal_someone_else_may_follow(self) -> None:
        log = working("a")
        errors: list[Exception] = [MaasAuthError("revoked"), MaasAuthError("revoked")]

        def trouble(_asked: Asked) -> None:
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


async def test_a_slow_maas_is_asked_less_often() -> None:
    log = working("a")
    log.latency = 0.8
    async with scene(log) as s:
        s.follow("a")
        for time in range(100):
            s.at(time, lambda: log.say("a"))
        await anyio.sleep(100)
    times = [each.time for each in log.asked if each.what == "events"]
    assert {late - early for early, late in pairwise(times[1:])} == {8}


async def test_who_begins_in_a_long_silence_is_not_kept_waiting() -> None:
    log = working("a", "b")
    async with scene(log) as s:
        s.follow("a")
        await anyio.sleep(300.5)
        reported = s.follow("b")
        await anyio.sleep(2)
    assert reported.reads


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_it_runs_on_asyncio_and_on_trio_in_real_time() -> None:
    log = working("a")
    watcher = Watcher(log.client, interval=0.01)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watcher.run)
            with watcher.follow("a", log.newest) as news:
                assert (await news.next()).machine
                number = log.say("a")
                assert [event.id for event in (await news.next()).events] == [number]
            tasks.cancel_scope.cancel()
