"""Link a machine's interfaces to subnets, and unlink them."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from maas_configure.interface_changes import InterfaceArguments, MachineInterface
from maas_configure.machines import Name
from maas_mcp.api import Tool, ToolContext


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
        from maas_configure.changes.links import link_subnet  # noqa: PLC0415 - only a call needs it

        return await link_subnet(ctx, args)

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
        from maas_configure.changes.links import unlink_subnet  # noqa: PLC0415 - only a call needs it

        return await unlink_subnet(ctx, args)

    def summary(self, result: MachineInterface) -> str:
        """The interface in one line."""
        return result.line(f"has the interface {result.interface.line()}")
