"""What the tools of this plugin take and answer in common."""

from typing import Self

from pydantic import BaseModel, Field

from maas_mcp.api import Machine, SystemId

WHICH = "The machine, as maas_list_machines names it."


class Which(BaseModel):
    """One machine."""

    system_id: SystemId = Field(description=WHICH)


class WhichAndWhy(Which):
    """One machine, and why."""

    comment: str | None = Field(default=None, description="Why, for MAAS's event log.")


class MachineState(BaseModel):
    """A machine as MAAS shows it after the change."""

    system_id: SystemId
    hostname: str
    status_name: str
    owner: str | None
    power_state: str

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The same of what was read."""
        return cls.model_validate(machine, from_attributes=True)
