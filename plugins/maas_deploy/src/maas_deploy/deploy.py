"""Deploy a machine: MAAS boots it, installs an operating system and reboots into it."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel, Field, SecretStr

from maas_deploy.user_data import warning
from maas_mcp.api import (
    EventPolling,
    Lifecycle,
    MachineText,
    Operation,
    OperationContext,
    Phase,
    SystemId,
    check_parameters,
)
from maas_mcp.api import MachineStatus as S

_VERSION: Final = re.compile(r"\d\d\.\d\d")
_SERIES: Final = {"16.04": "xenial", "18.04": "bionic", "20.04": "focal", "22.04": "jammy", "24.04": "noble"}
"""Ubuntu LTS releases that MAAS 3.3 to 3.8 deploys: version to series. MAAS accepts both."""


class DeployMachine(BaseModel, defer_build=True):
    """The parameters of ``deploy`` in MAAS 3.3 to 3.8."""

    system_id: SystemId
    distro_series: str | None = Field(
        default=None,
        description="Image: `jammy`, `ubuntu/noble`, `custom/NAME`. Default: the region's.",
    )
    hwe_kernel: str | None = Field(default=None, description="`ga-22.04`, `hwe-22.04`.")
    user_data: SecretStr | None = Field(default=None, description="For cloud-init, plain or base64.")
    ephemeral_deploy: bool = Field(default=False, description="Run from memory, not from disk.")
    agent_name: str | None = Field(default=None, description="Label to be listed by.")
    comment: str | None = None
    license_key: SecretStr | None = None
    bridge_all: bool = False
    bridge_type: Literal["standard", "ovs"] | None = None
    bridge_stp: bool = False
    bridge_fd: int | None = Field(default=None, ge=0, description="In seconds.")
    install_kvm: bool = False
    register_vmhost: bool = Field(default=False, description="Make it an LXD host.")
    install_rackd: bool = False
    enable_hw_sync: bool = Field(default=False, description="Keep hardware data up to date.")
    vcenter_registration: bool | None = None
    enable_kernel_crash_dump: bool | None = None


class DeployedMachine(BaseModel, defer_build=True):
    """A deployed machine."""

    system_id: SystemId
    hostname: MachineText
    status_name: str = Field(description="`Deployed`: cloud-init has its user data; SSH may need a moment longer.")
    osystem: MachineText
    distro_series: MachineText
    ip_addresses: list[str]
    power_state: str


class Deploy(Operation[DeployMachine, DeployedMachine]):
    """Deploy (install, provision) Ubuntu or another operating system on a server, and wait until it is Deployed.

    Takes 5 to 30 minutes. Overwrites the disks, unless `ephemeral_deploy` is true. The machine must be Ready (it is
    then allocated to you first) or Allocated.
    """

    name = "maas_deploy_machine"
    toolset = "lifecycle"
    limit = "deploy"
    list_position = 20
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
    # MAAS 3.6.1 and newer gives up after twice `node_timeout` (60 minutes). Older versions limit each stage.
    typical = timedelta(minutes=10)
    deadline = timedelta(minutes=90)

    def warnings(self, args: DeployMachine) -> Sequence[str]:
        """Warn of user data that cloud-init would ignore. MAAS would deploy the machine anyway."""
        return list(filter(None, [warning(args.user_data)]))

    async def differs(self, ctx: OperationContext, args: DeployMachine) -> str | None:
        """Compare the image, and disk or memory. MAAS shows both during a deployment."""
        machine = ctx.machine
        getting = f"{machine.osystem}/{machine.distro_series}"
        if args.distro_series and machine.distro_series and not _may_mean(args.distro_series, getting):
            return f"it is being deployed with {getting}, not with {args.distro_series}"
        if "ephemeral_deploy" not in machine.unreadable and args.ephemeral_deploy is not machine.ephemeral_deploy:
            places = "to memory, not to its disks" if machine.ephemeral_deploy else "to its disks, not to memory"
            return f"it is being deployed {places}"
        return None

    async def start(self, ctx: OperationContext, args: DeployMachine) -> None:
        """Post ``op=deploy`` if the region's MAAS version supports all given parameters."""
        form = args.model_dump(exclude={"system_id", "user_data", "license_key"}, exclude_defaults=True)
        await check_parameters(ctx.maas, "deploy", form)
        secrets = {"user_data": args.user_data, "license_key": args.license_key}
        form |= {name: secret.get_secret_value() for name, secret in secrets.items() if secret}
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy", **form)

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``. MAAS powers the machine off and returns it to Allocated."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> DeployedMachine:
        """The machine with its image and addresses."""
        return DeployedMachine.model_validate(ctx.machine, from_attributes=True)

    def summary(self, result: DeployedMachine) -> str:
        """The image and addresses in one line, or the current status if the machine is no longer deployed."""
        if result.status_name != S.DEPLOYED.display:
            return f"{result.hostname} was deployed and is now {result.status_name}."
        where = ", ".join(result.ip_addresses) or "no address"
        return f"{result.hostname} is deployed with {result.osystem}/{result.distro_series} at {where}."


def _may_mean(image: str, shown: str) -> bool:
    """Whether the caller's image name may mean the image that MAAS shows, such as ``ubuntu/noble``."""
    version = image.removeprefix("ubuntu/")
    if _VERSION.fullmatch(version):
        series = _SERIES.get(version)
        return shown == f"ubuntu/{series}" if series else shown.startswith("ubuntu/")
    return image in (shown, shown.partition("/")[2])
