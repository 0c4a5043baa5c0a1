"""Devices and controllers as JSON."""

from typing import Final

from maas_simulator.http.hardware import HARDWARE
from maas_simulator.http.network_views import subnet_json, vlan_json
from maas_simulator.http.render import domain_json, zone_json
from maas_simulator.model.machines import Rack
from maas_simulator.model.networks import API, controller_address
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

_REGION_SERVICES: Final = (
    *("syslog_region", "temporal", "bind9", "temporal-worker", "regiond", "proxy", "reverse_proxy", "ntp_region"),
)
_RACK_SERVICES: Final = (
    *("agent", "http", "tftp", "dhcpd", "proxy_rack", "dhcpd6", "rackd", "syslog_rack", "ntp_rack"),
)
_TESTED: Final = ("testing", "cpu_test", "memory_test", "network_test", "interface_test", "storage_test", "other_test")


def device_json(region: RegionState, device: Record) -> JSON:
    """A device. Its addresses are not simulated."""
    domain = region.tables["Domain"][device["domain"]]
    return {
        **{name: device[name] for name in ("system_id", "hostname", "description", "owner", "parent")},
        "fqdn": f"{device['hostname']}.{domain['name']}",
        "node_type": 1,
        "node_type_name": "Device",
        "domain": domain_json(region, domain),
        "zone": zone_json(region, region.tables["Zone"][device["zone"]]),
        "tag_names": list(device["tag_names"]),
        "owner_data": device["annotations"],
        "workload_annotations": device["annotations"],
        "address_ttl": None,
        "ip_addresses": [],
        "interface_set": [
            nic_json(device["system_id"], device["id"] * 10 + index, f"eth{index}", address)
            for index, address in enumerate(device["mac_addresses"])
        ],
        "resource_uri": f"{API}/devices/{device['system_id']}/",
    }


def controller_json(region: RegionState, rack: Rack) -> JSON:
    """A rack controller: a region controller with its services, whose recorded status was always unknown."""
    services = _REGION_SERVICES if rack.is_region else _RACK_SERVICES
    return {
        **region_controller_json(region, rack),
        "service_set": [{"name": name, "status": "unknown", "status_info": ""} for name in services],
        "resource_uri": f"{API}/rackcontrollers/{rack.system_id}/",
    }


def region_controller_json(region: RegionState, rack: Rack) -> JSON:
    """A region controller. It was never tested; only a region controller was to be commissioned."""
    subnets = [
        subnet
        for subnet in region.tables["Subnet"].values()
        if region.tables["VLAN"][subnet["vlan"]]["primary_rack"] == rack.system_id
    ]
    status, shown = (0, "Pending") if rack.is_region else (-1, "Unknown")
    domain = region.tables["Domain"][0]
    return {
        "system_id": rack.system_id,
        "hostname": rack.hostname,
        "fqdn": f"{rack.hostname}.{domain['name']}",
        "description": rack.description,
        "node_type": 4 if rack.is_region else 2,
        "node_type_name": "Region and rack controller" if rack.is_region else "Rack controller",
        "version": "3.7.3",
        "architecture": "amd64/generic",
        "domain": domain_json(region, domain),
        "zone": zone_json(region, region.tables["Zone"].get_named(rack.zone)),
        "tag_names": list(rack.tag_names),
        "hardware_info": dict.fromkeys(HARDWARE, "Unknown"),
        **dict.fromkeys(("cpu_count", "cpu_speed", "memory"), 0),
        **dict.fromkeys(("osystem", "distro_series", "power_type"), ""),
        **dict.fromkeys(("hardware_uuid", "swap_size", "status_action")),
        "power_state": "unknown",
        "commissioning_status": status,
        "commissioning_status_name": shown,
        "current_commissioning_result_id": 1 if rack.is_region else None,
        **dict.fromkeys(("current_testing_result_id", "current_installation_result_id")),
        **{f"{name}_status": -1 for name in _TESTED},
        **{f"{name}_status_name": "Unknown" for name in _TESTED},
        "interface_set": [_controller_nic(region, rack, number, subnet) for number, subnet in enumerate(subnets, 1)],
        "ip_addresses": [controller_address(subnet["cidr"]) for subnet in subnets],
        "resource_uri": f"{API}/regioncontrollers/{rack.system_id}/",
    }


def nic_json(system_id: str, number: int, name: str, mac_address: str) -> JSON:
    """A NIC of which MAAS only knows the MAC address."""
    return {
        "id": number,
        "system_id": system_id,
        "name": name,
        "type": "physical",
        "mac_address": mac_address,
        **dict.fromkeys(("vlan", "discovered", "vendor", "product", "firmware_version", "numa_node")),
        **{each: [] for each in ("parents", "children", "tags", "links")},
        **dict.fromkeys(("interface_speed", "link_speed", "sriov_max_vf"), 0),
        "effective_mtu": 1500,
        "params": {},
        "link_connected": True,
        "enabled": True,
        "resource_uri": f"{API}/nodes/{system_id}/interfaces/{number}/",
    }


def _controller_nic(region: RegionState, rack: Rack, number: int, subnet: Record) -> JSON:
    vlan = region.tables["VLAN"][subnet["vlan"]]
    link = {"id": number, "mode": "static", "ip_address": controller_address(subnet["cidr"])}
    return {
        **nic_json(rack.system_id, number, f"eth{number - 1}", f"52:54:00:00:{number - 1:02}:02"),
        "vlan": vlan_json(region, vlan),
        "links": [{**link, "subnet": subnet_json(region, subnet)}],
        "numa_node": 0,
    }
