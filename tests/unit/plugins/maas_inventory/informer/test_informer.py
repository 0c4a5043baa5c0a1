"""The informer on the simulator: it is loaded once, stays fresh, costs little, and stops."""

import anyio
import pytest

from maas_inventory.informer.filters import Filter
from tests.inventory import ALL, opened

pytestmark = pytest.mark.anyio


async def test_the_first_question_loads_all_machines() -> None:
    async with opened() as bench:
        answer = await bench.all()

        assert answer.complete
        assert len(answer.rows) == 12
        assert await bench.differences() == []


async def test_the_next_question_sends_no_request() -> None:
    async with opened() as bench:
        await bench.all()
        await anyio.sleep(30)
        before, at = bench.requests, anyio.current_time()
        answer = await bench.informer.query(Filter(zones=("default",)))

        assert answer.complete
        assert (bench.requests, anyio.current_time()) == (before, at)


async def test_nothing_is_requested_before_the_first_question() -> None:
    async with opened() as bench:
        await anyio.sleep(600)

        assert bench.requests == 0


async def test_an_idle_informer_costs_little_and_stops() -> None:
    async with opened() as bench:
        await bench.all()
        await anyio.sleep(100)
        before = bench.requests
        await anyio.sleep(600)

        assert bench.requests - before <= 50
        await anyio.sleep(300)
        before = bench.requests
        await anyio.sleep(3600)
        assert bench.requests == before
        assert len((await bench.all()).rows) == 12


async def test_a_change_by_others_with_an_event_is_noticed_soon() -> None:
    async with opened() as bench:
        await bench.all()
        await anyio.sleep(60)
        bench.region.deploy("node01", "bob")
        await anyio.sleep(16)

        assert (await bench.row("node01")).status_name == "Deploying"
        assert (await bench.row("node01")).owner == "bob"
        await anyio.sleep(3600)
        assert await bench.differences() == []


async def test_a_change_by_us_is_noticed_at_once() -> None:
    async with opened() as bench:
        await bench.all()
        row = await bench.row("node01")
        await bench.maas.put(f"machines/{row.system_id}/", description="mine")
        await anyio.sleep(1)

        assert (await bench.row("node01")).description == "mine"


async def test_a_change_without_an_event_is_noticed_by_the_resync() -> None:
    async with opened() as bench:
        await bench.all()
        bench.region.machine("node01").description = "changed behind our back"
        answer = await bench.informer.query(ALL)
        await anyio.sleep(answer.resync_seconds + 5)

        assert (await bench.row("node01")).description == "changed behind our back"


async def test_a_deleted_machine_is_noticed_by_the_resync() -> None:
    async with opened() as bench:
        answer = await bench.all()
        bench.region.delete("node01")
        await anyio.sleep(answer.resync_seconds + 5)

        assert len((await bench.all()).rows) == 11
        changes = await bench.informer.changes()
        assert [(each.hostname, each.kind) for each in changes.changes] == [("node01", "removed")]
