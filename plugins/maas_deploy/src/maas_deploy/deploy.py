"""Deploy a machine: MAAS boots it, installs an operating system, and boots that."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel, Field, SecretStr

from maas_deploy.machines import WHICH, WHY
from maas_deploy.user_data import warning
from maas_mcp.api import EventPolling, Lifecycle, Operation, OperationContext, Phase, SystemId, check_parameters
from maas_mcp.api import MachineStatus as S

_VERSION: Final = re.compile(r"\d\d\.\d\d")
_SERIES: Final = {"16.04": "xenial", "18.04": "bionic", "20.04": "focal", "22.04": "jammy", "24.04": "noble"}
"""Ubuntu's long-term releases that MAAS 3.3 to 3.8 deploys, by the version that MAAS takes for the series."""


class DeployMachine(BaseModel):
    """What MAAS's ``deploy`` takes in any of the versions 3.3 to 3.8."""

    system_id: SystemId = Field(description=WHICH)
    distro_series: str | None = Field(
        default=None,
        description="Image: `jammy`, `ubuntu/noble` or `custom/NAME`. The region's default if left out.",
    )
    hwe_kernel: str | None = Field(default=None, description="Kernel, such as `ga-22.04` or `hwe-22.04`.")
    user_data: SecretStr | None = Field(default=None, description="cloud-init user data, plain or base64.")
    ephemeral_deploy: bool = Field(default=False, description="Run from memory; the disks are left alone.")
    agent_name: str | None = Field(default=None, description="A label that machines can be listed by.")
    comment: str | None = Field(default=None, description=WHY)
    license_key: SecretStr | None = Field(default=None, description="For images that need one, such as Windows.")
    bridge_all: bool = Field(default=False, description="A bridge on every interface.")
    bridge_type: Literal["standard", "ovs"] | None = None
    bridge_stp: bool = Field(default=False, description="Spanning tree on the bridges.")
    bridge_fd: int | None = Field(default=None, ge=0, description="Forward delay of the bridges, in seconds.")
    install_kvm: bool = Field(default=False, description="Make it a KVM host. Administrators; before MAAS 3.8.")
    register_vmhost: bool = Field(default=False, description="Make it an LXD host. Administrators; before MAAS 3.8.")
    install_rackd: bool = Field(default=False, description="Make it a rack controller. Before MAAS 3.6.")
    enable_hw_sync: bool = Field(default=False, description="Keep its hardware data up to date. Linux only.")
    vcenter_registration: bool | None = Field(default=None, description="Register in vCenter. ESXi; administrators.")
    enable_kernel_crash_dump: bool | None = Field(default=None, description="kdump. MAAS 3.6 and newer.")


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
    compared = frozenset({"distro_series", "ephemeral_deploy"})
    # From MAAS 3.6.1 on, MAAS itself gives up after twice `node_timeout` (60 minutes); before, each stage has its own.
    deadline = timedelta(minutes=90)

    def warnings(self, args: DeployMachine) -> Sequence[str]:
        """User data that cloud-init would ignore: the machine would be deployed all the same."""
        return list(filter(None, [warning(args.user_data)]))

    async def differs(self, ctx: OperationContext, args: DeployMachine) -> str | None:
        """Another image, or disks instead of memory: MAAS shows both while it deploys."""
        machine = ctx.machine
        getting = f"{machine.osystem}/{machine.distro_series}"
        if args.distro_series and machine.distro_series and not _names(args.distro_series, getting):
            return f"it is being deployed with {getting}, not with {args.distro_series}"
        if "ephemeral_deploy" not in machine.unreadable and args.ephemeral_deploy is not machine.ephemeral_deploy:
            places = "to memory, not to its disks" if machine.ephemeral_deploy else "to its disks, not to memory"
            return f"it is being deployed {places}"
        return None

    async def start(self, ctx: OperationContext, args: DeployMachine) -> None:
        """Post ``op=deploy``, if the region's version takes all that was asked for."""
        form = args.model_dump(exclude={"system_id", "user_data", "license_key"}, exclude_defaults=True)
        await check_parameters(ctx.maas, "deploy", form)
        secrets = {"user_data": args.user_data, "license_key": args.license_key}
        form |= {name: secret.get_secret_value() for name, secret in secrets.items() if secret}
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy", **form)

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``: the machine is switched off and Allocated again."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> DeployedMachine:
        """Where the machine can be reached."""
        return DeployedMachine.model_validate(ctx.machine, from_attributes=True)

    def summary(self, result: DeployedMachine) -> str:
        """Where the machine can be reached, in one line; what has become of it where it was asked for late."""
        if result.status_name != S.DEPLOYED.display:
            return f"{result.hostname} was deployed, and is {result.status_name} now."
        where = ", ".join(result.ip_addresses) or "no address"
        return f"{result.hostname} is deployed with {result.osystem}/{result.distro_series} at {where}."


def _names(image: str, shown: str) -> bool:
    """Whether a caller's name of an image may mean the one that MAAS shows as ``ubuntu/noble``."""
    version = image.removeprefix("ubuntu/")
    if _VERSION.fullmatch(version):
        series = _SERIES.get(version)
        return shown == f"ubuntu/{series}" if series else shown.startswith("ubuntu/")
    return image in (shown, shown.partition("/")[2])
