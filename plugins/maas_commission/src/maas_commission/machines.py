"""What the tools of this plugin take and answer in common."""

from typing import Self

from pydantic import BaseModel, Field

from maas_mcp.api import Machine, SystemId

WHICH = "The machine, as maas_list_machines names it."
TAKE_OVER = "Confirms that the machine may be taken from its current owner."


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


class ChangedMachine(MachineState):
    """A machine that one call has changed, unless it was as wanted before."""

    sent: bool = Field(
        default=True, description="False if the machine was already in this state, so nothing was sent to MAAS."
    )

    @classmethod
    def after(cls, before: Machine, now: Machine) -> Self:
        """The machine as ``change_machine`` has returned it."""
        return cls.of(now).model_copy(update={"sent": now is not before})

    def line(self) -> str:
        """One line for people."""
        owner = f" for {self.owner}" if self.owner else ""
        if not self.sent:
            return f"{self.hostname} was already {self.status_name}{owner}; nothing was sent to MAAS."
        return f"{self.hostname} is {self.status_name}{owner}, power {self.power_state}."
