"""How long what is waited for: true minutes, on the virtual clock, with an engine whose connection fails by plan."""

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
from tests.integration.faults.jobs import Job, orders, starts
from tests.integration.faults.tally import Row, Tally

pytestmark = pytest.mark.anyio

Plan = Callable[[httpx.Request], httpx.Response | httpx.TransportError | None]
"""What a request meets instead of its answer; ``None`` for nothing."""


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The region's application, behind what happens before a request reaches it and before its answer is there."""

    inner: httpx.AsyncBaseTransport
    before: Plan = field(default=lambda _request: None)
    after: Plan = field(default=lambda _request: None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        instead = self.before(request)
        if instead is None:
            answer = await self.inner.handle_async_request(request)
            instead = self.after(request) or answer
        if isinstance(instead, httpx.ReadTimeout):
            await anyio.sleep(request.extensions["timeout"]["read"])
        if isinstance(instead, httpx.TransportError):
            raise instead
        return instead


@asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[House, Wire, SimulatedMachine]]:
    """A house as the engine's own tests have it, its connection, and a machine that the job can be begun on."""
    region = demo_region(speed=1.0, clock=anyio.current_time)
    wire = Wire(httpx.ASGITransport(create_app(region)))
    settings = Settings.load(maas_url="http://127.0.0.1:5240/MAAS", maas_api_key=region.api_key)
    maas = MaasClient(HttpTransport(settings.require_region(), backoff=Backoff(jitter=lambda: 1.0), wire=wire))
    machine = next(each for each in region.machines.values() if each.status is job.begins and each.owner != "bob")
    async with anyio.create_task_group() as tasks:
        engine, batches = engine_of(maas, tasks)
        yield House(region, maas, engine, batches, tasks, job.of_each), wire, machine
        tasks.cancel_scope.cancel()
    await maas.aclose()


@pytest.fixture
async def opening(job: Job) -> AsyncIterator[tuple[House, Wire, SimulatedMachine]]:
    async with opened(job) as opening:
        yield opening


def lost(request: httpx.Request) -> httpx.TransportError | None:
    """A POST whose connection ends."""
    return httpx.RemoteProtocolError("disconnected", request=request) if request.method == "POST" else None


def refused(request: httpx.Request) -> httpx.TransportError:
    return httpx.ConnectError("refused", request=request)


def unanswered(request: httpx.Request) -> httpx.TransportError:
    return httpx.ReadTimeout("silence", request=request)


async def ask(house: House, job: Job, *, wait: float) -> None:
    """Pick the latest operation up by its handle, as another process does."""
    assert house.handle

    async def nobody(_progress: Progress) -> None:
        pass

    await house.engine.resume(job.of_each(), house.handle, ProgressReporter(nobody), CancellationToken(), wait=wait)


async def test_an_order_that_never_arrived_is_given_up_after_a_minute(
    job: Job, opening: tuple[House, Wire, SimulatedMachine]
) -> None:
    house, wire, machine = opening
    wire.before = lost
    before = machine.status, machine.owner

    with pytest.raises(MaasUnavailableError) as ended:
        await house.run(machine.hostname, **job.arguments)

    assert TIMING.start_grace <= anyio.current_time() < TIMING.start_grace + 15, (
        "at the first look that MAAS answers after it"
    )
    assert f"?op={job.op}" in ended.value.message
    assert (house.posts, starts(house.region, job, machine)) == (0, 0)
    assert (machine.status, machine.owner) == before


@pytest.mark.parametrize("silence", [refused, unanswered])
async def test_an_order_whose_answer_is_lost_in_two_minutes_of_silence_is_found_to_be_carried_out(
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

    row = Row(job.tool, f"{silence.__name__} from the order on (virtual)", lost=int(failure is not None))
    row.double_starts = int(starts(house.region, job, machine) > 1)
    tally.add(row)
    assert orders(house.region, job, machine) == 1
    assert machine.status is job.ends


async def test_a_handle_of_an_order_that_never_arrived_says_so_after_a_minute(
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


async def test_a_long_retry_after_is_waited_for(
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

    tally.add(Row(job.tool, "Retry-After: 60 (virtual)", double_starts=int(starts(house.region, job, machine) > 1)))
    assert result.status_name == job.ends.display
    assert len(asked) == 1
    silent = [each.time for each in house.region.requests if asked[0] < each.time < asked[0] + 60]
    assert silent == []
    assert any(each.startswith("MAAS unreachable for ") for each in house.messages)


async def test_a_read_that_had_to_be_tried_again_does_not_make_the_next_ones_rare(
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


async def test_while_the_order_is_being_carried_out_the_client_hears_of_it(
    job: Job, opening: tuple[House, Wire, SimulatedMachine]
) -> None:
    """MAAS answers the POST only when the BMC has, which may take minutes."""
    house, _, machine = opening
    house.region.hold(op=job.op, before=120)

    await house.run(machine.hostname, **job.arguments)

    assert len([each for each in house.messages if each.startswith("Starting on ")]) >= 10
