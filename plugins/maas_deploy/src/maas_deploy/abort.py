"""Abort what a machine is doing."""

from typing import Final

from pydantic import Field

from maas_deploy.machines import MachineState, Which
from maas_mcp.api import Machine, OperationFailedError, Tool, ToolContext, change_machine, require_status
from maas_mcp.api import MachineStatus as S

ENDS: Final = {
    S.COMMISSIONING: S.NEW,
    S.DEPLOYING: S.ALLOCATED,
    S.TESTING: None,  # where it was before, and so where a test that has passed ends, too
    S.DISK_ERASING: S.FAILED_DISK_ERASING,
}
"""Where an abort leads to from each status (MAAS 3.3 to 3.8)."""
ABORTABLE: Final = frozenset(ENDS)
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
        """Post ``op=abort``; its answer still shows the old status.

        Raises:
            OperationFailedError: It had ended by itself, or somebody else has ended it in another way.
        """
        before = await require_status(ctx, args.system_id, ABORTABLE, to="be aborted")
        cursor = await ctx.maas.newest_event_id()
        now = await change_machine(
            ctx, before, "abort", lambda machine: machine.status != before.status, comment=args.comment
        )
        if not await _was_aborted(ctx, before, now, cursor):
            raise OperationFailedError(
                f"{now.hostname} ({now.system_id}) was not aborted: it was {before.status_name}, and is "
                f"{now.status_name} now{f' for {now.owner}' if now.owner else ''}, power {now.power_state}.",
                hint="It has ended otherwise meanwhile: read it with maas_get_machine before you do anything else.",
            )
        return AbortedMachine(**MachineState.of(now).model_dump(), aborted=before.status_name, was_for=before.owner)

    def summary(self, result: AbortedMachine) -> str:
        """What was aborted, and where the machine is now."""
        owner = f" of {result.was_for}" if result.was_for else ""
        now = f"it is {result.status_name} now{f' for {result.owner}' if result.owner else ''}"
        return f"{result.aborted}{owner} on {result.hostname} was aborted; {now}, power {result.power_state}."


async def _was_aborted(ctx: ToolContext, before: Machine, now: Machine, cursor: int) -> bool:
    """Whether it has ended as an abort does, or MAAS says so: another may have taken the machine since."""
    if isinstance(before.status, S) and now.status == ENDS[before.status]:
        return True
    events = await ctx.maas.events(after=cursor, ids=[now.system_id])
    return any(event.type.startswith("Aborted ") for event in events)
