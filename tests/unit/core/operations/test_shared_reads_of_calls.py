"""Shared reads: calls that start or resume operations together cost MAAS few reads."""

import anyio
import pytest

from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.run import Prepared
from maas_simulator import RequestRecord, SimulatedRegion
from tests.house import TIMING, House, client_of, engine_of
from tests.unit.core.operations.declared import Arguments, Deploy, MachineResult

pytestmark = pytest.mark.anyio

MACHINE_PATHS = "/MAAS/api/2.0/machines/"
HOSTS = ["node01", "node02", "node03", "node04"]


def reporter() -> ProgressReporter:
    async def discard_progress(_progress: Progress) -> None:
        """Discard the progress."""

    return ProgressReporter(discard_progress)


def reads(region: SimulatedRegion) -> list[RequestRecord]:
    return [each for each in region.requests if each.method == "GET"]


def ids_in(read: RequestRecord) -> list[str]:
    """Return the machines that were read: those in the query, or the one in the path."""
    return read.query.get("id") or [read.path.split("/")[-2]]


async def test_simultaneous_starts_share_reads_of_machines_and_the_newest_event(house: House) -> None:
    async with anyio.create_task_group() as calls:
        for name in HOSTS:
            calls.start_soon(prepare, house, name)

    assert [each.template for each in reads(house.region)] == ["machines/", "events/"]


async def test_starts_on_own_machines_read_the_user_once(house: House) -> None:
    for name in HOSTS:
        house.region.change_owner(name, "admin")
    async with anyio.create_task_group() as calls:
        for name in HOSTS:
            calls.start_soon(prepare, house, name)

    assert [each.template for each in reads(house.region)] == ["machines/", "events/", "users/"]


async def test_a_start_ignores_events_from_before_its_machine_was_read(house: House) -> None:
    """It cannot use another start's read of the newest event, which was sent earlier."""
    house.region.hold(op="machines", after=0.5)
    house.region.hold(op="events", after=0.5)
    prepared: list[Prepared[Arguments, MachineResult]] = []

    async def start(name: str) -> None:
        prepared.append(await prepare(house, name))

    async with anyio.create_task_group() as calls:
        calls.start_soon(start, "node01")
        await anyio.sleep(0.6)  # the first one's read of the newest event is in progress
        calls.start_soon(start, "node02")
        house.region.deploy("node05", "admin")
        newest = house.region.log.next_id - 1

    first, second = (each.subject.handle for each in prepared)
    assert first.cursor < newest <= second.cursor


async def test_a_start_that_waited_for_a_slot_reads_its_machine_again(house: House) -> None:
    house.region.hold(op="deploy", before=TIMING.stale + 1)
    async with anyio.create_task_group() as calls:
        for name in HOSTS:
            calls.start_soon(house.run, name)
        await anyio.sleep(3 * TIMING.stale)

        singles = [each for each in reads(house.region) if each.template == "machines/{system_id}/"]
        assert len(singles) == 2
        assert len({each.path for each in singles}) == 2


async def test_operations_resumed_together_share_reads_of_machines(
    house: House,
) -> None:
    handles: list[Handle] = []
    house.options = {"wait": 0.0}
    for name in HOSTS:
        await house.run(name)
        assert house.handle
        handles.append(house.handle)
    house.region.requests.clear()
    engine, _ = engine_of(client_of(house.region), house.tasks, now=house.now)

    async def resume(engine: Engine, handle: Handle) -> None:
        status = await engine.resume(Deploy(), handle, reporter(), CancellationToken())
        assert status.message == "Deploying"

    async with anyio.create_task_group() as calls:
        for handle in handles:
            calls.start_soon(resume, engine, handle)

    assert [each.template for each in reads(house.region)].count("users/") == 1
    events = {each.query["id"][0]: at for at, each in enumerate(reads(house.region)) if each.template == "events/"}
    machines = {at: ids_in(each) for at, each in enumerate(reads(house.region)) if each.path.startswith(MACHINE_PATHS)}
    assert (
        len(machines) <= 2
    )  # events are requested for one machine at a time: the first response arrives before the others
    assert sorted(each for ids in machines.values() for each in ids) == sorted(events)
    assert all(events[each] < at for at, ids in machines.items() for each in ids)


async def prepare(house: House, name: str) -> Prepared[Arguments, MachineResult]:
    operation: Operation[Arguments, MachineResult] = Deploy()
    args = Arguments(system_id=house.region.machine(name).system_id)
    prepared = await house.engine.prepare(operation, args, reporter(), CancellationToken())
    assert isinstance(prepared, Prepared)
    return prepared
