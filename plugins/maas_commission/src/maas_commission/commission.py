"""Commission a machine: MAAS boots it, takes its inventory and tests it."""

from datetime import timedelta

from pydantic import BaseModel, Field

from maas_commission.machines import TAKE_OVER
from maas_commission.scripts import RunScripts
from maas_mcp.api import (
    Lifecycle,
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
    """What MAAS's ``commission`` takes."""

    testing_scripts: list[str] | None = Field(
        default=None,
        description='Tests to run afterwards, by name or tag; `["none"]` for no tests. MAAS\'s default if left out.',
    )
    commissioning_scripts: list[str] | None = Field(
        default=None,
        description="Custom scripts to run, by name or tag; all of them if left out. Built-in ones always run.",
    )
    skip_bmc_config: bool = Field(default=False, description="Leave the BMC's settings as they are.")
    skip_networking: bool = Field(default=False, description="Keep the machine's network configuration.")
    skip_storage: bool = Field(default=False, description="Keep the machine's storage configuration.")
    take_over: bool = Field(default=False, description=TAKE_OVER)


class CommissionedMachine(BaseModel):
    """A machine that was inventoried and tested."""

    system_id: SystemId
    hostname: str
    status_name: str
    commissioning_status_name: str
    testing_status_name: str
    architecture: str
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")


class Commission(Operation[CommissionMachine, CommissionedMachine]):
    """Boot a machine, take its inventory, test it, and wait until it is Ready, which takes some 5 to 15 minutes.

    Replaces the machine's network and storage configuration, unless they are skipped; its disks are not written to,
    except by destructive tests. Starts from New, Ready, Failed commissioning or Broken, and needs an administrator.
    Aborting it makes the machine New, even if it was Ready. MAAS makes you the owner until commissioning
    ends; then the machine has no owner. Another user's machine is refused unless `take_over` is true.
    """

    name = "maas_commission_machine"
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
    # MAAS itself gives up when a script is silent for `node_timeout` (30 minutes) or overruns its own limit.
    deadline = timedelta(hours=24)

    def summary(self, result: CommissionedMachine) -> str:
        """What it has come to, and the machine's size."""
        return (
            f"{result.hostname} is {result.status_name}: commissioning {result.commissioning_status_name}, testing "
            f"{result.testing_status_name}. {result.cpu_count} CPUs, {result.memory} MB of memory, "
            f"{result.storage / 1000:.0f} GB of storage, {result.architecture}."
        )

    async def start(self, ctx: OperationContext, args: CommissionMachine) -> None:
        """Post ``op=commission``. The machine is the caller's until it ends, and then nobody's (MAAS 3.7)."""
        await check_take_over(
            ctx.maas,
            ctx.machine,
            confirmed=args.take_over,
            effect="Commissioning makes you its owner until it ends; then the machine has no owner",
        )
        await ctx.maas.post_op(f"machines/{args.system_id}/", "commission", **args.form())

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``: the machine is switched off and New."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> CommissionedMachine:
        """What commissioning found."""
        return CommissionedMachine.model_validate(ctx.machine, from_attributes=True)
