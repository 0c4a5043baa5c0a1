"""Handlers for networks: subnets with their free addresses, VLANs, the one space, and addresses."""

from ipaddress import IPv4Address, ip_network
from itertools import pairwise

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.networks import API, Subnet, vlans
from maas_simulator.model.refusals import not_found, not_simulated
from maas_simulator.model.scripts import JSON


def subnets(call: Call) -> Answer:
    """All subnets."""
    return Answer([subnet.as_json() for subnet in call.region.subnets])


def subnet(call: Call) -> Answer:
    """One subnet, by id, name or CIDR."""
    return Answer(_subnet(call).as_json())


def statistics(call: Call) -> Answer:
    """The number of free addresses in a subnet. Machines have addresses only in the subnet they boot from."""
    found = _subnet(call)
    used = _used(call, found)
    free = found.size - len(used)
    return Answer(
        {
            "num_available": free,
            "largest_available": _largest_gap(used, found.size),
            "num_unavailable": len(used),
            "total_addresses": found.size,
            "usage": len(used) / found.size,
            "usage_string": f"{len(used) / found.size:.0%}",
            "available_string": f"{free / found.size:.0%}",
            "first_address": found.address(1),
            "last_address": found.address(found.size),
            "ip_version": 4,
        }
    )


def fabric_vlans(call: Call) -> Answer:
    """The VLANs of a fabric."""
    found = [
        vlan.as_json() for vlan in vlans(call.region.subnets, _fabrics(call)) if str(vlan.fabric_id) == call.parts[0]
    ]
    if not found:
        raise not_found("Fabric")
    return Answer(found)


def vlan(call: Call) -> Answer:
    """One VLAN, by id."""
    for each in vlans(call.region.subnets, _fabrics(call)):
        if call.parts[0] == str(each.id):
            return Answer(each.as_json())
    raise not_found("VLAN")


def spaces(call: Call) -> Answer:
    """All spaces: only one."""
    return Answer([_no_space(call)])


def space(call: Call) -> Answer:
    """One space, by name or id."""
    shown = _no_space(call)
    if call.parts[0] not in (shown["name"], str(shown["id"])):
        raise not_found("Space")
    return Answer(shown)


def networks(call: Call) -> Answer:
    """The subnets in MAAS's older format."""
    return Answer([_network(each) for each in call.region.subnets])


def network(call: Call) -> Answer:
    """One subnet in MAAS's older format, by its older name."""
    for each in map(_network, call.region.subnets):
        if call.parts[0] == each["name"]:
            return Answer(each)
    raise not_found("Subnet")


def _no_space(call: Call) -> JSON:
    """The default space of VLANs without a space."""
    return {
        "name": "undefined",
        "id": -1,
        "description": "Backward compatibility object to ensure objects not associated with a space can be found.",
        "vlans": [vlan.as_json() for vlan in vlans(call.region.subnets, _fabrics(call))],
        "subnets": [
            subnet.as_json()
            for subnet in sorted(call.region.subnets, key=lambda each: (each.vlan.fabric, each.vlan.name))
        ],
        "resource_uri": f"{API}/spaces/undefined/",
    }


def _network(subnet: Subnet) -> JSON:
    return {
        "name": f"subnet-{subnet.id}",
        "ip": f"{subnet.network}.0",
        "netmask": str(ip_network(subnet.cidr).netmask),
        "vlan_tag": subnet.vlan.vid,
        "description": subnet.name,
        "default_gateway": subnet.gateway,
        "dns_servers": [subnet.gateway] if subnet.gateway else [],
        "resource_uri": f"{API}/networks/subnet-{subnet.id}/",
    }


def _subnet(call: Call) -> Subnet:
    for each in call.region.subnets:
        if call.parts[0] in (str(each.id), each.name, f"name:{each.name}", each.cidr):
            return each
    raise not_found("Subnet")


def _fabrics(call: Call) -> set[int]:
    """The fabrics of NICs that MAAS knows; other fabrics do not exist yet."""
    return {fabric for machine in call.region.machines.values() if machine.known for fabric in machine.fabrics}


def _used(call: Call, subnet: Subnet) -> set[int]:
    """The numbers of used addresses. Addresses of BMCs and storage are not simulated."""
    if not any(machine.subnet is subnet for machine in call.region.machines.values()):
        raise not_simulated("statistics of a subnet that no machine boots from")
    taken = [each.ip_address for each in call.region.machines.values() if each.addressed and each.subnet is subnet]
    first = int(IPv4Address(subnet.address(0)))
    return {int(IPv4Address(address)) - first for address in taken} | subnet.reserved


def _largest_gap(used: set[int], size: int) -> int:
    taken = [0, *sorted(used), size + 1]
    return max(after - before - 1 for before, after in pairwise(taken))
