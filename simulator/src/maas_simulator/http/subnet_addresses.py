"""The operations on a subnet that show its addresses: which are used, and which are free."""

from ipaddress import ip_address

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.events import timestamp
from maas_simulator.model.forms import last
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON
from maas_simulator.operations.addresses import Range, Use, free_ranges, host_ends, ranges_in_use, uses

_LARGEST_SHARE = 4
"""MAAS suggests at most this part of a subnet as its dynamic range."""


def statistics(call: Call, subnet: Record) -> Answer:
    """The number of free addresses in a subnet."""
    in_use = ranges_in_use(call.region, subnet)
    free = free_ranges(subnet, in_use)
    first, last_host = host_ends(subnet)
    size = last_host - first + 1
    used = size - sum(each.size for each in free)
    shown: JSON = {
        "num_available": size - used,
        "largest_available": max((each.size for each in free), default=0),
        "num_unavailable": used,
        "total_addresses": size,
        "usage": used / size,
        "usage_string": f"{used / size:.0%}",
        "available_string": f"{(size - used) / size:.0%}",
        "first_address": str(ip_address(first)),
        "last_address": str(ip_address(last_host)),
        "ip_version": ip_address(first).version,
    }
    if _asks(call, "include_ranges"):
        every = sorted([*in_use, *free], key=lambda each: each.first)
        shown["ranges"] = [_range_json(each, with_purpose=True) for each in every]
    if _asks(call, "include_suggestions"):
        shown |= _suggestions(call, subnet, free, size)
    return Answer(shown)


def reserved_ranges(call: Call, subnet: Record) -> Answer:
    """The addresses that MAAS does not assign, with their purposes."""
    return Answer([_range_json(each, with_purpose=True) for each in ranges_in_use(call.region, subnet)])


def unreserved_ranges(call: Call, subnet: Record) -> Answer:
    """The addresses that MAAS may assign."""
    free = free_ranges(subnet, ranges_in_use(call.region, subnet))
    return Answer([_range_json(each, with_purpose=False) for each in free])


def list_addresses(call: Call, subnet: Record) -> Answer:
    """The assigned addresses of a subnet, by default with their users and nodes."""
    with_user, with_summary = _asks(call, "with_username", usual="1"), _asks(call, "with_summary", usual="1")
    found = uses(call.region, subnet)
    return Answer([_use_json(call, use, with_user=with_user, with_summary=with_summary) for use in found])


def _use_json(call: Call, use: Use, *, with_user: bool, with_summary: bool) -> JSON:
    created = timestamp(use.created or call.region.schedule.epoch)
    shown: JSON = {"ip": use.ip, "alloc_type": use.alloc_type, "created": created, "updated": created}
    if with_user and use.user:
        shown["user"] = use.user
    if with_summary and use.node is not None:
        shown["node_summary"] = {
            "system_id": use.node.system_id,
            "node_type": 0 if isinstance(use.node, SimulatedMachine) else 4 if use.node.is_region else 2,
            "fqdn": use.node.fqdn if isinstance(use.node, SimulatedMachine) else f"{use.node.hostname}.maas",
            "hostname": use.node.hostname,
            "is_container": False,
            "via": use.via,
        }
    if with_summary and use.dnsresource:
        name = call.region.tables["DNSResource"][use.dnsresource]
        domain = call.region.tables["Domain"][name["domain"]]["name"]
        shown["dns_records"] = [{"id": name["id"], "name": name["name"], "domain": domain}]
    return shown


def _range_json(each: Range, *, with_purpose: bool) -> JSON:
    ends = {"start": str(ip_address(each.first)), "end": str(ip_address(each.last)), "num_addresses": each.size}
    return ends | ({"purpose": sorted(each.purposes)} if with_purpose else {})


def _suggestions(call: Call, subnet: Record, free: list[Range], size: int) -> JSON:
    """Suggest the first or last host address as the gateway, and the end of the largest free range as dynamic."""
    ends = host_ends(subnet)
    gateways = [end for end in ends if any(each.first <= end <= each.last for each in free)]
    gateway = str(ip_address(gateways[0])) if gateways and not subnet["gateway_ip"] else None
    largest = max(free, key=lambda each: each.size, default=None)
    dynamic = None
    if largest and not call.region.tables["IPRange"].where(subnet=subnet["id"], type="dynamic"):
        length = min(largest.size, max(1, size // _LARGEST_SHARE))
        dynamic = _range_json(Range(largest.last - length + 1, largest.last, frozenset()), with_purpose=False)
    return {"suggested_gateway": gateway, "suggested_dynamic_range": dynamic}


def _asks(call: Call, name: str, usual: str = "0") -> bool:
    return (last(call.query, name) or usual).lower() in ("1", "true", "yes", "on")
