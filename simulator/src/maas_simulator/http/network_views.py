"""Networks as JSON: fabrics, VLANs, subnets, spaces, and what refers to them."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Final

from maas_simulator.http.resources import View, record_json
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

NO_SPACE: Final[Record] = {
    "name": "undefined",
    "id": -1,
    "description": "Backward compatibility object to ensure objects not associated with a space can be found.",
}
"""The space of VLANs that have none."""


def subnet_of(field: str = "subnet") -> Callable[[RegionState, Record], JSON | None]:
    """Show the subnet to which a field refers."""
    return lambda region, record: record[field] and subnet_json(region, region.tables["Subnet"][record[field]])


def vlans_of(region: RegionState, **fields: int | None) -> list[Record]:
    """The VLANs with these values, sorted by fabric and name as in MAAS: ``fabric-2`` comes before ``fabric-10``."""
    fabrics = region.tables["Fabric"]

    def key(vlan: Record) -> tuple[list[tuple[int, str]], str]:
        parts = re.findall(r"\d+|\D+", fabrics[vlan["fabric"]]["name"])
        return [(int(part) if part.isdecimal() else -1, part) for part in parts], vlan["name"]

    return sorted(region.tables["VLAN"].where(**fields), key=key)


def _space_name(region: RegionState, vlan: Record) -> str:
    return str((NO_SPACE if vlan["space"] is None else region.tables["Space"][vlan["space"]])["name"])


def _relay(region: RegionState, vlan: Record) -> JSON | None:
    """Show the VLAN to which a VLAN relays DHCP, without its own relay."""
    relay = vlan["relay_vlan"]
    return relay and vlan_json(region, {**region.tables["VLAN"][relay], "relay_vlan": None})


vlan_json: Final[View] = record_json(
    "vlans",
    "description",
    external_dhcp=lambda _region, _vlan: None,
    relay_vlan=_relay,
    space=_space_name,
    fabric_id=lambda _region, vlan: vlan["fabric"],
    fabric=lambda region, vlan: region.tables["Fabric"][vlan["fabric"]]["name"],
)
"""A VLAN, as it is shown alone, and inside interfaces and subnets."""
fabric_json: Final[View] = record_json(
    "fabrics",
    "description",
    vlans=lambda region, fabric: [vlan_json(region, vlan) for vlan in vlans_of(region, fabric=fabric["id"])],
)


def subnet_json(region: RegionState, subnet: Record) -> JSON:
    """A subnet, as it is shown alone, and inside interfaces."""
    vlan = vlan_json(region, region.tables["VLAN"][subnet["vlan"]])
    return {**subnet, "vlan": vlan, "space": vlan["space"], "resource_uri": f"{API}/subnets/{subnet['id']}/"}


def space_json(region: RegionState, space: Record) -> JSON:
    """A space with its VLANs and their subnets."""
    vlans = vlans_of(region, space=None if space is NO_SPACE else space["id"])
    subnets = [subnet for vlan in vlans for subnet in region.tables["Subnet"].where(vlan=vlan["id"])]
    return {
        **space,
        "vlans": [vlan_json(region, vlan) for vlan in vlans],
        "subnets": [subnet_json(region, subnet) for subnet in subnets],
        "resource_uri": f"{API}/spaces/{space['name'] if space is NO_SPACE else space['id']}/",
    }


def network_json(region: RegionState, subnet: Record) -> JSON:
    """A subnet in MAAS's older format."""
    network = ip_network(subnet["cidr"])
    return {
        "name": f"subnet-{subnet['id']}",
        "ip": str(network.network_address),
        "netmask": str(network.netmask),
        "vlan_tag": region.tables["VLAN"][subnet["vlan"]]["vid"],
        "description": subnet["name"],
        "default_gateway": subnet["gateway_ip"],
        "dns_servers": subnet["dns_servers"],
        "resource_uri": f"{API}/networks/subnet-{subnet['id']}/",
    }
