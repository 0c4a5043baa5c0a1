"""The resources of the API that are about addresses: ranges, reserved ones, static routes."""

from ipaddress import IPv4Network, ip_address, ip_network
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.network_views import subnet_json
from maas_simulator.http.resources import DELETED, Resource, by_id, check_admin, check_superuser
from maas_simulator.model.events import timestamp
from maas_simulator.model.fields import (
    WHOLE_FORM,
    Cleaning,
    Field,
    RecordForm,
    address,
    choice,
    mac_address,
    reference,
    specified,
    text,
    whole,
)
from maas_simulator.model.forms import Form, last
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import PLAIN, Refusal, invalid, not_found, not_simulated
from maas_simulator.model.scripts import JSON
from maas_simulator.operations.addresses import (
    USER_RESERVED,
    best_subnet,
    check_unused,
    free_ranges,
    next_free,
    range_of,
    ranges_in_use,
)
from maas_simulator.state import RegionState

ALLOC_TYPE_NAMES: Final = {USER_RESERVED: "User reserved"}


_RANGE_COLUMNS: Final = (
    "comment, created, dhcpsnippet, end_ip, id, start_ip, subnet, subnet_id, type, updated, user, user_id"
)


def _range_by_id(call: Call, table: Table, name: str) -> Record | None:
    """Find a range by id. MAAS looks for any other text in a column that does not exist, and fails."""
    if not name.isdecimal():
        raise Refusal(500, f"Cannot resolve keyword 'name' into field. Choices are: {_RANGE_COLUMNS}")
    return by_id(call, table, name)


def _subnet_of(region: RegionState, record: Record, field: str = "subnet") -> JSON:
    return subnet_json(region, region.tables["Subnet"][record[field]])


def _with_subnet(call: Call, name: str) -> Form:
    """The parameters of a request, with the subnet that contains an address if none is given."""
    ip = last(call.form, name)
    try:
        found = None if last(call.form, "subnet") else best_subnet(call.region, ip)
    except ValueError:
        found = None
    return call.form if found is None else {**call.form, "subnet": [str(found["id"])]}


def _range_json(region: RegionState, record: Record) -> JSON:
    user = region.users.get(record["user"] or "")
    return {
        **record,
        "subnet": _subnet_of(region, record),
        "user": user and user.as_json(),
        "resource_uri": f"{API}/ipranges/{record['id']}/",
    }


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
    values = cleaning.values
    if cleaning.errors:
        return
    network = ip_network(cleaning.tables["Subnet"][values["subnet"]]["cidr"])
    first, final = ip_address(values["start_ip"]), ip_address(values["end_ip"])
    if first.version != final.version:
        words = "Start IP address and end IP address must be in the same address family."
        cleaning.add_error(WHOLE_FORM, words)
        return
    if int(final) < int(first):
        cleaning.add_error("end_ip", "End IP address must not be less than Start IP address.")
        return
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
    first, final = int(ip_address(values["start_ip"])), int(ip_address(values["end_ip"]))
    others = [each for each in region.tables["IPRange"].where(subnet=subnet["id"]) if each is not old]
    taken = [(int(ip_address(each["start_ip"])), int(ip_address(each["end_ip"]))) for each in others]
    if kind == "dynamic" and old is None:
        taken += [(each.first, each.last) for each in ranges_in_use(region, subnet)]
    if any(start <= final and first <= end for start, end in taken):
        if not free_ranges(subnet, ranges_in_use(region, subnet)):
            raise invalid(WHOLE_FORM, f"There is no room for any {kind} ranges on this subnet.")
        what = "IP address or range" if kind == "dynamic" else "range"
        raise invalid(WHOLE_FORM, f"Requested {kind} range conflicts with an existing {what}.")


RANGES: Final = Resource(
    "IPRange",
    "ipranges/",
    "ipranges/{id}/",
    _range_json,
    find=_range_by_id,
    form=RecordForm(
        "IP range",
        (
            Field("subnet", reference("Subnet"), required=True),
            Field("type", choice("dynamic", "reserved"), required=True),
            Field("start_ip", address, required=True),
            Field("end_ip", address, required=True),
            Field("comment", text(255)),
        ),
        _check_range,
    ),
    given=lambda call: _with_subnet(call, "start_ip"),
    from_call=lambda call: {"user": call.user.username},
    before_store=_check_free,
    may_create=_check_may_create_range,
    may_change=_check_range_owner,
)


def _route_json(region: RegionState, route: Record) -> JSON:
    ends = {name: _subnet_of(region, route, name) for name in ("source", "destination")}
    return {**route, **ends, "resource_uri": f"{API}/static-routes/{route['id']}/"}


def _check_route(cleaning: Cleaning) -> None:
    values, tables = cleaning.values, cleaning.tables
    if cleaning.errors:
        return
    source, destination = (ip_network(tables["Subnet"][values[name]]["cidr"]) for name in ("source", "destination"))
    ends = {name: values[name] for name in ("source", "destination", "gateway_ip")}
    outside = ip_address(values["gateway_ip"]) not in source
    wrong = {
        "source and destination cannot be the same subnet.": values["source"] == values["destination"],
        "source and destination must be the same IP version.": source.version != destination.version,
        "gateway_ip must be with in the source subnet.": outside,
        "Static route with this Source, Destination and Gateway ip already exists.": any(
            route is not cleaning.old for route in tables["StaticRoute"].where(**ends)
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
    _route_json,
    form=RecordForm(
        "Static route",
        (
            Field("source", specified("Subnet"), required=True, default=None),
            Field("destination", specified("Subnet"), required=True, default=None),
            Field("gateway_ip", address, required=True, default=None),
            Field("metric", whole(0), default=0),
        ),
        _check_route,
    ),
)


def _reserved_json(region: RegionState, record: Record) -> JSON:
    return {**record, "subnet": _subnet_of(region, record), "resource_uri": f"{API}/reservedips/{record['id']}/"}


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
    same = tables["ReservedIP"].where(mac_address=values["mac_address"], subnet=values["subnet"])
    if any(row is not cleaning.old for row in same):
        cleaning.add_error(WHOLE_FORM, "Reserved IP with this MAC address and Subnet already exists.")


RESERVED: Final = Resource(
    "ReservedIP",
    "reservedips/",
    "reservedips/{id}/",
    _reserved_json,
    form=RecordForm(
        "Reserved IP",
        (
            Field("ip", address, required=True, default=None, unique=True, label="IP address"),
            Field("mac_address", mac_address, required=True, default=None),
            Field("subnet", reference("Subnet"), default=None),
            Field("comment", text(255)),
        ),
        _check_reserved,
    ),
    given=lambda call: _with_subnet(call, "ip"),
    may_change=lambda call, _record: check_admin(call),
)


def address_json(region: RegionState, record: Record) -> JSON:
    """An address that a user reserved."""
    user = region.users.get(record["user"])
    return {
        "ip": record["ip"],
        "alloc_type": record["alloc_type"],
        "alloc_type_name": ALLOC_TYPE_NAMES[record["alloc_type"]],
        "created": timestamp(record["created"]),
        "subnet": record["subnet"] and _subnet_of(region, record),
        "owner": user and user.as_json(),
        "interface_set": [],
        "resource_uri": f"{API}/ipaddresses/",
    }


def list_reserved(call: Call) -> Answer:
    """The addresses that the user has reserved."""
    owner = last(call.query, "owner") or call.user.username
    if last(call.query, "all").lower() in ("1", "true", "yes", "on"):
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
    if last(call.form, "mac") or last(call.form, "hostname"):
        raise not_simulated("reserving an address for a device or a host name")
    form = RecordForm("", (Field("subnet", specified("Subnet"), default=None), Field("ip", address, default=None)))
    given = {**call.form, "ip": [last(call.form, "ip_address") or last(call.form, "ip")]}
    values = form.clean(call.region.tables, given, Table(""))
    subnet = call.region.tables["Subnet"].get(values["subnet"]) or (
        best_subnet(call.region, values["ip"]) if values["ip"] else None
    )
    if subnet is None:
        words = "No subnet is given, and none has the IP address (MAAS rejects this; the wording is the simulator's)."
        raise Refusal(400, words)
    ip = values["ip"] or next_free(call.region, subnet)
    if ip_address(ip) not in ip_network(subnet["cidr"]):
        raise Refusal(400, f"{ip} is not within subnet CIDR: {subnet['cidr']}")
    inside = range_of(call.region, subnet, ip, type="dynamic")
    if inside:
        ends = f"from {inside['start_ip']} to {inside['end_ip']}"
        raise Refusal(404, f"{ip} is within the dynamic range {ends}")
    check_unused(call.region, subnet, ip)
    return Answer(address_json(call.region, add_address(call, ip, subnet)))


def add_address(call: Call, ip: str, subnet: Record | None, dnsresource: int | None = None) -> Record:
    """Store an address that the user of a request reserves, maybe for a DNS name."""
    return call.region.tables["StaticIPAddress"].add(
        ip=ip,
        alloc_type=USER_RESERVED,
        user=call.user.username,
        subnet=subnet and subnet["id"],
        created=call.region.now(),
        dnsresource=dnsresource,
    )


def release_ip(call: Call) -> Answer:
    """Give a reserved address back; a superuser may ``force`` that of another user."""
    form = RecordForm("", (Field("ip", address, required=True),))
    ip = form.clean(call.region.tables, call.form, Table(""))["ip"]
    if last(call.form, "force").lower() in ("1", "true", "yes", "on"):
        check_superuser(call)
        owners: dict[str, str] = {}
    else:
        owners = {"user": call.user.username}
    table = call.region.tables["StaticIPAddress"]
    found = table.where(ip=ip, **owners)
    if not found:
        raise not_found("StaticIPAddress")
    for record in found:
        del table[record["id"]]
    return DELETED
