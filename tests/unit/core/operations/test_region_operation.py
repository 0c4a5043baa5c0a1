"""Region operations are started once and followed to their end."""

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
from maas_mcp.operations.declaring.operation_change import ChangeKind
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, ProgressReporter, discard_progress
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.run import Prepared, Run
from maas_mcp.operations.running.run_change import RunChange
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault, SimulatedRegion, demo_region
from maas_simulator.model.faults import Latency
from tests.house import client_of, engine_of
from tests.unit.core.operations.fetching import Fetch, ImageState, NoArguments, Versions

pytestmark = pytest.mark.anyio


class FetchForGood(Fetch):
    """An import that cannot be aborted."""

    name = "maas_fetch_for_good"
    abort = RegionOperation.abort


@dataclass
class Site:
    """A region, its engine, and the reported progress."""

    region: SimulatedRegion
    maas: MaasClient
    tasks: anyio.abc.TaskGroup
    operation: Fetch = field(default_factory=Fetch)
    token: CancellationToken = field(default_factory=CancellationToken)
    reported: list[Progress] = field(default_factory=list)

    def process(self) -> Engine:
        """Another process."""
        return engine_of(self.maas, self.tasks)[0]

    async def run(
        self, handle: Handle | None = None, *, engine: Engine | None = None, **options: Any
    ) -> OperationStatus[Versions]:
        """Start or resume; in a new process by default."""

        async def send(progress: Progress) -> None:
            self.reported.append(progress)

        engine = engine or self.process()
        progress = ProgressReporter(send)
        async with progress.reporting():
            if handle is not None:
                return await engine.resume(self.operation, handle, progress, self.token, **options)
            return await engine.run(self.operation, NoArguments(), progress, self.token, **options)

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        async def later() -> None:
            await anyio.sleep(seconds)
            act()

        self.tasks.start_soon(later)

    @property
    def posts(self) -> list[str | None]:
        return [each.op for each in self.region.requests if each.method == "POST"]

    def begin(self) -> None:
        """The region starts an import itself."""
        self.region.play()
        self.region.images.start()

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


async def test_an_import_is_started_once_and_followed_to_its_result(site: Site) -> None:
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


async def test_observers_see_the_end_of_a_request_that_another_users_import_overtook(site: Site) -> None:
    changes: list[RunChange] = []
    engine, _ = engine_of(site.maas, site.tasks, publish=changes.append)
    reporter = ProgressReporter(discard_progress)
    prepared = await engine.prepare(Fetch(), NoArguments(), reporter, site.token)
    assert isinstance(prepared, Prepared)
    site.begin()

    run = engine.start(prepared)
    assert isinstance(run, Run)
    status = await engine.follow(run)

    assert status.state == "working"
    assert [each.kind for each in changes] == [ChangeKind.STARTED, ChangeKind.ENDED]
    assert site.posts == []


async def test_an_empty_observation_counts(site: Site) -> None:
    class Bare(ImageState):
        """An observation that counts as false."""

        def __len__(self) -> int:
            return 0

    class FetchBarely(Fetch):
        """Import images, with empty observations."""

        name = "maas_fetch_barely"
        interval = timedelta(seconds=60)

        async def observe(self, ctx: ToolContext, earlier: ImageState | None) -> ImageState:
            seen = await super().observe(ctx, earlier)
            return Bare(seen.running, seen.complete)

    site.operation = FetchBarely()
    site.begin()
    handle = Handle(FetchBarely.name, "region", 0, 0, ())
    before = len(site.region.requests)
    assert not (await site.run(handle, wait=120)).ended
    assert len(site.region.requests) - before < 10, "two polls, a minute apart"


async def test_a_falling_fraction_is_not_reported(site: Site) -> None:
    outcome = await site.run(wait=100)

    assert outcome.result is None
    assert outcome.fraction == 0.99, "all was complete, then half: it started at the highest fraction"


async def test_an_accepted_import_that_is_never_seen_running_succeeds_if_all_images_are_complete(site: Site) -> None:
    site.region.faults.append(Fault(op="import", status=200, body="Import of boot resources started"))

    assert (await site.run()).message == "Over"
    assert 60 <= anyio.current_time() <= 75


async def test_an_import_of_one_second_is_seen(site: Site) -> None:
    site.region.faults.append(Fault(op="import", status=200, body="Import of boot resources started"))
    site.after(3.1, lambda: setattr(site.region.images, "importing", True))
    site.after(4.1, lambda: setattr(site.region.images, "importing", False))

    assert (await site.run()).message == "Over"
    assert anyio.current_time() < 15


async def test_two_concurrent_calls_start_one_import(site: Site) -> None:
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


async def test_an_import_stopped_by_its_id_stays_reported_as_stopped(site: Site) -> None:
    engine = site.process()
    started = await site.run(engine=engine, wait=4)
    await engine.abort(Fetch(), started.handle, site.token)

    for pause in (0, 90):
        await anyio.sleep(pause)
        with pytest.raises(OperationRevertedError, match="it was stopped on request"):
            await site.run(started.handle, engine=engine, wait=0)


async def test_an_id_older_than_the_deadline_stops_nothing(site: Site) -> None:
    started = await site.run(wait=0)
    await anyio.sleep(Fetch.deadline.total_seconds() + 1)
    site.begin()

    with pytest.raises(OperationRefusedError, match="Another maas_fetch is running, and was not aborted"):
        await site.process().abort(Fetch(), started.handle, site.token)
    assert site.importing


async def test_an_import_between_two_polls_is_recognized_by_its_changes(site: Site) -> None:
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
async def test_an_outage_is_reported_and_survived(site: Site, fault: dict[str, Any], words: str) -> None:
    site.after(60, lambda: site.region.faults.append(Fault(path="boot-resources", times=10, **fault)))

    assert (await site.run()).result is not None
    assert any(each.message.startswith(words) for each in site.reported)
    assert any("; last seen: Fetching" in each.message for each in site.reported)


async def test_an_operation_that_cannot_be_aborted_is_refused_before_a_request(site: Site) -> None:
    site.operation = FetchForGood()

    with pytest.raises(InvalidArgumentsError, match="cannot be aborted"):
        await site.run(on_cancel=CancelPolicy.ABORT)

    assert site.region.requests == []


async def test_an_import_stopped_by_another_user_has_failed(site: Site) -> None:
    site.after(60, site.region.images.stop)

    with pytest.raises(OperationFailedError, match="it was stopped"):
        await site.run()


async def test_another_process_picks_up_an_import(site: Site) -> None:
    started = await site.run(wait=30)
    asked = await site.run(started.handle)
    ended = await site.run(started.handle, wait=None)

    assert (asked.result, asked.message) == (None, "Fetching")
    assert ended.message == "Over"
    assert ended.result is not None
    assert site.posts == ["import"]


async def test_another_process_after_the_end_reports_that_it_did_not_see_the_run(site: Site) -> None:
    started = await site.run(wait=0)
    await anyio.sleep(3600)

    ended = await site.run(started.handle)

    assert ended.result is not None
    assert ended.message == "Over, unseen"


async def test_another_process_before_the_start_does_not_report_an_end(site: Site) -> None:
    site.region.faults.append(Fault(op="import", status=200, body="x"))
    started = await site.run(wait=0)

    asked = await site.run(started.handle)
    assert (asked.result, asked.message) == (None, "MAAS does not show yet that it started")
    await anyio.sleep(61)

    assert (await site.run(started.handle)).message == "Over, unseen"


async def test_a_user_without_permission_is_refused(site: Site) -> None:
    site.maas = client_of(site.region, "bob")

    with pytest.raises(MaasPermissionError):
        await site.run()

    assert not site.importing


async def test_the_deadline_ends_the_call(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.region.images, "stop", lambda: None)
    monkeypatch.setattr("maas_simulator.model.images.RATE", 1000.0)
    monkeypatch.setattr(Fetch, "deadline", timedelta(minutes=10))

    with pytest.raises(OperationTimedOutError, match=r"did not finish within 10 min 00 s; last seen: Fetching"):
        await site.run()


async def test_finding_a_running_import_takes_one_read(site: Site) -> None:
    engine = site.process()
    assert await engine.find_running_on_region([Fetch()]) == []
    assert len(site.region.requests) == 1
    await site.run(wait=0)

    (handle,) = await engine.find_running_on_region([Fetch()])
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
