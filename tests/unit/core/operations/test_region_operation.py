"""What the region does by itself is started once, and followed to its end."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio
import anyio.abc
import pytest

from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasPermissionError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault, SimulatedRegion, demo_region
from maas_simulator.model.faults import Latency
from tests.house import client_of, engine_of
from tests.unit.core.operations.fetching import Fetch, Nothing, Sight, Versions

pytestmark = pytest.mark.anyio


class FetchForGood(Fetch):
    """One that cannot be stopped."""

    name = "maas_fetch_for_good"
    abort = RegionOperation.abort


@dataclass
class Site:
    """A region, its engine, and what was told."""

    region: SimulatedRegion
    maas: MaasClient
    tasks: anyio.abc.TaskGroup
    operation: Fetch = field(default_factory=Fetch)
    token: CancellationToken = field(default_factory=CancellationToken)
    reported: list[Progress] = field(default_factory=list)

    def process(self) -> Engine:
        """A process that has seen nothing so far."""
        return engine_of(self.maas, self.tasks)[0]

    async def run(
        self, handle: Handle | None = None, *, engine: Engine | None = None, **options: Any
    ) -> OperationStatus[Versions]:
        """Start or pick up, in a process of its own if none is given."""

        async def send(progress: Progress) -> None:
            self.reported.append(progress)

        engine = engine or self.process()
        progress = ProgressReporter(send)
        async with progress.reporting():
            if handle is not None:
                return await engine.resume(self.operation, handle, progress, self.token, **options)
            return await engine.run(self.operation, Nothing(), progress, self.token, **options)

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        async def later() -> None:
            await anyio.sleep(seconds)
            act()

        self.tasks.start_soon(later)

    @property
    def posts(self) -> list[str | None]:
        return [each.op for each in self.region.requests if each.method == "POST"]

    def begin(self) -> None:
        """The region begins by itself."""
        self.region.play()
        self.region.images.begin()

    @property
    def importing(self) -> bool:
        self.region.play()
        return self.region.images.importing


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    region = demo_region(speed=1.0, clock=anyio.current_time)
    maas = client_of(region)
    async with anyio.create_task_group() as tasks:
        yield Site(region, maas, tasks)
        tasks.cancel_scope.cancel()
    await maas.aclose()


async def test_it_is_started_once_and_followed_to_its_result(site: Site) -> None:
    outcome = await site.run()

    assert outcome.result is not None
    (version,) = outcome.result.versions
    assert version > "20260401"
    assert site.posts == ["import"]
    values = [each.value for each in site.reported]
    assert values == sorted(set(values))
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert outcome.handle.system_id == "region"


async def test_a_look_that_is_empty_is_a_look(site: Site) -> None:
    class Bare(Sight):
        """Counts as false."""

        def __len__(self) -> int:
            return 0

    class FetchBarely(Fetch):
        """Import images, and see next to nothing of it."""

        name = "maas_fetch_barely"
        interval = timedelta(seconds=60)

        async def observe(self, ctx: ToolContext, earlier: Sight | None) -> Sight:
            seen = await super().observe(ctx, earlier)
            return Bare(seen.running, seen.complete)

    site.operation = FetchBarely()
    site.begin()
    handle = Handle(FetchBarely.name, "region", 0, 0, ())
    before = len(site.region.requests)
    assert not (await site.run(handle, wait=120)).ended
    assert len(site.region.requests) - before < 10, "two looks, a minute apart"


async def test_a_fraction_that_falls_is_not_told(site: Site) -> None:
    outcome = await site.run(wait=100)

    assert outcome.result is None
    assert outcome.fraction == 0.99, "all was complete, then half: it had begun at the most that may be told"


async def test_what_maas_accepts_and_nobody_sees_run_had_nothing_to_do_if_all_is_there(site: Site) -> None:
    site.region.faults.append(Fault(op="import", status=200, body="Import of boot resources started"))

    assert (await site.run()).message == "Over"
    assert 60 <= anyio.current_time() <= 75


async def test_one_that_is_over_in_a_second_is_seen(site: Site) -> None:
    site.region.faults.append(Fault(op="import", status=200, body="Import of boot resources started"))
    site.after(3.1, lambda: setattr(site.region.images, "importing", True))
    site.after(4.1, lambda: setattr(site.region.images, "importing", False))

    assert (await site.run()).message == "Over"
    assert anyio.current_time() < 15


async def test_two_who_call_at_once_start_one(site: Site) -> None:
    site.region.faults.append(Fault(delay=Latency(0.2), method="GET", path="boot-resources", times=None))
    engine, outcomes = site.process(), []

    async def call(delay: float) -> None:
        await anyio.sleep(delay)
        outcomes.append(await site.run(engine=engine, wait=5))

    async with anyio.create_task_group() as callers:
        callers.start_soon(call, 0.0)
        callers.start_soon(call, 0.3)

    assert site.posts == ["import"]
    assert len(outcomes) == 2
    assert all(outcome.result is None for outcome in outcomes)


async def test_one_that_was_stopped_by_its_id_says_so_ever_after(site: Site) -> None:
    engine = site.process()
    started = await site.run(engine=engine, wait=4)
    await engine.abort(Fetch(), started.handle, site.token)

    for pause in (0, 90):
        await anyio.sleep(pause)
        with pytest.raises(OperationRevertedError, match="it was stopped on request"):
            await site.run(started.handle, engine=engine, wait=0)


async def test_an_id_from_before_any_that_may_run_stops_nothing(site: Site) -> None:
    started = await site.run(wait=0)
    await anyio.sleep(Fetch.deadline.total_seconds() + 1)
    site.begin()

    with pytest.raises(OperationRefusedError, match="is another one"):
        await site.process().abort(Fetch(), started.handle, site.token)
    assert site.importing


async def test_a_whole_run_between_two_looks_shows_by_what_has_changed(site: Site) -> None:
    site.region.faults.append(Fault(op="is_importing", status=200, body="false", times=10_000))

    assert (await site.run(wait=0)).result is None
    await anyio.sleep(3600)
    site.region.faults.clear()
    site.region.faults.append(Fault(op="import", status=200, body="x"))
    site.after(20, lambda: site.region.images.resources[4].versions.update({"20990101": {}}))

    assert (await site.run()).message == "Over"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 503}, "MAAS unreachable for "),
        ({"status": 500}, "No usable response from MAAS for "),
        ({"status": 200, "body": "<html>proxy</html>"}, "No usable response from MAAS for "),
    ],
)
async def test_an_outage_is_told_and_survived(site: Site, fault: dict[str, Any], words: str) -> None:
    site.after(60, lambda: site.region.faults.append(Fault(path="boot-resources", times=10, **fault)))

    assert (await site.run()).result is not None
    assert any(each.message.startswith(words) for each in site.reported)
    assert any("; last seen: Fetching" in each.message for each in site.reported)


async def test_what_cannot_be_stopped_refuses_the_wish_before_anything_is_sent(site: Site) -> None:
    site.operation = FetchForGood()

    with pytest.raises(InvalidArgumentsError, match="cannot be aborted"):
        await site.run(on_cancel=CancelPolicy.ABORT)

    assert site.region.requests == []


async def test_one_that_is_broken_off_by_somebody_has_failed(site: Site) -> None:
    site.after(60, site.region.images.stop)

    with pytest.raises(OperationFailedError, match="it was broken off"):
        await site.run()


async def test_another_process_picks_it_up(site: Site) -> None:
    started = await site.run(wait=30)
    asked = await site.run(started.handle)
    ended = await site.run(started.handle, wait=None)

    assert (asked.result, asked.message) == (None, "Fetching")
    assert ended.message == "Over"
    assert ended.result is not None
    assert site.posts == ["import"]


async def test_another_process_that_comes_late_says_what_it_has_not_seen(site: Site) -> None:
    started = await site.run(wait=0)
    await anyio.sleep(3600)

    ended = await site.run(started.handle)

    assert ended.result is not None
    assert ended.message == "Over, unseen"


async def test_another_process_that_comes_too_early_does_not_call_it_over(site: Site) -> None:
    site.region.faults.append(Fault(op="import", status=200, body="x"))
    started = await site.run(wait=0)

    asked = await site.run(started.handle)
    assert (asked.result, asked.message) == (None, "Nothing shows yet that it began")
    await anyio.sleep(61)

    assert (await site.run(started.handle)).message == "Over, unseen"


async def test_somebody_who_may_not_start_it_is_told_so(site: Site) -> None:
    site.maas = client_of(site.region, "bob")

    with pytest.raises(MaasPermissionError):
        await site.run()

    assert not site.importing


async def test_the_deadline_ends_the_following(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.region.images, "stop", lambda: None)
    monkeypatch.setattr("maas_simulator.model.images.RATE", 1000.0)
    monkeypatch.setattr(Fetch, "deadline", timedelta(minutes=10))

    with pytest.raises(OperationTimedOutError, match=r"not over after 10 min 00 s; last seen: Fetching"):
        await site.run()


async def test_what_is_under_way_costs_one_read_to_know(site: Site) -> None:
    engine = site.process()
    assert await engine.region_under_way([Fetch()]) == []
    assert len(site.region.requests) == 1
    await site.run(wait=0)

    (handle,) = await engine.region_under_way([Fetch()])
    await engine.abort(Fetch(), handle, site.token)
    with pytest.raises(OperationRefusedError):
        await engine.abort(Fetch(), handle, site.token)


def test_an_operation_that_would_block_the_server_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Blocking\.is_running: expected an async function"):

        class Blocking(Fetch):
            """Blocks."""

            name = "maas_blocking"

            def is_running(self, _ctx: ToolContext) -> bool:  # type: ignore[override] # on purpose
                return False
