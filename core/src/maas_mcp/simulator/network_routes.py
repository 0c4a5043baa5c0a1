"""The answers about networks: subnets and what is free in them, VLANs, the one space, and addresses."""

from itertools import pairwise

from maas_mcp.simulator.calls import Answer, Call
from maas_mcp.simulator.networks import API, BOOT_SUBNET, SUBNETS, Subnet, vlans
from maas_mcp.simulator.refusals import not_found
from maas_mcp.simulator.scripts import JSON

ADDRESSES = 254
"""What fits into each of the subnets."""

NOT_FOR_MACHINES = frozenset({*range(1, 10), *range(100, 200), 254})
"""The last bytes of addresses that are reserved, handed out to what is discovered, and the gateway's."""


def subnets(call: Call) -> Answer:
    """All subnets."""
    del call
    return Answer([subnet.as_json() for subnet in SUBNETS])


def subnet(call: Call) -> Answer:
    """One subnet, by id, name or CIDR."""
    return Answer(_subnet(call).as_json())


def statistics(call: Call) -> Answer:
    """How many addresses of a subnet are free; machines have theirs in the one they boot from."""
    found = _subnet(call)
    used = _used(call) if found is BOOT_SUBNET else set()
    free = ADDRESSES - len(used)
    return Answer(
        {
            "num_available": free,
            "largest_available": _largest_gap(used),
            "num_unavailable": len(used),
            "total_addresses": ADDRESSES,
            "usage": len(used) / ADDRESSES,
            "usage_string": f"{len(used) / ADDRESSES:.0%}",
            "available_string": f"{free / ADDRESSES:.0%}",
            "first_address": f"{found.network}.1",
            "last_address": f"{found.network}.{ADDRESSES}",
            "ip_version": 4,
        }
    )


def fabric_vlans(call: Call) -> Answer:
    """The VLANs of a fabric."""
    found = [vlan.as_json() for vlan in vlans(_fabrics(call)) if str(vlan.fabric_id) == call.parts[0]]
    if not found:
        raise not_found("Fabric")
    return Answer(found)


def spaces(call: Call) -> Answer:
    """The one that holds whatever was not put into a space."""
    shown: JSON = {
        "name": "undefined",
        "id": -1,
        "description": "Backward compatibility object to ensure objects not associated with a space can be found.",
        "vlans": [vlan.as_json() for vlan in vlans(_fabrics(call))],
        "subnets": [
            subnet.as_json() for subnet in sorted(SUBNETS, key=lambda each: (each.vlan.fabric, each.vlan.name))
        ],
        "resource_uri": f"{API}/spaces/undefined/",
    }
    return Answer([shown])


def networks(call: Call) -> Answer:
    """The subnets, as they were shown before MAAS called them so."""
    del call
    return Answer([_network(each) for each in SUBNETS])


def _network(subnet: Subnet) -> JSON:
    return {
        "name": f"subnet-{subnet.id}",
        "ip": f"{subnet.network}.0",
        "netmask": "255.255.255.0",
        "vlan_tag": subnet.vlan.vid,
        "description": subnet.name,
        "default_gateway": subnet.gateway,
        "dns_servers": [subnet.gateway] if subnet.gateway else [],
        "resource_uri": f"{API}/networks/subnet-{subnet.id}/",
    }


def _subnet(call: Call) -> Subnet:
    for each in SUBNETS:
        if call.parts[0] in (str(each.id), each.name, f"name:{each.name}", f"{each.network}.0/24"):
            return each
    raise not_found("Subnet")


def _fabrics(call: Call) -> set[int]:
    """The fabrics of NICs that MAAS knows; those of the others do not exist yet."""
    return {fabric for machine in call.region.machines.values() if machine.known for fabric in machine.fabrics}


def _used(call: Call) -> set[int]:
    addresses = [machine.ip_address for machine in call.region.machines.values() if machine.addressed]
    return {int(address.rpartition(".")[2]) for address in addresses} | NOT_FOR_MACHINES


def _largest_gap(used: set[int]) -> int:
    taken = [0, *sorted(used), ADDRESSES + 1]
    return max(after - before - 1 for before, after in pairwise(taken))
