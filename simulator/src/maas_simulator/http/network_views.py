"""Networks as JSON: fabrics, VLANs, subnets, spaces, and what refers to them."""

import re

from maas_simulator.model.networks import API
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

NO_SPACE = "undefined"
"""The name of the space of VLANs that have none."""


def vlan_json(region: RegionState, vlan: Record) -> JSON:
    """A VLAN, as it is shown alone, and inside interfaces and subnets. The relay of its relay is left out."""
    shown = ("id", "vid", "mtu", "name", "dhcp_on", "primary_rack", "secondary_rack", "relay_vlan")
    relay = vlan["relay_vlan"]
    return {
        **{name: vlan[name] for name in shown},
        "external_dhcp": None,
        "relay_vlan": relay and vlan_json(region, {**region.tables["VLAN"][relay], "relay_vlan": None}),
        "space": space_name(region, vlan),
        "fabric_id": vlan["fabric"],
        "fabric": region.tables["Fabric"][vlan["fabric"]]["name"],
        "resource_uri": f"{API}/vlans/{vlan['id']}/",
    }


def subnet_json(region: RegionState, subnet: Record) -> JSON:
    """A subnet, as it is shown alone, and inside interfaces."""
    vlan = region.tables["VLAN"][subnet["vlan"]]
    return {
        **subnet,
        "vlan": vlan_json(region, vlan),
        "space": space_name(region, vlan),
        "resource_uri": f"{API}/subnets/{subnet['id']}/",
    }


def fabric_json(region: RegionState, fabric: Record) -> JSON:
    """A fabric with its VLANs."""
    return {
        "id": fabric["id"],
        "name": fabric["name"],
        "class_type": fabric["class_type"],
        "vlans": [vlan_json(region, vlan) for vlan in vlans_of(region, fabric=fabric["id"])],
        "resource_uri": f"{API}/fabrics/{fabric['id']}/",
    }


def space_json(region: RegionState, space: Record) -> JSON:
    """A space with its VLANs and their subnets. The space ``undefined`` has the id -1 in tables and paths alike."""
    vlans = vlans_of(region, space=None if space["name"] == NO_SPACE else space["id"])
    return {
        **space,
        "vlans": [vlan_json(region, vlan) for vlan in vlans],
        "subnets": [
            subnet_json(region, subnet) for vlan in vlans for subnet in region.tables["Subnet"].where(vlan=vlan["id"])
        ],
        "resource_uri": f"{API}/spaces/{NO_SPACE if space['name'] == NO_SPACE else space['id']}/",
    }


def vlans_of(region: RegionState, **fields: int | None) -> list[Record]:
    """The VLANs with these values, sorted by fabric and name as in MAAS: ``fabric-2`` comes before ``fabric-10``."""
    fabrics = region.tables["Fabric"]

    def key(vlan: Record) -> tuple[list[tuple[int, str]], str]:
        parts = re.findall(r"\d+|\D+", fabrics[vlan["fabric"]]["name"])
        return [(int(part) if part.isdecimal() else -1, part) for part in parts], vlan["name"]

    return sorted(region.tables["VLAN"].where(**fields), key=key)


def space_name(region: RegionState, vlan: Record) -> str:
    """The name of a VLAN's space."""
    return NO_SPACE if vlan["space"] is None else str(region.tables["Space"][vlan["space"]]["name"])
