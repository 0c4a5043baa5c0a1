"""Deploy several machines at once: named machines, or a number of machines that meet constraints."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from maas_deploy.deploy import Deploy, DeployedMachine, DeployMachine
from maas_deploy.user_data import warning
from maas_mcp.api import (
    BatchOperation,
    Effects,
    MachineOutput,
    MachineStatus,
    Member,
    NextStep,
    OperationRefusedError,
    SystemId,
    ToolContext,
)

CONSTRAINTS = {"arch", "cpu_count", "mem", "tags", "not_tags", "zone", "pool"}


class DeployMachines(BaseModel, defer_build=True):
    """The machines, and the image to install on each."""

    system_ids: list[SystemId] | None = Field(default=None, min_length=1, max_length=200)
    count: int | None = Field(
        default=None, ge=1, le=200, description="Ready machines to allocate, as `arch` to `pool` say."
    )
    arch: str | None = Field(default=None, description="`amd64` or `amd64/generic`.")
    cpu_count: int | None = Field(default=None, ge=1, description="Minimum.")
    mem: int | None = Field(default=None, ge=1, description="Minimum, in MB.")
    tags: list[str] | None = Field(default=None, description="All of them.")
    not_tags: list[str] | None = None
    zone: str | None = None
    pool: str | None = None
    distro_series: str | None = Field(default=None, description="Image, such as `ubuntu/noble`.")
    hwe_kernel: str | None = Field(default=None, description="`hwe-22.04`.")
    user_data: SecretStr | None = Field(default=None, description="For cloud-init, plain or base64.")
    ephemeral_deploy: bool = Field(default=False, description="Run from memory, not from disk.")
    comment: str | None = None

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        if (self.system_ids is None) is (self.count is None):
            raise ValueError("pass either system_ids, or count with constraints")
        if self.system_ids is not None and len(set(self.system_ids)) < len(self.system_ids):
            raise ValueError("system_ids has a machine twice; pass each machine once")
        if self.system_ids is not None and self.model_dump(include=CONSTRAINTS, exclude_none=True):
            raise ValueError("constraints apply to count only; leave them out with system_ids")
        return self


class DeployedMember(BaseModel, defer_build=True):
    """The result for one machine."""

    system_id: SystemId | None = Field(description="Null if the machine no longer belongs to the batch.")
    state: str = Field(description="`succeeded` or `failed`.")
    message: str
    hint: str | None
    maas_says: MachineOutput | None = Field(description="MAAS's own error message.")
    machine: DeployedMachine | None


class DeployedMachines(BaseModel, defer_build=True):
    """The results for all machines."""

    succeeded: int
    failed: int
    machines: list[DeployedMember]


class DeployMany(BatchOperation[DeployMachines, DeployedMachines]):
    """Deploy (install, provision) several machines at once, and wait until each one is deployed or has failed.

    Takes 5 to 30 minutes. Overwrites the disks, unless `ephemeral_deploy` is true. Pass `system_ids`, or `count`: then
    all are allocated or none, and calling again deploys additional machines.
    """

    name = "maas_deploy_machines"
    toolset = "lifecycle"
    limit = "deploy"
    list_position = 21
    title = "Deploy several machines"
    destructive = True
    typical = timedelta(minutes=10)
    deadline = timedelta(hours=4)
    each = Deploy

    def size(self, args: DeployMachines) -> int:
        """The number of machines."""
        return args.count if args.system_ids is None else len(args.system_ids)  # type: ignore[return-value] # the validator requires one of both

    def effects(self, args: DeployMachines) -> Effects:
        """With ``count``, MAAS chooses the machines."""
        return Effects(tuple(args.system_ids or ()), destroys=True, allocates=args.count or 0)

    def warnings(self, args: DeployMachines) -> Sequence[str]:
        """Return the same warnings as for one machine."""
        return list(filter(None, [warning(args.user_data)]))

    async def members(self, ctx: ToolContext, args: DeployMachines, agent_name: str) -> Sequence[DeployMachine]:
        """The named machines, or newly allocated machines."""
        label = self.label(agent_name, args.comment)
        if args.system_ids is None:
            constraints = args.model_dump(include=CONSTRAINTS, exclude_none=True)
            chosen = await self.allocate(ctx, args, agent_name, comment=label, **constraints)
        else:
            chosen = args.system_ids
            await _check_none_is_allocated(ctx, chosen)
        shared = args.model_dump(exclude=CONSTRAINTS | {"system_ids", "count"}) | {"comment": label}
        return [DeployMachine(system_id=system_id, agent_name=agent_name, **shared) for system_id in chosen]

    def result(self, members: Sequence[Member]) -> DeployedMachines:
        """Each machine with its result."""
        machines = [
            DeployedMember(
                system_id=member.system_id or None,
                state=member.state,
                message=member.message,
                hint=member.error.hint if member.error else None,
                maas_says=member.error.maas_says if member.error else None,
                machine=member.result if isinstance(member.result, DeployedMachine) else None,
            )
            for member in members
        ]
        succeeded = sum(member.state == "succeeded" for member in members)
        return DeployedMachines(succeeded=succeeded, failed=len(members) - succeeded, machines=machines)

    def summary(self, result: DeployedMachines) -> str:
        """The number of deployed machines, and the errors of the others."""
        failed = [f"{each.system_id}: {each.message}" for each in result.machines if each.state == "failed"]
        head = f"{result.succeeded} of {len(result.machines)} machines are deployed."
        return "\n".join([head, *failed])


async def _check_none_is_allocated(ctx: ToolContext, system_ids: Sequence[SystemId]) -> None:
    """Refuse allocated machines: MAAS 3.7 sets the ``agent_name`` of ``op=deploy`` only for a *Ready* machine.

    The batch is found again by its agent name.
    """
    machines = await ctx.maas.machines(id=system_ids)
    allocated = [each.system_id for each in machines if each.status is MachineStatus.ALLOCATED]
    if allocated:
        raise OperationRefusedError(
            f"Already allocated: {', '.join(allocated)}. MAAS adds only Ready machines to a batch. "
            "Nothing was sent to MAAS.",
            hint="Release these machines first, or deploy each one separately, with wait_seconds=0 to only start it.",
            next_steps=[NextStep(Deploy.name, {"system_id": each}, why="Deploy it separately") for each in allocated],
        )
