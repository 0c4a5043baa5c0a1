"""Add machines to MAAS."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from maas_configure.machines import Hostname, MachineState, Name
from maas_configure.power import PowerSettings
from maas_mcp.api import Effects, MachineText, Tool, ToolContext


def _read_mac(text: str) -> str:
    if _MAC.fullmatch(text.strip()) is None:
        raise ValueError("expected a MAC address, such as 52:54:00:ee:00:01")
    return text.strip().lower().replace("-", ":")


_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5,}")
MacAddress = Annotated[str, AfterValidator(_read_mac)]
"""A MAC address in the notation in which MAAS shows it."""


class AddMachineArguments(PowerSettings):
    """The new machine."""

    mac_addresses: list[MacAddress] = Field(min_length=1, description="At least that of the boot NIC.")
    architecture: Name = "amd64"
    hostname: Hostname | None = Field(default=None, description="By default MAAS chooses one.")
    domain: Name | None = None
    zone: Name | None = None
    pool: Name | None = None
    commission: bool = Field(default=True, description="Commission it at once.")


class AddedMachine(MachineState):
    """The machine in MAAS."""

    power_type: str | None
    problem: MachineText | None = Field(description="MAAS's error, if it added the machine but failed after that.")


class AddMachine(Tool[AddMachineArguments, AddedMachine]):
    """Add (create, register, enlist) a new machine by its MAC addresses and its BMC's address and credentials.

    MAAS then powers it on and commissions it, which takes 10 minutes and goes on after this call.
    """

    name = "maas_add_machine"
    toolset = "machines"
    title = "Add a machine"
    idempotent = True

    def effects(self, args: AddMachineArguments) -> Effects:  # noqa: ARG002 - Tool's signature
        """The machine does not exist yet."""
        return Effects()

    async def run(self, ctx: ToolContext, args: AddMachineArguments) -> AddedMachine:
        """Post ``machines/``, unless a machine has these MAC addresses. MAAS allows each address once."""
        from maas_configure.changes.adding import add_machine  # noqa: PLC0415 - only a call needs it

        return await add_machine(ctx, args)

    def summary(self, result: AddedMachine) -> str:
        """The machine in one line."""
        problem = f" MAAS reported: {result.problem}" if result.problem else ""
        return result.line(f"is in MAAS as {result.system_id}: {result.status_name}") + problem
