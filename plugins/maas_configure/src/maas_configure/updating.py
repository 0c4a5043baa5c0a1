"""Edit a machine's hostname, domain, description, zone and pool."""

from typing import Self

from pydantic import Field, model_validator

from maas_configure.machines import ANY_OWNER, Hostname, MachineArguments, MachineState, Name
from maas_mcp.api import MachineText, Tool, ToolContext


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
        from maas_configure.changes.updating import update_machine  # noqa: PLC0415 - only a call needs it

        return await update_machine(ctx, args)

    def summary(self, result: UpdatedMachine) -> str:
        """The machine's place in one line."""
        return result.line(f"has the name {result.fqdn}, the zone {result.zone} and the pool {result.pool}")
