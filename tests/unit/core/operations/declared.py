"""Operations declared for the core's tests, which need no plugin."""

from typing import ClassVar

from pydantic import BaseModel

from maas_mcp.api import (
    EventPolling,
    Lifecycle,
    Operation,
    OperationContext,
    Phase,
    ScriptPolling,
    ScriptSetName,
    SystemId,
)
from maas_mcp.api import MachineStatus as S

BOOT = [Phase("Performing PXE boot", 0.1), Phase("Loading ephemeral", 0.2)]


class Arguments(BaseModel):
    """The form parameters of MAAS that tests use."""

    system_id: SystemId
    distro_series: str | None = None
    ephemeral_deploy: bool = False
    comment: str | None = None
    agent_name: str | None = None


class MachineResult(BaseModel):
    """The fields of a machine that tests check."""

    system_id: SystemId
    hostname: str
    status_name: str
    distro_series: str
    ip_addresses: list[str]
    commissioning_status_name: str
    testing_status_name: str


class _Posted(Operation[Arguments, MachineResult]):
    """Posts one MAAS operation, and returns the machine."""

    op: ClassVar[str]

    async def start(self, ctx: OperationContext, args: Arguments) -> None:
        form = args.model_dump(exclude={"system_id"}, exclude_defaults=True)
        await ctx.maas.post_op(f"machines/{args.system_id}/", self.op, **form)

    async def abort(self, ctx: OperationContext) -> None:
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> MachineResult:
        return MachineResult.model_validate(ctx.machine, from_attributes=True)


class Deploy(_Posted):
    """Deploy a machine, with progress from events."""

    name = "maas_deploy_machine"
    op = "deploy"
    lifecycle = Lifecycle(
        start_from={S.READY, S.ALLOCATED},
        pending={S.DEPLOYING},
        success={S.DEPLOYED},
        failure={S.FAILED_DEPLOYMENT},
    )
    polling = EventPolling(
        [
            Phase("Deploying", 0.02),
            *BOOT,
            Phase("Configuring storage", 0.35),
            Phase("Installing OS", 0.4),
            Phase("Configuring OS", 0.7),
            Phase("Rebooting", 0.8),
            Phase("PXE Request", 0.9, description="local boot", message="Booting the installed system"),
            Phase("Image Deployed", 0.97),
        ]
    )


class Release(_Posted):
    """Release a machine, within a second."""

    name = "maas_release_machine"
    op = "release"
    lifecycle = Lifecycle(
        start_from={S.ALLOCATED, S.BROKEN, S.DEPLOYING, S.DEPLOYED, S.FAILED_DEPLOYMENT},
        pending={S.RELEASING, S.DISK_ERASING},
        success={S.READY, S.NEW},
        failure={S.FAILED_RELEASING, S.FAILED_DISK_ERASING},
    )
    polling = EventPolling([Phase("Releasing", 0.05)])


class Commission(_Posted):
    """Commission a machine, through two pending statuses, possibly back to the initial status."""

    name = "maas_commission_machine"
    op = "commission"
    lifecycle = Lifecycle(
        start_from={S.NEW, S.READY, S.FAILED_COMMISSIONING, S.BROKEN},
        pending={S.COMMISSIONING, S.TESTING},
        begins_in={S.COMMISSIONING},
        success={S.READY},
        failure={S.FAILED_COMMISSIONING, S.FAILED_TESTING},
    )
    polling = ScriptPolling(
        [Phase("Commissioning", 0.02), *BOOT, Phase("Gathering information", 0.25)],
        {ScriptSetName.COMMISSIONING, ScriptSetName.TESTING},
    )


class RunTests(_Posted):
    """Test a machine, which returns to its initial status."""

    name = "maas_test_machine"
    op = "test"
    lifecycle = Lifecycle(
        start_from={S.READY, S.ALLOCATED, S.DEPLOYED},
        pending={S.TESTING},
        success={S.READY, S.ALLOCATED, S.DEPLOYED},
        failure={S.FAILED_TESTING},
    )
    polling = ScriptPolling([Phase("Testing", 0.02), *BOOT], {ScriptSetName.TESTING})
