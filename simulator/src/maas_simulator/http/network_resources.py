"""The network resources of the API: fabrics, VLANs, subnets and spaces."""

import json
from dataclasses import replace
from typing import Final

from maas_simulator.http.address_resources import SUBNET_READS
from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.network_views import NO_SPACE, fabric_json, network_json, space_json, subnet_json, vlan_json
from maas_simulator.http.resources import Resource
from maas_simulator.model.fields import WHOLE_FORM
from maas_simulator.model.interfaces import VLAN, interfaces, stored_interfaces
from maas_simulator.model.networks import FABRIC_FORM, MOST_VID, SPACE_FORM, SUBNET_FORM, VLAN_FORM, complete_fabric
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal
from maas_simulator.model.specifiers import matching


def by_specifier(call: Call, table: Table, name: str) -> Record | None:
    """Find the only object that a specifier names."""
    found = matching(call.region.tables, table.kind, name)
    if len(found) > 1:
        raise Refusal(500, f"Got more than one {table.kind.lower()}.")
    return found[0] if found else None


def _check_fabric_deletion(call: Call, fabric: Record) -> None:
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


def _check_vid(call: Call, values: Record, old: Record | None) -> None:
    """Reject a VID that the fabric has. MAAS notices only when it stores the VLAN, and leaves out the charset."""
    fabric = old["fabric"] if old else values["fabric"]
    if any(vlan is not old for vlan in call.region.tables["VLAN"].where(fabric=fabric, vid=values["vid"])):
        words = "A VLAN with the specified VID already exists in the destination fabric."
        raise Refusal(400, json.dumps({WHOLE_FORM: [words]}), "application/json")


def _leave_vlan(call: Call, vlan: Record) -> None:
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


def _by_vid_or_name(call: Call, table: Table, vid: str) -> Record | None:
    if vid.isdecimal() and int(vid) > MOST_VID:
        raise Refusal(400, "VLAN tag (VID) out of range (0-4094; 0 for untagged.)")
    inside = table.where(**VLANS_OF_FABRIC.scope(call))
    return next((vlan for vlan in inside if vid in (str(vlan["vid"]), vlan["name"])), None)


def _leave_subnet(call: Call, subnet: Record) -> None:
    """Reject the deletion of a subnet with DHCP; remove the links of others."""
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


def _find_space(call: Call, table: Table, name: str) -> Record | None:
    if name in (NO_SPACE["name"], "-1"):
        return NO_SPACE if call.method == "GET" else None
    return by_specifier(call, table, name)


def _spaces(call: Call) -> Answer:
    """All spaces by name, with the one of VLANs that have none."""
    every = sorted([*call.region.tables["Space"].values(), NO_SPACE], key=lambda space: str(space["name"]))
    return Answer([space_json(call.region, space) for space in every])


def _name_space(_call: Call, space: Record) -> None:
    space["name"] = space["name"] or f"space-{space['id']}"


FABRICS: Final = Resource(
    "Fabric",
    "fabrics/",
    "fabrics/{id}/",
    fabric_json,
    form=FABRIC_FORM,
    find=by_specifier,
    after_create=lambda call, fabric: complete_fabric(call.region.tables, fabric),
    before_delete=_check_fabric_deletion,
)
VLANS: Final = Resource(
    "VLAN",
    "",
    "vlans/{id}/",
    vlan_json,
    form=VLAN_FORM,
    before_store=_check_vid,
    before_delete=_leave_vlan,
)
VLANS_OF_FABRIC: Final = replace(
    VLANS,
    name="Vlan",
    many="fabrics/{fabric_id}/vlans/",
    one="fabrics/{fabric_id}/vlans/{vid}/",
    within=(FABRICS, "fabric"),
    find=_by_vid_or_name,
    order=lambda vlan: vlan["name"],
)
SUBNETS: Final = Resource(
    "Subnet",
    "subnets/",
    "subnets/{id}/",
    subnet_json,
    form=SUBNET_FORM,
    find=by_specifier,
    slashes=True,
    before_delete=_leave_subnet,
    reads=SUBNET_READS,
)
SPACES: Final = Resource(
    "Space",
    "spaces/",
    "spaces/{id}/",
    space_json,
    form=SPACE_FORM,
    find=_find_space,
    after_create=_name_space,
    more_many={("GET", None): _spaces},
)
NETWORKS: Final = Resource(
    "Subnet",
    "networks/",
    "networks/{name}/",
    network_json,
    find=lambda call, table, name: by_specifier(call, table, name.removeprefix("subnet-")),
    name="Network",
    methods="GET",
)
