"""The resources of the API that are about addresses: ranges, reserved ones, static routes, and those of a subnet."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, ip_address, ip_network
from operator import attrgetter
from typing import Final

from maas_simulator.http.calls import Answer, Call, route
from maas_simulator.http.network_views import subnet_of
from maas_simulator.http.resources import DELETED, Resource, by_id, check_admin, check_superuser, record_json
from maas_simulator.model import fields
from maas_simulator.model.events import timestamp
from maas_simulator.model.fields import WHOLE_FORM, Cleaning, Field, RecordForm
from maas_simulator.model.forms import Form, is_yes, last
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import PLAIN, Refusal, invalid, not_found, not_simulated
from maas_simulator.model.scripts import JSON
from maas_simulator.operations.addresses import (
    USER_RESERVED,
    Range,
    Use,
    best_subnet,
    check_unused,
    ends_of,
    free_ranges,
    host_ends,
    next_free,
    range_of,
    ranges_in_use,
    uses,
)
from maas_simulator.state import RegionState

_COLUMNS: Final = "comment, created, dhcpsnippet, end_ip, id, start_ip, subnet, subnet_id, type, updated, user, user_id"
_LARGEST_SHARE: Final = 4
"""MAAS suggests at most this part of a subnet as its dynamic range."""


def _range_by_id(call: Call, table: Table, name: str) -> Record | None:
    """Find a range by id. MAAS looks for any other text in a column that does not exist, and fails."""
    if not name.isdecimal():
        raise Refusal(500, f"Cannot resolve keyword 'name' into field. Choices are: {_COLUMNS}")
    return by_id(call, table, name)


def _with_subnet(call: Call, name: str) -> Form:
    """The parameters of a request, with the subnet that contains an address if none is given."""
    try:
        found = None if last(call.form, "subnet") else best_subnet(call.region, last(call.form, name))
    except ValueError:
        found = None
    return call.form if found is None else {**call.form, "subnet": [str(found["id"])]}


def _owner(region: RegionState, record: Record) -> JSON | None:
    user = region.users.get(record["user"] or "")
    return None if user is None else user.as_json()


def _check_range_owner(call: Call, record: Record) -> None:
    if not call.user.is_superuser and record["user"] != call.user.username:
        raise Refusal(403, "Unable to modify IP range. You don't own the IP range.")


def _check_may_create_range(call: Call) -> None:
    """Let every user reserve a range. MAAS fails without a first address."""
    if last(call.form, "type") == "dynamic" and not call.user.is_superuser:
        raise Refusal(403, "Unable to create dynamic IP range. You don't have sufficient privileges.")
    if not last(call.form, "subnet") and not last(call.form, "start_ip"):
        raise Refusal(500, "'NoneType' object has no attribute 'split'")


def _check_range(cleaning: Cleaning) -> None:
    if cleaning.errors:
        return
    values = cleaning.values
    network = ip_network(cleaning.tables["Subnet"][values["subnet"]]["cidr"])
    first, final = ip_address(values["start_ip"]), ip_address(values["end_ip"])
    if first.version != final.version:
        cleaning.add_error(WHOLE_FORM, "Start IP address and end IP address must be in the same address family.")
    elif int(final) < int(first):
        cleaning.add_error("end_ip", "End IP address must not be less than Start IP address.")
    else:
        for name, label, ip in (("start_ip", "Start", first), ("end_ip", "End", final)):
            if ip not in network:
                cleaning.add_error(name, f"{label} IP address must be within subnet.")
        if first == network.network_address:
            cleaning.add_error("start_ip", "Reserved network address cannot be included in IP range.")
        if isinstance(network, IPv4Network) and final == network.broadcast_address:
            cleaning.add_error("end_ip", "Broadcast address cannot be included in IP range.")


def _check_free(call: Call, values: Record, old: Record | None) -> None:
    """A reserved range may contain assigned addresses, a new dynamic one may not."""
    region, kind = call.region, values["type"]
    subnet = region.tables["Subnet"][values["subnet"]]
    first, final = ends_of(values)
    taken = [ends_of(each) for each in region.tables["IPRange"].where(subnet=subnet["id"]) if each is not old]
    if kind == "dynamic" and old is None:
        taken += [(each.first, each.last) for each in ranges_in_use(region, subnet)]
    if any(start <= final and first <= end for start, end in taken):
        if not free_ranges(subnet, ranges_in_use(region, subnet)):
            raise invalid(WHOLE_FORM, f"There is no room for any {kind} ranges on this subnet.")
        other = "IP address or range" if kind == "dynamic" else "range"
        raise invalid(WHOLE_FORM, f"Requested {kind} range conflicts with an existing {other}.")


RANGES: Final = Resource(
    "IPRange",
    "ipranges/",
    "ipranges/{id}/",
    record_json("ipranges", subnet=subnet_of(), user=_owner),
    find=_range_by_id,
    form=RecordForm(
        "IP range",
        Field("subnet", fields.reference("Subnet"), required=True),
        Field("type", fields.choice("dynamic", "reserved"), required=True),
        Field("start_ip", fields.address, required=True),
        Field("end_ip", fields.address, required=True),
        Field("comment", fields.text(255)),
        check=_check_range,
    ),
    given=lambda call: _with_subnet(call, "start_ip"),
    from_call=lambda call: {"user": call.user.username},
    before_store=_check_free,
    may_create=_check_may_create_range,
    may_change=_check_range_owner,
)


def _check_route(cleaning: Cleaning) -> None:
    values, tables = cleaning.values, cleaning.tables
    if cleaning.errors:
        return
    source, destination = (ip_network(tables["Subnet"][values[name]]["cidr"]) for name in ("source", "destination"))
    outside = ip_address(values["gateway_ip"]) not in source
    wrong = {
        "source and destination cannot be the same subnet.": values["source"] == values["destination"],
        "source and destination must be the same IP version.": source.version != destination.version,
        "gateway_ip must be with in the source subnet.": outside,
        "Static route with this Source, Destination and Gateway ip already exists.": cleaning.is_taken(
            tables["StaticRoute"], **{name: values[name] for name in ("source", "destination", "gateway_ip")}
        ),
    }
    if outside:
        cleaning.add_error("gateway_ip", f"Enter an IP address in {source}.")
    for message in [message for message, holds in wrong.items() if holds][:1]:
        cleaning.add_error(WHOLE_FORM, message)


ROUTES: Final = Resource(
    "StaticRoute",
    "static-routes/",
    "static-routes/{id}/",
    record_json("static-routes", source=subnet_of("source"), destination=subnet_of("destination")),
    form=RecordForm(
        "Static route",
        Field("source", fields.specified("Subnet"), required=True, default=None),
        Field("destination", fields.specified("Subnet"), required=True, default=None),
        Field("gateway_ip", fields.address, required=True, default=None),
        Field("metric", fields.whole(0), default=0),
        check=_check_route,
    ),
)


def _check_reserved(cleaning: Cleaning) -> None:
    values, tables = cleaning.values, cleaning.tables
    if not cleaning.errors and values["subnet"] is None:
        cleaning.add_error("subnet", "There is no suitable subnet for the IP provided.")
    if cleaning.errors:
        return
    network = ip_network(tables["Subnet"][values["subnet"]]["cidr"])
    ip = ip_address(values["ip"])
    if ip not in network:
        cleaning.add_error("ip", "The provided IP is not part of the subnet.")
    elif ip == network.network_address:
        cleaning.add_error("ip", "The network address cannot be a reserved IP.")
    elif isinstance(network, IPv4Network) and ip == network.broadcast_address:
        cleaning.add_error("ip", "The broadcast address cannot be a reserved IP.")
    if cleaning.is_taken(tables["ReservedIP"], mac_address=values["mac_address"], subnet=values["subnet"]):
        cleaning.add_error(WHOLE_FORM, "Reserved IP with this MAC address and Subnet already exists.")


RESERVED: Final = Resource(
    "ReservedIP",
    "reservedips/",
    "reservedips/{id}/",
    record_json("reservedips", subnet=subnet_of()),
    form=RecordForm(
        "Reserved IP",
        Field("ip", fields.address, required=True, default=None, unique=True, label="IP address"),
        Field("mac_address", fields.mac_address, required=True, default=None),
        Field("subnet", fields.reference("Subnet"), default=None),
        Field("comment", fields.text(255)),
        check=_check_reserved,
    ),
    given=lambda call: _with_subnet(call, "ip"),
    may_change=lambda call, _record: check_admin(call),
)


_RESERVATION: Final = RecordForm(
    "", Field("subnet", fields.specified("Subnet"), default=None), Field("ip", fields.address, default=None)
)
_RELEASE: Final = RecordForm("", Field("ip", fields.address, required=True))


def address_json(region: RegionState, record: Record) -> JSON:
    """An address that a user reserved."""
    return {
        "ip": record["ip"],
        "alloc_type": USER_RESERVED,
        "alloc_type_name": "User reserved",
        "created": timestamp(record["created"]),
        "subnet": subnet_of()(region, record),
        "owner": _owner(region, record),
        "interface_set": [],
        "resource_uri": f"{API}/ipaddresses/",
    }


def add_address(call: Call, ip: str, subnet: Record | None, dnsresource: int | None = None) -> Record:
    """Store an address that the user of a request reserves, maybe for a DNS name."""
    return call.region.tables["StaticIPAddress"].add(
        ip=ip,
        user=call.user.username,
        subnet=subnet and subnet["id"],
        created=call.region.now(),
        dnsresource=dnsresource,
    )


def list_reserved(call: Call) -> Answer:
    """The addresses that the user has reserved."""
    owner = last(call.query, "owner") or call.user.username
    if is_yes(call.query, "all"):
        if not call.user.is_superuser:
            raise Refusal(403, "Listing all IP addresses requires admin privileges.", PLAIN)
        raise not_simulated("listing the addresses of all machines; subnets/ID/?op=ip_addresses lists them")
    if owner != call.user.username and not call.user.is_superuser:
        raise Refusal(403, "Listing another user's IP addresses requires admin privileges.", PLAIN)
    ip = last(call.query, "ip")
    found = call.region.tables["StaticIPAddress"].where(user=owner)
    return Answer([address_json(call.region, each) for each in found if ip in ("", each["ip"])])


def reserve_ip(call: Call) -> Answer:
    """Reserve an address for the user: a given one, or the next free one of a subnet."""
    region = call.region
    if last(call.form, "mac") or last(call.form, "hostname"):
        raise not_simulated("reserving an address for a device or a host name")
    given = {**call.form, "ip": [last(call.form, "ip_address") or last(call.form, "ip")]}
    values = _RESERVATION.clean(region.tables, given, None)
    subnet, ip = region.tables["Subnet"].get(values["subnet"]), values["ip"]
    if subnet is None and ip:
        subnet = best_subnet(region, ip)
    if subnet is None:
        words = "No subnet is given, and none has the IP address (MAAS rejects this; the wording is the simulator's)."
        raise Refusal(400, words)
    ip = ip or next_free(region, subnet)
    if ip_address(ip) not in ip_network(subnet["cidr"]):
        raise Refusal(400, f"{ip} is not within subnet CIDR: {subnet['cidr']}")
    inside = range_of(region, subnet, ip, type="dynamic")
    if inside:
        raise Refusal(404, f"{ip} is within the dynamic range from {inside['start_ip']} to {inside['end_ip']}")
    check_unused(region, subnet, ip)
    return Answer(address_json(region, add_address(call, ip, subnet)))


def release_ip(call: Call) -> Answer:
    """Give a reserved address back; a superuser may ``force`` that of another user."""
    tables, owner = call.region.tables, {"user": call.user.username}
    ip = _RELEASE.clean(tables, call.form, None)["ip"]
    if is_yes(call.form, "force"):
        check_superuser(call)
        owner = {}
    if not tables["StaticIPAddress"].where(ip=ip, **owner):
        raise not_found("StaticIPAddress")
    tables["StaticIPAddress"].delete_where(ip=ip, **owner)
    return DELETED


ADDRESSES: Final = route(
    "IPAddresses", "ipaddresses/", GET=list_reserved, POST_reserve=reserve_ip, POST_release=release_ip
)


def statistics(call: Call, subnet: Record) -> object:
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
    if is_yes(call.query, "include_ranges"):
        unused = [replace(each, purposes=frozenset({"unused"})) for each in free]
        shown["ranges"] = [_range_json(each) for each in sorted([*in_use, *unused], key=attrgetter("first"))]
    if is_yes(call.query, "include_suggestions"):
        shown |= _suggestions(call, subnet, free, size)
    return shown


def _use_json(call: Call, use: Use) -> JSON:
    node, with_summary = use.node, is_yes(call.query, "with_summary", "1")
    created = timestamp(use.created or call.region.schedule.epoch)
    shown: JSON = {"ip": use.ip, "alloc_type": use.alloc_type, "created": created, "updated": created}
    if use.user and is_yes(call.query, "with_username", "1"):
        shown["user"] = use.user
    if with_summary and node is not None:
        shown["node_summary"] = {
            "system_id": node.system_id,
            "node_type": 0 if isinstance(node, SimulatedMachine) else 4 if node.is_region else 2,
            "fqdn": node.fqdn if isinstance(node, SimulatedMachine) else f"{node.hostname}.maas",
            "hostname": node.hostname,
            "is_container": False,
            "via": use.via,
        }
    if with_summary and use.dnsresource:
        name = call.region.tables["DNSResource"][use.dnsresource]
        domain = call.region.tables["Domain"][name["domain"]]["name"]
        shown["dns_records"] = [{"id": name["id"], "name": name["name"], "domain": domain}]
    return shown


def _range_json(each: Range) -> JSON:
    ends = {"start": str(ip_address(each.first)), "end": str(ip_address(each.last)), "num_addresses": each.size}
    return ends | ({"purpose": sorted(each.purposes)} if each.purposes else {})


def _suggestions(call: Call, subnet: Record, free: list[Range], size: int) -> JSON:
    """Suggest the first or last host address as the gateway, and the end of the largest free range as dynamic."""
    ends = host_ends(subnet)
    gateways = [end for end in ends if any(each.first <= end <= each.last for each in free)]
    gateway = str(ip_address(gateways[0])) if gateways and not subnet["gateway_ip"] else None
    largest = max(free, key=lambda each: each.size, default=None)
    dynamic = None
    if largest and not call.region.tables["IPRange"].where(subnet=subnet["id"], type="dynamic"):
        length = min(largest.size, max(1, size // _LARGEST_SHARE))
        dynamic = _range_json(Range(largest.last - length + 1, largest.last))
    return {"suggested_gateway": gateway, "suggested_dynamic_range": dynamic}


SUBNET_READS: Final[Mapping[str, Callable[[Call, Record], object]]] = {
    "statistics": statistics,
    "ip_addresses": lambda call, subnet: [_use_json(call, use) for use in uses(call.region, subnet)],
    "reserved_ip_ranges": lambda call, subnet: [_range_json(each) for each in ranges_in_use(call.region, subnet)],
    "unreserved_ip_ranges": lambda call, subnet: [
        _range_json(each) for each in free_ranges(subnet, ranges_in_use(call.region, subnet))
    ],
}
"""The operations on a subnet that show its addresses: which are used, and which are free."""
