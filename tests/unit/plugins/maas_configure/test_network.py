"""Interfaces of machines, and their links to subnets."""

from typing import Any

import pytest
from pydantic import ValidationError

from maas_configure.interface_changes import CreateInterface, DeleteInterface
from maas_configure.interfaces import Interface, NetworkedMachine, row_of
from maas_configure.links import LinkSubnet, UnlinkSubnet
from maas_mcp.api import MaasBadRequestError, MaasConflictError, OperationRefusedError, SystemId
from maas_simulator import Status
from tests.house import House

pytestmark = pytest.mark.anyio


async def add_nic(house: House, name: str = "node01") -> SystemId:
    system_id = house.region.machine(name).system_id
    form: dict[str, Any] = {"name": "eno2", "mac_address": "52:54:00:aa:09:02", "vlan": 5001}
    await house.maas.post_op(f"nodes/{system_id}/interfaces/", "create_physical", **form)
    house.region.requests.clear()
    return system_id


def changed(house: House) -> list[tuple[str, str | None, dict[str, list[str]]]]:
    return [(each.method, each.op, each.form) for each in house.region.requests if each.method != "GET"]


async def test_a_bond_is_created_of_two_nics(house: House) -> None:
    await add_nic(house)

    result = await house.call(
        CreateInterface, "node01", type="bond", name="bond0", parents=["eno1", "eno2"], bond_mode="802.3ad"
    )

    bond = result.interface
    assert (bond.name, sorted(bond.parents), bond.bond_mode) == ("bond0", ["eno1", "eno2"], "802.3ad")
    ((method, op, sent),) = changed(house)
    assert (method, op, len(sent["parents"])) == ("POST", "create_bond", 2)
    assert CreateInterface().summary(result).startswith("node01 now has the interface bond0: bond on eno1 and eno2")


async def test_a_vlan_interface_on_a_bond_gets_a_static_address(house: House) -> None:
    await house.call(CreateInterface, "node01", type="bond", name="bond0", parents=["eno1"])
    created = await house.call(CreateInterface, "node01", type="vlan", parents=["bond0"], vid=100)

    result = await house.call(
        LinkSubnet, "node01", interface="bond0.100", mode="static", subnet="storage", ip_address="10.30.0.9"
    )

    assert (created.interface.name, created.interface.vid) == ("bond0.100", 100)
    assert [(each.mode, each.ip_address) for each in result.interface.links] == [("static", "10.30.0.9")]


async def test_an_interface_with_the_name_but_other_properties_is_not_replaced(house: House) -> None:
    await add_nic(house)
    await house.call(CreateInterface, "node01", type="bond", name="bond0", parents=["eno1"])
    sent = len(changed(house))

    with pytest.raises(OperationRefusedError, match="has another interface bond0: bond on eno1"):
        await house.call(CreateInterface, "node01", type="bond", name="bond0", parents=["eno1", "eno2"])

    assert len(changed(house)) == sent


async def test_an_unknown_vlan_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(OperationRefusedError, match=r"fabric-0 of eno1 has no VLAN 7\. Its tagged VLANs: 100"):
        await house.call(CreateInterface, "node01", type="vlan", parents=["eno1"], vid=7)

    assert changed(house) == []


async def test_a_disconnected_parent_has_no_vlans(house: House) -> None:
    await house.maas.post_op("nodes/7xneda/interfaces/10/", "disconnect")

    with pytest.raises(OperationRefusedError, match=r"eno1 of node01 \(7xneda\) is disconnected"):
        await house.call(CreateInterface, "node01", type="vlan", parents=["eno1"], vid=100)


async def test_an_unknown_parent_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(OperationRefusedError, match=r"has no interface eth9\. Expected one of: eno1"):
        await house.call(CreateInterface, "node01", type="bridge", name="br0", parents=["eth9"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "bond", "parents": ["eno1"]},
        {"type": "bond", "parents": [], "name": "bond0"},
        {"type": "bridge", "parents": ["eno1", "eno2"], "name": "br0"},
        {"type": "bridge", "parents": ["eno1"], "name": "br0", "bond_mode": "802.3ad"},
        {"type": "vlan", "parents": ["eno1"]},
        {"type": "bridge", "parents": ["eno1"], "name": "br0", "vid": 100},
    ],
)
async def test_arguments_that_do_not_fit_the_type_are_invalid(house: House, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await house.call(CreateInterface, "node01", **arguments)


async def test_an_unknown_mode_of_a_bond_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(ValidationError, match="expected one of balance-rr, active-backup"):
        await house.call(CreateInterface, "node01", type="bond", name="bond0", parents=["eno1"], bond_mode="fast")


async def test_an_address_that_is_none_is_refused(house: House) -> None:
    with pytest.raises(ValidationError, match="expected an IP address, such as"):
        await house.call(
            LinkSubnet, "node01", interface="eno1", mode="static", subnet="10.10.0.0/24", ip_address="10.10.0"
        )


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (CreateInterface, {"type": "bridge", "name": "br0", "parents": ["eno1"]}),
        (DeleteInterface, {"interface": "eno1"}),
        (LinkSubnet, {"interface": "eno1", "mode": "dhcp", "subnet": "pxe"}),
    ],
)
async def test_the_network_of_a_deployed_machine_is_not_changed(
    house: House, tool: Any, arguments: dict[str, Any]
) -> None:
    with pytest.raises(
        OperationRefusedError, match="it has to be one of: New, Ready, Broken, Allocated, Failed testing"
    ):
        await house.call(tool, "node07", **arguments)

    assert changed(house) == []


@pytest.mark.parametrize("name", ["node06", "node10", "node12"])
async def test_the_network_of_allocated_new_and_broken_machines_can_be_changed(house: House, name: str) -> None:
    machine = await house.maas.get(f"machines/{house.region.machine(name).system_id}/")
    nic = machine["interface_set"][0]["name"]

    assert (await house.call(CreateInterface, name, type="bridge", name="br0", parents=[nic])).sent


async def test_a_static_address_is_chosen_by_maas_if_none_is_given(house: House) -> None:
    result = await house.call(LinkSubnet, "node01", interface="eno1", mode="static", subnet="1")
    again = await house.call(LinkSubnet, "node01", interface="eno1", mode="static", subnet="pxe")

    (link,) = [each for each in result.interface.links if each.mode == "static"]
    assert link.ip_address
    assert not again.sent


async def test_the_gateway_of_the_subnet_can_be_used(house: House) -> None:
    await house.call(
        LinkSubnet,
        "node01",
        interface="eno1",
        mode="static",
        subnet="pxe",
        ip_address="10.10.0.61",
        default_gateway=True,
    )

    assert changed(house)[0][2]["default_gateway"] == ["true"]


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("9.9.9.9", MaasBadRequestError, "ip_address: IP address is not in the given subnet"),
        ("10.10.0.150", MaasBadRequestError, "ip_address: IP address is inside a dynamic range"),
        ("10.10.0.60", MaasConflictError, "IP address is already in use"),
    ],
)
async def test_maas_says_why_an_address_cannot_be_used(
    house: House, address: str, error: type[Exception], words: str
) -> None:
    link = {"interface": "eno1", "mode": "static", "subnet": "pxe"}
    await house.call(LinkSubnet, "node02", **link, ip_address="10.10.0.60")

    with pytest.raises(error, match=words):
        await house.call(LinkSubnet, "node01", **link, ip_address=address)


async def test_an_unknown_subnet_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(OperationRefusedError, match=r"MAAS has no subnet dmz. Expected one of: 10\.10\.0\.0/24"):
        await house.call(LinkSubnet, "node01", interface="eno1", mode="auto", subnet="dmz")

    assert changed(house) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "static"},
        {"mode": "auto"},
        {"mode": "dhcp", "subnet": "pxe", "ip_address": "10.10.0.60"},
        {"mode": "link_up", "default_gateway": True},
    ],
)
async def test_arguments_that_do_not_fit_the_mode_are_invalid(house: House, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await house.call(LinkSubnet, "node01", interface="eno1", **arguments)


async def test_a_link_that_is_gone_is_not_removed_again(house: House) -> None:
    result = await house.call(UnlinkSubnet, "node01", interface="eno1", link_id=99)

    assert not result.sent
    assert UnlinkSubnet().summary(result).startswith("node01 already has the interface eno1")
    assert changed(house) == []


async def test_an_interface_that_does_not_exist_is_not_deleted(house: House) -> None:
    result = await house.call(DeleteInterface, "node01", interface="bond0")

    assert changed(house) == []
    assert DeleteInterface().summary(result) == (
        "node01 already has no interface bond0; it has eno1; nothing was sent to MAAS."
    )


async def test_deleting_an_interface_reports_what_is_left(house: House) -> None:
    await house.call(CreateInterface, "node01", type="bond", name="bond0", parents=["eno1"])
    await house.call(CreateInterface, "node01", type="vlan", parents=["bond0"], vid=100)

    result = await house.call(DeleteInterface, "node01", interface="bond0")

    assert result.interfaces == ["eno1"]
    assert DeleteInterface().summary(result) == "node01 now is without bond0; it has eno1."


async def test_an_interface_that_cannot_be_read_hides_no_other_and_is_not_taken_for_deleted(house: House) -> None:
    shown = await house.maas.get("machines/7xneda/")
    odd = {**shown["interface_set"][0], "id": None, "name": 7}

    machine = NetworkedMachine.from_response({**shown, "interface_set": [*shown["interface_set"], odd]})

    assert [each.name for each in machine.interface_set] == ["eno1"]
    assert machine.may_have_interface(999)


@pytest.mark.parametrize("params", ["", None, {}, [], 3])
def test_an_interface_may_have_odd_params(params: object) -> None:
    assert row_of(Interface.from_response({"id": 1, "params": params})).bond_mode is None


async def test_a_broken_machine_of_nobody_is_changed_in_each_status(house: House) -> None:
    house.region.set_status(house.region.machine("node01"), Status.FAILED_TESTING)

    assert (await house.call(CreateInterface, "node01", type="bridge", name="br0", parents=["eno1"])).sent
