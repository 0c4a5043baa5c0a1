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
    sent: bool = Field(description="False if the machine was already in this state, so nothing was sent to MAAS.")

    @classmethod
    def of(cls, machine: Machine, *, sent: bool) -> Self:
        """The same of what was read."""
        return cls(**machine.model_dump(include=set(MachineState.model_fields)), sent=sent)

    def line(self, state: str) -> str:
        """One line for people. ``state`` is what was asked for, such as ``on``."""
        if not self.sent:
            return f"{self.hostname} was already {state}; nothing was sent to MAAS."
        owner = f" for {self.owner}" if self.owner else ""
        return f"{self.hostname} is {state}: {self.status_name}{owner}, power {self.power_state}."
