"""What the tools of this plugin take and answer in common."""

from typing import Self

from pydantic import BaseModel, Field

from maas_mcp.api import Machine, SystemId

WHICH = "The machine, as maas_list_machines names it."
WHY = "Why, for MAAS's event log."


class Which(BaseModel):
    """One machine, and why."""

    system_id: SystemId = Field(description=WHICH)
    comment: str | None = Field(default=None, description=WHY)


class MachineState(BaseModel):
    """A machine as MAAS shows it after the change."""

    system_id: SystemId
    hostname: str
    status_name: str
    owner: str | None
    power_state: str
    locked: bool

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The same of what was read."""
        return cls.model_validate(machine, from_attributes=True)
