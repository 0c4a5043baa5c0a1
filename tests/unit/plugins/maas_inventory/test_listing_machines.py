"""Lists of machines: filters, order, pages, fields and counts, and what cannot be read."""

import random
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from maas_inventory.machines.fields import FIELDS
from maas_inventory.machines.filtering import MachineFilter
from maas_inventory.machines.listing import ListMachines, MachinePage
from maas_mcp.api import InvalidArgumentsError, MachineStatus
from maas_mcp.maas.reading import JSON
from maas_simulator import generated_region
from tests.inventory import Bench, opened
from tests.odd import spoilt, with_odd_machine
from tests.unit.plugins.maas_inventory.calling import call

pytestmark = pytest.mark.anyio

PAGE = 10_000
"""Bytes of a page that a model can read."""


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with opened() as bench:
        yield bench


def names(page: MachinePage) -> list[str]:
    return [machine["hostname"] for machine in page.machines]


async def test_all_machines_are_listed_by_hostname(bench: Bench) -> None:
    page = await call(ListMachines, bench)

    assert names(page) == [f"node{number:02}" for number in range(1, 13)]
    assert (page.total, page.complete, page.next_cursor) == (12, True, None)


async def test_a_machine_in_a_list_is_short(bench: Bench) -> None:
    page = await call(ListMachines, bench)

    assert len(page.model_dump_json()) / 12 < 350, "MAAS itself takes 19,000 bytes"


async def test_a_second_list_sends_no_request(bench: Bench) -> None:
    await call(ListMachines, bench)
    await anyio.sleep(30)
    before = bench.requests
    page = await call(ListMachines, bench, status=["broken"], sort="-memory")

    assert names(page) == ["node12"]
    assert bench.requests == before


def test_an_unknown_status_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="expected one of new, commissioning, failed_commissioning"):
        MachineFilter.model_validate({"status": ["Deployed", "perhaps"]})


@pytest.mark.parametrize("status", MachineStatus)
def test_a_status_is_accepted_in_any_form_and_case(status: MachineStatus) -> None:
    written = [status.display, status.display.upper(), status.filter_value, status.name, f" {status.display.lower()} "]
    assert MachineFilter.model_validate({"status": written}).status == [status.filter_value] * len(written)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": ["failed_deployment", "broken"]}, ["node11", "node12"]),
        ({"hostname": ["NODE0[12].maas"]}, ["node01", "node02"]),
        ({"status": ["Failed"]}, ["node11"]),
        ({"hostname": ["node1*"], "owner": "none"}, ["node10", "node12"]),
        ({"ip_address": "10.10.0.200/29"}, ["node07"]),
        ({"min_memory": 10**9}, []),
        ({"power_state": "on", "status": ["deployed"]}, ["node07", "node08", "node09"]),
    ],
)
async def test_all_filters_must_match(bench: Bench, filters: dict[str, Any], expected: list[str]) -> None:
    assert names(await call(ListMachines, bench, **filters)) == expected


@pytest.mark.parametrize("name", ["node01", "NODE01", "node01.maas", "Node01.MAAS", "node01.maas.", " node01 "])
async def test_a_machine_is_found_by_its_hostname_or_fqdn_in_any_case(bench: Bench, name: str) -> None:
    page = await call(ListMachines, bench, hostname=[name])

    assert names(page) == ["node01"]
    assert (page.total, page.hint) == (1, None)


async def test_a_machine_is_found_by_its_addresses(bench: Bench) -> None:
    row = await bench.row("node07")
    by_mac = await call(ListMachines, bench, mac_address=row.mac_addresses[0].upper().replace(":", "-"))
    by_ip = await call(ListMachines, bench, ip_address=row.ip_addresses[0])

    assert names(by_mac) == names(by_ip) == ["node07"]


async def test_an_unknown_hostname_is_reported_with_the_machines_that_were_found(bench: Bench) -> None:
    page = await call(ListMachines, bench, hostname=["node02", "nod03"])

    assert names(page) == ["node02"]
    assert page.hint == "No machine matches nod03. Did you mean node03?"


async def test_an_empty_list_repeats_the_filters_and_suggests_a_cause(bench: Bench) -> None:
    page = await call(ListMachines, bench, status=["Releasing failed"], owner="Admin", zone="default")

    assert (page.machines, page.total) == ([], 0)
    assert page.hint == (
        'No machine matches "status=failed_releasing; owner=Admin; zone=default". All filters must match: try fewer. '
        "`owner` and `zone` must be spelled exactly as in MAAS."
    )


@pytest.mark.parametrize(
    ("filters", "hint"),
    [
        ({"zone": "AZ1"}, "No machine has the zone AZ1. Did you mean az1?"),
        ({"pool": "gold"}, "No machine has the pool gold. There are compute, default, storage."),
        ({"tags": ["gpu", "GPUs"]}, "No machine has the tag GPUs. Did you mean gpu?"),
        ({"tags": ["gpu"], "min_memory": 10**9}, "All filters must match: try fewer."),
    ],
)
async def test_an_empty_list_says_which_value_no_machine_has(bench: Bench, filters: dict[str, Any], hint: str) -> None:
    await bench.all()
    page = await call(ListMachines, bench, **filters)

    assert page.hint is not None
    assert page.hint.endswith(f". {hint}")


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"mac_address": "52:54:00"}, "expected a whole MAC address, such as"),
        ({"ip_address": "10.10.0"}, "expected an IP address or a CIDR, such as"),
        ({"agent_name": "a" * 300}, "at most 256 characters"),
    ],
)
def test_a_value_that_cannot_match_is_refused(filters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MachineFilter.model_validate(filters)


async def test_machines_are_listed_by_their_agent_name_which_only_maas_knows(bench: Bench) -> None:
    await bench.maas.post_op("machines/", "allocate", name="node02", agent_name="nightly")
    page = await call(ListMachines, bench, agent_name="nightly")

    assert names(page) == ["node02"]


async def test_pages_continue_where_the_last_one_ended_though_machines_come_and_go(bench: Bench) -> None:
    first = await call(ListMachines, bench, limit=4, sort="-hostname")
    await bench.maas.delete(f"machines/{(await bench.row('node09')).system_id}/")
    await anyio.sleep(1)
    second = await call(ListMachines, bench, limit=4, sort="-hostname", cursor=first.next_cursor)

    assert names(first) == ["node12", "node11", "node10", "node09"]
    assert names(second) == ["node08", "node07", "node06", "node05"]


async def test_a_cursor_of_other_filters_is_refused(bench: Bench) -> None:
    first = await call(ListMachines, bench, limit=4)

    with pytest.raises(InvalidArgumentsError, match="belongs to a list with other arguments"):
        await call(ListMachines, bench, status=["ready"], cursor=first.next_cursor)


async def test_only_the_requested_fields_are_shown(bench: Bench) -> None:
    page = await call(ListMachines, bench, fields=["status", "mac"], limit=1)

    assert page.machines[0].keys() == {"system_id", "hostname", "status_name", "mac_addresses"}


async def test_all_matches_are_counted_beyond_the_page(bench: Bench) -> None:
    page = await call(ListMachines, bench, count_by=["status", "owner"], limit=1)

    assert sum(page.counts["status_name"].values()) == sum(page.counts["owner"].values()) == 12
    assert page.counts["status_name"]["Broken"] == 1
    assert "By status_name: " in ListMachines().summary(page)


async def test_fresh_machines_are_read_again_and_left_out_if_they_do_not_match_any_more(bench: Bench) -> None:
    pool = (await bench.row("node01")).pool
    others = [row.hostname for row in (await bench.all()).rows if row.pool == pool and row.hostname != "node01"]
    bench.region.machine("node01").pool = "default" if pool != "default" else "compute"
    page = await call(ListMachines, bench, pool=pool, fresh=True)

    assert names(page) == sorted(others) != []
    assert page.hint == "Read again, these do not match any more: node01."
    assert page.oldest_row_seconds == 0


async def test_an_incomplete_list_says_how_far_it_is() -> None:
    async with opened(generated_region(3000, clock=anyio.current_time)) as bench:
        page = await call(ListMachines, bench, sort="-memory")

    assert not page.complete
    assert page.hint.endswith("which MAAS answers at once.")


async def test_an_unreadable_field_of_one_machine_is_named_and_hides_no_machine(bench: Bench) -> None:
    odd = bench.region.machine("node03").system_id
    with spoilt(with_odd_machine(odd, memory="much", ephemeral_deploy=None, tag_names=["gpu", None])):
        page = await call(ListMachines, bench)

    assert page.total == len(page.machines) == 12
    assert page.unreadable == [f"{odd} (node03): `memory`, `tag_names` cannot be read; a default is shown."]
    assert ListMachines().summary(page).splitlines()[-1] == page.unreadable[0]


async def test_a_machine_that_cannot_be_read_is_left_out_and_named(bench: Bench) -> None:
    odd = bench.region.machine("node03").system_id
    with spoilt(with_odd_machine(odd, status=None)):
        page = await call(ListMachines, bench)
        asked_for = await call(ListMachines, bench, hostname=["node03"])

    reported = [f"{odd} (node03): `status` cannot be read, so this machine is left out. It is still in MAAS."]
    assert (len(page.machines), page.unreadable) == (11, reported)
    assert (asked_for.machines, asked_for.hint, asked_for.unreadable) == ([], None, reported)


async def test_the_same_unreadable_field_of_all_machines_is_one_sentence(bench: Bench) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        for machine in answer if path == "machines/" else []:
            machine["memory"] = None
        return answer

    with spoilt(spoil):
        page = await call(ListMachines, bench)
    (reported,) = page.unreadable
    assert reported.endswith(" and 2 more: `memory` cannot be read; a default is shown.")


async def test_every_page_of_many_machines_with_long_texts_is_small() -> None:
    rng = random.Random(14)
    async with opened(generated_region(400, clock=anyio.current_time), share=1.0) as bench:
        for machine in bench.region.machines.values():
            machine.description = "long " * rng.randrange(200)
        await bench.all()
        for by in FIELDS:
            page = await call(ListMachines, bench, sort=by, fields=list(FIELDS), count_by=list(FIELDS), limit=200)
            assert len(page.model_dump_json()) <= PAGE
            assert len(ListMachines().summary(page)) <= PAGE
            assert page.next_cursor is not None
            following = await call(ListMachines, bench, sort=by, fields=list(FIELDS), cursor=page.next_cursor)
            assert not {*names(page)} & {*names(following)}
