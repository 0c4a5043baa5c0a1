"""The request that deletes a machine."""

from dataclasses import dataclass
from typing import Final

from maas_configure.changes.machines import check_changeable
from maas_configure.deleting import DeletedMachine
from maas_configure.machines import MachineArguments, label
from maas_mcp.api import MaasClient, MaasNotFoundError, Machine, SingleChange, ToolContext, change_once
from maas_mcp.api import MachineStatus as S

AT_REST: Final = frozenset(S) - {
    *(S.COMMISSIONING, S.TESTING, S.DEPLOYING, S.RELEASING, S.DISK_ERASING),
    *(S.ENTERING_RESCUE_MODE, S.EXITING_RESCUE_MODE),
}
"""The statuses without a running operation."""


async def delete_machine(ctx: ToolContext, args: MachineArguments) -> DeletedMachine:
    """Delete the machine."""
    machine = await ctx.maas.machine(args.system_id)
    await check_changeable(ctx, machine, AT_REST, to="be deleted")
    await change_once(ctx, machine, _Delete(machine))
    return DeletedMachine.of(machine, sent=True)


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
