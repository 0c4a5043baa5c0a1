"""Abort a machine's running operation."""

from typing import Final

from pydantic import Field

from maas_deploy.machines import MachineArguments, MachineState
from maas_mcp.api import (
    Machine,
    NextStep,
    OperationFailedError,
    Tool,
    ToolContext,
    change_machine,
    require_status,
)
from maas_mcp.api import MachineStatus as S

STATUS_AFTER_ABORT: Final = {
    S.COMMISSIONING: S.NEW,
    S.DEPLOYING: S.ALLOCATED,
    S.TESTING: None,  # the status before the test, which is also the status after a passed test
    S.DISK_ERASING: S.FAILED_DISK_ERASING,
}
"""The status after an abort, by the status before it (MAAS 3.3 to 3.8)."""
ABORTABLE: Final = frozenset(STATUS_AFTER_ABORT)
"""MAAS refuses to abort any other status, such as releasing or entering and exiting rescue mode."""


class AbortedMachine(MachineState):
    """A machine after an abort."""

    aborted: str = Field(description="Status before the abort.")
    was_for: str | None = Field(description="Owner at the abort; the current owner if it was aborted before this call.")
    by: str | None = Field(description="MAAS event of an abort before this call, with user and reason.")


class Abort(Tool[MachineArguments, AbortedMachine]):
    """Abort (stop) a machine's deployment, commissioning, test or disk erasing, and power it off.

    A deployment ends as Allocated with unusable disks, commissioning as New, an erase as Failed
    disk erasing with half-erased disks. The abort affects every user. Nothing else can be aborted.
    """

    name = "maas_abort_machine"
    toolset = "lifecycle"
    list_position = 53
    title = "Abort a machine's operation"
    destructive = True

    async def run(self, ctx: ToolContext, args: MachineArguments) -> AbortedMachine:
        """Post ``op=abort``. The response still has the old status.

        Raises:
            OperationFailedError: The operation ended before the abort, or another user ended it in another way.
        """
        if earlier := await _find_earlier_abort(ctx, await ctx.maas.machine(args.system_id)):
            return earlier
        before = await require_status(ctx, args.system_id, ABORTABLE, to="be aborted")
        cursor = await ctx.maas.newest_event_id()
        now = await change_machine(
            ctx, before, "abort", lambda machine: machine.status != before.status, comment=args.comment
        )
        if not await _was_aborted(ctx, before, now, cursor):
            raise OperationFailedError(
                f"{now.hostname} ({now.system_id}) was not aborted: it was {before.status_name} and is now "
                f"{now.status_name}{f' for {now.owner}' if now.owner else ''}, power {now.power_state}.",
                hint="The operation ended before the abort took effect.",
                next_steps=[
                    NextStep("machine read", {"system_id": now.system_id}, why="Check the machine before you continue")
                ],
            )
        state = MachineState.of(now, sent=True)
        return AbortedMachine(**state.model_dump(), aborted=before.status_name, was_for=before.owner, by=None)

    def summary(self, result: AbortedMachine) -> str:
        """The aborted operation and the machine's current status."""
        now = f"it is now {result.status_name}{f' for {result.owner}' if result.owner else ''}"
        if not result.sent:
            by = f" ({result.by})" if result.by else ""
            return f"{result.aborted} on {result.hostname} was already aborted{by}; {now}. Nothing was sent to MAAS."
        owner = f" of {result.was_for}" if result.was_for else ""
        return f"{result.aborted}{owner} on {result.hostname} was aborted; {now}, power {result.power_state}."


async def _was_aborted(ctx: ToolContext, before: Machine, now: Machine, cursor: int) -> bool:
    """Whether the status or MAAS's events show an abort. Events count because another user may own the machine now."""
    if isinstance(before.status, S) and now.status == STATUS_AFTER_ABORT[before.status]:
        return True
    events = await ctx.maas.events(after=cursor, ids=[now.system_id])
    return any(event.type.startswith("Aborted ") for event in events)


async def _find_earlier_abort(ctx: ToolContext, machine: Machine) -> AbortedMachine | None:
    """The abort that changed the machine's status last, unless the machine has something to abort now."""
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
