"""Release a machine: MAAS takes it back, and erases its disks first if it is asked to."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, Field

from maas_deploy.machines import Which
from maas_mcp.api import (
    EventPolling,
    GoneContext,
    Lifecycle,
    MaasConflictError,
    Machine,
    Operation,
    OperationContext,
    Phase,
    SystemId,
    Verdict,
    check_parameters,
)
from maas_mcp.api import MachineStatus as S

DELETED: Final = "Deleted"
"""No status of MAAS's: the machine is no longer there."""


class ReleaseMachine(Which):
    """What MAAS's ``release`` takes in any of the versions 3.3 to 3.8."""

    erase: bool = Field(default=False, description="Overwrite all disks first: hours for a large one.")
    quick_erase: bool = Field(default=False, description="Only wipe both ends of each disk; implies erase.")
    secure_erase: bool = Field(default=False, description="Use the drives' own secure erase; implies erase.")
    force: bool = Field(default=False, description="Also if it is a VM host: its virtual machines are destroyed.")
    scripts: list[str] | None = Field(default=None, description="Release scripts to run first. MAAS 3.5 and newer.")


class ReleasedMachine(BaseModel):
    """A machine that is free again."""

    system_id: SystemId
    hostname: str | None = Field(description="Not known of a machine that was deleted.")
    status_name: str = Field(
        description="`Ready`, `New` if it was never commissioned, or `Deleted` if it is no longer in MAAS: a virtual "
        "machine that MAAS had composed for its user is deleted when it is released."
    )


class Release(Operation[ReleaseMachine, ReleasedMachine]):
    """Give a machine back: it is powered off, and what runs on it ends and is lost. It takes seconds.

    With erase the data on its disks is destroyed, which takes minutes to many hours; otherwise the disks are left as
    they are, unless the region is set to erase on every release. An erase can be aborted, which leaves the disks half
    erased and the machine Failed disk erasing; the release itself cannot.
    A virtual machine that MAAS composed for its user is deleted, which counts as success. If the machine is already
    free, nothing is sent. A free machine cannot be erased.
    """

    name = "maas_release_machine"
    title = "Release a machine"
    destructive = True
    idempotent = True
    lifecycle = Lifecycle(
        start_from={
            *(S.ALLOCATED, S.RESERVED, S.BROKEN, S.DEPLOYING, S.DEPLOYED, S.FAILED_DEPLOYMENT),
            *(S.FAILED_DISK_ERASING, S.FAILED_RELEASING),
        },
        pending={S.RELEASING, S.DISK_ERASING},
        success={S.READY, S.NEW},
        failure={S.FAILED_RELEASING, S.FAILED_DISK_ERASING},
        gone=Verdict.SUCCEEDED,  # MAAS deletes a virtual machine that an allocation had composed
    )
    polling = EventPolling(
        [
            Phase("User erasing disk", 0.02, message="Disk erasing"),
            Phase("Releasing", 0.05),
            Phase("Performing PXE boot", 0.1),
            Phase("Loading ephemeral", 0.2, message="Erasing disks or running release scripts"),
            Phase("Disks erased", 0.9),
            Phase("Release scripts executed successfully.", 0.9, message="Release scripts have run"),
        ]
    )
    compared = frozenset({"erase", "quick_erase", "secure_erase", "scripts"})
    deadline = timedelta(hours=24)  # MAAS sets no limit to erasing a disk

    async def differs(self, ctx: OperationContext, args: ReleaseMachine) -> str | None:
        """A release without erase is no answer to a caller who wants the disks erased, nor is another kind of erase."""
        if ctx.machine.status == S.RELEASING and (args.erase or args.quick_erase or args.secure_erase):
            return "MAAS does not show that it erases its disks"
        if args.quick_erase or args.secure_erase or args.scripts:
            return "MAAS does not show in which way its disks are erased, nor which scripts it runs"
        return None

    def is_reached(self, args: ReleaseMachine, machine: Machine) -> bool:
        """Whether it is free, and nothing is to be done to its disks: MAAS does nothing for a Ready one (MAAS 3.7)."""
        asked = args.erase or args.quick_erase or args.secure_erase or args.scripts
        return machine.status in self.lifecycle.success and machine.owner is None and not asked

    async def start(self, ctx: OperationContext, args: ReleaseMachine) -> None:
        """Post ``op=release``. To MAAS every value of the booleans is true, so one that is not wanted is not sent."""
        form = args.model_dump(exclude={"system_id", "scripts"}, exclude_defaults=True)
        if args.quick_erase or args.secure_erase:
            form["erase"] = True  # implied since MAAS 3.5, necessary before
        if args.scripts:
            form["scripts"] = ",".join(args.scripts)
        await check_parameters(ctx.maas, "release", form)
        await ctx.maas.post_op(f"machines/{args.system_id}/", "release", **form)

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``: the disks are left half erased. MAAS refuses it where nothing is being erased."""
        try:
            await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")
        except MaasConflictError as error:
            error.hint = "Only the erasing of disks can be aborted: a release itself has no way back, and goes on."
            raise

    async def result(self, ctx: OperationContext) -> ReleasedMachine:
        """The free machine."""
        return ReleasedMachine.model_validate(ctx.machine, from_attributes=True)

    def result_if_gone(self, ctx: GoneContext) -> ReleasedMachine:
        """The machine that was."""
        return ReleasedMachine(system_id=ctx.system_id, hostname=None, status_name=DELETED)

    def summary(self, result: ReleasedMachine) -> str:
        """What has become of the machine. MAAS tells neither which machines it composed nor who deleted one."""
        if result.status_name == DELETED:
            return (
                f"{result.system_id} is released and no longer in MAAS. It was on a VM host: MAAS deletes a virtual "
                "machine that it had composed for its user. If someone else deleted it meanwhile, it looks the same."
            )
        who = f"{result.hostname} ({result.system_id})"
        if result.status_name not in {S.READY.display, S.NEW.display}:
            return f"{who} was released, and is {result.status_name} now."
        return f"{who} is {result.status_name}."
