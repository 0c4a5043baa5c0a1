"""Create and delete a machine's bonds, VLAN interfaces and bridges."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from maas_configure.interfaces import (
    CHANGEABLE,
    Interface,
    InterfaceRow,
    NetworkedMachine,
    Vlan,
    row_of,
)
from maas_configure.machines import (
    MachineArguments,
    MachineChange,
    MachineState,
    Name,
    check_changeable,
    label,
    read_machine,
)
from maas_mcp.api import (
    FormValue,
    MaasClient,
    MachineText,
    OperationRefusedError,
    Tool,
    ToolContext,
    change_once,
)


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

    def matches(self, interface: Interface) -> bool:
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
        machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
        existing = machine.interface(args.own_name)
        if existing is not None and not args.matches(existing):
            raise OperationRefusedError(
                f"{label(machine)} has another interface {row_of(existing).line()}. Nothing was sent to MAAS.",
                hint="Choose another name, or delete that interface first.",
            )
        form: dict[str, FormValue] = {}
        if existing is None:
            await check_changeable(ctx, machine, CHANGEABLE, to="get other interfaces")
            form = await _form(ctx.maas, machine, args)
        changed = await change_once(ctx, machine, _Create(machine, args, form, f"create_{args.type}"))
        created = changed.state.require_interface(args.own_name)
        return MachineInterface.of(changed.state, sent=changed.sent, interface=row_of(created))

    def summary(self, result: MachineInterface) -> str:
        """The interface in one line."""
        return result.line(f"has the interface {result.interface.line()}")


@dataclass(frozen=True)
class _Create(MachineChange[NetworkedMachine]):
    args: CreateInterfaceArguments
    form: dict[str, FormValue]
    op: str

    async def send(self, maas: MaasClient) -> None:
        await maas.post_op(f"nodes/{self.before.system_id}/interfaces/", self.op, **self.form)

    def is_done(self, state: NetworkedMachine) -> bool:
        existing = state.interface(self.args.own_name)
        return existing is not None and self.args.matches(existing)

    def shown(self, state: NetworkedMachine) -> str:  # noqa: ARG002 - SingleChange's signature
        return f"without this {self.args.own_name}"


async def _form(maas: MaasClient, machine: NetworkedMachine, args: CreateInterfaceArguments) -> dict[str, FormValue]:
    parents = [machine.require_interface(each) for each in args.parents]
    ids = [str(each.id) for each in parents]
    form: dict[str, FormValue] = {"name": args.name, "mtu": args.mtu}
    if args.type == "bond":
        return {**form, "parents": ids, "bond_mode": args.bond_mode}
    if args.vid is None:
        return {**form, "parent": ids[0]}
    return {**form, "parent": ids[0], "vlan": await _find_vlan(maas, machine, parents[0], args.vid)}


async def _find_vlan(maas: MaasClient, machine: NetworkedMachine, parent: Interface, vid: int) -> int:
    """The id of the VLAN with this tag in the fabric of the parent.

    Raises:
        OperationRefusedError: The parent is in no fabric, or the fabric has no such VLAN.
    """
    fabric = parent.vlan
    if fabric is None or fabric.fabric_id is None:
        raise OperationRefusedError(
            f"{parent.name} of {label(machine)} is disconnected, so it has no VLANs. Nothing was sent to MAAS.",
            hint="Link it to a subnet first.",
        )
    vlans = Vlan.list_from_response(await maas.get(f"fabrics/{fabric.fabric_id}/vlans/"))
    found = next((each.id for each in vlans if each.vid == vid), None)
    if found is None:
        known = ", ".join(str(each.vid) for each in vlans if each.vid)
        raise OperationRefusedError(
            f"The fabric {fabric.fabric} of {parent.name} has no VLAN {vid}. Its tagged VLANs: {known or 'none'}. "
            "Nothing was sent to MAAS.",
            hint="Create the VLAN in MAAS first, or use another parent.",
        )
    return found


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
        machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
        interface = machine.interface(args.interface)
        if interface is not None:
            await check_changeable(ctx, machine, CHANGEABLE, to="lose an interface")
        change = _Delete(machine, args.interface, None if interface is None else interface.id)
        changed = await change_once(ctx, machine, change)
        left = [each.name for each in changed.state.interface_set]
        return WithoutInterface.of(changed.state, sent=changed.sent, deleted=args.interface, interfaces=left)

    def summary(self, result: WithoutInterface) -> str:
        """The interfaces that are left, in one line."""
        left = ", ".join(f"{each}" for each in result.interfaces) or "none"
        has = "has no interface" if result.sent is False else "is without"
        return result.line(f"{has} {result.deleted}; it has {left}")


@dataclass(frozen=True)
class _Delete(MachineChange[NetworkedMachine]):
    name: str
    number: int | None
    """The interface's id; ``None`` if there is none of this name."""
    op = "DELETE"

    async def send(self, maas: MaasClient) -> None:
        await maas.delete(f"nodes/{self.before.system_id}/interfaces/{self.number}/")

    def is_done(self, state: NetworkedMachine) -> bool:
        return self.number is None or not state.may_have_interface(self.number)

    def shown(self, state: NetworkedMachine) -> str:  # noqa: ARG002 - SingleChange's signature
        return f"with the interface {self.name}"
