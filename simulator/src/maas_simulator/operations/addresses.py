"""The addresses of subnets: who uses them, which ranges are in use or free, and assigning them to machines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from maas_simulator.model.interfaces import AUTO, BOOT_INTERFACE, DHCP, STATIC, links_to_address, stored_interfaces
from maas_simulator.model.machines import Rack, SimulatedMachine
from maas_simulator.model.networks import controller_address
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal
from maas_simulator.state import RegionState

ALLOC_TYPES: Final = {AUTO: 0, STATIC: 1, DHCP: 5}
"""MAAS's numbers for how an address was allocated, by mode of the link."""
STICKY, USER_RESERVED, DISCOVERED = 1, 4, 6
ASSIGNED: Final = "assigned-ip"
USED: Final = "IP address is already in use."


@dataclass(frozen=True, slots=True)
class Use:
    """The use of an address: by an interface of a machine or rack controller, or reserved by a user."""

    ip: str
    alloc_type: int
    created: float | None
    user: str | None
    node: SimulatedMachine | Rack | None = None
    via: str = ""
    dnsresource: int | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive addresses as numbers, with MAAS's names for their purposes; free ones have none."""

    first: int
    last: int
    purposes: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """The number of addresses."""
        return self.last - self.first + 1


def uses(region: RegionState, subnet: Record) -> list[Use]:
    """All uses of a subnet's addresses, by address."""
    found = [
        *_interface_uses(region, subnet["id"]),
        *(
            Use(each["ip"], USER_RESERVED, each["created"], each["user"], dnsresource=each["dnsresource"])
            for each in region.tables["StaticIPAddress"].where(subnet=subnet["id"])
        ),
        *(
            Use(controller_address(subnet["cidr"]), STICKY, None, "MAAS", rack, "eth0")
            for rack in region.racks.values()
            if region.tables["VLAN"][subnet["vlan"]]["primary_rack"] == rack.system_id
        ),
    ]
    return sorted(found, key=lambda use: int(ip_address(use.ip)))


def _interface_uses(region: RegionState, subnet: int) -> Iterator[Use]:
    stored = region.tables.interfaces
    for machine in region.machines.values():
        if machine.system_id in stored:
            yield from _stored_uses(machine, stored[machine.system_id], subnet)
        elif machine.subnet == subnet and machine.known:
            # The same as for its derived interfaces, but fast for ten thousand machines.
            yield Use(machine.discovered_address, DISCOVERED, None, None, machine, BOOT_INTERFACE)
            if machine.linked and machine.addressed:
                yield Use(machine.own_address, ALLOC_TYPES[AUTO], None, machine.owner, machine, BOOT_INTERFACE)


def _stored_uses(machine: SimulatedMachine, nics: Table, subnet: int) -> Iterator[Use]:
    for nic in nics.values():
        if nic["discovered"] and nic["discovered"]["subnet"] == subnet:
            yield Use(nic["discovered"]["ip_address"], DISCOVERED, None, None, machine, nic["name"])
        for link in nic["links"]:
            if link["subnet"] == subnet and link["ip_address"]:
                user, kind = machine.owner if link["mode"] == AUTO else None, ALLOC_TYPES[link["mode"]]
                yield Use(link["ip_address"], kind, link["created"], user, machine, nic["name"])


def ranges_in_use(region: RegionState, subnet: Record) -> list[Range]:
    """The addresses that are in use or reserved. Ranges that overlap are one, with the purposes of all."""
    return _merged(_purposes(region, subnet))


def _purposes(region: RegionState, subnet: Record) -> Iterator[Range]:
    network = ip_network(subnet["cidr"])
    singles = [
        ("gateway-ip", subnet["gateway_ip"]),
        *(("dns-server", each) for each in subnet["dns_servers"]),
        *(("reserved", each["ip"]) for each in region.tables["ReservedIP"].where(subnet=subnet["id"])),
        *((ASSIGNED, use.ip) for use in uses(region, subnet)),
    ]
    for purpose, text in singles:
        if text and ip_address(text) in network:
            yield Range(int(ip_address(text)), int(ip_address(text)), frozenset({purpose}))
    for each in region.tables["IPRange"].where(subnet=subnet["id"]):
        yield Range(*ends_of(each), frozenset({each["type"]}))


def ends_of(record: Record) -> tuple[int, int]:
    """The first and last address of a range, as numbers."""
    return int(ip_address(record["start_ip"])), int(ip_address(record["end_ip"]))


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for each in sorted(ranges, key=lambda each: (each.first, -each.last)):
        before = merged[-1] if merged else None
        if before and each.first <= before.last:
            merged[-1] = Range(before.first, max(before.last, each.last), before.purposes | each.purposes)
        elif before and each.first == before.last + 1 and each.purposes == before.purposes:
            merged[-1] = Range(before.first, each.last, each.purposes)
        else:
            merged.append(each)
    return merged


def free_ranges(subnet: Record, in_use: Iterable[Range]) -> list[Range]:
    """The addresses between those in use."""
    first, last = host_ends(subnet)
    found: list[Range] = []
    for each in in_use:
        if each.first > first:
            found.append(Range(first, each.first - 1))
        first = max(first, each.last + 1)
    return [*found, Range(first, last)] if first <= last else found


def host_ends(subnet: Record) -> tuple[int, int]:
    """The first and last address for hosts."""
    network = ip_network(subnet["cidr"])
    edge = 1 if network.num_addresses > 2 else 0  # noqa: PLR2004 - smaller networks have no address of their own
    return int(network[0]) + edge, int(network[-1]) - (edge if network.version == 4 else 0)  # noqa: PLR2004


def next_free(region: RegionState, subnet: Record) -> str:
    """The first address of the smallest free range, which is the one that MAAS assigns.

    Raises:
        Refusal: A 503 if there is none.
    """
    free = free_ranges(subnet, ranges_in_use(region, subnet))
    if not free:
        raise Refusal(503, f"No more IPs available in subnet: {subnet['cidr']}.")
    return str(ip_address(min(free, key=lambda each: each.size).first))


def check_unused(region: RegionState, subnet: Record, ip: str) -> None:
    """Raise MAAS's 404 if an interface or a user has this address. A discovered one may be assigned."""
    if any(use.ip == ip and use.alloc_type != DISCOVERED for use in uses(region, subnet)):
        raise Refusal(404, USED)


def best_subnet(region: RegionState, ip: str) -> Record | None:
    """The subnet that contains an address."""
    found = [each for each in region.tables["Subnet"].values() if ip_address(ip) in ip_network(each["cidr"])]
    return max(found, key=lambda each: ip_network(each["cidr"]).prefixlen, default=None)


def range_of(region: RegionState, subnet: Record, ip: str, **fields: str) -> Record | None:
    """The range that contains an address, of those with these values."""
    for each in region.tables["IPRange"].where(subnet=subnet["id"], **fields):
        first, final = ends_of(each)
        if first <= int(ip_address(ip)) <= final:
            return each
    return None


def assign_addresses(region: RegionState, machine: SimulatedMachine) -> None:
    """Assign addresses to a machine that is deployed.

    A machine whose network was never changed has its own place in its subnet, so that ten thousand deployments
    search nothing.
    """
    tables = region.tables
    machine.addressed = True
    if machine.system_id not in tables.interfaces and _has_place(region, machine):
        return
    links = links_to_address(stored_interfaces(tables, machine))
    for link in links:
        link["ip_address"] = None
    for link in links:
        subnet = tables["Subnet"].get(link["subnet"])
        link["ip_address"] = None if subnet is None else next_free(region, subnet)


def _has_place(region: RegionState, machine: SimulatedMachine) -> bool:
    tables, ip = region.tables, machine.own_address
    subnet = tables["Subnet"].get(machine.subnet)
    if subnet is None or ip == subnet["gateway_ip"] or ip_address(ip) not in ip_network(subnet["cidr"]):
        return False
    stored = (link for nics in tables.interfaces.values() for nic in nics.values() for link in nic["links"])
    return not (
        range_of(region, subnet, ip)
        or any(tables[kind].named(ip, "ip") for kind in ("StaticIPAddress", "ReservedIP"))
        or any(link["ip_address"] == ip for link in stored)
    )
