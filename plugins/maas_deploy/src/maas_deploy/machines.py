"""Arguments and results that several tools of this plugin share."""

from typing import Self

from pydantic import BaseModel, Field

from maas_mcp.api import Machine, MachineText, SystemId


class MachineArguments(BaseModel, defer_build=True):
    """A machine and a comment."""

    system_id: SystemId
    comment: str | None = None


class MachineState(BaseModel, defer_build=True):
    """A machine after the change."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    owner: str | None
    power_state: str
    locked: bool
    sent: bool = Field(description="False if the machine was already in this state and nothing was sent to MAAS.")

    @classmethod
    def of(cls, machine: Machine, *, sent: bool) -> Self:
        """The state of a machine that was read from MAAS."""
        return cls(**machine.model_dump(include=set(MachineState.model_fields)), sent=sent)

    def line(self, state: str) -> str:
        """One line for people. ``state`` is the requested state, such as ``on``."""
        if not self.sent:
            return f"{self.hostname} was already {state}; nothing was sent to MAAS."
        owner = f" for {self.owner}" if self.owner else ""
        return f"{self.hostname} is {state}: {self.status_name}{owner}, power {self.power_state}."
