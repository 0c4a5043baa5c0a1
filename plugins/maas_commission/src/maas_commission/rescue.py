"""Boot a machine into rescue mode, and back."""

from datetime import timedelta

from pydantic import BaseModel

from maas_commission.machines import MachineState, Which
from maas_mcp.api import EventPolling, Lifecycle, Operation, OperationContext, Phase, SystemId
from maas_mcp.api import MachineStatus as S

RETURNS_TO = frozenset(
    {
        *(S.NEW, S.FAILED_COMMISSIONING, S.READY, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.FAILED_DEPLOYMENT),
        *(S.MISSING, S.RETIRED, S.BROKEN, S.FAILED_DISK_ERASING, S.FAILED_TESTING),
    }
)
"""Where rescue mode may be entered from, and so where it ends."""


class InRescueMode(BaseModel):
    """A machine in rescue mode."""

    system_id: SystemId
    hostname: str
    status_name: str
    ip_addresses: list[str]


class EnterRescueMode(Operation[Which, InRescueMode]):
    """Boot a machine into rescue mode, an ephemeral Ubuntu with SSH, and wait until it is there: some 5 minutes.

    What runs on it is interrupted; its disks are left alone. It has to be left with maas_exit_rescue_mode. It cannot
    be aborted. Needs an administrator.
    """

    name = "maas_enter_rescue_mode"
    title = "Enter rescue mode"
    destructive = True
    lifecycle = Lifecycle(
        start_from=RETURNS_TO | {S.FAILED_ENTERING_RESCUE_MODE},
        pending={S.ENTERING_RESCUE_MODE},
        success={S.RESCUE_MODE},
        failure={S.FAILED_ENTERING_RESCUE_MODE},
    )
    polling = EventPolling(
        [
            Phase("Entering rescue mode", 0.02),
            Phase("Performing PXE boot", 0.3),
            Phase("Loading ephemeral", 0.6),
            Phase("Rescue mode", 0.95),
        ]
    )

    async def start(self, ctx: OperationContext, args: Which) -> None:
        """Post ``op=rescue_mode``."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "rescue_mode")

    async def result(self, ctx: OperationContext, args: Which) -> InRescueMode:
        """Where the machine can be reached."""
        return InRescueMode.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)


class ExitRescueMode(Operation[Which, MachineState]):
    """End rescue mode: the machine is powered off, and a Deployed one on again. It takes up to 5 minutes.

    The machine returns to the status that it had before rescue mode. Needs an administrator.
    """

    name = "maas_exit_rescue_mode"
    title = "Exit rescue mode"
    destructive = True
    lifecycle = Lifecycle(
        start_from={
            *(S.RESCUE_MODE, S.ENTERING_RESCUE_MODE),
            *(S.FAILED_ENTERING_RESCUE_MODE, S.FAILED_EXITING_RESCUE_MODE),
        },
        pending={S.EXITING_RESCUE_MODE},
        success=RETURNS_TO,
        failure={S.FAILED_EXITING_RESCUE_MODE},
    )
    polling = EventPolling([Phase("User stopping rescue mode", 0.1), Phase("Exited rescue mode", 0.9)])
    deadline = timedelta(minutes=30)  # MAAS gives up after 5 minutes without the right power state

    async def start(self, ctx: OperationContext, args: Which) -> None:
        """Post ``op=exit_rescue_mode``."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "exit_rescue_mode")

    async def result(self, ctx: OperationContext, args: Which) -> MachineState:
        """Where the machine is back."""
        return MachineState.of(await ctx.maas.machine(args.system_id))
