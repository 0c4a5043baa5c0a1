"""The informer on the simulator: it is loaded once, stays fresh, costs little, and stops."""

from itertools import pairwise
from typing import Any

import anyio
import pytest

from maas_inventory.informer.filters import Filter
from maas_mcp.api import Event, EventNews, MaasAuthError, MaasUnavailableError, ProgressReporter
from maas_mcp.operations.progress import Progress
from maas_simulator.model.costs import Costs
from maas_simulator.model.faults import Fault
from maas_simulator.model.oddities import OddMachine
from tests.house import client_of
from tests.inventory import ALL, Bench, opened

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


async def test_a_named_machine_is_asked_of_maas_before_all_are_loaded() -> None:
    async with opened(costs=Costs(request=0.01, machines=0.15, machine=4.0)) as bench:
        began = anyio.current_time()
        answer = await bench.informer.query(Filter(names=("Node07.maas",)))

        assert [row.hostname for row in answer.rows] == ["node07"]
        assert answer.complete
        assert anyio.current_time() - began < 15, "all machines take 48 s"


async def test_what_a_caller_waits_for_is_loaded_first() -> None:
    async with opened(costs=Costs(request=0.01, machines=0.15, machine=4.0)) as bench:
        began = anyio.current_time()
        answer = await bench.informer.query(Filter(statuses=(11,)))

        assert [row.hostname for row in answer.rows] == ["node11"]
        assert answer.complete
        assert anyio.current_time() - began < 25


async def test_when_patience_ends_the_answer_says_that_it_is_not_complete() -> None:
    async with opened(costs=Costs(request=0.01, machines=0.15, machine=4.0)) as bench:
        answer = await bench.informer.query(ALL, patience=20.0)

        assert not answer.complete
        assert 0 < len(answer.rows) < 12
        assert answer.known == len(answer.rows)
        assert len((await bench.all()).rows) == 12


async def test_a_short_first_list_reports_no_progress_and_a_request_that_lasts_does() -> None:
    for seconds, count in ((0.01, 0), (60.0, 1)):
        reported: list[Progress] = []

        async def send(progress: Progress, into: list[Progress] = reported) -> None:
            into.append(progress)

        async with opened(costs=Costs(request=0.01, machines=seconds, machine=0.0)) as bench:
            progress = ProgressReporter(send)
            async with progress.reporting():
                await bench.informer.query(ALL, progress=progress, patience=9.0)
        assert len(reported) == count


async def test_progress_shows_how_many_machines_were_read() -> None:
    reported: list[Progress] = []

    async def send(progress: Progress) -> None:
        reported.append(progress)

    async with opened(costs=Costs(request=0.01, machines=0.15, machine=1.0)) as bench:
        progress = ProgressReporter(send)
        async with progress.reporting():
            await bench.informer.query(ALL, progress=progress)

    assert reported[-1].message.startswith("Read ")
    assert 0.0 < reported[-1].value <= 1.0


async def test_a_part_that_takes_too_long_is_divided() -> None:
    async with opened(costs=Costs(request=0.01, machines=0.15, machine=25.0)) as bench:
        answer = await bench.informer.query(ALL, patience=7200.0)

        assert answer.complete
        assert any(each.query.get("power_state") for each in bench.reads())
        assert len(answer.rows) == 12


async def test_a_part_that_nothing_divides_gets_more_time() -> None:
    async with opened(costs=Costs(request=0.01, machines=0.15, machine=80.0)) as bench:
        answer = await bench.informer.query(ALL, patience=7200.0)

        assert answer.complete
        assert len(answer.rows) == 12


async def test_nothing_is_read_while_maas_asks_to_wait() -> None:
    async with opened() as bench:
        bench.region.faults.append(Fault(path="machines/", status=503, headers={"Retry-After": "30"}))
        await bench.all()

        times = [each.time for each in bench.region.requests if each.path.endswith("/machines/")]
        assert times[1] - times[0] >= 30


async def test_machines_are_read_one_request_at_a_time() -> None:
    async with opened(costs=Costs(request=0.0, machines=3.0, machine=0.0)) as bench:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.all)
            for name in ("node01", "node02", "node03"):
                tasks.start_soon(bench.informer.resolve, name)

        times = [each.time for each in bench.region.requests if each.path.endswith("/machines/")]
        assert all(later - earlier >= 3.0 for earlier, later in pairwise(times))


async def test_a_zone_that_is_renamed_during_the_first_list_is_no_error() -> None:
    async with opened(costs=Costs(request=0.0, machines=3.0, machine=0.0)) as bench:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.all)
            await anyio.sleep(4)  # the zones were read, and the first machines
            await bench.maas.put("zones/az1/", name="row-1")

        assert {row.zone for row in (await bench.all()).rows} == {"default", "row-1", "az2"}


async def test_an_outage_during_the_first_list_is_an_error_and_is_survived() -> None:
    async with opened() as bench:
        bench.region.restart(60.0)
        with pytest.raises(MaasUnavailableError):
            await bench.all()
        await anyio.sleep(60)

        assert len((await bench.all()).rows) == 12


async def test_during_an_outage_the_known_machines_are_shown_with_their_age() -> None:
    async with opened() as bench:
        await bench.all()
        await anyio.sleep(30)
        before = bench.informer.date(anyio.current_time())
        bench.region.restart(400.0)
        await anyio.sleep(390)
        answer = await bench.all()

        assert len(answer.rows) == 12
        assert answer.as_of <= before
        assert answer.oldest_seconds is not None
        assert answer.oldest_seconds > 390


async def test_a_refused_key_is_reported_at_once() -> None:
    async with opened() as bench:
        bench.region.faults.append(Fault(path="zones/", status=401, times=None))
        with pytest.raises(MaasAuthError):
            await bench.all()


async def test_missed_events_lead_to_a_new_read_of_all() -> None:
    async with opened() as bench:
        await bench.all()
        await anyio.sleep(60)
        bench.region.hide_events()
        bench.region.deploy("node01", "bob")
        bench.region.log.events.clear()
        bench.region.log.by_machine.clear()
        await anyio.sleep(60)

        assert (await bench.row("node01")).owner == "bob"


async def test_machines_can_be_read_again_at_once() -> None:
    async with opened() as bench:
        row = (await bench.all()).rows[0]
        bench.region.machine(row.system_id).description = "new"
        answer = await bench.informer.read([row.system_id, "zzzzzz"])

        assert [each.description for each in answer.rows] == ["new"]
        assert answer.oldest_seconds is not None
        assert answer.oldest_seconds < 1


@pytest.mark.parametrize("name", ["node03", "NODE03.maas", "system id", "mac address", "ip address"])
async def test_a_machine_is_found_by_any_of_its_names(name: str) -> None:
    async with opened() as bench:
        machine = bench.region.machine("node06")
        (row,) = (await bench.informer.resolve("node06")).rows
        names = {"system id": machine.system_id, "mac address": row.mac_addresses[0].upper(), "ip address": "10.0.0.1"}
        if row.ip_addresses:
            names["ip address"] = row.ip_addresses[0]
        wanted = names.get(name, name)
        found = (await bench.informer.resolve(wanted)).rows

        assert [each.hostname for each in found] == ["node03" if name.lower().startswith("node03") else "node06"]


async def test_a_machine_that_is_not_there_is_not_found() -> None:
    async with opened() as bench:
        assert (await bench.informer.resolve("nowhere")).rows == []
        assert (await bench.informer.resolve("zzzzzz")).complete


async def test_a_read_by_others_is_news_too() -> None:
    async with opened() as bench:
        row = await bench.row("node01")
        await anyio.sleep(10)
        bench.region.machine("node01").description = "seen by another tool"
        await bench.maas.machine(row.system_id)

        assert (await bench.row("node01")).description == "seen by another tool"


async def test_many_changes_of_this_server_are_read_together() -> None:
    async with opened() as bench:
        ids = [row.system_id for row in (await bench.all()).rows if not row.locked]
        await anyio.sleep(5)
        before = bench.requests
        async with anyio.create_task_group() as tasks:
            for system_id in ids:
                tasks.start_soon(edit, bench, system_id)
        await anyio.sleep(2)

        assert {row.description for row in (await bench.all()).rows if row.system_id in ids} == {"mine"}
        assert len(bench.reads(before)) <= len(ids) / 2


async def edit(bench: Bench, system_id: str) -> None:
    await bench.maas.put(f"machines/{system_id}/", description="mine")


async def test_a_renamed_zone_shows_in_all_its_machines() -> None:
    async with opened() as bench:
        before = {row.hostname for row in (await bench.all()).rows if row.zone == "az1"}
        await bench.maas.put("zones/az1/", name="berlin")
        await anyio.sleep(3)

        assert before
        assert {row.hostname for row in (await bench.all()).rows if row.zone == "berlin"} == before


async def test_a_machine_that_others_add_without_an_event_is_found() -> None:
    async with opened() as bench:
        answer = await bench.all()
        others = client_of(bench.region)
        given: dict[str, Any] = {
            "architecture": "amd64",
            "mac_addresses": ["52:54:00:ff:00:01"],
            "power_type": "manual",
        }
        await others.post("machines/", hostname="newcomer", commission=False, **given)
        await others.aclose()
        await anyio.sleep(answer.resync_seconds + 10)

        assert (await bench.row("newcomer")).status_name == "New"
        assert [each.kind for each in (await bench.informer.changes()).changes] == ["added"]


async def test_changes_are_continued_by_their_number() -> None:
    async with opened() as bench:
        await bench.all()
        await anyio.sleep(10)
        first = await bench.informer.changes()
        start = bench.informer.date(anyio.current_time())
        bench.region.deploy("node01", "bob")
        await anyio.sleep(30)
        changes = await bench.informer.changes(after=first.last)

        assert changes.complete
        assert {(each.hostname, each.kind) for each in changes.changes} == {("node01", "changed")}
        assert {one.name for each in changes.changes for one in each.fields} >= {"status_name", "owner"}
        assert await bench.informer.changes(since=start) == changes
        assert (await bench.informer.changes(after=changes.last)).changes == []


async def test_a_number_from_an_earlier_session_is_not_complete() -> None:
    async with opened() as bench:
        await bench.all()
        first = await bench.informer.changes()
        await anyio.sleep(2000)
        await bench.all()

        assert not (await bench.informer.changes(after=first.last)).complete


async def test_a_machine_with_odd_values_hides_no_other_one() -> None:
    async with opened() as bench:
        await bench.all()
        bench.region.distort(OddMachine(machine="node01", show={"status": None}))
        bench.region.distort(OddMachine(machine="node02", show={"cpu_count": "many"}))
        await anyio.sleep(400)
        answer = await bench.all()

        assert len(answer.rows) == 11
        assert [each.name for each in answer.left_out] == [f"{bench.region.machine('node01').system_id} (node01)"]
        assert (await bench.row("node02")).unreadable == ("cpu_count",)
        bench.region.show_as_is()
        await anyio.sleep(400)
        assert await bench.differences() == []
        assert (await bench.all()).left_out == ()


async def test_agent_names_are_asked_of_maas() -> None:
    async with opened() as bench:
        row = await bench.row("node01")
        await bench.maas.post_op("machines/", "allocate", name="node01", agent_name="juju")
        await anyio.sleep(5)
        answer = await bench.informer.query(Filter(agent_name="juju"))

        assert [each.system_id for each in answer.rows] == [row.system_id]


async def test_lost_events_while_all_machines_have_news_are_survived() -> None:
    async with opened() as bench:
        rows = (await bench.all()).rows
        await anyio.sleep(10)
        session = bench.informer._session
        assert session is not None
        events = [Event(id=number, node=row.system_id, type="New type") for number, row in enumerate(rows)]
        session.take_news(EventNews(events, complete=False, asked=anyio.current_time()))
        await anyio.sleep(60)

        answer = await bench.all()
        assert answer.oldest_seconds is not None
        assert answer.oldest_seconds < 70
        assert await bench.differences() == []
