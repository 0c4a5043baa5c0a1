"""List machines and read one: concise views of what MAAS shows in 19 kB a machine."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field

from maas_inventory.finding import MachineFilter, find
from maas_inventory.images import ImportImages, ListImages
from maas_mcp.api import LeftOut, LongRunning, Machine, SystemId, Tool, ToolContext, hookimpl

MOST_NAMED: Final = 10
"""How many machines are named of which the same fields cannot be read."""


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
    hint: str | None = Field(default=None, description="What may be wrong with the filters, if something is missing.")
    unreadable: list[str] = Field(
        default=[],
        description="Machines that are left out, and fields that hold a default: MAAS's value is unreadable.",
    )


class ListMachines(Tool[MachineFilter, MachinePage]):
    """List machines with their status, owner, size and place: the way to find a system_id."""

    name = "maas_list_machines"
    offers = "machines read"
    title = "List machines"
    read_only = True

    async def run(self, ctx: ToolContext, args: MachineFilter) -> MachinePage:
        """One ``GET machines/``, which MAAS answers whole: it has no paging. A second one for a name that none has."""
        found, hint = await find(ctx, args)
        listed = sorted(found, key=lambda machine: machine.hostname)[: args.limit]
        return MachinePage(
            machines=[MachineRow.model_validate(machine, from_attributes=True) for machine in listed],
            total=found.total,
            hint=hint,
            unreadable=[*_left_out(found.left_out), *_defaults(listed)],
        )

    def summary(self, result: MachinePage) -> str:
        """A line for each machine, and for each thing that is missing."""
        lines = [
            f"{row.system_id} {row.hostname}: {row.status_name}{f' for {row.owner}' if row.owner else ''}, "
            f"{row.architecture}, {row.cpu_count} CPUs, {row.memory // 1024} GiB"
            for row in result.machines
        ]
        told = [*result.unreadable, *([result.hint] if result.hint else [])]
        return "\n".join([f"{len(lines)} of {result.total} machines", *lines, *told])


def _left_out(entries: Iterable[LeftOut]) -> list[str]:
    return [f"{each}, so this machine is left out. It is still in MAAS." for each in entries]


def _defaults(machines: Iterable[Machine]) -> list[str]:
    """Which fields of a row are not what MAAS sent; machines that have the same trouble share a sentence."""
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for machine in machines:
        if fields := tuple(name for name in machine.unreadable if name in MachineRow.model_fields):
            alike[fields].append(f"{machine.system_id} ({machine.hostname})")
    return [f"{_some(names)}: {_fields(fields)} cannot be read; a default is shown." for fields, names in alike.items()]


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _fields(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


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
    unreadable: list[str] = Field(
        default=[], description="Fields that hold a default, because MAAS's value cannot be read, by their names."
    )


class GetMachine(Tool[MachineId, MachineDetails]):
    """Read one machine: its status, what it runs, and what MAAS last said of it."""

    name = "maas_get_machine"
    offers = "machine read"
    title = "Read a machine"
    read_only = True

    async def run(self, ctx: ToolContext, args: MachineId) -> MachineDetails:
        """One ``GET machines/{system_id}/``."""
        return MachineDetails.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)

    def summary(self, result: MachineDetails) -> str:
        """Status and latest message, which MAAS may have written before it changed the status."""
        owner = f" for {result.owner}" if result.owner else ""
        latest = f" Latest event: {result.status_message.rstrip('.')}." if result.status_message else ""
        told = f"{result.hostname} ({result.system_id}) is {result.status_name}{owner}.{latest}"
        unreadable = f"{_fields(result.unreadable)} cannot be read; a default is shown." if result.unreadable else ""
        return "\n".join(filter(None, [told, unreadable]))


@hookimpl
def maas_mcp_operations() -> Sequence[type[LongRunning[Any, Any]]]:
    """What takes minutes."""
    return [ImportImages]


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The plugin's tools."""
    return [ListMachines, GetMachine, ListImages]
