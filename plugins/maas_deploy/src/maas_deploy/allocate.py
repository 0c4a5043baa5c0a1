"""Allocate a machine that meets constraints."""

from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from maas_mcp.api import (
    Effects,
    MaasConflictError,
    MaasError,
    MaasProtocolError,
    Machine,
    MachineStatus,
    MachineText,
    NextStep,
    SystemId,
    Tool,
    ToolContext,
    another_owner,
)

MAY_BE_ALLOCATED: Final = (
    "MAAS may have allocated a machine anyway. Before you try again, list your allocated machines and release the "
    "unused ones."
)
LIST_ALLOCATED: Final = NextStep("machines read", {"status": ["allocated"]}, why="List the allocated machines")


class AllocateMachine(BaseModel, defer_build=True):
    """The constraints of MAAS's ``allocate``. A machine must meet all of them."""

    name: str | None = Field(default=None, description="Hostname or FQDN.")
    system_id: SystemId | None = None
    arch: str | None = Field(default=None, description="`amd64` or `amd64/generic`.")
    cpu_count: int | None = Field(default=None, ge=1, description="Minimum.")
    mem: int | None = Field(default=None, ge=1, description="Minimum, in MB.")
    tags: list[str] | None = Field(default=None, description="All of them.")
    not_tags: list[str] | None = None
    zone: str | None = None
    not_in_zone: list[str] | None = None
    pool: str | None = None
    not_in_pool: list[str] | None = None
    subnets: list[str] | None = Field(default=None, description="`cidr:10.0.0.0/24`, `space:NAME` or IDs.")
    fabrics: list[str] | None = None
    storage: str | None = Field(default=None, description="`LABEL:GB(TAG,…),…`, such as `root:50(ssd)`.")
    interfaces: str | None = Field(default=None, description="`LABEL:KEY=VALUE,…;…`, such as `lan:space=dmz`.")
    link_speed: int | None = Field(default=None, ge=1, description="Minimum, in Mbit/s.")
    pod: str | None = Field(default=None, description="VM host.")
    agent_name: str | None = Field(default=None, description="Label to be listed by.")
    comment: str | None = None
    dry_run: bool = Field(default=False, description="Only show the machine.")


class AllocatedMachine(BaseModel, defer_build=True):
    """The machine that meets the constraints."""

    system_id: SystemId
    hostname: MachineText
    status_name: str = Field(description="`Allocated`, or `Ready` after a dry run.")
    owner: str | None
    architecture: MachineText | None
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")
    zone: MachineText | None
    pool: MachineText | None
    tag_names: list[MachineText]
    power_state: str
    was_yours: bool = Field(description="Whether you owned it before this call.")


class Allocate(Tool[AllocateMachine, AllocatedMachine]):
    """Allocate (acquire, reserve) the smallest Ready machine that meets all constraints. Installs nothing.

    maas_deploy_machine allocates a known machine by itself. MAAS before 3.8 may compose a virtual machine if none
    matches. Release machines that you do not use.
    """

    name = "maas_allocate_machine"
    toolset = "lifecycle"
    list_position = 52
    title = "Allocate a machine"

    def effects(self, args: AllocateMachine) -> Effects:
        """MAAS chooses the machine, unless it is named. A dry run allocates none."""
        named = () if args.system_id is None else (args.system_id,)
        return Effects(named, changes=not args.dry_run, allocates=0 if named else 1)

    async def run(self, ctx: ToolContext, args: AllocateMachine) -> AllocatedMachine:
        """Post ``machines/?op=allocate``. The response is the machine after the allocation (MAAS 3.7.3, recorded).

        Raises:
            MaasError: MAAS refused the request, or the allocated machine is unknown.
        """
        if mine := await _find_own(ctx, args):
            return AllocatedMachine(**_row(mine), was_yours=True)
        try:
            answer = await ctx.maas.post_op("machines/", "allocate", **args.model_dump(exclude_defaults=True))
            return AllocatedMachine(**_row(_parse_machine(answer)), was_yours=False)
        except MaasConflictError:
            if mine := await _find_own(ctx, args):  # the caller's other call allocated it first
                return AllocatedMachine(**_row(mine), was_yours=False)
            raise
        except MaasError as error:
            if error.may_have_acted and not args.dry_run:
                error.hint, error.next_steps = MAY_BE_ALLOCATED, (LIST_ALLOCATED,)
            raise

    def summary(self, result: AllocatedMachine) -> str:
        """The machine in one line."""
        owner = f" for {result.owner}" if result.owner else ""
        if result.was_yours:
            return f"{result.hostname} ({result.system_id}) was already allocated to you; nothing was sent to MAAS."
        size = f"{result.architecture}, {result.cpu_count} CPUs, {result.memory // 1024} GiB"
        return f"{result.hostname} ({result.system_id}) is {result.status_name}{owner}: {size}."


def _row(machine: Machine) -> dict[str, Any]:
    return machine.model_dump(include=set(AllocatedMachine.model_fields))


def _parse_machine(answer: Any) -> Machine:
    """The machine in the response.

    Raises:
        MaasProtocolError: The response has no machine.
    """
    try:
        return Machine.model_validate(answer)
    except ValidationError:
        chosen = answer.get("system_id") if isinstance(answer, dict) else None
    which = f"{chosen} was allocated" if chosen else "an unknown machine may be allocated"
    raise MaasProtocolError(f"MAAS answered op=allocate without a readable machine: {which}.")


async def _find_own(ctx: ToolContext, args: AllocateMachine) -> Machine | None:
    """The named machine if it is allocated to the caller; ``None`` if other constraints are given.

    Only MAAS can check the other constraints, and it checks them only for free machines.
    """
    asked = args.model_dump(exclude={"comment", "dry_run"}, exclude_defaults=True)
    if not asked or asked.keys() - {"system_id", "name"}:
        return None
    for machine in await ctx.maas.machines(id=args.system_id, hostname=args.name and args.name.partition(".")[0]):
        named = args.name in (None, machine.hostname, machine.fqdn)
        if named and machine.status is MachineStatus.ALLOCATED and await another_owner(ctx.maas, machine) is None:
            return machine
    return None
