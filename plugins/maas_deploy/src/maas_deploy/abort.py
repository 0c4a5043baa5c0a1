"""Abort what a machine is doing."""

from typing import Final

from pydantic import Field

from maas_deploy.machines import MachineState, Which
from maas_mcp.api import MachineStatus as S
from maas_mcp.api import Tool, ToolContext, change_machine, require_status

ABORTABLE: Final = frozenset({S.COMMISSIONING, S.DEPLOYING, S.TESTING, S.DISK_ERASING})
"""MAAS refuses to abort anything else: a release, and entering or leaving rescue mode, have no way back."""


class AbortedMachine(MachineState):
    """Where an abort has left a machine."""

    aborted: str = Field(description="The status that was aborted.")
    was_for: str | None = Field(description="Whose machine it was then.")


class Abort(Tool[Which, AbortedMachine]):
    """Abort a machine's deployment, commissioning, test or disk erasing, and power it off. Takes seconds to minutes.

    Deploying becomes Allocated, with nothing usable on its disks. Commissioning becomes New, even if it was Ready.
    Testing goes back to the status before. Disk erasing becomes Failed disk erasing, with the disks half erased.
    It ends the operation for everybody, whoever started it. Nothing else can be aborted.
    """

    name = "maas_abort_machine"
    title = "Abort what a machine is doing"
    destructive = True

    async def run(self, ctx: ToolContext, args: Which) -> AbortedMachine:
        """Post ``op=abort``; its answer still shows the old status."""
        before = await require_status(ctx, args.system_id, ABORTABLE, to="be aborted")
        now = await change_machine(
            ctx, before, "abort", lambda machine: machine.status != before.status, comment=args.comment
        )
        return AbortedMachine(**MachineState.of(now).model_dump(), aborted=before.status_name, was_for=before.owner)

    def summary(self, result: AbortedMachine) -> str:
        """What was aborted, and where the machine is now."""
        owner = f" of {result.was_for}" if result.was_for else ""
        now = f"it is {result.status_name} now{f' for {result.owner}' if result.owner else ''}"
        return f"{result.aborted}{owner} on {result.hostname} was aborted; {now}, power {result.power_state}."
