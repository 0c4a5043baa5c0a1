"""Allocate a machine: make one that fits one's own."""

from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from maas_deploy.machines import WHY
from maas_mcp.api import (
    MaasConflictError,
    MaasError,
    MaasProtocolError,
    Machine,
    MachineStatus,
    NextStep,
    SystemId,
    Tool,
    ToolContext,
    another_owner,
)

HOW_TO_LOOK: Final = (
    "A machine may be allocated to you all the same. Before you try again, list yours, and release what you do not use."
)
LIST_ALLOCATED: Final = NextStep("machines read", {"status": ["allocated"]}, why="List the allocated machines")


class AllocateMachine(BaseModel):
    """What MAAS's ``allocate`` selects by; all that is given has to be true."""

    name: str | None = Field(default=None, description="Hostname or FQDN.")
    system_id: SystemId | None = None
    arch: str | None = Field(default=None, description="`amd64` or `amd64/generic`.")
    cpu_count: int | None = Field(default=None, ge=1, description="At least.")
    mem: int | None = Field(default=None, ge=1, description="At least, in MB.")
    tags: list[str] | None = Field(default=None, description="All of them.")
    not_tags: list[str] | None = None
    zone: str | None = None
    not_in_zone: list[str] | None = None
    pool: str | None = None
    not_in_pool: list[str] | None = None
    subnets: list[str] | None = Field(default=None, description="`cidr:10.0.0.0/24`, `space:NAME` or ids.")
    fabrics: list[str] | None = None
    storage: str | None = Field(default=None, description="`LABEL:GB(TAG,…),…`, such as `root:50(ssd)`.")
    interfaces: str | None = Field(default=None, description="`LABEL:KEY=VALUE,…;…`, such as `lan:space=dmz`.")
    link_speed: int | None = Field(default=None, ge=1, description="At least, in Mbit/s.")
    pod: str | None = Field(default=None, description="On this VM host.")
    agent_name: str | None = Field(default=None, description="A label that machines can be listed by.")
    comment: str | None = Field(default=None, description=WHY)
    dry_run: bool = Field(default=False, description="Only tell which machine it would be.")


class AllocatedMachine(BaseModel):
    """The machine that fits."""

    system_id: SystemId
    hostname: str
    status_name: str = Field(description="`Allocated`; after a dry run still `Ready`.")
    owner: str | None
    architecture: str | None
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")
    zone: str | None
    pool: str | None
    tag_names: list[str]
    power_state: str
    was_yours: bool = Field(description="Whether it was allocated to you before this call.")


class Allocate(Tool[AllocateMachine, AllocatedMachine]):
    """Make a Ready machine your own: the smallest that meets all constraints. Nothing runs on it yet; deploy does that.

    maas_deploy_machine allocates by itself if you know the machine. If the named machine is allocated to you already,
    it is returned as it is. Up to MAAS 3.7, if no machine fits, MAAS may compose a new virtual machine on a VM host.
    Release what you do not use.
    """

    name = "maas_allocate_machine"
    title = "Allocate a machine"

    async def run(self, ctx: ToolContext, args: AllocateMachine) -> AllocatedMachine:
        """Post ``machines/?op=allocate``; its answer is the machine, as it is then (MAAS 3.7.3, recorded).

        Raises:
            MaasError: MAAS refused it, or nothing shows which machine it has allocated.
        """
        if mine := await _already_mine(ctx, args):
            return AllocatedMachine(**_shown(mine), was_yours=True)
        try:
            answer = await ctx.maas.post_op("machines/", "allocate", **args.model_dump(exclude_defaults=True))
            return AllocatedMachine(**_shown(_machine(answer)), was_yours=False)
        except MaasConflictError:
            if mine := await _already_mine(ctx, args):  # another call of the caller's was faster
                return AllocatedMachine(**_shown(mine), was_yours=False)
            raise
        except MaasError as error:
            if error.may_have_acted and not args.dry_run:
                error.hint, error.next_steps = HOW_TO_LOOK, (LIST_ALLOCATED,)
            raise

    def summary(self, result: AllocatedMachine) -> str:
        """Which machine it is, in one line."""
        owner = f" for {result.owner}" if result.owner else ""
        if result.was_yours:
            return f"{result.hostname} ({result.system_id}) was already allocated to you; nothing was sent to MAAS."
        size = f"{result.architecture}, {result.cpu_count} CPUs, {result.memory // 1024} GiB"
        return f"{result.hostname} ({result.system_id}) is {result.status_name}{owner}: {size}."


def _shown(machine: Machine) -> dict[str, Any]:
    return machine.model_dump(include=set(AllocatedMachine.model_fields))


def _machine(answer: Any) -> Machine:
    """The machine in the answer.

    Raises:
        MaasProtocolError: There is none.
    """
    try:
        return Machine.model_validate(answer)
    except ValidationError:
        chosen = answer.get("system_id") if isinstance(answer, dict) else None
    which = f"{chosen} was allocated" if chosen else "a machine may be allocated, and which one is not said"
    raise MaasProtocolError(f"MAAS answered op=allocate with something else than a machine: {which}.")


async def _already_mine(ctx: ToolContext, args: AllocateMachine) -> Machine | None:
    """The machine that is asked for by its id or name, and by nothing else, if it is allocated to the caller.

    Only MAAS can check the other constraints, and it checks them for free machines only.
    """
    asked = args.model_dump(exclude={"comment", "dry_run"}, exclude_defaults=True)
    if not asked or asked.keys() - {"system_id", "name"}:
        return None
    for machine in await ctx.maas.machines(id=args.system_id, hostname=args.name and args.name.partition(".")[0]):
        named = args.name in (None, machine.hostname, machine.fqdn)
        if named and machine.status is MachineStatus.ALLOCATED and await another_owner(ctx.maas, machine) is None:
            return machine
    return None
