"""Find machines and read one: concise views of what MAAS shows in 19 kB a machine."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from maas_inventory.images import ImportImages, ListImages
from maas_mcp.api import LongRunning, MachineStatus, SystemId, Tool, ToolContext, hookimpl

STATUSES = [status.filter_value for status in MachineStatus]


def _known(status: str) -> str:
    if status not in STATUSES:
        raise ValueError(f"expected one of {', '.join(STATUSES)}")
    return status


StatusFilter = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": STATUSES})]
"""A status as MAAS's list filter takes it: ``failed_deployment``."""


class MachineFilter(BaseModel):
    """What MAAS can select machines by; what is left out selects all."""

    status: list[StatusFilter] | None = Field(default=None, description="Any of these statuses.")
    hostname: list[str] | None = Field(default=None, description="Any of these hostnames, without the domain.")
    owner: str | None = Field(default=None, description="Allocated or deployed for this user.")
    zone: str | None = Field(default=None, description="In this availability zone.")
    pool: str | None = Field(default=None, description="In this resource pool.")
    tags: list[str] | None = Field(default=None, description="With all of these tags.")
    power_state: Literal["on", "off", "unknown", "error"] | None = None
    limit: int = Field(default=50, ge=1, le=500, description="At most this many, by hostname.")


class MachineRow(BaseModel):
    """One machine in a list."""

    system_id: SystemId
    hostname: str
    status_name: str
    owner: str | None
    power_state: str
    locked: bool
    architecture: str | None
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    zone: str | None
    pool: str | None
    tag_names: list[str]
    ip_addresses: list[str]


class MachinePage(BaseModel):
    """The machines that match."""

    machines: list[MachineRow]
    total: int = Field(description="How many match; more than are listed if `limit` was reached.")


class ListMachines(Tool[MachineFilter, MachinePage]):
    """List machines with their status, owner, size and place: the way to find a system_id."""

    name = "maas_list_machines"
    title = "List machines"
    read_only = True

    async def run(self, ctx: ToolContext, args: MachineFilter) -> MachinePage:
        """One ``GET machines/``, which MAAS answers whole: it has no paging."""
        found = await ctx.maas.machines(**args.model_dump(exclude={"limit"}, exclude_none=True))
        found.sort(key=lambda machine: machine.hostname)
        rows = [MachineRow.model_validate(machine, from_attributes=True) for machine in found[: args.limit]]
        return MachinePage(machines=rows, total=len(found))

    def summary(self, result: MachinePage) -> str:
        """A line for each machine."""
        lines = [
            f"{row.system_id} {row.hostname}: {row.status_name}{f' for {row.owner}' if row.owner else ''}, "
            f"{row.architecture}, {row.cpu_count} CPUs, {row.memory // 1024} GiB"
            for row in result.machines
        ]
        return "\n".join([f"{len(lines)} of {result.total} machines", *lines])


class MachineId(BaseModel):
    """Which machine."""

    system_id: SystemId = Field(description="The machine, as maas_list_machines names it.")


class MachineDetails(MachineRow):
    """One machine, with what is needed to judge what it is doing."""

    fqdn: str
    status_message: str | None = Field(description="MAAS's latest event of this machine: it may lag behind the status.")
    error_description: str = Field(description="Why a run failed, perhaps an earlier one: MAAS never clears it.")
    osystem: str
    distro_series: str
    hwe_kernel: str | None
    ephemeral_deploy: bool
    netboot: bool
    power_type: str | None
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")
    commissioning_status_name: str
    testing_status_name: str
    description: str


class GetMachine(Tool[MachineId, MachineDetails]):
    """Read one machine: its status, what it runs, and what MAAS last said of it."""

    name = "maas_get_machine"
    title = "Read a machine"
    read_only = True

    async def run(self, ctx: ToolContext, args: MachineId) -> MachineDetails:
        """One ``GET machines/{system_id}/``."""
        return MachineDetails.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)

    def summary(self, result: MachineDetails) -> str:
        """Status and latest message."""
        owner = f" for {result.owner}" if result.owner else ""
        return f"{result.hostname} ({result.system_id}) is {result.status_name}{owner}: {result.status_message or ''}"


@hookimpl
def maas_mcp_operations() -> Sequence[type[LongRunning[Any, Any]]]:
    """What takes minutes."""
    return [ImportImages]


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The plugin's tools."""
    return [ListMachines, GetMachine, ListImages]
