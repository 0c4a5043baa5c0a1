"""The network interfaces of a machine, as rows of results."""

from pydantic import BaseModel, Field

from maas_mcp.api import MachineText


class LinkRow(BaseModel, defer_build=True):
    """A link to a subnet."""

    link_id: int
    mode: str
    subnet: str | None = Field(description="CIDR.")
    ip_address: str | None


class InterfaceRow(BaseModel, defer_build=True):
    """An interface."""

    name: MachineText
    type: str
    mac_address: str | None
    vid: int | None = Field(description="VLAN tag, 0 for untagged; null if disconnected.")
    fabric: MachineText | None
    parents: list[MachineText]
    bond_mode: str | None
    connected: bool | None
    link_speed: int = Field(description="Mbit/s.")
    mtu: int | None
    links: list[LinkRow]

    def line(self) -> str:
        """The interface in one line."""
        on = f" on {' and '.join(f'{each}' for each in self.parents)}" if self.parents else ""
        vlan = "disconnected" if self.vid is None else f"VLAN {self.vid} of {self.fabric}"
        links = [
            " ".join(filter(None, [each.mode, each.subnet, each.ip_address, f"(link {each.link_id})"]))
            for each in self.links
        ]
        return f"{self.name}: {self.type}{on}, {vlan}, {', '.join(links) or 'no links'}"
