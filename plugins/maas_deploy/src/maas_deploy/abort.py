"""Abort what a machine is doing."""

from typing import Final

from pydantic import Field

from maas_deploy.machines import MachineState, Which
from maas_mcp.api import Machine, NextStep, OperationFailedError, Tool, ToolContext, change_machine, require_status
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
    was_for: str | None = Field(
        description="The owner at the abort, or the owner now if it was aborted before this call."
    )
    by: str | None = Field(description="MAAS's event about an abort before this call, with the user and the reason.")


class Abort(Tool[Which, AbortedMachine]):
    """Abort a machine's deployment, commissioning, test or disk erasing, and power it off. Takes seconds to minutes.

    Deploying becomes Allocated, with nothing usable on its disks. Commissioning becomes New, even if it was Ready.
    Testing goes back to the status before. Disk erasing becomes Failed disk erasing, with the disks half erased.
    It ends the operation for everybody, whoever started it. Nothing else can be aborted. If it was aborted already,
    nothing is sent.
    """

    name = "maas_abort_machine"
    title = "Abort what a machine is doing"
    destructive = True

    async def run(self, ctx: ToolContext, args: Which) -> AbortedMachine:
        """Post ``op=abort``; its answer still shows the old status.

        Raises:
            OperationFailedError: It had ended by itself, or somebody else has ended it in another way.
        """
        if earlier := await _aborted_earlier(ctx, await ctx.maas.machine(args.system_id)):
            return earlier
        before = await require_status(ctx, args.system_id, ABORTABLE, to="be aborted")
        cursor = await ctx.maas.newest_event_id()
        now = await change_machine(
            ctx, before, "abort", lambda machine: machine.status != before.status, comment=args.comment
        )
        if not await _was_aborted(ctx, before, now, cursor):
            raise OperationFailedError(
                f"{now.hostname} ({now.system_id}) was not aborted: it was {before.status_name}, and is "
                f"{now.status_name} now{f' for {now.owner}' if now.owner else ''}, power {now.power_state}.",
                hint="It has ended otherwise meanwhile.",
                next_steps=[
                    NextStep("machine read", {"system_id": now.system_id}, why="Read it before you do anything else")
                ],
            )
        state = MachineState.of(now, sent=True)
        return AbortedMachine(**state.model_dump(), aborted=before.status_name, was_for=before.owner, by=None)

    def summary(self, result: AbortedMachine) -> str:
        """What was aborted, and where the machine is now."""
        now = f"it is {result.status_name} now{f' for {result.owner}' if result.owner else ''}"
        if not result.sent:
            by = f" ({result.by})" if result.by else ""
            return f"{result.aborted} on {result.hostname} was already aborted{by}; {now}. Nothing was sent to MAAS."
        owner = f" of {result.was_for}" if result.was_for else ""
        return f"{result.aborted}{owner} on {result.hostname} was aborted; {now}, power {result.power_state}."


async def _was_aborted(ctx: ToolContext, before: Machine, now: Machine, cursor: int) -> bool:
    """Whether it has ended as an abort does, or MAAS says so: another may have taken the machine since."""
    if isinstance(before.status, S) and now.status == ENDS[before.status]:
        return True
    events = await ctx.maas.events(after=cursor, ids=[now.system_id])
    return any(event.type.startswith("Aborted ") for event in events)


async def _aborted_earlier(ctx: ToolContext, machine: Machine) -> AbortedMachine | None:
    """The abort that was the last thing to change the machine's status, if there is nothing to abort since then."""
    if machine.status in ABORTABLE:
        return None
    events = await ctx.maas.events(ids=[machine.system_id])
    changes = [(event.id, change) for event in events if (change := event.status_change)]
    if not changes or changes[-1][1][1] != machine.status:
        return None
    status = changes[-1][1][0]
    if status not in ABORTABLE:
        return None
    entered = next((id_ for id_, (_, new) in reversed(changes[:-1]) if new == status), 0)
    since = [event for event in events if event.id > entered]
    if not any(event.type.startswith("Aborted ") for event in since):
        return None
    by = next((event.text for event in reversed(since) if event.type.startswith("User aborting ")), None)
    state = MachineState.of(machine, sent=False)
    return AbortedMachine(**state.model_dump(), aborted=status.display, was_for=machine.owner, by=by)
