"""Networks as records: the forms of fabrics, VLANs, subnets and spaces, and the networks of a new region."""

import re
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any, Final

from maas_simulator.model import fields
from maas_simulator.model.fields import NO_CHOICE, WHOLE_FORM, Cleaning, Field, RecordForm
from maas_simulator.model.forms import last
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.specifiers import matching

API: Final = "/MAAS/api/2.0"
RACK: Final = "bwdhs4"
"""The system id of the rack controller of the boot subnet."""
BOOT_NETWORK: Final = IPv4Network("10.10.0.0/24")
"""The subnet from which machines boot and get their addresses, unless the world defines others. Its id is 1."""
PLACES: Final = 54
"""How many machines every 256 addresses of a subnet have room for."""

NETWORK_NAME: Final = r"[\w -]+"
MOST_VID: Final = 4094


def _named_form(kind: str, *own: Field) -> RecordForm:
    """Build the form of what may have no name. MAAS then gives it one such as ``fabric-9``, which is reserved."""

    def check(cleaning: Cleaning) -> None:
        name = cleaning.values["name"] or ""
        if re.fullmatch(rf"{kind}-\d+", name) and (cleaning.old is None or cleaning.old["name"] != name):
            cleaning.add_error("name", f"Reserved {kind} name.")

    name = Field("name", fields.text(256, NETWORK_NAME, f"Invalid {kind} name: {{}}."), unique=True)
    return RecordForm(kind.capitalize(), name, Field("description", fields.text()), *own, check=check)


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


def _check_subnet(cleaning: Cleaning) -> None:
    values, tables, given = cleaning.values, cleaning.tables, cleaning.given
    if {"vid", "fabric"} & given.keys() and "vlan" not in given:
        vid, fabric = last(given, "vid") or "0", last(given, "fabric") or "0"
        found = [vlan for vlan in matching(tables, "VLAN", f"vid:{vid}") if str(vlan["fabric"]) == fabric]
        if not found:
            where = f"fabric {fabric}" if "fabric" in given else "default fabric"
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


FABRIC_FORM: Final = _named_form("fabric", Field("class_type", fields.text(256), default=None))
SPACE_FORM: Final = _named_form("space")
VLAN_FORM: Final = RecordForm(
    "VLAN",
    Field("name", fields.text(256, NETWORK_NAME)),
    Field("description", fields.text()),
    Field("vid", fields.whole(), required=True, default=None, also=_vid_in_range),
    Field("mtu", fields.whole(552, 65535), default=1500),
    Field("dhcp_on", fields.boolean, default=False),
    Field("space", fields.specified("Space"), default=None),
    Field("primary_rack", fields.text(), default=None),
    Field("secondary_rack", fields.text(), default=None),
    Field("relay_vlan", fields.reference("VLAN"), default=None),
    check=_check_vlan,
)
SUBNET_FORM: Final = RecordForm(
    "Subnet",
    Field("name", fields.text(255)),
    Field("description", fields.text()),
    Field("vlan", fields.reference("VLAN"), default=5001),
    Field("cidr", fields.cidr, required=True, default=None, unique=True),
    Field("gateway_ip", fields.address, default=None),
    Field("dns_servers", fields.listed, default=[], several=True),
    Field("rdns_mode", fields.whole(0, 2), default=2),
    *(Field(name, fields.boolean, default=True) for name in ("allow_dns", "allow_proxy", "managed")),
    Field("active_discovery", fields.boolean, default=False),
    Field("disabled_boot_architectures", fields.listed, default=[], several=True),
    check=_check_subnet,
)


def add_fabric(tables: Tables, name: str = "", **vlan: Any) -> Record:
    """Add a fabric with its untagged VLAN, and return the VLAN."""
    fabric = tables["Fabric"].add(**{**FABRIC_FORM.defaults, "name": name})
    return complete_fabric(tables, fabric, **vlan)


def complete_fabric(tables: Tables, fabric: Record, **vlan: Any) -> Record:
    """Name a fabric that has no name, and add its untagged VLAN."""
    fabric["name"] = fabric["name"] or f"fabric-{fabric['id']}"
    return add_vlan(tables, fabric=fabric["id"], **vlan)


def add_vlan(tables: Tables, **vlan: Any) -> Record:
    """Add a VLAN to a fabric."""
    return tables["VLAN"].add(**{**VLAN_FORM.defaults, "name": "untagged", "vid": 0, **vlan})


def add_boot_subnet(tables: Tables, name: str, network: IPv4Network, vlan: int, gateway: str) -> Record:
    """Add a subnet from which machines boot, with its ranges.

    Of every 256 addresses, 100 are dynamic, for discovered machines, and 55 are for deployed ones.
    """
    subnet = add_subnet(tables, name=name, cidr=str(network), vlan=vlan, gateway_ip=gateway, dns_servers=[gateway])
    blocks = _blocks(network)
    for kind, first, final in (("reserved", 1, 9), ("dynamic", 100 * blocks, 200 * blocks - 1)):
        ends = {"start_ip": str(network[first]), "end_ip": str(network[final])}
        tables["IPRange"].add(subnet=subnet["id"], type=kind, **ends, user=None, comment="")
    return subnet


def add_subnet(tables: Tables, **subnet: Any) -> Record:
    """Add a subnet to a VLAN."""
    return tables["Subnet"].add(**{**SUBNET_FORM.defaults, **subnet})


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
        return complete_fabric(tables, tables["Fabric"].add(**FABRIC_FORM.defaults, id=fabric_id))
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
