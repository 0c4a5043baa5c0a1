"""Release a machine: return it to MAAS, and optionally erase its disks first."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, Field

from maas_deploy.machines import MachineArguments
from maas_mcp.api import (
    Effects,
    EventPolling,
    GoneContext,
    Lifecycle,
    MaasConflictError,
    Machine,
    MachineText,
    Operation,
    OperationContext,
    Phase,
    SystemId,
    Verdict,
    check_parameters,
)
from maas_mcp.api import MachineStatus as S

DELETED: Final = "Deleted"
"""Not a MAAS status: the machine is no longer in MAAS."""


class ReleaseMachine(MachineArguments):
    """The parameters of ``release`` in MAAS 3.3 to 3.8."""

    erase: bool = Field(default=False, description="Overwrite all disks: hours for a large one.")
    quick_erase: bool = Field(default=False, description="Only wipe both ends; implies `erase`.")
    secure_erase: bool = Field(default=False, description="Use the drives' own secure erase; implies `erase`.")
    force: bool = Field(default=False, description="Release a VM host too, and destroy its VMs.")
    scripts: list[str] | None = Field(default=None, description="Release scripts to run first.")


class ReleasedMachine(BaseModel, defer_build=True):
    """A released machine."""

    system_id: SystemId
    hostname: MachineText | None = Field(description="Null if the machine was deleted.")
    status_name: str = Field(
        description="`Ready`, `New` if it was never commissioned, or `Deleted`: MAAS deletes a virtual machine that it "
        "composed for its user."
    )


class Release(Operation[ReleaseMachine, ReleasedMachine]):
    """Release (return, give back, free, wipe) a machine or server: power it off and end everything that runs on it.

    Takes seconds. An erase option destroys the data on the disks, in minutes to many hours. Otherwise they stay
    unchanged, unless the region always erases. Aborting an erase leaves half-erased disks; a release cannot be aborted.
    MAAS deletes a virtual machine that it composed. A free machine cannot be erased.
    """

    name = "maas_release_machine"
    toolset = "lifecycle"
    limit = "release"
    list_position = 22
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
        gone=Verdict.SUCCEEDED,  # MAAS deletes a virtual machine that it composed for an allocation
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
    typical = timedelta(minutes=1)
    deadline = timedelta(hours=24)  # MAAS has no limit for a disk erase

    def effects(self, args: ReleaseMachine) -> Effects:
        """An erase option destroys the data on the disks, and so may a script: MAAS's own ``wipe-disks`` does."""
        erases = args.erase or args.quick_erase or args.secure_erase or bool(args.scripts)
        return replace(super().effects(args), erases=erases)

    async def differs(self, ctx: OperationContext, args: ReleaseMachine) -> str | None:
        """Refuse to follow a release that may not erase as requested."""
        if ctx.machine.status == S.RELEASING and (args.erase or args.quick_erase or args.secure_erase):
            return "MAAS does not show that it erases its disks"
        if args.quick_erase or args.secure_erase or args.scripts:
            return "MAAS does not show how it erases its disks or which scripts it runs"
        return None

    def is_reached(self, args: ReleaseMachine, machine: Machine) -> bool:
        """Whether the machine is free and no erase or script is requested (MAAS 3.7 ignores a Ready machine)."""
        asked = args.erase or args.quick_erase or args.secure_erase or args.scripts
        return machine.status in self.lifecycle.success and machine.owner is None and not asked

    async def start(self, ctx: OperationContext, args: ReleaseMachine) -> None:
        """Post ``op=release`` without the false booleans, because MAAS reads every value as true."""
        form = args.model_dump(exclude={"system_id", "scripts"}, exclude_defaults=True)
        if args.quick_erase or args.secure_erase:
            form["erase"] = True  # implied since MAAS 3.5, required before
        if args.scripts:
            form["scripts"] = ",".join(args.scripts)
        await check_parameters(ctx.maas, "release", form)
        await ctx.maas.post_op(f"machines/{args.system_id}/", "release", **form)

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``, which leaves half-erased disks. MAAS refuses it unless an erase is running."""
        try:
            await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")
        except MaasConflictError as error:
            error.hint = "Only a disk erase can be aborted. The release continues: wait for it to end."
            raise

    async def result(self, ctx: OperationContext) -> ReleasedMachine:
        """The released machine."""
        return ReleasedMachine.model_validate(ctx.machine, from_attributes=True)

    def result_if_gone(self, ctx: GoneContext) -> ReleasedMachine:
        """The deleted machine."""
        return ReleasedMachine(system_id=ctx.system_id, hostname=None, status_name=DELETED)

    def summary(self, result: ReleasedMachine) -> str:
        """The machine's status. MAAS does not record which machines it composed or who deleted a machine."""
        if result.status_name == DELETED:
            return (
                f"{result.system_id} is released and no longer in MAAS. It was on a VM host: MAAS deletes a virtual "
                "machine that it composed for its user. Another user may also have deleted it."
            )
        who = f"{result.hostname} ({result.system_id})"
        if result.status_name not in {S.READY.display, S.NEW.display}:
            return f"{who} was released and is now {result.status_name}."
        return f"{who} is {result.status_name}."
