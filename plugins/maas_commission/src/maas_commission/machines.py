"""Arguments and results that several tools of this plugin share."""

from typing import Self

from pydantic import BaseModel, Field

from maas_mcp.api import Machine, MachineText, SystemId

TAKE_OVER = "Confirm that you may take it from its owner."


class MachineArguments(BaseModel, defer_build=True):
    """A machine."""

    system_id: SystemId


class MachineWithComment(MachineArguments):
    """A machine and a comment."""

    comment: str | None = None


class MachineState(BaseModel, defer_build=True):
    """A machine after the change."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    owner: str | None
    power_state: str

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The state of a machine that was read from MAAS."""
        return cls.model_validate(machine, from_attributes=True)


class ChangedMachine(MachineState):
    """A machine after a short tool. MAAS is sent nothing if the machine already had the requested state."""

    sent: bool = Field(
        default=True, description="False if the machine was already in this state and nothing was sent to MAAS."
    )

    @classmethod
    def after(cls, before: Machine, now: Machine) -> Self:
        """The machine that ``change_machine`` returned."""
        return cls.of(now).model_copy(update={"sent": now is not before})

    def line(self) -> str:
        """One line for people."""
        owner = f" for {self.owner}" if self.owner else ""
        if not self.sent:
            return f"{self.hostname} was already {self.status_name}{owner}; nothing was sent to MAAS."
        return f"{self.hostname} is {self.status_name}{owner}, power {self.power_state}."
