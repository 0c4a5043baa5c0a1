"""The addresses of a subnet: which are used, and which are free."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import pairwise

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.records import Record


def statistics(call: Call, subnet: Record) -> Answer:
    """The number of free addresses in a subnet."""
    network = ip_network(subnet["cidr"])
    size, used = network.num_addresses - 2, set(_used(call, subnet))
    free = size - len(used)
    return Answer(
        {
            "num_available": free,
            "largest_available": _largest_gap(used, size),
            "num_unavailable": len(used),
            "total_addresses": size,
            "usage": len(used) / size,
            "usage_string": f"{len(used) / size:.0%}",
            "available_string": f"{free / size:.0%}",
            "first_address": str(network[1]),
            "last_address": str(network[size]),
            "ip_version": network.version,
        }
    )


def _used(call: Call, subnet: Record) -> Iterator[int]:
    """The numbers of the used addresses: in ranges, of the gateway and of machines."""
    first = int(ip_network(subnet["cidr"]).network_address)
    for each in call.region.tables["IPRange"].where(subnet=subnet["id"]):
        yield from range(int(ip_address(each["start_ip"])) - first, int(ip_address(each["end_ip"])) - first + 1)
    single = [subnet["gateway_ip"]] if subnet["gateway_ip"] else []
    machines = call.region.machines.values()
    for text in (*single, *(each.own_address for each in machines if each.addressed and each.subnet == subnet["id"])):
        yield int(ip_address(text)) - first


def _largest_gap(used: set[int], size: int) -> int:
    taken = [0, *sorted(used), size + 1]
    return max(after - before - 1 for before, after in pairwise(taken))
