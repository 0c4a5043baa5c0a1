"""Take a machine out of use, and put it back."""

from pydantic import Field

from maas_commission.machines import MachineState, WhichAndWhy
from maas_mcp.api import MaasPermissionError, MachineStatus, Tool, ToolContext, change_machine, require_status

IN_USE_OR_NOT = frozenset(MachineStatus) - {MachineStatus.BROKEN}


class BrokenMachine(MachineState):
    """A machine and what is wrong with it."""

    error_description: str = Field(description="What MAAS notes as broken.")


class MarkBroken(Tool[WhichAndWhy, BrokenMachine]):
    """Take a machine out of use as Broken, with the comment as the reason. Only its owner may, not even administrators.

    A machine in use is powered off and released: what runs on it is lost. Allocate a Ready machine to mark it.
    """

    name = "maas_mark_broken"
    title = "Mark a machine broken"
    destructive = True

    async def run(self, ctx: ToolContext, args: WhichAndWhy) -> BrokenMachine:
        """Post ``op=mark_broken``."""
        machine = await require_status(ctx, args.system_id, IN_USE_OR_NOT, to="be marked broken")
        try:
            broken = await change_machine(
                ctx, machine, "mark_broken", lambda now: now.status == MachineStatus.BROKEN, comment=args.comment
            )
        except MaasPermissionError as error:
            error.hint = (
                f"Only its owner may mark a machine broken, not even an administrator, and {machine.hostname} is "
                + (f"{machine.owner}'s." if machine.owner else "nobody's: allocate it first.")
            )
            raise
        return BrokenMachine.of(broken)


class MarkFixed(Tool[WhichAndWhy, MachineState]):
    """Put a Broken machine back into use, once it is repaired: it is Ready again. Needs an administrator."""

    name = "maas_mark_fixed"
    title = "Mark a machine fixed"

    async def run(self, ctx: ToolContext, args: WhichAndWhy) -> MachineState:
        """Post ``op=mark_fixed``."""
        machine = await require_status(ctx, args.system_id, {MachineStatus.BROKEN}, to="be marked fixed")
        return MachineState.of(
            await change_machine(
                ctx, machine, "mark_fixed", lambda now: now.status != MachineStatus.BROKEN, comment=args.comment
            )
        )
