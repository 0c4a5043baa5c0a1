"""The region's network: fabrics, VLANs and the three subnets."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from typing import Final

from maas_simulator.model.scripts import JSON

API: Final = "/MAAS/api/2.0"
RACK: Final = "bwdhs4"
"""The system id of the rack controller of the boot subnet."""


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN. MAAS creates a fabric with an untagged VLAN for every NIC on an unknown network."""

    id: int
    fabric_id: int
    fabric: str
    name: str = "untagged"
    vid: int = 0
    primary_rack: str | None = None

    def as_json(self) -> JSON:
        """The VLAN as it is shown alone, and inside interfaces and subnets."""
        return {
            "vid": self.vid,
            "mtu": 1500,
            "dhcp_on": self.primary_rack is not None,
            "external_dhcp": None,
            "relay_vlan": None,
            "space": "undefined",
            "fabric_id": self.fabric_id,
            "secondary_rack": None,
            "name": self.name,
            "fabric": self.fabric,
            "primary_rack": self.primary_rack,
            "id": self.id,
            "resource_uri": f"{API}/vlans/{self.id}/",
        }


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet. ``network`` has the first three bytes of its first address; ``prefix`` is 24 at most.

    Of every 256 addresses, 100 are for discovered machines and 55 for deployed ones.
    """

    id: int
    name: str
    network: str
    vlan: Vlan
    gateway: str | None = None
    prefix: int = 24

    @property
    def cidr(self) -> str:
        """The CIDR, such as ``10.10.0.0/24``."""
        return f"{self.network}.0/{self.prefix}"

    @property
    def size(self) -> int:
        """The number of host addresses."""
        return 256 * self.blocks - 2

    @property
    def blocks(self) -> int:
        """The number of blocks of 256 addresses."""
        return 1 << (24 - self.prefix)

    @property
    def room(self) -> int:
        """The number of machines that the subnet has addresses for."""
        return 54 * self.blocks

    @property
    def reserved(self) -> frozenset[int]:
        """The numbers of addresses that machines do not get: the first nine, the dynamic range and the gateway."""
        gateway = {self.size} if self.gateway else set()
        return frozenset({*range(1, 10), *range(100 * self.blocks, 200 * self.blocks), *gateway})

    def discovered(self, number: int) -> str:
        """The dynamic address of a discovered machine, by its number in the subnet, from 1."""
        return self.address(100 * self.blocks + number)

    def assigned(self, number: int) -> str:
        """The machine's own address while it is deployed."""
        return self.address(200 * self.blocks + number)

    def address(self, number: int) -> str:
        """An address by its number in the subnet."""
        return str(_first(self.network) + number)

    def as_json(self) -> JSON:
        """The subnet as it is shown alone, and inside interfaces."""
        return {
            "name": self.name,
            "description": "",
            "vlan": self.vlan.as_json(),
            "cidr": self.cidr,
            "rdns_mode": 2,
            "gateway_ip": self.gateway,
            "dns_servers": [self.gateway] if self.gateway else [],
            "allow_dns": True,
            "allow_proxy": True,
            "active_discovery": False,
            "managed": True,
            "disabled_boot_architectures": [],
            "space": "undefined",
            "id": self.id,
            "resource_uri": f"{API}/subnets/{self.id}/",
        }


@cache
def _first(network: str) -> IPv4Address:
    return IPv4Address(f"{network}.0")


BOOT_VLAN: Final = Vlan(5001, 0, "fabric-0", primary_rack=RACK)
BMC_VLAN: Final = Vlan(5002, 1, "bmc-fabric")
STORAGE_VLAN: Final = Vlan(5003, 0, "fabric-0", "storage", 100)
BOOT_SUBNET: Final = Subnet(1, "pxe", "10.10.0", BOOT_VLAN, "10.10.0.254")
"""The subnet from which machines boot and get their addresses, unless the world defines others."""
SUBNETS: Final = (
    BOOT_SUBNET,
    Subnet(2, "bmc", "10.20.0", BMC_VLAN),
    Subnet(3, "storage", "10.30.0", STORAGE_VLAN),
)


def lone_vlan(fabric_id: int) -> Vlan:
    """The VLAN of a fabric that MAAS created for one NIC. Their ids start at 2, after the two given fabrics."""
    return Vlan(5002 + fabric_id, fabric_id, f"fabric-{fabric_id}")


def vlans(subnets: Iterable[Subnet], fabric_ids: Iterable[int]) -> list[Vlan]:
    """The VLANs of these subnets and fabrics, sorted by fabric and VLAN name as in MAAS."""
    every = {subnet.vlan for subnet in subnets} | {lone_vlan(fabric_id) for fabric_id in fabric_ids}
    return sorted(every, key=lambda vlan: (vlan.fabric, vlan.name))
