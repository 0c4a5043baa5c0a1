"""Networks: subnets with their free addresses, VLANs, fabrics, spaces, ranges, reserved and used addresses, routes."""

from collections.abc import Mapping
from typing import Final

from maas_inventory.objects.kind import Filters, Kind
from maas_inventory.objects.row import UNREADABLE, UNSET, Flag, ObjectRow, Whole, count, each, taken_from
from maas_inventory.values import JSON
from maas_mcp.api import InvalidArgumentsError, MaasModel, MachineText, ToolContext, quoted

ALLOCATIONS: Final = {0: "automatic", 1: "sticky", 4: "user reserved", 5: "DHCP", 6: "discovered"}
"""The types by which MAAS 3.7 assigns an address (``alloc_type``)."""


class Subnet(ObjectRow):
    """A subnet."""

    sources = taken_from(
        vlan=("vlan", "name"),
        vlan_id=("vlan", "id"),
        vid=("vlan", "vid"),
        fabric=("vlan", "fabric"),
        dhcp_on=("vlan", "dhcp_on"),
    )

    id: Whole
    name: MachineText = UNSET
    cidr: MachineText = UNSET
    vlan: MachineText = UNSET
    vlan_id: Whole = UNSET
    vid: Whole = UNSET
    fabric: MachineText = UNSET
    space: MachineText = UNSET
    gateway_ip: MachineText | None = None
    dhcp_on: Flag = UNSET


class Vlan(ObjectRow):
    """A VLAN, as a fabric has it."""

    sources = taken_from(relay_vlan=("relay_vlan", "id"))

    id: Whole
    vid: Whole = UNSET
    name: MachineText = UNSET
    fabric: MachineText = UNSET
    space: MachineText = UNSET
    mtu: Whole = UNSET
    dhcp_on: Flag = UNSET
    primary_rack: MachineText | None = None
    secondary_rack: MachineText | None = None
    relay_vlan: Whole | None = None


class Fabric(ObjectRow):
    """A fabric, with the number of its VLANs."""

    sources = taken_from(vlans=count("vlans"))

    id: Whole
    name: MachineText = UNSET
    class_type: MachineText | None = None
    vlans: Whole = UNSET


class Space(ObjectRow):
    """A space, with the numbers of its VLANs and subnets. ``undefined`` has those without a space."""

    sources = taken_from(vlans=count("vlans"), subnets=count("subnets"))

    id: Whole
    name: MachineText = UNSET
    description: MachineText = UNSET
    vlans: Whole = UNSET
    subnets: Whole = UNSET


class IpRange(ObjectRow):
    """A range of addresses that MAAS reserves, or leases by DHCP (``dynamic``)."""

    label = "start_ip"
    sources = taken_from(subnet=("subnet", "cidr"), user=("user", "username"))

    id: Whole
    type: MachineText = UNSET
    start_ip: MachineText = UNSET
    end_ip: MachineText = UNSET
    subnet: MachineText = UNSET
    user: MachineText | None = None
    comment: MachineText | None = None


class ReservedIp(ObjectRow):
    """An address that MAAS's DHCP server gives to one MAC address."""

    label = "ip"
    sources = taken_from(subnet=("subnet", "cidr"))

    id: Whole
    ip: MachineText = UNSET
    mac_address: MachineText | None = None
    subnet: MachineText = UNSET
    comment: MachineText | None = None


class UsedAddress(ObjectRow):
    """An address that is in use in a subnet."""

    identity = label = "ip"
    sources = taken_from(
        type=lambda entry: _allocation(entry.get("alloc_type")),
        system_id=("node_summary", "system_id"),
        hostname=("node_summary", "fqdn"),
        interface=("node_summary", "via"),
        dns_names=lambda entry: each("dns_records", "name")(entry) if "dns_records" in entry else None,
    )

    ip: MachineText
    type: MachineText = UNSET
    hostname: MachineText | None = None
    system_id: MachineText | None = None
    interface: MachineText | None = None
    dns_names: list[MachineText] | None = None
    user: MachineText | None = None


def _allocation(number: JSON) -> JSON:
    if not isinstance(number, int) or isinstance(number, bool):
        return UNREADABLE
    return ALLOCATIONS.get(number, f"type {number}")


class StaticRoute(ObjectRow):
    """A static route between two subnets."""

    label = "destination"
    sources = taken_from(source=("source", "cidr"), destination=("destination", "cidr"))

    id: Whole
    source: MachineText = UNSET
    destination: MachineText = UNSET
    gateway_ip: MachineText = UNSET
    metric: Whole = UNSET


class Discovery(ObjectRow):
    """A device that MAAS saw on the network."""

    identity = "discovery_id"
    label = "ip"
    sources = taken_from(fabric=("fabric_name",))

    discovery_id: MachineText
    ip: MachineText | None = None
    mac_address: MachineText | None = None
    mac_organization: MachineText | None = None
    hostname: MachineText | None = None
    fabric: MachineText | None = None
    vid: Whole | None = None
    last_seen: MachineText | None = None


class Statistics(MaasModel):
    """The use of a subnet's addresses (``op=statistics``)."""

    num_available: Whole = UNSET
    usage_string: MachineText = UNSET
    ranges: list[JSON] | None = None


async def _use(ctx: ToolContext, subnet: Subnet) -> Mapping[str, JSON]:
    read = Statistics.from_response(await ctx.maas.get_op(f"subnets/{subnet.id}/", "statistics"))
    return {"free": read.num_available, "used": read.usage_string}


async def _ranges(ctx: ToolContext, subnet: Subnet) -> Mapping[str, JSON]:
    answer = await ctx.maas.get_op(f"subnets/{subnet.id}/", "statistics", include_ranges=True)
    read = Statistics.from_response(answer)
    ranges = [each for each in read.ranges or () if isinstance(each, dict)]
    free = [each for each in ranges if each.get("purpose") in ([], ["unused"], None)]
    taken = [each for each in ranges if each not in free]
    return {
        "free": read.num_available,
        "used": read.usage_string,
        "free_ranges": [f"{each.get('start')} to {each.get('end')}" for each in free],
        "other_ranges": [f"{each.get('start')} to {each.get('end')}: {_purposes(each)}" for each in taken],
    }


def _purposes(entry: Mapping[str, JSON]) -> str:
    purposes = entry.get("purpose")
    return ", ".join(map(str, purposes)) if isinstance(purposes, list) else str(purposes)


def _vlans(fabrics: JSON) -> JSON:
    """Take the VLANs out of the fabrics, because MAAS has no list of VLANs."""
    if not isinstance(fabrics, list):
        return fabrics
    lists = [fabric.get("vlans") if isinstance(fabric, dict) else None for fabric in fabrics]
    return [vlan for vlans in lists for vlan in (vlans if isinstance(vlans, list) else [vlans])]


async def _addresses(ctx: ToolContext, filters: Filters) -> JSON:
    """Read the addresses in use in one subnet, by its name, CIDR or id."""
    wanted = str(filters["subnet"]).strip()
    subnets = Subnet.list_from_response([Subnet.prepare(entry) for entry in await ctx.maas.get("subnets/")])
    found = [
        each for each in subnets if wanted in (str(each.id), each.cidr) or wanted.lower() == each.display_name.lower()
    ]
    if len(found) != 1:
        what = f"{len(found)} subnets have" if found else "no subnet has"
        raise InvalidArgumentsError(
            f"`filters`: {what} the name, CIDR or id {quoted(wanted)}.",
            hint="Pass the id of one subnet. List the kind `subnet` to find it.",
        )
    return await ctx.maas.get_op(f"subnets/{found[0].id}/", "ip_addresses")


NETWORKS: Final = (
    Kind(name="subnet", noun="subnet", row=Subnet, path="subnets/", complete=_use, details=_ranges),
    Kind(name="vlan", noun="VLAN", row=Vlan, path="fabrics/", entries=_vlans),
    Kind(name="fabric", noun="fabric", row=Fabric, path="fabrics/"),
    Kind(name="space", noun="space", row=Space, path="spaces/"),
    Kind(name="ip_range", noun="IP range", row=IpRange, path="ipranges/"),
    Kind(
        name="ip_address",
        noun="IP address in use",
        plural="IP addresses in use",
        row=UsedAddress,
        read=_addresses,
        needs="subnet",
    ),
    Kind(
        name="reserved_ip",
        noun="reserved IP address",
        plural="reserved IP addresses",
        row=ReservedIp,
        path="reservedips/",
        since="3.6",
    ),
    Kind(name="static_route", noun="static route", row=StaticRoute, path="static-routes/"),
    Kind(
        name="discovery",
        noun="discovered device",
        row=Discovery,
        path="discovery/",
    ),
)
"""The kinds of networks and addresses."""
