"""Commission a machine: MAAS boots it, takes its inventory and tests it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, Field

from maas_mcp.api import (
    EventPolling,
    Lifecycle,
    Operation,
    OperationContext,
    Phase,
    SystemId,
    hookimpl,
)
from maas_mcp.api import (
    MachineStatus as S,
)


class CommissionMachine(BaseModel):
    """What MAAS's ``commission`` takes, as far as it is the same in MAAS 3.3 to 3.8."""

    system_id: SystemId = Field(description="Machine to commission, as maas_list_machines names it.")
    enable_ssh: bool = Field(default=False, description="Keep SSH open and the machine on afterwards.")
    skip_bmc_config: bool = Field(default=False, description="Leave the BMC's settings as they are.")
    skip_networking: bool = Field(default=False, description="Keep the machine's network configuration.")
    skip_storage: bool = Field(default=False, description="Keep the machine's storage configuration.")
    testing_scripts: list[str] | None = Field(
        default=None,
        description='Tests to run afterwards, by name or tag; `["none"]` for no tests. MAAS\'s default if left out.',
    )


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

    Replaces the machine's network and storage configuration, unless they are skipped; its disks are not written to.
    Starts from New, Ready, Failed commissioning or Broken, and needs an administrator's API key.
    """

    name = "maas_commission_machine"
    title = "Commission a machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={S.NEW, S.READY, S.FAILED_COMMISSIONING, S.BROKEN},
        pending={S.COMMISSIONING, S.TESTING},
        success={S.READY},
        failure={S.FAILED_COMMISSIONING, S.FAILED_TESTING},
    )
    polling = EventPolling(
        [
            Phase("Commissioning", 0.02),
            Phase("Performing PXE boot", 0.1),
            Phase("Loading ephemeral", 0.2),
            Phase("Gathering information", 0.3),
            Phase("Running test", 0.7),
        ]
    )
    # MAAS itself gives up when a script is silent for `node_timeout` (30 minutes) or overruns its own limit.
    deadline = timedelta(hours=4)

    async def start(self, ctx: OperationContext, args: CommissionMachine) -> None:
        """Post ``op=commission``; what is not asked for is left out, since MAAS takes any value for true."""
        form = args.model_dump(exclude={"system_id", "testing_scripts"}, exclude_defaults=True)
        tests = ",".join(args.testing_scripts) if args.testing_scripts is not None else None
        await ctx.maas.post_op(f"machines/{args.system_id}/", "commission", testing_scripts=tests, **form)

    async def result(self, ctx: OperationContext, args: CommissionMachine) -> CommissionedMachine:
        """What commissioning found."""
        return CommissionedMachine.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)


@hookimpl
def maas_mcp_operations() -> Sequence[type[Operation[Any, Any]]]:
    """The plugin's operations."""
    return [Commission]
