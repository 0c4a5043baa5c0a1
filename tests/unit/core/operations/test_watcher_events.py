"""The event feed: no event is lost, duplicated or wrongly assigned, and a reset log is noticed."""

from itertools import pairwise

import anyio
import pytest

from maas_mcp.maas.statuses import MachineStatus as S
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.watcher import Watcher
from maas_mcp.testing import MaasRegion
from tests.unit.core.operations.event_log import EventLog, SentRequest, names
from tests.unit.core.operations.following import Reported, Scene, scene

OVERLAP = Cadence().overlap
OURS = ("a", "b")
OTHER_MACHINE = "z"


async def busy(s: Scene, followed: int, ours: int, other_machines: int, seconds: float) -> list[Reported]:
    """Write events of followed and other machines in every interval."""
    nodes = names(followed)
    s.log.status.update(dict.fromkeys(nodes, S.DEPLOYING))
    s.log.write_event(nodes[0])
    reported = [s.follow(node) for node in nodes]
    for _ in range(int(seconds / 2)):
        await anyio.sleep(2)
        for number in range(ours):
            s.log.write_event(nodes[number % followed])
        for _ in range(other_machines):
            s.log.write_event(OTHER_MACHINE)
    return reported


def requests(log: EventLog) -> list[SentRequest]:
    return [each for each in log.requests if each.kind == "events"]


@pytest.mark.anyio
class TestRequestedMachines:
    async def test_few_machines_are_requested_by_id(self) -> None:
        async with scene() as s:
            await busy(s, followed=50, ours=5, other_machines=300, seconds=20)
        assert {len(each.ids) for each in requests(s.log)} == {50}

    async def test_many_machines_share_one_short_request_for_all_events(self) -> None:
        async with scene() as s:
            reported = await busy(s, followed=1000, ours=80, other_machines=20, seconds=24)
        first, *others = [each for each in requests(s.log) if each.time > 5]
        assert {each.ids for each in others} == {()}
        assert {late.time - early.time for early, late in pairwise([first, *others])} == {2}
        assert sum(len(each.events) for each in reported) >= 80 * 10

    async def test_no_request_is_longer_than_a_proxy_accepts(self) -> None:
        async with scene() as s:
            await busy(s, followed=1000, ours=5, other_machines=300, seconds=10)
        assert max(each.size for each in s.log.requests) < 6_100

    async def test_machines_are_requested_by_id_if_most_events_are_of_other_machines(self) -> None:
        async with scene() as s:
            reported = await busy(s, followed=100, ours=10, other_machines=300, seconds=80)
        wide = [each.time for each in requests(s.log) if not each.ids]
        assert len(wide) <= 2
        assert sum(len(each.events) for each in reported) >= 10 * 38

    async def test_all_events_are_requested_again_later(self) -> None:
        async with scene() as s:
            await busy(s, followed=100, ours=10, other_machines=300, seconds=20)
            await busy(s, followed=100, ours=10, other_machines=3, seconds=400)
        times = [each.time for each in requests(s.log) if not each.ids]
        assert not [time for time in times if 10 < time < 300]
        assert len([time for time in times if time > 310]) > 30

    async def test_a_backlog_of_other_machines_is_abandoned_after_one_request(self) -> None:
        async with scene() as s:
            reported = await busy(s, followed=60, ours=1, other_machines=0, seconds=10)
            s.log.trouble = lambda _asked: anyio.sleep(60)
            await anyio.sleep(3)
            for _ in range(20_000):
                s.log.write_event(OTHER_MACHINE)
            number = s.log.write_event("m00007")
            s.log.trouble = None
            s.log.requests.clear()
            await anyio.sleep(100)
        assert reported[7].events[-1] == number
        assert len([each for each in requests(s.log) if not each.ids]) <= 2

    async def test_a_follower_that_starts_far_back_catches_up_in_its_own_requests(self) -> None:
        async with scene() as s:
            s.log.status["old"] = S.DEPLOYING
            number = s.log.write_event("old")
            for _ in range(5_000):
                s.log.write_event(OTHER_MACHINE)
            await busy(s, followed=60, ours=10, other_machines=0, seconds=30)
            s.log.requests.clear()
            reported = s.follow("old", cursor=0)
            await anyio.sleep(3)
        assert reported.events == [number]
        assert [each.ids for each in requests(s.log) if (each.after or 0) < 4_000] == [("old",)]


@pytest.mark.anyio
class TestResetLog:
    async def test_a_reset_log_is_noticed_at_once_and_followed(self) -> None:
        log = EventLog(dict.fromkeys(OURS, S.DEPLOYING))
        async with scene(log) as s:
            for _ in range(100):
                log.write_event("a")
            reported = s.follow("a")
            log.write_event("a")
            await anyio.sleep(20.5)
            log.events.clear()
            log.write_event("a", number=7)
            await anyio.sleep(10)
            number = log.write_event("a")
            await anyio.sleep(9)
        assert [read for read in reported.reads if 20 < read <= 24]
        assert reported.events == [101, number]

    async def test_a_cursor_beyond_the_newest_event_is_noticed_within_a_minute_or_so(self) -> None:
        log = EventLog({"a": S.DEPLOYING})
        async with scene(log) as s:
            log.write_event("a")
            reported = s.follow("a", cursor=50_000)
            await anyio.sleep(75)
            number = log.write_event("a")
            await anyio.sleep(20)
        assert reported.events == [number]
        assert [read for read in reported.reads if 55 < read < 75]
        assert log.count("newest") <= 2

    async def test_a_quiet_log_is_not_mistaken_for_a_reset(self) -> None:
        log = EventLog({"a": S.DEPLOYING})
        async with scene(log) as s:
            reported = s.follow("a")
            log.write_event("a")
            await anyio.sleep(600)
        assert log.count("newest") == 0
        assert reported.events == [1]

    async def test_events_deleted_with_their_machine_are_not_mistaken_for_a_reset(self) -> None:
        log = EventLog(dict.fromkeys(OURS, S.DEPLOYING))
        async with scene(log) as s:
            reported = {node: s.follow(node) for node in OURS}
            log.write_event("b")
            log.write_event("a")
            await anyio.sleep(20.5)
            del log.status["a"]
            del log.events[2]
            log.write_event(OTHER_MACHINE, number=3)
            log.write_event("b", number=4)
            await anyio.sleep(20)
        assert reported["b"].events == [1, 4]
        assert next(time for time, seen in reported["a"].observations if seen.absent) <= 24
        assert log.count("newest") == 1


@pytest.mark.anyio
async def test_each_new_event_of_a_followed_machine_is_announced_and_no_other() -> None:
    announced: list[str] = []
    with MaasRegion() as region:
        async with region.host() as host, anyio.create_task_group() as tasks:
            watcher = Watcher(host.tenant.maas, on_news=announced.append)
            tasks.start_soon(watcher.run)
            with watcher.follow("7xneda", await host.tenant.maas.newest_event_id()):
                for name in ("node01", "node02"):
                    region.deploy(name, "admin")
                await anyio.sleep(60)
            first = len(announced)
            await anyio.sleep(600)
            tasks.cancel_scope.cancel()

    assert set(announced) == {"7xneda"}
    assert len(announced) == first
