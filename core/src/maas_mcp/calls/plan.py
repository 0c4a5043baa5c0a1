"""The plan of a call: its machines, the requests that it would send to MAAS, and the id by which it is applied."""

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import BaseModel, Field

from maas_mcp.maas.models import SystemId
from maas_mcp.machine_text import MachineText

HIDDEN: Final = "***"
"""Replaces a secret parameter."""


class PlannedMachine(BaseModel, defer_build=True):
    """A machine, as it was when the plan was made."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    owner: str | None
    locked: bool
    pool: MachineText | None
    zone: MachineText | None
    disks: str | None = Field(description="Null if the call destroys nothing.")

    def line(self) -> str:
        """The machine in one line."""
        parts = [
            f"{self.hostname} ({self.system_id})",
            self.status_name,
            f"owned by {self.owner}" if self.owner else "without an owner",
            self.pool and f"pool {self.pool}",
            self.zone and f"zone {self.zone}",
            "locked" if self.locked else None,
        ]
        return ", ".join(filter(None, parts)) + (f": {self.disks}" if self.disks else "")


class PlannedRequest(BaseModel, defer_build=True):
    """A request that would be sent to MAAS."""

    method: str
    path: str = Field(description="Below /MAAS/api/2.0/.")
    op: str | None
    parameters: dict[str, list[str]] = Field(description="Values by name. Secrets are `***`.")

    def line(self) -> str:
        """The request in one line."""
        op = "" if self.op is None else f"?op={self.op}"
        shown = ", ".join(f"{name}={','.join(values)}" for name, values in self.parameters.items())
        return f"{self.method} {self.path}{op}{f' with {shown}' if shown else ''}"


class Plan(BaseModel, defer_build=True):
    """The changes that a call would make, and the id by which the plan is applied."""

    tool: str
    plan_id: str | None = Field(description="Null if nothing would be sent to MAAS.")
    valid_for: int = Field(description="Seconds.")
    machines: list[PlannedMachine]
    more_machines: int = Field(description="Machines that are not listed.")
    requests: list[PlannedRequest] = Field(
        description="The first request for each machine. Later ones depend on MAAS's responses."
    )
    cost: str = Field(description="How long it takes, and what is lost.")
    policy: list[str] = Field(description="Response of each rule of the site's policy.")
    warnings: list[str]

    def text(self) -> str:
        """The plan as text."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Plan for {self.tool}. Nothing was changed."
        yield from _section("Machines:", [each.line() for each in self.machines])
        if self.more_machines:
            yield f"- and {self.more_machines} more {'machine' if self.more_machines == 1 else 'machines'}"
        yield from _section("Requests to MAAS:", [each.line() for each in self.requests])
        yield self.cost
        yield from _section("Policy of this server:", self.policy)
        yield from (f"Warning: {each}" for each in self.warnings)
        if self.plan_id is None:
            yield "Nothing would be sent to MAAS, so there is nothing to apply."
        else:
            yield (
                f"To apply this plan within {self.valid_for // 60} minutes, call {self.tool} with the same arguments "
                f"and plan_id={self.plan_id} instead of plan. The call is refused if a machine has changed by then."
            )


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"- {each}" for each in lines)
