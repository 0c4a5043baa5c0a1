"""The network interfaces of a machine, as MAAS's JSON."""

from ipaddress import ip_address
from typing import Any, Final

from maas_configure.interface_rows import InterfaceRow, LinkRow
from maas_configure.machines import label
from maas_mcp.api import MaasModel, Machine, MachineText, OperationRefusedError, quoted
from maas_mcp.api import MachineStatus as S

CHANGEABLE: Final = frozenset({S.NEW, S.READY, S.ALLOCATED, S.FAILED_TESTING, S.BROKEN})
"""The statuses in which MAAS 3.7 allows changes of the network. Its message leaves one out."""


class Vlan(MaasModel):
    """A VLAN of a fabric."""

    id: int
    vid: int = 0
    """The tag; 0 for the untagged VLAN."""
    fabric: MachineText = ""
    fabric_id: int | None = None


class Subnet(MaasModel):
    """A subnet, as links and ``subnets/`` show it."""

    id: int
    cidr: str = ""
    name: MachineText = ""


class Link(MaasModel):
    """An interface's link to a subnet, or only to a network (``link_up``)."""

    id: int
    mode: str = ""
    subnet: Subnet | None = None
    ip_address: str | None = None

    def has_address(self, wanted: str) -> bool:
        """Whether its address is the wanted one, in any notation."""
        return same_address(self.ip_address or "", wanted)


class Interface(MaasModel):
    """A network interface."""

    id: int
    name: MachineText = ""
    type: str = ""
    mac_address: str | None = None
    vlan: Vlan | None = None
    parents: tuple[MachineText, ...] = ()
    links: tuple[Link, ...] = ()
    link_connected: bool | None = None
    link_speed: int = 0
    effective_mtu: int | None = None
    params: Any = None

    @property
    def bond_mode(self) -> str | None:
        """The mode of a bond. MAAS sends ``params`` as text if it is empty."""
        return self.params.get("bond_mode") if isinstance(self.params, dict) else None


class NetworkedMachine(Machine):
    """A machine with its interfaces."""

    interface_set: tuple[Interface, ...] = ()

    def interface(self, name: str) -> Interface | None:
        """The interface of this name, if there is one."""
        return next((each for each in self.interface_set if each.name == name), None)

    def may_have_interface(self, number: int) -> bool:
        """Whether it has an interface with this id, or one that cannot be read."""
        return "interface_set" in self.unreadable or any(each.id == number for each in self.interface_set)

    def require_interface(self, name: str) -> Interface:
        """The interface of this name.

        Raises:
            OperationRefusedError: The machine has none of this name. Nothing was sent.
        """
        found = self.interface(name)
        if found is None:
            known = ", ".join(f"{each.name}" for each in self.interface_set) or "none"
            raise OperationRefusedError(
                f"{label(self)} has no interface {quoted(name)}. Expected one of: {known}. Nothing was sent to MAAS."
            )
        return found


def row_of(interface: Interface) -> InterfaceRow:
    """The row of an interface."""
    vlan = interface.vlan
    links = [
        LinkRow(
            link_id=each.id,
            mode=each.mode,
            subnet=None if each.subnet is None else each.subnet.cidr,
            ip_address=each.ip_address,
        )
        for each in interface.links
    ]
    return InterfaceRow(
        name=interface.name,
        type=interface.type,
        mac_address=interface.mac_address,
        vid=None if vlan is None else vlan.vid,
        fabric=None if vlan is None else vlan.fabric,
        parents=list(interface.parents),
        bond_mode=interface.bond_mode,
        connected=interface.link_connected,
        link_speed=interface.link_speed,
        mtu=interface.effective_mtu,
        links=links,
    )


def same_address(one: str, other: str) -> bool:
    """Whether two IP addresses are the same, in any notation."""
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return one == other
