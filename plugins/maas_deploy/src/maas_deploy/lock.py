"""Lock a machine against changes, and unlock it."""

from maas_deploy.machines import MachineArguments, MachineState
from maas_mcp.api import Machine, Tool, ToolContext, change_machine, require_status
from maas_mcp.api import MachineStatus as S


class Lock(Tool[MachineArguments, MachineState]):
    """Lock (protect) a Deployed or Deploying machine: MAAS then refuses to release, power off or abort it."""

    name = "maas_lock_machine"
    toolset = "lifecycle"
    title = "Lock a machine"
    idempotent = True

    async def run(self, ctx: ToolContext, args: MachineArguments) -> MachineState:
        """Post ``op=lock``, unless the machine is locked."""
        machine = await require_status(
            ctx, args.system_id, {S.DEPLOYED, S.DEPLOYING}, to="be locked", unless=_is_locked
        )
        now = await change_machine(ctx, machine, "lock", _is_locked, comment=args.comment)
        return MachineState.of(now, sent=now is not machine)

    def summary(self, result: MachineState) -> str:
        """The machine's state in one line."""
        return result.line("locked")


class Unlock(Tool[MachineArguments, MachineState]):
    """Unlock a machine, so that it can be changed again. Confirm with the user first: it was locked on purpose."""

    name = "maas_unlock_machine"
    toolset = "lifecycle"
    offers = "machine unlock"
    title = "Unlock a machine"
    idempotent = True

    async def run(self, ctx: ToolContext, args: MachineArguments) -> MachineState:
        """Post ``op=unlock`` if the machine is locked."""
        machine = await ctx.maas.machine(args.system_id)
        now = await change_machine(ctx, machine, "unlock", lambda now: not now.locked, comment=args.comment)
        return MachineState.of(now, sent=now is not machine)

    def summary(self, result: MachineState) -> str:
        """The machine's state in one line."""
        return result.line("unlocked")


def _is_locked(machine: Machine) -> bool:
    return machine.locked and "locked" not in machine.unreadable
