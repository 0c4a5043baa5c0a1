"""The network interfaces of machines as JSON."""

from maas_simulator.http.network_views import subnet_json, vlan_json
from maas_simulator.model.interfaces import default_gateway, interfaces, ip_addresses
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

_SHOWN = (
    *("id", "name", "type", "mac_address", "vendor", "product", "firmware_version", "interface_speed"),
    *("link_speed", "link_connected", "numa_node", "tags", "params"),
)
_USUAL_MTU = 1500


def network_json(region: RegionState, machine: SimulatedMachine) -> JSON:
    """The fields of a machine that show its network."""
    nics = interfaces(region.tables, machine)
    shown = [interface_json(region, machine, nics, nic) for nic in nics.values()]
    gateways = {version: default_gateway(region.tables, nics, version) for version in (4, 6)}
    return {
        "ip_addresses": ip_addresses(nics),
        "default_gateways": {
            f"ipv{version}": {"gateway_ip": gateway, "link_id": link} for version, (gateway, link) in gateways.items()
        },
        "boot_interface": shown[0] if shown else None,
        "interface_set": shown,
    }


def interface_json(region: RegionState, machine: SimulatedMachine, nics: Table, nic: Record) -> JSON:
    """An interface of a machine, which has ``nics``."""
    vlan, discovered = nic["vlan"], nic["discovered"]
    return {
        **{name: nic[name] for name in _SHOWN},
        "system_id": machine.system_id,
        "enabled": True,
        "effective_mtu": _effective_mtu(region, nics, nic),
        "sriov_max_vf": 0,
        "parents": [nics[parent]["name"] for parent in nic["parents"]],
        "children": [child["name"] for child in children(nics, nic)],
        "vlan": vlan and vlan_json(region, region.tables["VLAN"][vlan]),
        "links": [_link_json(region, link) for link in nic["links"]],
        "discovered": discovered and [{**discovered, "subnet": _subnet(region, discovered["subnet"])}],
        "resource_uri": f"{API}/nodes/{machine.system_id}/interfaces/{nic['id']}/",
    }


def children(nics: Table, nic: Record) -> list[Record]:
    """The interfaces that use this one."""
    return [each for each in nics.values() if nic["id"] in each["parents"]]


def _link_json(region: RegionState, link: Record) -> JSON:
    shown: JSON = {"id": link["id"], "mode": link["mode"]}
    if link["ip_address"]:
        shown["ip_address"] = link["ip_address"]
    if link["subnet"]:
        shown["subnet"] = _subnet(region, link["subnet"])
    return shown


def _subnet(region: RegionState, number: int) -> JSON:
    return subnet_json(region, region.tables["Subnet"][number])


def _effective_mtu(region: RegionState, nics: Table, nic: Record) -> int:
    """The MTU of an interface: its own, or that of its VLAN, but at least that of the interfaces that use it."""
    usual = region.tables["VLAN"][nic["vlan"]]["mtu"] if nic["vlan"] else _USUAL_MTU
    above = (_effective_mtu(region, nics, child) for child in children(nics, nic))
    return max(nic["params"].get("mtu") or usual, *above, 0)
