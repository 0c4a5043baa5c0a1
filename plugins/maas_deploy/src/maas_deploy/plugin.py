"""Deploy a machine and give it back: what MAAS calls deploy and release."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, Field, SecretStr

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


class DeployMachine(BaseModel):
    """What MAAS's ``deploy`` takes, as far as it is the same in MAAS 3.3 to 3.8."""

    system_id: SystemId = Field(description="Machine to deploy, as maas_list_machines names it.")
    distro_series: str | None = Field(
        default=None,
        description="Image to install: `jammy`, `ubuntu/noble` or `custom/NAME`. The region's default if left out.",
    )
    hwe_kernel: str | None = Field(default=None, description="Kernel to install, such as `ga-22.04` or `hwe-22.04`.")
    user_data: SecretStr | None = Field(
        default=None, description="cloud-init user data for the first boot, as plain text or base64."
    )
    ephemeral_deploy: bool = Field(default=False, description="Run from memory and leave the disks as they are.")
    comment: str | None = Field(default=None, description="Why, for MAAS's event log.")


class DeployedMachine(BaseModel):
    """A machine that runs its new operating system."""

    system_id: SystemId
    hostname: str
    status_name: str = Field(
        description="`Deployed`: cloud-init has fetched its user data; SSH may need a moment more."
    )
    osystem: str
    distro_series: str
    ip_addresses: list[str]
    power_state: str


class Deploy(Operation[DeployMachine, DeployedMachine]):
    """Install an operating system on a machine and wait until it is deployed, which takes some 5 to 30 minutes.

    Overwrites the machine's disks, unless it is deployed ephemerally. Starts from Ready (it is allocated to you
    first) or Allocated. Progress follows MAAS's own milestones. A cancelled call leaves MAAS deploying.
    """

    name = "maas_deploy_machine"
    title = "Deploy a machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={S.READY, S.ALLOCATED},
        pending={S.DEPLOYING},
        success={S.DEPLOYED},
        failure={S.FAILED_DEPLOYMENT},
    )
    polling = EventPolling(
        [
            Phase("Deploying", 0.02),
            Phase("Performing PXE boot", 0.1),
            Phase("Loading ephemeral", 0.2),
            Phase("Configuring storage", 0.35),
            Phase("Installing OS", 0.4),
            Phase("Configuring OS", 0.7),
            Phase("Rebooting", 0.8),
            Phase("PXE Request", 0.9, description="local boot", message="Booting the installed system"),
            Phase("Image Deployed", 0.97),
        ]
    )
    # From MAAS 3.6.1 on, MAAS itself gives up after twice `node_timeout` (60 minutes); before, each stage has its own.
    deadline = timedelta(minutes=90)

    async def start(self, ctx: OperationContext, args: DeployMachine) -> None:
        """Post ``op=deploy``."""
        user_data = args.user_data.get_secret_value() if args.user_data else None
        form = args.model_dump(exclude={"system_id", "user_data"}, exclude_defaults=True)
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy", user_data=user_data, **form)

    async def result(self, ctx: OperationContext, args: DeployMachine) -> DeployedMachine:
        """Where the machine can be reached."""
        return DeployedMachine.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)

    def summary(self, result: DeployedMachine) -> str:
        """Where the machine can be reached, in one line."""
        where = ", ".join(result.ip_addresses) or "no address"
        return f"{result.hostname} is deployed with {result.osystem}/{result.distro_series} at {where}."


class ReleaseMachine(BaseModel):
    """What MAAS's ``release`` takes to give a machine back with its disks as they are."""

    system_id: SystemId = Field(description="Machine to release.")
    comment: str | None = Field(default=None, description="Why, for MAAS's event log.")


class ReleasedMachine(BaseModel):
    """A machine that is free again."""

    system_id: SystemId
    hostname: str
    status_name: str = Field(description="`Ready`, or `New` if it was never commissioned.")


class Release(Operation[ReleaseMachine, ReleasedMachine]):
    """Give a machine back: it is powered off, what runs on it ends, and its disks are not erased by this call.

    A region may be set to erase disks on every release; then the erasing is followed to its end.
    """

    name = "maas_release_machine"
    title = "Release a machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={
            *(S.ALLOCATED, S.RESERVED, S.BROKEN, S.DEPLOYING, S.DEPLOYED, S.FAILED_DEPLOYMENT),
            *(S.FAILED_DISK_ERASING, S.FAILED_RELEASING),
        },
        pending={S.RELEASING, S.DISK_ERASING},
        success={S.READY, S.NEW},
        failure={S.FAILED_RELEASING, S.FAILED_DISK_ERASING},
    )
    polling = EventPolling([Phase("Releasing", 0.1), Phase("Disk erasing", 0.2), Phase("Disks erased", 0.8)])
    deadline = timedelta(hours=24)  # MAAS sets no limit to erasing a disk

    async def start(self, ctx: OperationContext, args: ReleaseMachine) -> None:
        """Post ``op=release`` without any of the erase parameters: to MAAS every value of them is true."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "release", comment=args.comment)

    async def result(self, ctx: OperationContext, args: ReleaseMachine) -> ReleasedMachine:
        """The free machine."""
        return ReleasedMachine.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)


@hookimpl
def maas_mcp_operations() -> Sequence[type[Operation[Any, Any]]]:
    """The plugin's operations."""
    return [Deploy, Release]
