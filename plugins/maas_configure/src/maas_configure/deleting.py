"""Delete machines from MAAS."""

from dataclasses import dataclass
from typing import Final

from maas_configure.machines import MachineArguments, MachineState, check_changeable, label
from maas_mcp.api import Effects, MaasClient, MaasNotFoundError, Machine, SingleChange, Tool, ToolContext, change_once
from maas_mcp.api import MachineStatus as S

AT_REST: Final = frozenset(S) - {
    *(S.COMMISSIONING, S.TESTING, S.DEPLOYING, S.RELEASING, S.DISK_ERASING),
    *(S.ENTERING_RESCUE_MODE, S.EXITING_RESCUE_MODE),
}
"""The statuses without a running operation."""


class DeletedMachine(MachineState):
    """The machine as it was before it was deleted."""


class DeleteMachine(Tool[MachineArguments, DeletedMachine]):
    """Delete (remove, decommission) a machine from MAAS, with its configuration, history and results.

    Its disks stay as they are. Not possible during an operation. Administrators only.
    """

    name = "maas_delete_machine"
    admin_only = True
    toolset = "machines"
    limit = "delete"
    title = "Delete a machine"
    destructive = True
    idempotent = True

    def effects(self, args: MachineArguments) -> Effects:
        """Also an unused machine loses its record."""
        return Effects((args.system_id,), destroys=True, destroys_idle=True)

    async def run(self, ctx: ToolContext, args: MachineArguments) -> DeletedMachine:
        """Send one ``DELETE``."""
        machine = await ctx.maas.machine(args.system_id)
        await check_changeable(ctx, machine, AT_REST, to="be deleted")
        await change_once(ctx, machine, _Delete(machine))
        return DeletedMachine.of(machine, sent=True)

    def summary(self, result: DeletedMachine) -> str:
        """The deleted machine in one line."""
        return f"{result.hostname} ({result.system_id}), which was {result.status_name}, is deleted from MAAS."


@dataclass(frozen=True)
class _Delete(SingleChange[Machine | None]):
    before: Machine
    op = "DELETE"

    async def read(self, maas: MaasClient) -> Machine | None:
        try:
            return await maas.machine(self.before.system_id)
        except MaasNotFoundError:
            return None

    async def send(self, maas: MaasClient) -> None:
        await maas.delete(f"machines/{self.before.system_id}/")

    def is_done(self, state: Machine | None) -> bool:
        return state is None

    def target(self) -> str:
        return label(self.before)

    def shown(self, state: Machine | None) -> str:
        return "deleted" if state is None else state.status_name
