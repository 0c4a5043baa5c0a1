"""The network interfaces of machines as JSON."""

from typing import Any, Final

from maas_simulator.http.network_views import subnet_json, vlan_json
from maas_simulator.model.interfaces import gateways_of, interfaces, ip_addresses
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

_SHOWN = (
    *("id", "name", "type", "mac_address", "vendor", "product", "firmware_version", "interface_speed"),
    *("link_speed", "link_connected", "numa_node", "tags", "params"),
)

_VIEWS: Final = {"Subnet": subnet_json, "VLAN": vlan_json}


class _Networks(dict[tuple[str, int], Any]):
    """The subnets and VLANs that a response shows by kind and id, each built once."""

    def __init__(self, region: RegionState) -> None:
        super().__init__()
        self.region = region

    def __missing__(self, key: tuple[str, int]) -> Any:
        kind, number = key
        record = self.region.tables[kind][number]
        self[key] = shown = _VIEWS[kind](self.region, record)
        if kind == "Subnet":
            self["VLAN", record["vlan"]] = shown["vlan"]
        return shown


def network_json(region: RegionState, machine: SimulatedMachine) -> JSON:
    """The fields of a machine that show its network."""
    nics = interfaces(region.tables, machine)
    networks = _Networks(region)
    shown = [_interface(networks, machine, nics, nic) for nic in nics.values()]
    return {
        "ip_addresses": ip_addresses(nics),
        "default_gateways": _gateways_json(region, nics),
        "boot_interface": shown[0] if shown else None,
        "interface_set": shown,
    }


def _gateways_json(region: RegionState, nics: Table) -> JSON:
    """The default gateways of a machine: those of the links that a user chose, or else of the first."""
    shown: dict[str, JSON] = {f"ipv{version}": {"gateway_ip": None, "link_id": None} for version in (4, 6)}
    for version, link, gateway in (each for nic in nics.values() for each in gateways_of(region.tables, nic)):
        current = shown[f"ipv{version}"]
        if link["gateway"] or not current["gateway_ip"]:
            current.update(gateway_ip=gateway, link_id=link["id"] if link["gateway"] else None)
    return dict(shown)


def interfaces_json(region: RegionState, machine: SimulatedMachine) -> list[JSON]:
    """All interfaces of a machine."""
    nics, networks = interfaces(region.tables, machine), _Networks(region)
    return [_interface(networks, machine, nics, nic) for nic in nics.values()]


def interface_json(region: RegionState, machine: SimulatedMachine, nic: Record) -> JSON:
    """One interface of a machine."""
    return _interface(_Networks(region), machine, interfaces(region.tables, machine), nic)


def _interface(networks: _Networks, machine: SimulatedMachine, nics: Table, nic: Record) -> JSON:
    discovered, above = nic["discovered"], children(nics, nic)
    return {
        **{name: nic[name] for name in _SHOWN},
        "system_id": machine.system_id,
        "enabled": True,
        "sriov_max_vf": 0,
        "parents": [nics[parent]["name"] for parent in nic["parents"]],
        "children": [child["name"] for child in above],
        "links": [_link_json(networks, link) for link in nic["links"]],
        "discovered": discovered and [{**discovered, "subnet": networks["Subnet", discovered["subnet"]]}],
        "vlan": nic["vlan"] and networks["VLAN", nic["vlan"]],
        "effective_mtu": _effective_mtu(networks, nics, nic),
        "resource_uri": f"{API}/nodes/{machine.system_id}/interfaces/{nic['id']}/",
    }


def children(nics: Table, nic: Record) -> list[Record]:
    """The interfaces that use this one."""
    return [each for each in nics.values() if nic["id"] in each["parents"]]


def _link_json(networks: _Networks, link: Record) -> JSON:
    shown: JSON = {"id": link["id"], "mode": link["mode"]}
    if link["ip_address"]:
        shown["ip_address"] = link["ip_address"]
    if link["subnet"]:
        shown["subnet"] = networks["Subnet", link["subnet"]]
    return shown


def _effective_mtu(networks: _Networks, nics: Table, nic: Record) -> int:
    """The MTU of an interface: its own, or that of its VLAN, but at least that of the interfaces that use it."""
    vlan = networks.region.tables["VLAN"].get(nic["vlan"] or 0, {"mtu": 1500})
    own: int = nic["params"].get("mtu") or vlan["mtu"]
    return max([own, *(_effective_mtu(networks, nics, child) for child in children(nics, nic))])
