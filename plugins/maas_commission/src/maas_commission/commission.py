"""Commission a machine: MAAS boots it, collects its hardware inventory and tests it."""

from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel, Field

from maas_commission.machines import TAKE_OVER
from maas_commission.scripts import RunScripts
from maas_mcp.api import (
    Effects,
    Lifecycle,
    MachineText,
    Operation,
    OperationContext,
    Phase,
    ScriptPolling,
    ScriptSetName,
    SystemId,
    check_take_over,
)
from maas_mcp.api import MachineStatus as S


class CommissionMachine(RunScripts):
    """The parameters of MAAS's ``commission``."""

    testing_scripts: list[str] | None = Field(
        default=None,
        description='Afterwards, by name or tag; `["none"]` for none. Default: MAAS\'s choice.',
    )
    commissioning_scripts: list[str] | None = Field(
        default=None,
        description="Custom ones, by name or tag. Default: all.",
    )
    skip_bmc_config: bool = False
    skip_networking: bool = False
    skip_storage: bool = False
    take_over: bool = Field(default=False, description=TAKE_OVER)


class CommissionedMachine(BaseModel, defer_build=True):
    """A commissioned machine."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    commissioning_status_name: str
    testing_status_name: str
    architecture: MachineText
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")


class Commission(Operation[CommissionMachine, CommissionedMachine]):
    """Commission (inventory, inspect) a machine: boot it, collect its hardware data, test it, and wait until Ready.

    Takes 5 to 15 minutes. Replaces the network and storage configuration, unless skipped. Only destructive tests write
    to the disks. It must be New, Ready, Failed commissioning or Broken. Administrators only. An abort makes it
    New. Afterwards it has no owner. Another user's machine requires `take_over`.
    """

    name = "maas_commission_machine"
    admin_only = True
    toolset = "lifecycle"
    list_position = 50
    title = "Commission a machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={S.NEW, S.READY, S.FAILED_COMMISSIONING, S.BROKEN},
        pending={S.COMMISSIONING, S.TESTING},
        begins_in={S.COMMISSIONING},
        success={S.READY},
        failure={S.FAILED_COMMISSIONING, S.FAILED_TESTING},
    )
    polling = ScriptPolling(
        [
            Phase("Commissioning", 0.02),
            Phase("Performing PXE boot", 0.1),
            Phase("Loading ephemeral", 0.2),
            Phase("Gathering information", 0.25),
        ],
        {ScriptSetName.COMMISSIONING, ScriptSetName.TESTING},
    )
    typical = timedelta(minutes=5)
    # MAAS gives up when a script is silent for `node_timeout` (30 minutes) or exceeds its own limit.
    deadline = timedelta(hours=24)

    def summary(self, result: CommissionedMachine) -> str:
        """The machine's status and size."""
        return (
            f"{result.hostname} is {result.status_name}: commissioning {result.commissioning_status_name}, testing "
            f"{result.testing_status_name}. {result.cpu_count} CPUs, {result.memory} MB of memory, "
            f"{result.storage / 1000:.0f} GB of storage, {result.architecture}."
        )

    def effects(self, args: CommissionMachine) -> Effects:
        """A test may overwrite the disks."""
        return replace(super().effects(args), erases=args.may_erase)

    async def start(self, ctx: OperationContext, args: CommissionMachine) -> None:
        """Post ``op=commission``. The caller owns the machine until it ends; then it has no owner (MAAS 3.7)."""
        await check_take_over(
            ctx.maas,
            ctx.machine,
            confirmed=args.take_over,
            effect="Commissioning makes you its owner until it ends; then the machine has no owner",
        )
        await ctx.maas.post_op(f"machines/{args.system_id}/", "commission", **args.form())

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``. MAAS powers the machine off and makes it New."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> CommissionedMachine:
        """The machine with its hardware data."""
        return CommissionedMachine.model_validate(ctx.machine, from_attributes=True)
