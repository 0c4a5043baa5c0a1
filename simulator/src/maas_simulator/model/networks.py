"""The networks of a new region: fabrics, VLANs, subnets and their ranges of addresses, as records."""

from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from maas_simulator.model.records import Record, Tables

API: Final = "/MAAS/api/2.0"
RACK: Final = "bwdhs4"
"""The system id of the rack controller of the boot subnet."""
BOOT_NETWORK: Final = IPv4Network("10.10.0.0/24")
"""The subnet from which machines boot and get their addresses, unless the world defines others. Its id is 1."""
PLACES: Final = 54
"""How many machines every 256 addresses of a subnet have room for."""

_VLAN: Final[Record] = {
    **dict.fromkeys(("space", "primary_rack", "secondary_rack", "relay_vlan")),
    "name": "untagged",
    "description": "",
    "vid": 0,
    "mtu": 1500,
    "dhcp_on": False,
}
_SUBNET: Final[Record] = {
    **dict.fromkeys(("allow_dns", "allow_proxy", "managed"), True),
    "description": "",
    "rdns_mode": 2,
    "gateway_ip": None,
    "active_discovery": False,
    **{name: [] for name in ("dns_servers", "disabled_boot_architectures")},
}


def add_fabric(tables: Tables, name: str | None = None, **vlan: Any) -> Record:
    """Add a fabric with its untagged VLAN, and return the VLAN."""
    fabric = tables["Fabric"].add(name=name, description="", class_type=None)
    fabric["name"] = name or f"fabric-{fabric['id']}"
    return add_vlan(tables, fabric=fabric["id"], **vlan)


def add_vlan(tables: Tables, **vlan: Any) -> Record:
    """Add a VLAN to a fabric."""
    return tables["VLAN"].add(**{**_VLAN, **vlan})


def add_boot_subnet(tables: Tables, name: str, network: IPv4Network, vlan: int, gateway: str) -> Record:
    """Add a subnet from which machines boot, with its ranges.

    Of every 256 addresses, 100 are dynamic, for discovered machines, and 55 are for deployed ones.
    """
    subnet = add_subnet(tables, name=name, cidr=str(network), vlan=vlan, gateway_ip=gateway, dns_servers=[gateway])
    blocks = _blocks(network)
    for kind, first, last in (("reserved", 1, 9), ("dynamic", 100 * blocks, 200 * blocks - 1)):
        ends = {"start_ip": str(network[first]), "end_ip": str(network[last])}
        tables["IPRange"].add(subnet=subnet["id"], type=kind, **ends, user=None, comment="")
    return subnet


def add_subnet(tables: Tables, **subnet: Any) -> Record:
    """Add a subnet to a VLAN."""
    return tables["Subnet"].add(**{**_SUBNET, **subnet})


def add_default_networks(tables: Tables) -> None:
    """Add three subnets: for booting, for BMCs and for storage. Machines have addresses in the first."""
    boot = add_fabric(tables, dhcp_on=True, primary_rack=RACK)
    bmc = add_fabric(tables, "bmc-fabric")
    storage = add_vlan(tables, fabric=0, name="storage", vid=100)
    add_boot_subnet(tables, "pxe", BOOT_NETWORK, boot["id"], str(BOOT_NETWORK[254]))
    add_subnet(tables, name="bmc", cidr="10.20.0.0/24", vlan=bmc["id"])
    add_subnet(tables, name="storage", cidr="10.30.0.0/24", vlan=storage["id"])


def vlan_of_fabric(tables: Tables, fabric_id: int) -> Record:
    """Return the default VLAN of a fabric, its first. MAAS adds both for a NIC on an unknown network."""
    if fabric_id not in tables["Fabric"]:
        tables["Fabric"].add(id=fabric_id, name=f"fabric-{fabric_id}", description="", class_type=None)
        return add_vlan(tables, fabric=fabric_id)
    return tables["VLAN"].where(fabric=fabric_id)[0]


def places(network: IPv4Network) -> int:
    """Return the number of machines that a boot subnet has room for."""
    return PLACES * _blocks(network)


def discovered_address(network: IPv4Network, place: int) -> str:
    """Return the dynamic address of a discovered machine, by its place in the subnet, from 1."""
    return str(network.network_address + 100 * _blocks(network) + place)


def own_address(network: IPv4Network, place: int) -> str:
    """Return the machine's own address while it is deployed."""
    return str(network.network_address + 200 * _blocks(network) + place)


def controller_address(cidr: str) -> str:
    """Return the address of the rack controller that serves a subnet."""
    return str(ip_network(cidr)[2])


def _blocks(network: IPv4Network) -> int:
    return network.num_addresses // 256
