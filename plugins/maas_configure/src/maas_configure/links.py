"""Link a machine's interfaces to subnets, and unlink them."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from maas_configure.interface_changes import InterfaceArguments, MachineInterface
from maas_configure.interfaces import CHANGEABLE, Interface, Link, NetworkedMachine, Subnet, row_of
from maas_configure.machines import MachineChange, Name, check_changeable, label, read_machine
from maas_mcp.api import MaasClient, OperationRefusedError, Tool, ToolContext, change_once, quoted


def _check_address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError("expected an IP address, such as 10.0.3.7") from None
    return text


class LinkArguments(InterfaceArguments):
    """An interface, and how it gets an address in a subnet."""

    mode: Literal["auto", "dhcp", "static", "link_up"] = Field(
        description="`auto`: MAAS assigns an address at deployment; `link_up`: none."
    )
    subnet: Name | None = Field(default=None, description="CIDR, name or id. Needed for `auto` and `static`.")
    ip_address: Annotated[str, AfterValidator(_check_address)] | None = Field(
        default=None, description="For `static`; by default a free one."
    )
    default_gateway: bool = Field(default=False, description="Use the subnet's gateway.")

    @model_validator(mode="after")
    def _fits_the_mode(self) -> Self:
        if self.mode in {"auto", "static"} and self.subnet is None:
            raise ValueError(f"the mode {self.mode} needs a subnet")
        if self.ip_address is not None and self.mode != "static":
            raise ValueError("ip_address is for the mode static")
        if self.default_gateway and self.mode not in {"auto", "static"}:
            raise ValueError("default_gateway is for the modes auto and static")
        return self


class LinkSubnet(Tool[LinkArguments, MachineInterface]):
    """Link (connect) a machine's interface to a subnet: set a static IP address, DHCP, an automatic or no address.

    The machine must be New, Ready, Allocated, Broken or Failed testing. Other links stay. Administrators only.
    """

    name = "maas_link_subnet"
    admin_only = True
    toolset = "network"
    title = "Link an interface to a subnet"
    idempotent = True

    async def run(self, ctx: ToolContext, args: LinkArguments) -> MachineInterface:
        """Post ``op=link_subnet``, unless the interface has such a link."""
        machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
        interface = machine.require_interface(args.interface)
        subnet = None if args.subnet is None else await _find_subnet(ctx.maas, args.subnet)
        change = _Link(machine, interface, args, subnet)
        if not change.is_done(machine):
            await check_changeable(ctx, machine, CHANGEABLE, to="get other links")
        changed = await change_once(ctx, machine, change)
        now = changed.state.require_interface(args.interface)
        return MachineInterface.of(changed.state, sent=changed.sent, interface=row_of(now))

    def summary(self, result: MachineInterface) -> str:
        """The interface in one line."""
        return result.line(f"has the interface {result.interface.line()}")


class UnlinkArguments(InterfaceArguments):
    """An interface and one of its links."""

    link_id: int = Field(description="As in the section `network` of maas_get_machine.")


class UnlinkSubnet(Tool[UnlinkArguments, MachineInterface]):
    """Unlink (disconnect) a machine's interface from a subnet: remove an IP address or another link of it.

    The machine must be New, Ready, Allocated, Broken or Failed testing. Administrators only.
    """

    name = "maas_unlink_subnet"
    admin_only = True
    toolset = "network"
    title = "Unlink an interface from a subnet"
    idempotent = True

    async def run(self, ctx: ToolContext, args: UnlinkArguments) -> MachineInterface:
        """Post ``op=unlink_subnet``, unless the interface has no such link."""
        machine = await read_machine(ctx.maas, args.system_id, NetworkedMachine)
        change = _Unlink(machine, machine.require_interface(args.interface), args.link_id)
        if not change.is_done(machine):
            await check_changeable(ctx, machine, CHANGEABLE, to="lose a link")
        changed = await change_once(ctx, machine, change)
        now = changed.state.require_interface(args.interface)
        return MachineInterface.of(changed.state, sent=changed.sent, interface=row_of(now))

    def summary(self, result: MachineInterface) -> str:
        """The interface in one line."""
        return result.line(f"has the interface {result.interface.line()}")


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
