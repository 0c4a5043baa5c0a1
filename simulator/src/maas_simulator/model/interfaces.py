"""The network interfaces of machines: derived from a machine's number, and records once its network was changed."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import vlan_of_fabric
from maas_simulator.model.records import Record, Table, Tables

PHYSICAL, BOND, BRIDGE, VLAN = "physical", "bond", "bridge", "vlan"
AUTO, DHCP, STATIC, LINK_UP = "auto", "dhcp", "static", "link_up"
LONGEST_NAME: Final = 15
"""The length of the names that Linux has for interfaces."""
BOOT_INTERFACE: Final = "eno1"
"""The name of the first interface of a machine that was commissioned."""


def interfaces(tables: Tables, machine: SimulatedMachine) -> Table:
    """The interfaces of a machine, to be read. The machine boots from the first."""
    stored = tables.interfaces.get(machine.system_id)
    return _derive(tables, machine) if stored is None else stored


def stored_interfaces(tables: Tables, machine: SimulatedMachine) -> Table:
    """The interfaces of a machine, to be changed."""
    if machine.system_id not in tables.interfaces:
        tables.interfaces[machine.system_id] = _derive(tables, machine)
    return tables.interfaces[machine.system_id]


def mac_addresses(tables: Tables, machine: SimulatedMachine) -> Collection[str]:
    """The MAC addresses of a machine."""
    stored = tables.interfaces.get(machine.system_id)
    return machine.mac_addresses if stored is None else [nic["mac_address"] for nic in stored.values()]


def new_interface(number: int, **fields: Any) -> Record:
    """Build an interface; by default one without a link of which nothing is known."""
    return {
        **dict.fromkeys(("vendor", "product", "firmware_version", "vlan", "discovered", "numa_node")),
        "id": number,
        "type": PHYSICAL,
        "interface_speed": 0,
        "link_speed": 0,
        "link_connected": True,
        "tags": [],
        "params": {},
        "parents": [],
        "links": [],
        **fields,
    }


def new_link(
    number: int, mode: str, subnet: int | None = None, ip: str | None = None, created: float | None = None
) -> Record:
    """Build a link to a subnet, or one that only brings an interface up."""
    return {"id": number, "mode": mode, "subnet": subnet, "ip_address": ip, "gateway": False, "created": created}


def ip_addresses(nics: Table) -> list[str]:
    """The addresses of a machine: those of its links, or else those that it was discovered with."""
    own = [link["ip_address"] for nic in nics.values() for link in nic["links"] if link["ip_address"]]
    return own or [nic["discovered"]["ip_address"] for nic in nics.values() if nic["discovered"]]


def gateways_of(tables: Tables, nic: Record) -> Iterator[tuple[int, Record, str]]:
    """The links of an interface whose subnet provides a gateway, each with the IP version and address of that."""
    for link in nic["links"]:
        subnet = None if link["mode"] == LINK_UP else tables["Subnet"].get(link["subnet"] or 0)
        if subnet and subnet["gateway_ip"]:
            yield 6 if ":" in subnet["gateway_ip"] else 4, link, subnet["gateway_ip"]


def choose_gateway(tables: Tables, nics: Table, chosen: Record) -> None:
    """Make the gateway of a link the machine's for its version of IP."""
    found = [each for nic in nics.values() for each in gateways_of(tables, nic)]
    versions = {version for version, link, _ in found if link is chosen}
    for version, link, _ in found:
        if version in versions:
            link["gateway"] = link is chosen


def is_linked(nics: Table) -> bool:
    """Whether a machine is configured to get an address."""
    return any(link["mode"] != LINK_UP for nic in nics.values() for link in nic["links"])


def clear_links(tables: Tables, machine: SimulatedMachine) -> None:
    """Remove all links of a machine, as commissioning first does."""
    machine.linked = False
    for nic in tables.interfaces.get(machine.system_id, Table("Interface")).values():
        nic["links"] = []


def configure_interfaces(tables: Tables, machine: SimulatedMachine) -> None:
    """Store what commissioning finds: MAAS keeps only physical interfaces, and the machine boots by the first."""
    was_known, machine.known = machine.known, True
    machine.linked = not machine.skip_networking or (was_known and machine.linked)
    nics = tables.interfaces.get(machine.system_id)
    if nics is None:
        for fabric in machine.fabrics:
            vlan_of_fabric(tables, fabric)
        return
    if machine.skip_networking and was_known:
        return
    for number in [number for number, nic in nics.items() if nic["type"] != PHYSICAL]:
        del nics[number]
    for index, nic in enumerate(nics.values()):
        found = _found(tables, machine, index)
        nic.update({"vlan": nic["vlan"] or found["vlan"]} if index else found)
        if machine.linked:
            mode, subnet = (AUTO, machine.subnet) if nic["discovered"] else (LINK_UP, None)
            nic["links"] = [new_link(tables.take_id("StaticIPAddress"), mode, subnet)]
        if not was_known:
            nic.update(_hardware(machine), name=f"eno{index + 1}")


def add_bridges(tables: Tables, machine: SimulatedMachine, params: Record) -> None:
    """Add a bridge to each interface that is linked to a subnet. The links move to it until the machine is released."""
    nics = stored_interfaces(tables, machine)
    used = {parent for nic in nics.values() for parent in nic["parents"]}
    for nic in [nic for nic in nics.values() if nic["id"] not in used and nic["type"] != BRIDGE]:
        if any(link["subnet"] for link in nic["links"]):
            shared = {name: nic[name] for name in ("mac_address", "vlan", "links")}
            bridge = {"name": f"br-{nic['name']}"[:LONGEST_NAME], "type": BRIDGE, "parents": [nic["id"]]}
            made = new_interface(tables.take_id("Interface"), **shared, **bridge, params=dict(params))
            nics.add(**made, acquired=True)
            nic["links"] = []


def release_addresses(tables: Tables, machine: SimulatedMachine) -> None:
    """Take back the addresses that a deployment assigned, and the bridges that the owner asked for."""
    machine.addressed = False
    nics = tables.interfaces.get(machine.system_id, Table("Interface"))
    for link in links_to_address(nics):
        link["ip_address"] = None
    for bridge in [nic for nic in nics.values() if nic.get("acquired")]:
        nics[bridge["parents"][0]]["links"] = bridge["links"]
        del nics[bridge["id"]]


def links_to_address(nics: Table) -> list[Record]:
    """The links to which a deployment assigns addresses."""
    return [link for nic in nics.values() for link in nic["links"] if link["mode"] == AUTO]


def _derive(tables: Tables, machine: SimulatedMachine) -> Table:
    """Derive the interfaces of a machine whose network was never changed."""
    nics, known = Table("Interface"), machine.known
    for index, mac_address in enumerate(machine.mac_addresses):
        number = machine.number * 10 + index
        nics[number] = nic = new_interface(
            number,
            name=f"eno{index + 1}" if known else f"eth{index}",
            mac_address=mac_address,
            numa_node=0,
            **(_hardware(machine) if known else {}),
        )
        if known or (machine.booted and index == 0):
            nic |= _found(tables, machine, index)
        if known and machine.linked and nic["discovered"]:
            own = machine.own_address if machine.addressed else None
            nic["links"] = [new_link(number, AUTO, machine.subnet, own)]
        elif known and machine.linked:
            nic["links"] = [new_link(number, LINK_UP)]
    return nics


def _hardware(machine: SimulatedMachine) -> Record:
    """The properties that commissioning finds."""
    speed = machine.hardware.link_speed
    return {**machine.hardware.nic, "interface_speed": speed, "link_speed": speed}


def _found(tables: Tables, machine: SimulatedMachine, index: int) -> Record:
    """The connection that commissioning finds: the boot subnet, or a fabric that nothing else is known about."""
    if index > 0:
        if index > len(machine.fabrics):
            machine.fabrics = (*machine.fabrics, tables["Fabric"].take_id())
        return {"vlan": vlan_of_fabric(tables, machine.fabrics[index - 1])["id"], "discovered": None}
    subnet = tables["Subnet"].get(machine.subnet)
    if subnet is None or not machine.known:
        return {"vlan": subnet and subnet["vlan"], "discovered": None}
    discovered = {"subnet": subnet["id"], "ip_address": machine.discovered_address}
    return {"vlan": subnet["vlan"], "discovered": discovered}
