"""Many machines: they are distinct, and details are created only on access."""

import copy
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, generated_region
from maas_simulator.http.render import machine_json
from maas_simulator.model.scripts import SetType
from maas_simulator.worlds.history import PassedResults
from simulator.tests.conftest import Maas

COUNT = 1000


@pytest.fixture(scope="module")
def many() -> SimulatedRegion:
    return generated_region(COUNT, speed=1.0)


def test_machines_have_unique_addresses_and_ids(many: SimulatedRegion) -> None:
    admin = Maas(many, many.api_key)
    machines: list[dict[str, Any]] = admin.get("machines/").json()
    assert len(machines) == COUNT
    for key in ("system_id", "hostname", "hardware_uuid"):
        assert len({machine[key] for machine in machines}) == COUNT
    for key in ("id", "mac_address"):
        assert len({machine["boot_interface"][key] for machine in machines}) == COUNT
    subnets = {each["name"]: ip_network(each["cidr"]) for each in admin.get("subnets/").json()}
    addresses = {machine["ip_addresses"][0] for machine in machines}
    assert len(addresses) == COUNT
    assert all(ip_address(each) in subnets["pxe-1"] for each in addresses)


def test_a_deployed_machine_has_its_own_address_in_the_subnet(many: SimulatedRegion) -> None:
    admin = Maas(many, many.api_key)
    [discovered] = admin.read("node0999")["ip_addresses"]
    many.deploy("node0999", "admin")
    [own] = admin.read("node0999")["ip_addresses"]
    assert own != discovered
    free = admin.get("subnets/1/?op=statistics").json()
    assert free["total_addresses"] == 2**16 - 2
    assert ip_address(own) in ip_network("10.64.0.0/16")


def test_machines_are_found_by_either_name_until_they_are_deleted() -> None:
    region = generated_region(30)
    assert region.machine("m00007") is region.machine("node0007")
    region.delete("node0007")
    for name in ("m00007", "node0007"):
        with pytest.raises(KeyError, match=f"there is no machine '{name}'; the machines are: node0001, .* and 9 more"):
            region.machine(name)


def test_the_results_of_a_past_run_are_the_same_on_every_access(many: SimulatedRegion) -> None:
    scripts = many.current_set(many.machine("node0005"), SetType.COMMISSIONING)
    assert scripts is not None
    assert isinstance(scripts.results, PassedResults)
    first, again = (copy.copy(list(scripts.results)) for _ in range(2))
    assert first == again == scripts.results[0:13]
    assert first[-1] == scripts.results[-1]
    assert len({each.id for each in first}) == 13


def test_results_have_unique_ids(many: SimulatedRegion) -> None:
    ids = [result.id for machine in many.machines.values() for each in machine.sets for result in each.results]
    assert len(ids) == len(set(ids))


def test_a_filter_by_name_and_one_by_id_find_the_same(many: SimulatedRegion) -> None:
    admin = Maas(many, many.api_key)
    by_id = admin.get("machines/?id=m00009&id=m00003&id=nosuch&status=ready").json()
    by_name = admin.get("machines/?hostname=node0009&hostname=node0003&status=ready").json()
    assert [machine["system_id"] for machine in by_id] == ["m00003", "m00009"]
    assert by_name == by_id
    assert admin.get("machines/?id=m00009&hostname=node0003").json() == []


def test_a_machine_is_indented_as_in_maas_and_an_error_is_one_line(many: SimulatedRegion) -> None:
    """MAAS 3.7.3 indents responses, except the version and form errors."""
    admin = Maas(many, many.api_key)
    assert 16_000 < len(admin.get("machines/m00009/").content) < 21_000
    assert admin.get("zones/").text.startswith('[\n    {\n        "name": ')
    assert "\n" not in admin.get("version/").text
    assert "\n" not in admin.get("machines/?zone=nowhere").text


def test_a_list_does_not_create_the_results_of_past_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(PassedResults, "_build_result")
    region = generated_region(50)
    shown = [machine_json(region, machine) for machine in region.machines.values()]
    assert {(each["commissioning_status_name"], each["testing_status_name"]) for each in shown} == {
        ("Passed", "Passed")
    }
