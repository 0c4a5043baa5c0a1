"""Lock a machine against changes, and unlock it."""

from maas_deploy.machines import MachineState, Which
from maas_mcp.api import Machine, Tool, ToolContext, change_machine, require_status
from maas_mcp.api import MachineStatus as S


class Lock(Tool[Which, MachineState]):
    """Lock a Deployed or Deploying machine, so that it cannot be released, powered off or aborted by mistake.

    A deployment that is locked on its way cannot be aborted until it is unlocked.
    """

    name = "maas_lock_machine"
    title = "Lock a machine"
    idempotent = True

    async def run(self, ctx: ToolContext, args: Which) -> MachineState:
        """Post ``op=lock``, unless it is locked."""
        machine = await require_status(
            ctx, args.system_id, {S.DEPLOYED, S.DEPLOYING}, to="be locked", unless=_is_locked
        )
        now = await change_machine(ctx, machine, "lock", _is_locked, comment=args.comment)
        return MachineState.of(now, sent=now is not machine)

    def summary(self, result: MachineState) -> str:
        """Whether it was locked, or was already."""
        return result.line("locked")


class Unlock(Tool[Which, MachineState]):
    """Unlock a machine. Somebody locked it on purpose: be sure that it may be changed."""

    name = "maas_unlock_machine"
    offers = "machine unlock"
    title = "Unlock a machine"
    idempotent = True

    async def run(self, ctx: ToolContext, args: Which) -> MachineState:
        """Post ``op=unlock``, if it is locked."""
        machine = await ctx.maas.machine(args.system_id)
        now = await change_machine(ctx, machine, "unlock", lambda now: not now.locked, comment=args.comment)
        return MachineState.of(now, sent=now is not machine)

    def summary(self, result: MachineState) -> str:
        """Whether it was unlocked, or was already."""
        return result.line("unlocked")


def _is_locked(machine: Machine) -> bool:
    return machine.locked and "locked" not in machine.unreadable
