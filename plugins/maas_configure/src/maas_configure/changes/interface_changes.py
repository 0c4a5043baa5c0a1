"""The requests that create and delete a machine's network interfaces."""

from dataclasses import dataclass

from maas_configure.changes.machines import MachineChange, check_changeable, read_machine
from maas_configure.interface_changes import (
    CreateInterfaceArguments,
    InterfaceArguments,
    MachineInterface,
    WithoutInterface,
)
from maas_configure.interfaces import CHANGEABLE, Interface, NetworkedMachine, Vlan, row_of
from maas_configure.machines import label
from maas_mcp.api import FormValue, MaasClient, OperationRefusedError, ToolContext, change_once


async def create_interface(ctx: ToolContext, args: CreateInterfaceArguments) -> MachineInterface:
    """Create the interface, unless the machine has it."""
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


async def delete_interface(ctx: ToolContext, args: InterfaceArguments) -> WithoutInterface:
    """Delete the interface, if the machine has it."""
    machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
    interface = machine.interface(args.interface)
    if interface is not None:
        await check_changeable(ctx, machine, CHANGEABLE, to="lose an interface")
    change = _Delete(machine, args.interface, None if interface is None else interface.id)
    changed = await change_once(ctx, machine, change)
    left = [each.name for each in changed.state.interface_set]
    return WithoutInterface.of(changed.state, sent=changed.sent, deleted=args.interface, interfaces=left)


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
