"""Deploy many machines at once: named ones, or as many as are asked for of those that fit."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from maas_deploy.deploy import Deploy, DeployedMachine, DeployMachine
from maas_deploy.machines import WHY
from maas_deploy.user_data import warning
from maas_mcp.api import BatchOperation, MachineStatus, Member, NextStep, OperationRefusedError, SystemId, ToolContext

CONSTRAINTS = {"arch", "cpu_count", "mem", "tags", "not_tags", "zone", "pool"}


class DeployMachines(BaseModel):
    """Which machines, and what to install on each."""

    system_ids: list[SystemId] | None = Field(default=None, min_length=1, max_length=200, description="These machines.")
    count: int | None = Field(default=None, ge=1, le=200, description="As many Ready machines, by the constraints.")
    arch: str | None = Field(default=None, description="Constraint: `amd64` or `amd64/generic`.")
    cpu_count: int | None = Field(default=None, ge=1, description="Constraint: at least.")
    mem: int | None = Field(default=None, ge=1, description="Constraint: at least, in MB.")
    tags: list[str] | None = Field(default=None, description="Constraint: all of them.")
    not_tags: list[str] | None = Field(default=None, description="Constraint: none of them.")
    zone: str | None = Field(default=None, description="Constraint.")
    pool: str | None = Field(default=None, description="Constraint.")
    distro_series: str | None = Field(default=None, description="Image, as for maas_deploy_machine.")
    hwe_kernel: str | None = Field(default=None, description="Kernel, such as `hwe-22.04`.")
    user_data: SecretStr | None = Field(default=None, description="cloud-init user data, plain or base64.")
    ephemeral_deploy: bool = Field(default=False, description="Run from memory; the disks are left alone.")
    comment: str | None = Field(default=None, description=WHY)

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> Self:
        if (self.system_ids is None) is (self.count is None):
            raise ValueError("give either system_ids, or count with constraints")
        if self.system_ids is not None and len(set(self.system_ids)) < len(self.system_ids):
            raise ValueError("a machine is named twice in system_ids")
        if self.system_ids is not None and self.model_dump(include=CONSTRAINTS, exclude_none=True):
            raise ValueError("constraints choose machines, so they go with count and not with system_ids")
        return self


class DeployedMember(BaseModel):
    """What became of one machine."""

    system_id: SystemId | None = Field(description="Null for a machine that no longer belongs to the batch.")
    state: str = Field(description="`succeeded` or `failed`.")
    message: str
    hint: str | None
    maas_says: str | None = Field(description="MAAS's own words about a failure.")
    machine: DeployedMachine | None


class DeployedMachines(BaseModel):
    """What became of all."""

    succeeded: int
    failed: int
    machines: list[DeployedMember]


class DeployMany(BatchOperation[DeployMachines, DeployedMachines]):
    """Install an operating system on many machines at once, and wait until each is deployed or has failed.

    Name them with `system_ids`, or say how many with `count` and which with constraints: then all are allocated first,
    or none, and a second call takes more. Overwrites their disks, unless they are deployed ephemerally. One that fails
    does not stop the others.
    """

    name = "maas_deploy_machines"
    title = "Deploy many machines"
    destructive = True
    deadline = timedelta(hours=4)
    each = Deploy

    def size(self, args: DeployMachines) -> int:
        """As many as are named, or asked for."""
        return args.count if args.system_ids is None else len(args.system_ids)  # type: ignore[return-value] # one is given

    def warnings(self, args: DeployMachines) -> Sequence[str]:
        """The same as for one machine."""
        return list(filter(None, [warning(args.user_data)]))

    async def members(self, ctx: ToolContext, args: DeployMachines, agent_name: str) -> Sequence[DeployMachine]:
        """The named machines, or newly allocated ones."""
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
        """Each machine with what became of it."""
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
        """How many, and what went wrong with the others."""
        failed = [f"{each.system_id}: {each.message}" for each in result.machines if each.state == "failed"]
        head = f"{result.succeeded} of {len(result.machines)} machines are deployed."
        return "\n".join([head, *failed])


async def _check_none_is_allocated(ctx: ToolContext, system_ids: Sequence[SystemId]) -> None:
    """MAAS 3.7, ``op=deploy``: the agent name, by which the batch is found again, counts only for a *Ready* machine."""
    machines = await ctx.maas.machines(id=system_ids)
    allocated = [each.system_id for each in machines if each.status is MachineStatus.ALLOCATED]
    if allocated:
        raise OperationRefusedError(
            f"Allocated already: {', '.join(allocated)}. MAAS lets a machine join a batch only while it is Ready. "
            "Nothing was sent to MAAS.",
            hint="Release them first, or deploy each by itself; with wait_seconds=0 a call only starts it.",
            next_steps=[NextStep(Deploy.name, {"system_id": each}, why="Deploy it by itself") for each in allocated],
        )
