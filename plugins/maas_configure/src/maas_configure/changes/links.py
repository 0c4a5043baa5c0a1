"""The requests that link a machine's interface to a subnet and unlink it."""

from dataclasses import dataclass

from maas_configure.changes.machines import MachineChange, check_changeable, read_machine
from maas_configure.interface_changes import MachineInterface
from maas_configure.interfaces import CHANGEABLE, Interface, Link, NetworkedMachine, Subnet, row_of
from maas_configure.links import LinkArguments, UnlinkArguments
from maas_configure.machines import label
from maas_mcp.api import MaasClient, OperationRefusedError, ToolContext, change_once, quoted


async def link_subnet(ctx: ToolContext, args: LinkArguments) -> MachineInterface:
    """Link the interface, unless it has such a link."""
    machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
    interface = machine.require_interface(args.interface)
    subnet = None if args.subnet is None else await _find_subnet(ctx.maas, args.subnet)
    change = _Link(machine, interface, args, subnet)
    if not change.is_done(machine):
        await check_changeable(ctx, machine, CHANGEABLE, to="get other links")
    changed = await change_once(ctx, machine, change)
    now = changed.state.require_interface(args.interface)
    return MachineInterface.of(changed.state, sent=changed.sent, interface=row_of(now))


async def unlink_subnet(ctx: ToolContext, args: UnlinkArguments) -> MachineInterface:
    """Remove the link, if the interface has it."""
    machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
    change = _Unlink(machine, machine.require_interface(args.interface), args.link_id)
    if not change.is_done(machine):
        await check_changeable(ctx, machine, CHANGEABLE, to="lose a link")
    changed = await change_once(ctx, machine, change)
    now = changed.state.require_interface(args.interface)
    return MachineInterface.of(changed.state, sent=changed.sent, interface=row_of(now))


@dataclass(frozen=True)
class _InterfaceChange(MachineChange[NetworkedMachine]):
    """A change of one interface."""

    interface: Interface

    @property
    def path(self) -> str:
        """The interface's path."""
        return f"nodes/{self.before.system_id}/interfaces/{self.interface.id}/"

    def target(self) -> str:
        return f"{self.interface.name} of {label(self.before)}"

    def shown(self, state: NetworkedMachine) -> str:
        now = state.interface(self.interface.name)
        return "missing" if now is None else f"linked as {row_of(now).line()}"

    def links(self, state: NetworkedMachine) -> tuple[Link, ...] | None:
        """The links of the interface as it was read; ``None`` if it is missing or has links that cannot be read."""
        now = state.interface(self.interface.name)
        return None if now is None or "links" in now.unreadable else now.links


@dataclass(frozen=True)
class _Link(_InterfaceChange):
    args: LinkArguments
    subnet: Subnet | None
    op = "link_subnet"

    async def send(self, maas: MaasClient) -> None:
        args = self.args
        await maas.post_op(
            self.path,
            self.op,
            mode=args.mode.upper(),
            subnet=None if self.subnet is None else self.subnet.id,
            ip_address=args.ip_address,
            default_gateway=args.default_gateway or None,
        )

    def is_done(self, state: NetworkedMachine) -> bool:
        return any(map(self._fits, self.links(state) or ()))

    def _fits(self, link: Link) -> bool:
        args, subnet = self.args, link.subnet
        return (
            link.mode == args.mode
            and (self.subnet is None or (subnet is not None and subnet.id == self.subnet.id))
            and (args.ip_address is None or link.has_address(args.ip_address))
        )


@dataclass(frozen=True)
class _Unlink(_InterfaceChange):
    link_id: int
    op = "unlink_subnet"

    async def send(self, maas: MaasClient) -> None:
        await maas.post_op(self.path, self.op, id=self.link_id)

    def is_done(self, state: NetworkedMachine) -> bool:
        links = self.links(state)
        return links is not None and all(each.id != self.link_id for each in links)


async def _find_subnet(maas: MaasClient, wanted: str) -> Subnet:
    """The subnet with this CIDR, name or id.

    Raises:
        OperationRefusedError: There is none, or several have the name.
    """
    subnets = Subnet.list_from_response(await maas.get("subnets/"))
    found = [each for each in subnets if wanted in (each.cidr, str(each.id))] or [
        each for each in subnets if each.name == wanted
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(each.cidr for each in (found or subnets)[:20])
    problem = "MAAS has no subnet" if not found else "Several subnets have the name"
    raise OperationRefusedError(
        f"{problem} {quoted(wanted)}. Expected one of: {known or 'none'}. Nothing was sent to MAAS."
    )
