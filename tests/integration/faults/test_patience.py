"""Real timeouts on the virtual clock, with an engine whose connection fails as planned."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import anyio
import anyio.lowlevel
import httpx
import pytest

from maas_mcp.errors import MaasError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.retry import Backoff
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.settings import Settings
from maas_simulator import SimulatedMachine, create_app, demo_region
from tests.house import TIMING, House, engine_of
from tests.integration.faults.jobs import Job, count_posts, count_starts
from tests.integration.faults.tally import Row, Tally

pytestmark = pytest.mark.anyio

Plan = Callable[[httpx.Request], httpx.Response | httpx.TransportError | None]
"""Replaces the response to a request. ``None`` keeps the response."""


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The region's application, with faults before a request arrives and before its response returns."""

    inner: httpx.AsyncBaseTransport
    before: Plan = field(default=lambda _request: None)
    after: Plan = field(default=lambda _request: None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        instead = self.before(request)
        if instead is None:
            response = await self.inner.handle_async_request(request)
            instead = self.after(request) or response
        if isinstance(instead, httpx.ReadTimeout):
            await anyio.sleep(request.extensions["timeout"]["read"])
        if isinstance(instead, httpx.TransportError):
            raise instead
        return instead


@asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[House, Wire, SimulatedMachine]]:
    """An engine, its connection, and a machine that the job can start on."""
    region = demo_region(speed=1.0, clock=anyio.current_time)
    wire = Wire(httpx.ASGITransport(create_app(region)))
    settings = Settings.load(maas_url="http://127.0.0.1:5240/MAAS", maas_api_key=region.api_key)
    maas = MaasClient(HttpTransport(settings.require_region(), backoff=Backoff(jitter=lambda: 1.0), wire=wire))
    machine = next(
        each for each in region.machines.values() if each.status is job.initial_status and each.owner != "bob"
    )
    async with anyio.create_task_group() as tasks:
        engine, batches = engine_of(maas, tasks)
        yield House(region, maas, engine, batches, tasks, job.member_operation), wire, machine
        tasks.cancel_scope.cancel()
    await maas.aclose()


@pytest.fixture
async def opening(job: Job) -> AsyncIterator[tuple[House, Wire, SimulatedMachine]]:
    async with opened(job) as opening:
        yield opening


def lost(request: httpx.Request) -> httpx.TransportError | None:
    """Close the connection of a POST."""
    return httpx.RemoteProtocolError("disconnected", request=request) if request.method == "POST" else None


def refused(request: httpx.Request) -> httpx.TransportError:
    return httpx.ConnectError("refused", request=request)


def unanswered(request: httpx.Request) -> httpx.TransportError:
    return httpx.ReadTimeout("silence", request=request)


async def ask(house: House, job: Job, *, wait: float) -> None:
    """Resume the latest operation by its handle, as another process does."""
    assert house.handle

    async def discard_progress(_progress: Progress) -> None:
        pass

    await house.engine.resume(
        job.member_operation(), house.handle, ProgressReporter(discard_progress), CancellationToken(), wait=wait
    )


async def test_a_start_that_never_arrived_fails_after_a_minute(
    job: Job, opening: tuple[House, Wire, SimulatedMachine]
) -> None:
    house, wire, machine = opening
    wire.before = lost
    before = machine.status, machine.owner

    with pytest.raises(MaasUnavailableError) as ended:
        await house.run(machine.hostname, **job.arguments)

    assert TIMING.start_grace <= anyio.current_time() < TIMING.start_grace + 15, (
        "at the first read that succeeds after the minute"
    )
    assert f"?op={job.op}" in ended.value.message
    assert (house.posts, count_starts(house.region, job, machine)) == (0, 0)
    assert (machine.status, machine.owner) == before


@pytest.mark.parametrize("silence", [refused, unanswered])
async def test_a_start_whose_response_is_lost_in_an_outage_of_two_minutes_is_recognised(
    job: Job, silence: Plan, opening: tuple[House, Wire, SimulatedMachine], tally: Tally
) -> None:
    house, wire, machine = opening

    def restart(request: httpx.Request) -> httpx.TransportError | None:
        if request.method == "POST":
            wire.before = silence
            house.after(120, lambda: setattr(wire, "before", lambda _request: None))
        return lost(request)

    wire.after = restart
    failure: MaasError | None = None
    try:
        await house.run(machine.hostname, **job.arguments)
    except MaasError as error:
        failure = error

    row = Row(job.tool, f"{silence.__name__} from the start on (virtual)", lost=int(failure is not None))
    row.double_starts = int(count_starts(house.region, job, machine) > 1)
    tally.add(row)
    assert count_posts(house.region, job, machine) == 1
    assert machine.status is job.final_status


async def test_the_id_of_a_start_that_never_arrived_reports_that_after_a_minute(
    job: Job, opening: tuple[House, Wire, SimulatedMachine]
) -> None:
    house, wire, machine = opening
    wire.before = lost
    house.options["wait"] = 0.0
    await house.run(machine.hostname, **job.arguments)
    assert house.handle

    await anyio.sleep(TIMING.start_grace + 10)
    with pytest.raises(MaasUnavailableError) as ended:
        await ask(house, job, wait=0.0)
    assert (ended.value.hint or "").startswith("MAAS does not show that it started")


async def test_a_long_retry_after_is_respected(
    job: Job, opening: tuple[House, Wire, SimulatedMachine], tally: Tally
) -> None:
    house, wire, machine = opening
    asked: list[float] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(anyio.current_time())
        wire.before = lambda _request: None
        return httpx.Response(503, headers={"Retry-After": "60"}, stream=httpx.ByteStream(b"busy"), request=request)

    house.after(50, lambda: setattr(wire, "before", busy))
    result = await house.run(machine.hostname, **job.arguments)

    tally.add(
        Row(job.tool, "Retry-After: 60 (virtual)", double_starts=int(count_starts(house.region, job, machine) > 1))
    )
    assert result.status_name == job.final_status.display
    assert len(asked) == 1
    silent = [each.time for each in house.region.requests if asked[0] < each.time < asked[0] + 60]
    assert silent == []
    assert any(each.startswith("MAAS unreachable for ") for each in house.messages)


async def test_retries_of_a_read_do_not_slow_down_later_polls(
    job: Job, opening: tuple[House, Wire, SimulatedMachine]
) -> None:
    house, wire, machine = opening

    def three_times(request: httpx.Request, left: list[int] = [3]) -> httpx.TransportError | None:  # noqa: B006 - counts
        left[0] -= 1
        return refused(request) if left[0] >= 0 else None

    house.after(40, lambda: setattr(wire, "before", three_times))
    await house.run(machine.hostname, **job.arguments)

    polls = [each.time for each in house.region.requests if each.op == "query" and 40 <= each.time < 100]
    assert max(after - before for before, after in pairwise(polls)) < 10


async def test_the_client_receives_progress_while_maas_has_not_answered_the_start(
    job: Job, opening: tuple[House, Wire, SimulatedMachine]
) -> None:
    """MAAS answers the POST only after the BMC has answered, which may take minutes."""
    house, _, machine = opening
    house.region.hold(op=job.op, before=120)

    await house.run(machine.hostname, **job.arguments)

    assert len([each for each in house.messages if each.startswith("Starting on ")]) >= 10
