"""Enter and exit rescue mode."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, Field

from maas_commission.machines import TAKE_OVER, MachineArguments, MachineState
from maas_mcp.api import (
    EventPolling,
    Lifecycle,
    MaasClient,
    Machine,
    MachineText,
    Operation,
    OperationContext,
    Phase,
    SystemId,
    check_take_over,
)
from maas_mcp.api import MachineStatus as S

STATUSES_BEFORE = frozenset(
    {
        *(S.NEW, S.FAILED_COMMISSIONING, S.READY, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.FAILED_DEPLOYMENT),
        *(S.MISSING, S.RETIRED, S.BROKEN, S.FAILED_DISK_ERASING, S.FAILED_TESTING),
    }
)
"""Statuses that allow entering rescue mode. Exiting restores the earlier status, so it ends in one of them."""

RESCUE_STARTED: Final = "User starting rescue mode"
OWNER_EVENTS: Final = frozenset({RESCUE_STARTED, "User acquiring node"})
"""Events that make their user the machine's owner (MAAS 3.7)."""
TAKEN_FROM: Final = "Owner before rescue mode, if MAAS's events show another user."


class EnterRescue(MachineArguments):
    """A machine, and whether it may be taken from another user."""

    take_over: bool = Field(default=False, description=TAKE_OVER)


class InRescueMode(BaseModel, defer_build=True):
    """A machine in rescue mode."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    ip_addresses: list[str]
    owner: str | None
    taken_from: str | None = Field(description=TAKEN_FROM)


class EnterRescueMode(Operation[EnterRescue, InRescueMode]):
    """Enter rescue mode: boot a machine into an ephemeral Ubuntu with SSH, to repair it. Takes 5 minutes.

    Interrupts everything that runs on it; the disks stay unchanged. Cannot be aborted. Administrators only. MAAS makes
    you the owner. Another user's machine requires `take_over`.
    """

    name = "maas_enter_rescue_mode"
    admin_only = True
    toolset = "lifecycle"
    offers = "machine rescue-mode"
    title = "Enter rescue mode"
    destructive = True
    idempotent = True
    lifecycle = Lifecycle(
        start_from=STATUSES_BEFORE | {S.FAILED_ENTERING_RESCUE_MODE},
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
    typical = timedelta(minutes=5)

    def is_reached(self, args: EnterRescue, machine: Machine) -> bool:  # noqa: ARG002 - Operation's signature
        """Whether the machine is in rescue mode."""
        return machine.status in self.lifecycle.success

    async def start(self, ctx: OperationContext, args: EnterRescue) -> None:
        """Post ``op=rescue_mode``. The requesting user becomes the machine's owner (MAAS 3.7.3, recorded)."""
        await check_take_over(
            ctx.maas,
            ctx.machine,
            confirmed=args.take_over,
            effect="Rescue mode interrupts what runs on it and makes you its owner, also after rescue mode",
        )
        await ctx.maas.post_op(f"machines/{args.system_id}/", "rescue_mode")

    async def result(self, ctx: OperationContext) -> InRescueMode:
        """The machine with its addresses and owner."""
        before = await _owner_before_rescue(ctx.maas, ctx.system_id)
        return InRescueMode(
            **ctx.machine.model_dump(include=set(InRescueMode.model_fields)),
            taken_from=before if before != ctx.machine.owner else None,
        )

    def summary(self, result: InRescueMode) -> str:
        """The machine's addresses in one line, and a change of its owner."""
        where = ", ".join(result.ip_addresses) or "no address"
        return f"{result.hostname} is in {result.status_name} at {where}.{_ownership(result.owner, result.taken_from)}"


class OutOfRescueMode(MachineState):
    """A machine that was in rescue mode."""

    taken_from: str | None = Field(description=TAKEN_FROM)


class ExitRescueMode(Operation[MachineArguments, OutOfRescueMode]):
    """Exit (leave, end) rescue mode: power the machine off, and a Deployed one on again. Takes up to 5 minutes.

    The machine returns to its earlier status; one in use keeps its new owner. Administrators only.
    """

    name = "maas_exit_rescue_mode"
    admin_only = True
    toolset = "lifecycle"
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
        success=STATUSES_BEFORE,
        failure={S.FAILED_EXITING_RESCUE_MODE},
    )
    polling = EventPolling([Phase("User stopping rescue mode", 0.1), Phase("Exited rescue mode", 0.9)])
    typical = timedelta(minutes=2)
    deadline = timedelta(minutes=30)  # MAAS gives up after 5 minutes without the expected power state

    def is_reached(self, args: MachineArguments, machine: Machine) -> bool:  # noqa: ARG002 - Operation's signature
        """Whether the machine is outside rescue mode, and neither entering nor exiting it."""
        return machine.status in self.lifecycle.success

    async def start(self, ctx: OperationContext, args: MachineArguments) -> None:
        """Post ``op=exit_rescue_mode``."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "exit_rescue_mode")

    async def result(self, ctx: OperationContext) -> OutOfRescueMode:
        """The machine with its status and owner."""
        state = MachineState.of(ctx.machine)
        before = await _owner_before_rescue(ctx.maas, ctx.system_id)
        return OutOfRescueMode(**state.model_dump(), taken_from=before if before != state.owner else None)

    def summary(self, result: OutOfRescueMode) -> str:
        """The machine's status in one line, and a change of its owner."""
        back = f"{result.hostname} is {result.status_name}, power {result.power_state}."
        return f"{back}{_ownership(result.owner, result.taken_from)}"


async def _owner_before_rescue(maas: MaasClient, system_id: SystemId) -> str | None:
    """The owner when the latest rescue mode was requested; ``None`` without an owner or without an event."""
    events = await maas.events(ids=[system_id])
    started = max((event.id for event in events if event.type == RESCUE_STARTED), default=0)
    for event in reversed([event for event in events if event.id < started]):
        if event.type in OWNER_EVENTS:
            return event.username
        if event.type == "Released":
            return None
    return None


def _ownership(owner: str | None, taken_from: str | None) -> str:
    """A sentence about the owner, if it has changed."""
    if taken_from is None:
        return ""
    return f" It belonged to {taken_from} before rescue mode and now belongs to {owner or 'nobody'}."
