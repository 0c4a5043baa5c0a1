"""Add machines to MAAS."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from maas_configure.choices import explained_refusal
from maas_configure.interfaces import NetworkedMachine
from maas_configure.machines import Hostname, MachineState, Name, label
from maas_configure.power import PowerSettings
from maas_mcp.api import (
    Effects,
    MaasClient,
    MachineText,
    OperationRefusedError,
    SingleChange,
    Tool,
    ToolContext,
    change_once,
)


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
        change = _Add(args)
        found = await change.read(ctx.maas)
        if found and not change.is_done(found):
            names = ", ".join(map(label, found))
            raise OperationRefusedError(
                f"MAAS has another machine with one of these MAC addresses: {names}. Nothing was sent to MAAS.",
                hint="Check the MAC addresses and the hostname, or edit that machine.",
            )
        async with explained_refusal(ctx.maas, args.power_type):
            changed = await change_once(ctx, found, change)
        problem = changed.error and (changed.error.maas_says or changed.error.message)
        (machine,) = changed.state
        return AddedMachine.of(machine, sent=changed.sent, problem=problem)

    def summary(self, result: AddedMachine) -> str:
        """The machine in one line."""
        problem = f" MAAS reported: {result.problem}" if result.problem else ""
        return result.line(f"is in MAAS as {result.system_id}: {result.status_name}") + problem


@dataclass(frozen=True)
class _Add(SingleChange[list[NetworkedMachine]]):
    args: AddMachineArguments = field(repr=False)
    op = "POST machines/"

    async def read(self, maas: MaasClient) -> list[NetworkedMachine]:
        """The machines with one of the MAC addresses."""
        response = await maas.get("machines/", mac_address=self.args.mac_addresses)
        return NetworkedMachine.list_from_response(response)

    async def send(self, maas: MaasClient) -> None:
        args = self.args
        own = args.model_dump(exclude={"power_type", "power_parameters"}, exclude_none=True)
        await maas.post("machines/", **own, **args.power_form())

    def is_done(self, state: list[NetworkedMachine]) -> bool:
        """Whether one machine has all of the MAC addresses, and the hostname if one is wanted."""
        if len(state) != 1:
            return False
        known = {(each.mac_address or "").lower() for each in state[0].interface_set}
        return known.issuperset(self.args.mac_addresses) and (
            self.args.hostname is None or self.args.hostname.lower() == state[0].hostname.lower()
        )

    def target(self) -> str:
        return f"the machine with {self.args.mac_addresses[0]}"

    def shown(self, state: list[NetworkedMachine]) -> str:
        return "another one" if state else "unknown to MAAS"
