"""Switch a machine on and off, and ask its BMC."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from maas_deploy.abort import ABORTABLE
from maas_deploy.machines import WHICH, MachineState, Which
from maas_mcp.api import (
    Machine,
    MachineStatus,
    OperationRefusedError,
    SystemId,
    Tool,
    ToolContext,
    change_machine,
    require_status,
)

POWER_LIMIT: Final = 120.0
"""Seconds until a machine has to show its new power state. A soft power-off waits for the operating system."""


class PowerOffMachine(Which):
    """What MAAS's ``power_off`` takes."""

    stop_mode: Literal["hard", "soft"] = Field(
        default="hard", description="`soft` asks the operating system to shut down; only some power types know it."
    )


class PowerOn(Tool[Which, MachineState]):
    """Switch a machine on, and wait up to 2 minutes until MAAS shows it. MAAS does it only for machines with an owner.

    Refused for Allocated machines and ephemeral deployments: there MAAS would deploy the machine.
    """

    name = "maas_power_on"
    title = "Switch a machine on"
    idempotent = True

    async def run(self, ctx: ToolContext, args: Which) -> MachineState:
        """Post ``op=power_on``."""
        machine = await require_status(ctx, args.system_id, to="be switched on")
        _check_only_switches_on(machine)
        return MachineState.of(await _switch(ctx, machine, "on", comment=args.comment))


class PowerOff(Tool[PowerOffMachine, MachineState]):
    """Switch a machine off, and wait up to 2 minutes until MAAS shows it. What runs on it is interrupted.

    Refused while it is commissioned, tested, deployed or erased: abort that instead.
    """

    name = "maas_power_off"
    title = "Switch a machine off"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: PowerOffMachine) -> MachineState:
        """Post ``op=power_off``."""
        machine = await _look_before_cutting(ctx, args.system_id)
        return MachineState.of(await _switch(ctx, machine, "off", comment=args.comment, stop_mode=args.stop_mode))


class PowerCycle(Tool[PowerOffMachine, MachineState]):
    """Switch a machine off, wait until it is off, and switch it on again: up to 4 minutes. What runs is interrupted.

    Refused wherever maas_power_off or maas_power_on is. If it is cancelled in between, the machine stays off.
    """

    name = "maas_power_cycle"
    title = "Switch a machine off and on"
    destructive = True

    async def run(self, ctx: ToolContext, args: PowerOffMachine) -> MachineState:
        """Post ``op=power_off`` and ``op=power_on``: MAAS has no operation for both."""
        machine = await _look_before_cutting(ctx, args.system_id)
        _check_only_switches_on(machine)
        machine = await _switch(ctx, machine, "off", comment=args.comment, stop_mode=args.stop_mode)
        _check_only_switches_on(machine)
        return MachineState.of(await _switch(ctx, machine, "on", comment=args.comment))


class QueryMachine(BaseModel):
    """Which machine."""

    system_id: SystemId = Field(description=WHICH)


class PowerState(BaseModel):
    """What a BMC answered."""

    system_id: SystemId
    power_state: str = Field(description="`on`, `off`, `unknown` (MAAS cannot ask it) or `error`.")


class QueryPowerState(Tool[QueryMachine, PowerState]):
    """Ask a machine's BMC whether it is on, which takes up to a minute; what maas_get_machine shows may be old."""

    name = "maas_query_power_state"
    title = "Ask a machine's BMC for its power state"
    read_only = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: QueryMachine) -> PowerState:
        """One ``GET machines/{system_id}/?op=query_power_state``."""
        answer = await ctx.maas.get_op(f"machines/{args.system_id}/", "query_power_state")
        return PowerState(system_id=args.system_id, power_state=str(answer.get("state", "unknown")))


async def _look_before_cutting(ctx: ToolContext, system_id: SystemId) -> Machine:
    machine = await require_status(ctx, system_id, to="be switched off")
    if machine.status in ABORTABLE:
        raise OperationRefusedError(
            f"{machine.hostname} ({machine.system_id}) is {machine.status_name}: without power it would hang there "
            "until MAAS gives up. Nothing was sent to MAAS.",
            hint="Abort it with maas_abort_machine, which switches it off, or wait until it has ended.",
        )
    return machine


def _check_only_switches_on(machine: Machine) -> None:
    """Refuse where MAAS 3.3 to 3.8 would do more than to switch on, or could not even do that."""
    who = f"{machine.hostname} ({machine.system_id})"
    if machine.status is MachineStatus.ALLOCATED:
        raise OperationRefusedError(
            f"{who} is Allocated: switching it on would deploy the region's default image. Nothing was sent to MAAS.",
            hint="If that is what is wanted, use maas_deploy_machine.",
        )
    if machine.status is MachineStatus.DEPLOYED and "ephemeral_deploy" in machine.unreadable:
        raise OperationRefusedError(
            f"{who} is Deployed, and MAAS's `ephemeral_deploy` cannot be read: if it is deployed in memory, switching "
            "it on would deploy it anew. Nothing was sent to MAAS.",
            hint="Check in MAAS's own pages how it is deployed, and switch it on there.",
        )
    if machine.status is MachineStatus.DEPLOYED and machine.ephemeral_deploy:
        raise OperationRefusedError(
            f"{who} is deployed in memory: switching it on would deploy it anew. Nothing was sent to MAAS.",
            hint="Release it with maas_release_machine and deploy it again.",
        )
    if machine.owner is None:
        raise OperationRefusedError(
            f"{who} is {machine.status_name} and nobody's: MAAS switches on only machines that are allocated to "
            "somebody. Nothing was sent to MAAS.",
            hint="Deploy it with maas_deploy_machine, or boot it with maas_enter_rescue_mode.",
        )
    if machine.power_type == "manual":
        raise OperationRefusedError(
            f"MAAS cannot switch {who} on: its power type is manual. Nothing was sent to MAAS.",
            hint="Switch it on at the machine itself.",
        )


async def _switch(ctx: ToolContext, machine: Machine, state: Literal["on", "off"], **form: str | None) -> Machine:
    return await change_machine(
        ctx, machine, f"power_{state}", lambda now: now.power_state == state, within=POWER_LIMIT, **form
    )
