"""Boot machines into rescue mode."""

from datetime import timedelta

from pydantic import BaseModel, Field

from maas_mcp.api import EventPolling, Lifecycle, Operation, OperationContext, Phase, SystemId, hookimpl
from maas_mcp.api import MachineStatus as S


class EnterRescueMode(BaseModel):
    system_id: SystemId = Field(description="Machine to boot into rescue mode.")


class InRescueMode(BaseModel):
    system_id: SystemId
    ip_addresses: list[str]


class RescueMode(Operation[EnterRescueMode, InRescueMode]):
    """Boot a machine into rescue mode and wait until it can be reached."""

    name = "rescue_boot_machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={S.DEPLOYED, S.READY, S.BROKEN},
        pending={S.ENTERING_RESCUE_MODE},
        success={S.RESCUE_MODE},
        failure={S.FAILED_ENTERING_RESCUE_MODE},
    )
    polling = EventPolling(
        phases=[Phase("Performing PXE boot", 0.2), Phase("Loading ephemeral", 0.5), Phase("Rescue mode", 1.0)]
    )
    deadline = timedelta(minutes=30)

    async def start(self, ctx: OperationContext, args: EnterRescueMode) -> None:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "rescue_mode")

    async def result(self, ctx: OperationContext) -> InRescueMode:
        return InRescueMode(system_id=ctx.system_id, ip_addresses=ctx.machine.ip_addresses)


@hookimpl
def maas_mcp_operations() -> list[type[RescueMode]]:
    return [RescueMode]


@hookimpl  # the runbooks in skills/
def maas_mcp_skills() -> list[str]:
    return ["acme_rescue"]
