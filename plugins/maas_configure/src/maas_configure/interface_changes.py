"""Create and delete a machine's bonds, VLAN interfaces and bridges."""

from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from maas_configure.interface_rows import InterfaceRow
from maas_configure.machines import MachineArguments, MachineState, Name
from maas_mcp.api import MachineText, Tool, ToolContext

if TYPE_CHECKING:
    from maas_configure.interfaces import Interface


def _check_mode(mode: str) -> str:
    if mode not in BOND_MODES:
        raise ValueError(f"expected one of {', '.join(BOND_MODES)}")
    return mode


BOND_MODES: Final = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
BondMode = Annotated[str, AfterValidator(_check_mode)]


class CreateInterfaceArguments(MachineArguments):
    """A machine, and the interface to create on others of its interfaces."""

    type: Literal["bond", "vlan", "bridge"]
    parents: list[Name] = Field(min_length=1, description="Interface names. One, except for a bond.")
    name: Name | None = Field(default=None, description="Not needed for a VLAN.")
    vid: int | None = Field(default=None, ge=1, le=4094, description="VLAN tag.")
    bond_mode: BondMode | None = Field(default=None, description="`active-backup`, `802.3ad` (LACP) …")
    mtu: int | None = Field(default=None, ge=552, le=65535)

    @model_validator(mode="after")
    def _fits_the_type(self) -> Self:
        problems = [
            ("pass one parent", self.type != "bond" and len(self.parents) > 1),
            ("pass vid for a VLAN interface, and only for one", (self.type == "vlan") != (self.vid is not None)),
            ("bond_mode is for a bond only", self.bond_mode is not None and self.type != "bond"),
            (f"pass the name of the {self.type}", self.name is None and self.type != "vlan"),
        ]
        for problem, applies in problems:
            if applies:
                raise ValueError(problem)
        return self

    @property
    def own_name(self) -> str:
        """The interface's name. MAAS names a VLAN interface after its parent and tag."""
        return self.name or f"{self.parents[0]}.{self.vid}"

    def matches(self, interface: "Interface") -> bool:
        """Whether an interface is as requested."""
        return (
            interface.type == self.type
            and set(interface.parents) == set(self.parents)
            and (self.vid is None or (interface.vlan is not None and interface.vlan.vid == self.vid))
            and self.bond_mode in (None, interface.bond_mode)
            and self.mtu in (None, interface.effective_mtu)
        )


class MachineInterface(MachineState):
    """A machine and one of its interfaces."""

    interface: InterfaceRow


class CreateInterface(Tool[CreateInterfaceArguments, MachineInterface]):
    """Create (add, set up) a bond (NIC team, link aggregation, LACP), a VLAN interface or a bridge on a machine.

    The machine must be New, Ready, Allocated, Broken or Failed testing. Parents of a bond lose their links to subnets.
    Administrators only.
    """

    name = "maas_create_interface"
    admin_only = True
    toolset = "network"
    title = "Create a network interface"
    idempotent = True

    async def run(self, ctx: ToolContext, args: CreateInterfaceArguments) -> MachineInterface:
        """Post ``op=create_bond``, ``create_vlan`` or ``create_bridge``."""
        from maas_configure.changes.interface_changes import create_interface  # noqa: PLC0415 - only a call needs it

        return await create_interface(ctx, args)

    def summary(self, result: MachineInterface) -> str:
        """The interface in one line."""
        return result.line(f"has the interface {result.interface.line()}")


class InterfaceArguments(MachineArguments):
    """A machine and one of its interfaces."""

    interface: Name = Field(description="Name, as in the section `network` of maas_get_machine.")


class WithoutInterface(MachineState):
    """A machine after one of its interfaces was deleted."""

    deleted: MachineText
    interfaces: list[MachineText] = Field(description="Names of those that are left.")


class DeleteInterface(Tool[InterfaceArguments, WithoutInterface]):
    """Delete (remove) a network interface (bond, VLAN interface, bridge or NIC) of a machine.

    Interfaces that are only on this one are deleted as well. A NIC returns when the machine is commissioned.
    Administrators only.
    """

    name = "maas_delete_interface"
    admin_only = True
    toolset = "network"
    title = "Delete a network interface"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: InterfaceArguments) -> WithoutInterface:
        """Send one ``DELETE``, unless there is no such interface."""
        from maas_configure.changes.interface_changes import delete_interface  # noqa: PLC0415 - only a call needs it

        return await delete_interface(ctx, args)

    def summary(self, result: WithoutInterface) -> str:
        """The interfaces that are left, in one line."""
        left = ", ".join(f"{each}" for each in result.interfaces) or "none"
        has = "has no interface" if result.sent is False else "is without"
        return result.line(f"{has} {result.deleted}; it has {left}")
