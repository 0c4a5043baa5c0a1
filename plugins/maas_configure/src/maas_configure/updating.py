"""Edit a machine's hostname, domain, description, zone and pool."""

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from maas_configure.choices import explained_refusal
from maas_configure.machines import (
    ANY_OWNER,
    Hostname,
    MachineArguments,
    MachineChange,
    MachineState,
    Name,
    check_changeable,
)
from maas_mcp.api import MaasClient, Machine, MachineText, Tool, ToolContext, change_once, quoted


class UpdateMachine(MachineArguments):
    """The fields to change. Those that are left out stay as they are."""

    hostname: Hostname | None = None
    domain: Name | None = None
    description: str | None = None
    zone: Name | None = None
    pool: Name | None = None
    any_owner: bool = Field(default=False, description=ANY_OWNER)

    @property
    def wanted(self) -> dict[str, str]:
        """The fields to change, by MAAS's names."""
        return self.model_dump(exclude={"system_id", "any_owner"}, exclude_none=True)

    @model_validator(mode="after")
    def _has_a_field(self) -> Self:
        if not self.wanted:
            raise ValueError("pass at least one of hostname, domain, description, zone and pool")
        return self


class UpdatedMachine(MachineState):
    """A machine after it was edited."""

    fqdn: MachineText
    domain: MachineText | None
    description: MachineText
    zone: MachineText | None
    pool: MachineText | None


class Update(Tool[UpdateMachine, UpdatedMachine]):
    """Edit (update, set, move, rename) a machine: its zone, resource pool, hostname, domain or description.

    Possible in every status, also while it is deployed. Administrators only.
    """

    name = "maas_update_machine"
    admin_only = True
    toolset = "machines"
    list_position = 54
    title = "Edit a machine"
    idempotent = True

    async def run(self, ctx: ToolContext, args: UpdateMachine) -> UpdatedMachine:
        """Put the fields, unless the machine has them."""
        machine = await ctx.maas.machine(args.system_id)
        change = _Edit(machine, args.wanted)
        if not change.is_done(machine):
            await check_changeable(ctx, machine, to="be edited", any_owner=args.any_owner)
        async with explained_refusal(ctx.maas):
            changed = await change_once(ctx, machine, change)
        return UpdatedMachine.of(changed.state, sent=changed.sent)

    def summary(self, result: UpdatedMachine) -> str:
        """The machine's place in one line."""
        return result.line(f"has the name {result.fqdn}, the zone {result.zone} and the pool {result.pool}")


@dataclass(frozen=True)
class _Edit(MachineChange[Machine]):
    wanted: dict[str, str]
    op = "PUT"

    async def send(self, maas: MaasClient) -> None:
        await maas.put(f"machines/{self.before.system_id}/", **self.wanted)

    def is_done(self, state: Machine) -> bool:
        return not self._missing(state)

    def shown(self, state: Machine) -> str:
        return f"without {' and '.join(self._missing(state))}"

    def _missing(self, machine: Machine) -> list[str]:
        """The wanted values that the machine does not have."""
        # Read like MAAS's response, so that both have the same escapes.
        wanted = Machine.from_response({"system_id": machine.system_id, "status": machine.status, **self.wanted})
        return [
            f"the {name} {quoted(value)}"
            for name, value in self.wanted.items()
            if _comparable(name, getattr(wanted, name)) != _comparable(name, getattr(machine, name))
        ]


def _comparable(name: str, value: str | None) -> str:
    """A value as MAAS compares it: without blanks around it, and a hostname without regard to case."""
    stripped = (value or "").strip()
    return stripped.lower() if name == "hostname" else stripped
