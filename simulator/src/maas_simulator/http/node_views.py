"""Devices and controllers as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from maas_simulator.http.network_views import subnet_json, vlan_json
from maas_simulator.http.render import domain_json, zone_json
from maas_simulator.model.machines import Rack
from maas_simulator.model.networks import API, controller_address
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

_SAME: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
"""What is the same for all nodes of a kind, and the names of services."""


def device_json(region: RegionState, device: Record) -> JSON:
    """A device. Its addresses are not simulated."""
    domain = region.tables["Domain"][device["domain"]]
    return {
        **_SAME["device"],
        **{name: device[name] for name in ("system_id", "hostname", "description", "owner", "parent")},
        "fqdn": f"{device['hostname']}.{domain['name']}",
        "domain": domain_json(region, domain),
        "zone": zone_json(region, region.tables["Zone"][device["zone"]]),
        "tag_names": list(device["tag_names"]),
        "owner_data": device["annotations"],
        "workload_annotations": device["annotations"],
        "interface_set": [
            nic_json(device["system_id"], device["id"] * 10 + index, f"eth{index}", address)
            for index, address in enumerate(device["mac_addresses"])
        ],
        "resource_uri": f"{API}/devices/{device['system_id']}/",
    }


def controller_json(region: RegionState, rack: Rack) -> JSON:
    """A rack controller: a region controller with its services, whose recorded status was always unknown."""
    services = _SAME["region_services" if rack.is_region else "rack_services"]
    return {
        **region_controller_json(region, rack),
        "service_set": [{"name": name, "status": "unknown", "status_info": ""} for name in services],
        "resource_uri": f"{API}/rackcontrollers/{rack.system_id}/",
    }


def region_controller_json(region: RegionState, rack: Rack) -> JSON:
    """A region controller. It was never tested; only a region controller was to be commissioned."""
    tables = region.tables
    vlans = [vlan["id"] for vlan in tables["VLAN"].where(primary_rack=rack.system_id)]
    subnets = [subnet for subnet in tables["Subnet"].values() if subnet["vlan"] in vlans]
    status, shown = (0, "Pending") if rack.is_region else (-1, "Unknown")
    return {
        **_SAME["controller"],
        **{name: getattr(rack, name) for name in ("system_id", "hostname", "description")},
        "fqdn": f"{rack.hostname}.{tables['Domain'][0]['name']}",
        "node_type": 4 if rack.is_region else 2,
        "node_type_name": "Region and rack controller" if rack.is_region else "Rack controller",
        "domain": domain_json(region, tables["Domain"][0]),
        "zone": zone_json(region, tables["Zone"].get_named(rack.zone)),
        "tag_names": list(rack.tag_names),
        "commissioning_status": status,
        "commissioning_status_name": shown,
        "current_commissioning_result_id": 1 if rack.is_region else None,
        "interface_set": [_controller_nic(region, rack, number, subnet) for number, subnet in enumerate(subnets, 1)],
        "ip_addresses": [controller_address(subnet["cidr"]) for subnet in subnets],
        "resource_uri": f"{API}/regioncontrollers/{rack.system_id}/",
    }


def nic_json(system_id: str, number: int, name: str, mac_address: str) -> JSON:
    """A NIC of which MAAS only knows the MAC address."""
    own = {"id": number, "system_id": system_id, "name": name, "mac_address": mac_address}
    return {**_SAME["nic"], **own, "resource_uri": f"{API}/nodes/{system_id}/interfaces/{number}/"}


def _controller_nic(region: RegionState, rack: Rack, number: int, subnet: Record) -> JSON:
    vlan = region.tables["VLAN"][subnet["vlan"]]
    link = {"id": number, "mode": "static", "ip_address": controller_address(subnet["cidr"])}
    return {
        **nic_json(rack.system_id, number, f"eth{number - 1}", f"52:54:00:00:{number - 1:02}:02"),
        "vlan": vlan_json(region, vlan),
        "links": [{**link, "subnet": subnet_json(region, subnet)}],
        "numa_node": 0,
    }
