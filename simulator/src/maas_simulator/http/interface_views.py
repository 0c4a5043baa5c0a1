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


class _Networks:
    """The subnets and VLANs that a response shows, each built once."""

    def __init__(self, region: RegionState) -> None:
        self._region = region
        self._subnets: dict[int, JSON] = {}
        self._vlans: dict[int, object] = {}

    def subnet(self, number: int) -> JSON:
        """A subnet by its id."""
        if number not in self._subnets:
            record = self._region.tables["Subnet"][number]
            self._subnets[number] = shown = subnet_json(self._region, record)
            self._vlans[record["vlan"]] = shown["vlan"]
        return self._subnets[number]

    def vlan(self, number: int) -> object:
        """A VLAN by its id."""
        if number not in self._vlans:
            self._vlans[number] = vlan_json(self._region, self._region.tables["VLAN"][number])
        return self._vlans[number]

    def mtu(self, vlan: int | None) -> int:
        """The MTU of a VLAN, or the usual one."""
        return int(self._region.tables["VLAN"][vlan]["mtu"]) if vlan else _USUAL_MTU


def network_json(region: RegionState, machine: SimulatedMachine) -> JSON:
    """The fields of a machine that show its network."""
    nics = interfaces(region.tables, machine)
    networks = _Networks(region)
    shown = [_interface(networks, machine, nics, nic) for nic in nics.values()]
    gateways = {version: default_gateway(region.tables, nics, version) for version in (4, 6)}
    return {
        "ip_addresses": ip_addresses(nics),
        "default_gateways": {
            f"ipv{version}": {"gateway_ip": gateway, "link_id": link} for version, (gateway, link) in gateways.items()
        },
        "boot_interface": shown[0] if shown else None,
        "interface_set": shown,
    }


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
        "discovered": discovered and [{**discovered, "subnet": networks.subnet(discovered["subnet"])}],
        "vlan": nic["vlan"] and networks.vlan(nic["vlan"]),
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
        shown["subnet"] = networks.subnet(link["subnet"])
    return shown


def _effective_mtu(networks: _Networks, nics: Table, nic: Record) -> int:
    """The MTU of an interface: its own, or that of its VLAN, but at least that of the interfaces that use it."""
    own: int = nic["params"].get("mtu") or networks.mtu(nic["vlan"])
    return max([own, *(_effective_mtu(networks, nics, child) for child in children(nics, nic))])
