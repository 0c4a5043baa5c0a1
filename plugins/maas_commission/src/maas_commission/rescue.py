"""Boot a machine into rescue mode, and back."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, Field

from maas_commission.machines import TAKE_OVER, MachineState, Which
from maas_mcp.api import (
    EventPolling,
    Lifecycle,
    MaasClient,
    Machine,
    Operation,
    OperationContext,
    Phase,
    SystemId,
    check_take_over,
)
from maas_mcp.api import MachineStatus as S

RETURNS_TO = frozenset(
    {
        *(S.NEW, S.FAILED_COMMISSIONING, S.READY, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.FAILED_DEPLOYMENT),
        *(S.MISSING, S.RETIRED, S.BROKEN, S.FAILED_DISK_ERASING, S.FAILED_TESTING),
    }
)
"""Where rescue mode may be entered from, and so where it ends."""

STARTED: Final = "User starting rescue mode"
TAKES: Final = frozenset({STARTED, "User acquiring node"})
"""Events by which a machine becomes the user's who is named in them (MAAS 3.7)."""
TAKEN_FROM: Final = "The owner before rescue mode, if MAAS's events show that it was another user."


class EnterRescue(Which):
    """Which machine, and whether it may be taken over."""

    take_over: bool = Field(default=False, description=TAKE_OVER)


class InRescueMode(BaseModel):
    """A machine in rescue mode."""

    system_id: SystemId
    hostname: str
    status_name: str
    ip_addresses: list[str]
    owner: str | None
    taken_from: str | None = Field(description=TAKEN_FROM)


class EnterRescueMode(Operation[EnterRescue, InRescueMode]):
    """Boot a machine into rescue mode, an ephemeral Ubuntu with SSH, and wait until it is there: some 5 minutes.

    What runs on it is interrupted; its disks are left alone. It has to be left with maas_exit_rescue_mode. It cannot
    be aborted. Needs an administrator. MAAS makes you the owner: a machine in use stays yours after rescue mode.
    Another user's machine is refused unless `take_over` is true.
    """

    name = "maas_enter_rescue_mode"
    offers = "machine rescue-mode"
    title = "Enter rescue mode"
    destructive = True
    idempotent = True
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

    def is_reached(self, args: EnterRescue, machine: Machine) -> bool:  # noqa: ARG002 - Operation's signature
        """Whether it is in rescue mode."""
        return machine.status in self.lifecycle.success

    async def start(self, ctx: OperationContext, args: EnterRescue) -> None:
        """Post ``op=rescue_mode``. The user who requests it becomes the machine's owner (MAAS 3.7.3, recorded)."""
        await check_take_over(
            ctx.maas,
            ctx.machine,
            confirmed=args.take_over,
            effect="Rescue mode interrupts what runs on it and makes it yours, and it stays yours after rescue mode",
        )
        await ctx.maas.post_op(f"machines/{args.system_id}/", "rescue_mode")

    async def result(self, ctx: OperationContext) -> InRescueMode:
        """Where the machine can be reached, and whose it is."""
        before = await _owner_before_rescue(ctx.maas, ctx.system_id)
        return InRescueMode(
            **ctx.machine.model_dump(include=set(InRescueMode.model_fields)),
            taken_from=before if before != ctx.machine.owner else None,
        )

    def summary(self, result: InRescueMode) -> str:
        """Where the machine can be reached, in one line, and from whom it was taken."""
        where = ", ".join(result.ip_addresses) or "no address"
        return f"{result.hostname} is in {result.status_name} at {where}.{_ownership(result.owner, result.taken_from)}"


class OutOfRescueMode(MachineState):
    """A machine that was in rescue mode."""

    taken_from: str | None = Field(description=TAKEN_FROM)


class ExitRescueMode(Operation[Which, OutOfRescueMode]):
    """End rescue mode: the machine is powered off, and a Deployed one on again. It takes up to 5 minutes.

    The machine returns to the status that it had before rescue mode. A machine in use that was taken over
    from another user is not given back: it still belongs to the user who took it. Needs an administrator.
    """

    name = "maas_exit_rescue_mode"
    offers = "machine exit-rescue-mode"
    title = "Exit rescue mode"
    destructive = True
    idempotent = True
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

    def is_reached(self, args: Which, machine: Machine) -> bool:  # noqa: ARG002 - Operation's signature
        """Whether it is not in rescue mode, nor on its way into or out of it."""
        return machine.status in self.lifecycle.success

    async def start(self, ctx: OperationContext, args: Which) -> None:
        """Post ``op=exit_rescue_mode``."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "exit_rescue_mode")

    async def result(self, ctx: OperationContext) -> OutOfRescueMode:
        """Where the machine is back, and whose it is."""
        state = MachineState.of(ctx.machine)
        before = await _owner_before_rescue(ctx.maas, ctx.system_id)
        return OutOfRescueMode(**state.model_dump(), taken_from=before if before != state.owner else None)

    def summary(self, result: OutOfRescueMode) -> str:
        """Where the machine is back, in one line, and from whom it was taken."""
        back = f"{result.hostname} is {result.status_name}, power {result.power_state}."
        return f"{back}{_ownership(result.owner, result.taken_from)}"


async def _owner_before_rescue(maas: MaasClient, system_id: SystemId) -> str | None:
    """Whose the machine was when its latest rescue mode was requested; ``None`` if nobody's, or if no event says."""
    events = await maas.events(ids=[system_id])
    started = max((event.id for event in events if event.type == STARTED), default=0)
    for event in reversed([event for event in events if event.id < started]):
        if event.type in TAKES:
            return event.username
        if event.type == "Released":
            return None
    return None


def _ownership(owner: str | None, taken_from: str | None) -> str:
    """Whose it is, if that has changed."""
    if taken_from is None:
        return ""
    return f" It belonged to {taken_from} before rescue mode, and belongs to {owner or 'nobody'} now."
