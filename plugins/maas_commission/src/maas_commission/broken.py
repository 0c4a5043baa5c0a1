"""Mark a machine broken or fixed."""

from pydantic import Field

from maas_commission.machines import ChangedMachine, MachineWithComment
from maas_mcp.api import Machine, MachineText, Tool, ToolContext, change_machine, require_status
from maas_mcp.api import MachineStatus as S

NOT_BROKEN = frozenset(S) - {S.BROKEN}
FIXED = frozenset({S.READY, S.DEPLOYED})
"""The statuses after ``mark_fixed`` (MAAS 3.7)."""


class BrokenMachine(ChangedMachine):
    """A machine and the reason why it is Broken."""

    error_description: MachineText = Field(description="Reason in MAAS.")


class MarkBroken(Tool[MachineWithComment, BrokenMachine]):
    """Mark a machine Broken (faulty, out of use), with `comment` as the reason.

    A machine in use is powered off and released: everything that runs on it is lost. Only its owner may do this:
    allocate a Ready machine first.
    """

    name = "maas_mark_broken"
    toolset = "lifecycle"
    title = "Mark a machine broken"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: MachineWithComment) -> BrokenMachine:
        """Post ``op=mark_broken``, unless the machine is Broken."""
        machine = await require_status(ctx, args.system_id, NOT_BROKEN, to="be marked broken", unless=_is_broken)
        now = await change_machine(ctx, machine, "mark_broken", _is_broken, comment=args.comment)
        return BrokenMachine.after(machine, now)

    def summary(self, result: BrokenMachine) -> str:
        """The machine's state in one line, and the reason."""
        return f"{result.line()} Reason: {result.error_description or 'none given'}."


class MarkFixed(Tool[MachineWithComment, ChangedMachine]):
    """Mark a repaired Broken machine fixed: it becomes Ready, or Deployed if it was. Administrators only."""

    name = "maas_mark_fixed"
    admin_only = True
    toolset = "lifecycle"
    offers = "machine mark-fixed"
    title = "Mark a machine fixed"
    idempotent = True

    async def run(self, ctx: ToolContext, args: MachineWithComment) -> ChangedMachine:
        """Post ``op=mark_fixed``, unless the machine is Ready or Deployed."""
        machine = await require_status(ctx, args.system_id, {S.BROKEN}, to="be marked fixed", unless=_is_fixed)
        now = await change_machine(ctx, machine, "mark_fixed", lambda now: now.status != S.BROKEN, comment=args.comment)
        return ChangedMachine.after(machine, now)

    def summary(self, result: ChangedMachine) -> str:
        """The machine's state in one line."""
        return result.line()


def _is_broken(machine: Machine) -> bool:
    return machine.status == S.BROKEN


def _is_fixed(machine: Machine) -> bool:
    return machine.status in FIXED
