"""The network resources of the API: fabrics, VLANs, subnets and spaces."""

import json
import re
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.network_views import (
    NO_SPACE,
    fabric_json,
    space_json,
    subnet_json,
    vlan_json,
    vlans_of,
)
from maas_simulator.http.resources import Resource
from maas_simulator.http.subnet_addresses import (
    list_addresses,
    reserved_ranges,
    statistics,
    unreserved_ranges,
)
from maas_simulator.model.fields import (
    NO_CHOICE,
    WHOLE_FORM,
    Check,
    Cleaning,
    Field,
    Reader,
    RecordForm,
    address,
    boolean,
    cidr,
    listed,
    reference,
    specified,
    text,
    whole,
)
from maas_simulator.model.forms import last
from maas_simulator.model.interfaces import VLAN, interfaces, stored_interfaces
from maas_simulator.model.networks import API, add_vlan
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal, not_found
from maas_simulator.model.scripts import JSON
from maas_simulator.model.specifiers import matching
from maas_simulator.state import RegionState

_NAME: Final = r"[\w -]+"
MOST_VID: Final = 4094


def by_specifier(call: Call, table: Table, name: str) -> Record | None:
    """Find the only object that a specifier names."""
    found = matching(call.region.tables, table.kind, name)
    if len(found) > 1:
        raise Refusal(500, f"Got more than one {table.kind.lower()}.")
    return found[0] if found else None


def _name_of(kind: str) -> Reader:
    """Read a name. The message repeats a bad one."""
    return lambda tables, value: text(256, _NAME, f"Invalid {kind} name: {value.strip()}.")(tables, value)


def _not_reserved(kind: str) -> Check:
    """Reject a name such as ``fabric-9``, which MAAS gives to objects that have none."""

    def check(cleaning: Cleaning) -> None:
        name = cleaning.values["name"] or ""
        if re.fullmatch(rf"{kind}-\d+", name) and (cleaning.old is None or cleaning.old["name"] != name):
            cleaning.add_error("name", f"Reserved {kind} name.")

    return check


def _name_space(_call: Call, space: Record) -> None:
    space["name"] = space["name"] or f"space-{space['id']}"


def _add_untagged_vlan(call: Call, fabric: Record) -> None:
    fabric["name"] = fabric["name"] or f"fabric-{fabric['id']}"
    add_vlan(call.region.tables, fabric=fabric["id"])


def _delete_fabric(call: Call, fabric: Record) -> None:
    tables = call.region.tables
    if fabric["id"] == 0:
        raise Refusal(400, "This fabric is the default fabric, it cannot be deleted.")
    vlans = {vlan["id"] for vlan in tables["VLAN"].where(fabric=fabric["id"])}
    subnets = [subnet["cidr"] for subnet in tables["Subnet"].values() if subnet["vlan"] in vlans]
    if subnets:
        raise Refusal(400, f"Can't delete fabric; the following subnets are still present: {', '.join(subnets)}")
    connected = [
        f"{nic['name']} ({nic['type']}) on {machine.hostname}"
        for machine in call.region.machines.values()
        for nic in interfaces(tables, machine).values()
        if nic["vlan"] in vlans
    ]
    if connected:
        words = "Can't delete fabric; the following interfaces are still connected"
        raise Refusal(400, f"{words}: {', '.join(sorted(connected))}")


FABRICS: Final = Resource(
    "Fabric",
    "fabrics/",
    "fabrics/{id}/",
    fabric_json,
    form=RecordForm(
        "Fabric",
        (
            Field("name", _name_of("fabric"), unique=True),
            Field("description", text(), default=""),
            Field("class_type", text(256), default=None),
        ),
        _not_reserved("fabric"),
    ),
    find=by_specifier,
    after_create=_add_untagged_vlan,
    before_delete=_delete_fabric,
)


def _vid_in_range(vid: int | None) -> str | None:
    return None if vid is not None and 0 <= vid <= MOST_VID else "VID must be between 0 and 4094."


def _check_vlan(cleaning: Cleaning) -> None:
    values, tables, old = cleaning.values, cleaning.tables, cleaning.old
    values["name"] = values["name"] or ("untagged" if values["vid"] == 0 else str(values["vid"]))
    if old and values["relay_vlan"] == old["id"]:
        cleaning.add_error("relay_vlan", NO_CHOICE)
    if not values["dhcp_on"] or (old and old["dhcp_on"]):
        return
    subnets = tables["Subnet"].where(vlan=old["id"]) if old else []
    if not any(tables["IPRange"].where(subnet=subnet["id"], type="dynamic") for subnet in subnets):
        cleaning.add_error("dhcp_on", "dhcp can only be turned on when a dynamic IP range is defined.")
    elif not values["primary_rack"]:
        cleaning.add_error("dhcp_on", "dhcp can only be turned on when a primary rack controller is set.")


def _check_vid(call: Call, values: Record, old: Record | None) -> None:
    """Reject a VID that the fabric has. MAAS notices only when it stores the VLAN, and leaves out the charset."""
    fabric = old["fabric"] if old else values["fabric"]
    if any(vlan is not old for vlan in call.region.tables["VLAN"].where(fabric=fabric, vid=values["vid"])):
        words = "A VLAN with the specified VID already exists in the destination fabric."
        raise Refusal(400, json.dumps({WHOLE_FORM: [words]}), "application/json")


def _delete_vlan(call: Call, vlan: Record) -> None:
    """Reject the deletion of a fabric's default VLAN; move what is on another one there."""
    tables = call.region.tables
    default = tables["VLAN"].where(fabric=vlan["fabric"])[0]
    if vlan is default:
        raise Refusal(400, "This VLAN is the default VLAN in the fabric, it cannot be deleted.")
    for nics in tables.interfaces.values():
        for nic in nics.where(vlan=vlan["id"]):
            nic["vlan"] = default["id"]
            if nic["type"] == VLAN:
                del nics[nic["id"]]
    for subnet in tables["Subnet"].where(vlan=vlan["id"]):
        subnet["vlan"] = default["id"]


def _find_in_fabric(call: Call, table: Table, vid: str) -> Record | None:
    fabric = FABRICS.find(call, call.region.tables["Fabric"], call.parts[0])
    if fabric is None:
        raise not_found("Fabric")
    if vid.isdecimal() and int(vid) > MOST_VID:
        raise Refusal(400, "VLAN tag (VID) out of range (0-4094; 0 for untagged.)")
    inside = table.where(fabric=fabric["id"])
    return next((vlan for vlan in inside if vid in (str(vlan["vid"]), vlan["name"])), None)


def _vlans_of_fabric(call: Call) -> Answer:
    fabric = _fabric(call)
    return Answer([vlan_json(call.region, vlan) for vlan in vlans_of(call.region, fabric=fabric["id"])])


def _fabric(call: Call) -> Record:
    return FABRICS.get(call)


VLANS: Final = Resource(
    "VLAN",
    "",
    "vlans/{id}/",
    vlan_json,
    form=RecordForm(
        "VLAN",
        (
            Field("name", text(256, _NAME)),
            Field("description", text()),
            Field("vid", whole(), required=True, default=None, also=_vid_in_range),
            Field("mtu", whole(552, 65535), default=1500),
            Field("dhcp_on", boolean, default=False),
            Field("space", specified("Space"), default=None),
            Field("primary_rack", text(), default=None),
            Field("secondary_rack", text(), default=None),
            Field("relay_vlan", reference("VLAN"), default=None),
        ),
        _check_vlan,
    ),
    before_store=_check_vid,
    before_delete=_delete_vlan,
)
VLANS_OF_FABRIC: Final = replace(
    VLANS,
    name="Vlan",
    many="fabrics/{fabric_id}/vlans/",
    one="fabrics/{fabric_id}/vlans/{vid}/",
    find=_find_in_fabric,
    from_call=lambda call: {"fabric": _fabric(call)["id"]},
    more_many={("GET", None): _vlans_of_fabric},
)


def _check_subnet(cleaning: Cleaning) -> None:
    values, tables = cleaning.values, cleaning.tables
    if {"vid", "fabric"} & cleaning.given.keys() and "vlan" not in cleaning.given:
        vid, fabric = last(cleaning.given, "vid") or "0", last(cleaning.given, "fabric") or "0"
        found = [vlan for vlan in matching(tables, "VLAN", f"vid:{vid}") if str(vlan["fabric"]) == fabric]
        if not found:
            where = f"fabric {fabric}" if "fabric" in cleaning.given else "default fabric"
            cleaning.add_error("vid", f"No VLAN with vid {vid} in {where}.")
        values["vlan"] = found[0]["id"] if found else None
    if values["cidr"] is None:
        return
    network = ip_network(values["cidr"])
    if any(row is not cleaning.old and network.overlaps(ip_network(row["cidr"])) for row in tables["Subnet"].values()):
        cleaning.add_error(WHOLE_FORM, f"Subnet {network} would overlap with existing subnets.")
    values["name"] = values["name"] or values["cidr"]
    if values["gateway_ip"] and ip_address(values["gateway_ip"]) not in network:
        cleaning.add_error("gateway_ip", "Gateway IP must be within CIDR range.")


def _delete_subnet(call: Call, subnet: Record) -> None:
    tables, number = call.region.tables, subnet["id"]
    if tables["VLAN"][subnet["vlan"]]["dhcp_on"] and tables["IPRange"].where(subnet=number, type="dynamic"):
        words = "Cannot delete a subnet that is actively servicing a dynamic IP range."
        raise Refusal(400, f"{words} (Delete the dynamic range or disable DHCP first.)")
    for machine in call.region.machines.values():
        if machine.subnet == number or machine.system_id in tables.interfaces:
            for nic in stored_interfaces(tables, machine).values():
                nic["links"] = [link for link in nic["links"] if link["subnet"] != number]
                if nic["discovered"] and nic["discovered"]["subnet"] == number:
                    nic["discovered"] = None


def _subnet(call: Call) -> Record:
    return SUBNETS.get(call)


SUBNETS: Final = Resource(
    "Subnet",
    "subnets/",
    "subnets/{id}/",
    subnet_json,
    form=RecordForm(
        "Subnet",
        (
            Field("name", text(255)),
            Field("description", text()),
            Field("vlan", reference("VLAN"), default=5001),
            Field("cidr", cidr, required=True, default=None, unique=True),
            Field("gateway_ip", address, default=None),
            Field("dns_servers", listed, default=[], several=True),
            Field("rdns_mode", whole(0, 2), default=2),
            *(Field(name, boolean, default=True) for name in ("allow_dns", "allow_proxy", "managed")),
            Field("active_discovery", boolean, default=False),
            Field("disabled_boot_architectures", listed, default=[], several=True),
        ),
        _check_subnet,
    ),
    find=by_specifier,
    slashes=True,
    before_delete=_delete_subnet,
    more_one={
        ("GET", "statistics"): lambda call: statistics(call, _subnet(call)),
        ("GET", "ip_addresses"): lambda call: list_addresses(call, _subnet(call)),
        ("GET", "reserved_ip_ranges"): lambda call: reserved_ranges(call, _subnet(call)),
        ("GET", "unreserved_ip_ranges"): lambda call: unreserved_ranges(call, _subnet(call)),
    },
)

NO_SPACE_RECORD: Final[Record] = {
    "name": NO_SPACE,
    "id": -1,
    "description": "Backward compatibility object to ensure objects not associated with a space can be found.",
}


def _find_space(call: Call, table: Table, name: str) -> Record | None:
    if name in (NO_SPACE, "-1"):
        return NO_SPACE_RECORD if call.method == "GET" else None
    return by_specifier(call, table, name)


def _spaces(call: Call) -> Answer:
    """All spaces by name, with the one of VLANs that have none."""
    every = sorted([*call.region.tables["Space"].values(), NO_SPACE_RECORD], key=lambda space: str(space["name"]))
    return Answer([space_json(call.region, space) for space in every])


SPACES: Final = Resource(
    "Space",
    "spaces/",
    "spaces/{id}/",
    space_json,
    form=RecordForm(
        "Space", (Field("name", _name_of("space"), unique=True), Field("description", text())), _not_reserved("space")
    ),
    find=_find_space,
    after_create=_name_space,
    more_many={("GET", None): _spaces},
)


def networks(call: Call) -> Answer:
    """The subnets in MAAS's older format."""
    return Answer([_network_json(call.region, each) for each in call.region.tables["Subnet"].values()])


def network(call: Call) -> Answer:
    """One subnet in MAAS's older format, by its older name or as a subnet."""
    found = by_specifier(call, call.region.tables["Subnet"], call.parts[0].removeprefix("subnet-"))
    if found is None:
        raise not_found("Subnet")
    return Answer(_network_json(call.region, found))


def _network_json(region: RegionState, subnet: Record) -> JSON:
    whole_network = ip_network(subnet["cidr"])
    return {
        "name": f"subnet-{subnet['id']}",
        "ip": str(whole_network.network_address),
        "netmask": str(whole_network.netmask),
        "vlan_tag": region.tables["VLAN"][subnet["vlan"]]["vid"],
        "description": subnet["name"],
        "default_gateway": subnet["gateway_ip"],
        "dns_servers": subnet["dns_servers"],
        "resource_uri": f"{API}/networks/subnet-{subnet['id']}/",
    }
