"""One machine, by any of its names, with sections."""

from collections.abc import AsyncIterator

import anyio
import pytest

from maas_inventory.machines.reading import SECTIONS, GetMachine
from maas_mcp.api import MaasNotFoundError, MaasProtocolError
from maas_mcp.maas.reading import JSON
from tests.inventory import Bench, opened
from tests.odd import spoilt, with_odd_machine
from tests.unit.plugins.maas_inventory.calling import call

pytestmark = pytest.mark.anyio

OFFLINE = tuple(name for name in SECTIONS if name != "operation")
"""The sections that need no engine."""


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with opened() as bench:
        yield bench


async def test_a_machine_is_shown_with_its_operating_system_by_one_request(bench: Bench) -> None:
    machine = await call(GetMachine, bench, system_id=bench.region.machine("node07").system_id)

    assert (machine.hostname, machine.status_name, machine.distro_series) == ("node07", "Deployed", "noble")
    assert len(machine.model_dump_json()) < 1300
    assert bench.requests == 1


async def test_a_machine_is_found_by_each_of_its_names(bench: Bench) -> None:
    row = await bench.row("node07")
    mac = row.mac_addresses[0].upper()
    cisco = f"{mac[:2]}{mac[3:5]}.{mac[6:8]}{mac[9:11]}.{mac[12:14]}{mac[15:]}"
    addresses = (mac, mac.replace(":", "-"), cisco, row.ip_addresses[0])
    for name in ("node07", "NODE07", "node07.maas", row.system_id.upper(), *addresses):
        assert (await call(GetMachine, bench, system_id=name)).system_id == row.system_id


@pytest.mark.parametrize("name", ["zzzzzz", "no-such-node", "10.99.0.1", "52:54:00:ff:ff:ff"])
async def test_a_machine_that_does_not_exist_is_named(bench: Bench, name: str) -> None:
    with pytest.raises(MaasNotFoundError, match=name):
        await call(GetMachine, bench, system_id=name)


async def test_a_misspelt_name_is_answered_with_the_nearest(bench: Bench) -> None:
    with pytest.raises(MaasNotFoundError) as missing:
        await call(GetMachine, bench, system_id="nod07")

    assert missing.value.hint == "Did you mean node07?"


async def test_the_text_has_all_values_of_the_machine_in_short(bench: Bench) -> None:
    text = GetMachine().summary(await call(GetMachine, bench, system_id="node11"))

    assert text.startswith('node11 (8pr8mk) is Failed deployment for admin. Latest event: "Marking node failed')
    for value in ("zone az2", "memory 16384", "ip_addresses [10.10.0.211]", 'error_description "Installation failed'):
        assert value in text
    assert 'description ""' not in text


async def test_sections_show_interfaces_disks_boot_events_and_scripts(bench: Bench) -> None:
    machine = await call(GetMachine, bench, system_id="node07", sections=list(OFFLINE))

    assert machine.sections.keys() == {*OFFLINE}
    assert machine.sections["network"]["interfaces"][0]["mac_address"]
    assert machine.sections["storage"]["block_devices"][0]["size"] > 0
    assert machine.sections["boot"]["osystem"] == "ubuntu"
    assert len(machine.model_dump_json()) <= 10_000


async def test_the_network_section_shows_the_names_and_ids_that_the_tools_for_interfaces_take(bench: Bench) -> None:
    def bond(path: str, answer: JSON) -> JSON:
        if path == "machines/7xneda/":
            answer["interface_set"][0] |= {"params": {"bond_mode": "802.3ad"}, "effective_mtu": 9000}
        return answer

    with spoilt(bond):
        machine = await call(GetMachine, bench, system_id="node01", sections=["network"])

    (eno1,) = machine.sections["network"]["interfaces"]
    assert (eno1["name"], eno1["type"], eno1["vid"], eno1["fabric"]) == ("eno1", "physical", 0, "fabric-0")
    assert (eno1["bond_mode"], eno1["mtu"]) == ("802.3ad", 9000)
    assert eno1["links"] == [{"link_id": 10, "mode": "auto", "subnet": "10.10.0.0/24"}]
    assert "links [link_id 10, mode auto, subnet 10.10.0.0/24]" in GetMachine().summary(machine)


async def test_an_odd_interface_hides_no_other_and_is_named(bench: Bench) -> None:
    row = await bench.row("node07")

    def spoil(path: str, answer: JSON) -> JSON:
        if path == f"machines/{row.system_id}/":
            answer["interface_set"] += [{"id": "one"}, None, {"id": 7, "name": "eth7", "links": [None, {"mode": 3}]}]
            answer["hardware_info"] = {"cpu_model": None, "system_vendor": "Acme"}
        return answer

    with spoilt(spoil):
        machine = await call(GetMachine, bench, system_id=row.system_id, sections=["network", "hardware"])
    interfaces = machine.sections["network"]["interfaces"]
    assert [each.get("name") for each in interfaces if "name" in each][-1] == "eth7"
    assert sum("left_out" in each for each in interfaces) == 2
    assert machine.sections["hardware"]["hardware_info"] == {"system_vendor": "Acme"}


async def test_unreadable_fields_are_named(bench: Bench) -> None:
    odd = bench.region.machine("node03").system_id
    with spoilt(with_odd_machine(odd, memory="much", ephemeral_deploy=None)):
        details = await call(GetMachine, bench, system_id=odd)
    assert details.unreadable == ["ephemeral_deploy", "memory"]
    assert "cannot be read; a default is shown." in GetMachine().summary(details)

    with spoilt(with_odd_machine(odd, status=None)), pytest.raises(MaasProtocolError, match=r"status \("):
        await call(GetMachine, bench, system_id=odd)


async def test_a_hostname_that_looks_like_a_system_id_is_found(bench: Bench) -> None:
    bench.region.machines.rename(bench.region.machine("node02"), "abcdef")
    await anyio.sleep(1)
    assert (await call(GetMachine, bench, system_id="abcdef")).hostname == "abcdef"
