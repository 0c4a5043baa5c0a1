"""Take a machine out of use, and put it back."""

from pydantic import Field

from maas_commission.machines import ChangedMachine, WhichAndWhy
from maas_mcp.api import Machine, Tool, ToolContext, change_machine, require_status
from maas_mcp.api import MachineStatus as S

IN_USE_OR_NOT = frozenset(S) - {S.BROKEN}
FIXED = frozenset({S.READY, S.DEPLOYED})
"""Where ``mark_fixed`` leads to (MAAS 3.7)."""


class BrokenMachine(ChangedMachine):
    """A machine and what is wrong with it."""

    error_description: str = Field(description="What MAAS notes as broken.")


class MarkBroken(Tool[WhichAndWhy, BrokenMachine]):
    """Take a machine out of use as Broken, with the comment as the reason. Only its owner may, not even administrators.

    A machine in use is powered off and released: what runs on it is lost. Allocate a Ready machine to mark it. If
    the machine is already Broken, nothing is sent and its earlier reason stays.
    """

    name = "maas_mark_broken"
    title = "Mark a machine broken"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: WhichAndWhy) -> BrokenMachine:
        """Post ``op=mark_broken``, unless it is Broken."""
        machine = await require_status(ctx, args.system_id, IN_USE_OR_NOT, to="be marked broken", unless=_is_broken)
        now = await change_machine(ctx, machine, "mark_broken", _is_broken, comment=args.comment)
        return BrokenMachine.after(machine, now)

    def summary(self, result: BrokenMachine) -> str:
        """Whether it was marked, or was Broken already, and why."""
        return f"{result.line()} Reason: {result.error_description or 'none given'}."


class MarkFixed(Tool[WhichAndWhy, ChangedMachine]):
    """Put a repaired Broken machine back into use: it becomes Ready, or Deployed if it was Deployed before.

    Needs an administrator. If the machine is already Ready or Deployed, nothing is sent.
    """

    name = "maas_mark_fixed"
    offers = "machine mark-fixed"
    title = "Mark a machine fixed"
    idempotent = True

    async def run(self, ctx: ToolContext, args: WhichAndWhy) -> ChangedMachine:
        """Post ``op=mark_fixed``, unless it is in use or ready for it."""
        machine = await require_status(ctx, args.system_id, {S.BROKEN}, to="be marked fixed", unless=_is_fixed)
        now = await change_machine(ctx, machine, "mark_fixed", lambda now: now.status != S.BROKEN, comment=args.comment)
        return ChangedMachine.after(machine, now)

    def summary(self, result: ChangedMachine) -> str:
        """Whether it was put back, or was in use already."""
        return result.line()


def _is_broken(machine: Machine) -> bool:
    return machine.status == S.BROKEN


def _is_fixed(machine: Machine) -> bool:
    return machine.status in FIXED
