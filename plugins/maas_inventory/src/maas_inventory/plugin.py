"""List machines and read a machine, in short form: MAAS sends 19 kB for each machine."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from pydantic import BaseModel, Field

from maas_inventory.completions import COMPLETIONS
from maas_inventory.events import GetEvents
from maas_inventory.finding import MachineFilter, find
from maas_inventory.images import ImportImages
from maas_inventory.lifespan import InventorySettings, open_informer
from maas_inventory.objects.listing import ListObjects
from maas_inventory.script_results import GetScriptResults
from maas_inventory.search.tool import Find
from maas_inventory.whoami import WhoAmI
from maas_mcp.api import (
    Completion,
    LeftOut,
    LifespanContext,
    LongRunning,
    Machine,
    MachineText,
    Resource,
    SystemId,
    Tool,
    ToolContext,
    hookimpl,
    quoted,
)

MAX_NAMED: Final = 10
"""Machines that one message about unreadable fields names."""


class MachineRow(BaseModel, defer_build=True):
    """A machine in a list."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    owner: str | None
    power_state: str
    locked: bool
    architecture: MachineText | None
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    zone: MachineText | None
    pool: MachineText | None
    tag_names: list[MachineText]
    ip_addresses: list[str]


class MachinePage(BaseModel, defer_build=True):
    """The machines that match."""

    machines: list[MachineRow]
    total: int = Field(description="Number of matching machines, including those beyond `limit`.")
    hint: str | None = Field(default=None, description="Possible problem with the filters.")
    unreadable: list[str] = Field(
        default=[],
        description="Machines left out and fields with a default, because MAAS's value is unreadable.",
    )


class ListMachines(Tool[MachineFilter, MachinePage]):
    """List (find, search, count) machines with their system_id, status, owner, size, zone, pool, tags and addresses."""

    name = "maas_list_machines"
    toolset = "inventory"
    list_position = 10
    offers = "machines read"
    title = "List machines"
    read_only = True

    async def run(self, ctx: ToolContext, args: MachineFilter) -> MachinePage:
        """Send one ``GET machines/``, which has no paging, and a second one for a hostname that no machine has."""
        found, hint = await find(ctx, args)
        listed = sorted(found, key=lambda machine: machine.hostname)[: args.limit]
        return MachinePage(
            machines=[MachineRow.model_validate(machine, from_attributes=True) for machine in listed],
            total=found.total,
            hint=hint,
            unreadable=[*_left_out(found.left_out), *_describe_defaults(listed)],
        )

    def summary(self, result: MachinePage) -> str:
        """One line for each machine and for each problem."""
        lines = [
            f"{row.system_id} {row.hostname}: {row.status_name}{f' for {row.owner}' if row.owner else ''}, "
            f"{row.architecture}, {row.cpu_count} CPUs, {row.memory // 1024} GiB"
            for row in result.machines
        ]
        problems = [*result.unreadable, *([result.hint] if result.hint else [])]
        return "\n".join([f"{len(lines)} of {result.total} machines", *lines, *problems])


def _left_out(entries: Iterable[LeftOut]) -> list[str]:
    return [f"{each}, so this machine is left out. It is still in MAAS." for each in entries]


def _describe_defaults(machines: Iterable[Machine]) -> list[str]:
    """The fields that hold a default. Machines with the same unreadable fields share a sentence."""
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for machine in machines:
        if fields := tuple(name for name in machine.unreadable if name in MachineRow.model_fields):
            alike[fields].append(f"{machine.system_id} ({machine.hostname})")
    return [
        f"{_join_first(names)}: {_fields(fields)} cannot be read; a default is shown."
        for fields, names in alike.items()
    ]


def _join_first(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _fields(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


class MachineId(BaseModel):
    """A machine."""

    system_id: SystemId = Field(description="Not the hostname.")


class MachineDetails(MachineRow):
    """A machine with the details that show its state."""

    fqdn: MachineText
    status_message: MachineText | None = Field(
        description="The machine's latest event in MAAS; may lag behind the status."
    )
    error_description: MachineText = Field(
        description="Reason of the last failure. MAAS never clears it, so it may be old."
    )
    osystem: MachineText
    distro_series: MachineText
    hwe_kernel: MachineText | None
    ephemeral_deploy: bool
    netboot: bool
    power_type: str | None
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")
    commissioning_status_name: str
    testing_status_name: str
    description: MachineText
    unreadable: list[str] = Field(
        default=[], description="Names of fields with a default, because MAAS's value is unreadable."
    )


class GetMachine(Tool[MachineId, MachineDetails]):
    """Show (read, inspect) one machine: status, owner, hardware, operating system, addresses and latest event."""

    name = "maas_get_machine"
    toolset = "inventory"
    list_position = 11
    offers = "machine read"
    title = "Show a machine"
    read_only = True

    async def run(self, ctx: ToolContext, args: MachineId) -> MachineDetails:
        """Send one ``GET machines/{system_id}/``."""
        return MachineDetails.model_validate(await ctx.maas.machine(args.system_id), from_attributes=True)

    def summary(self, result: MachineDetails) -> str:
        """The status and the latest event, which may be older than the status."""
        owner = f" for {result.owner}" if result.owner else ""
        latest = f" Latest event: {quoted(result.status_message.rstrip('.'))}." if result.status_message else ""
        state = f"{result.hostname} ({result.system_id}) is {result.status_name}{owner}.{latest}"
        unreadable = f"{_fields(result.unreadable)} cannot be read; a default is shown." if result.unreadable else ""
        return "\n".join(filter(None, [state, unreadable]))


class MachineResource(Resource):
    """One machine: status, owner, hardware, operating system, addresses and latest event."""

    uri = "maas://machines/{system_id}"
    tools = (GetMachine.name,)
    name = "machine"
    title = "Machine"
    mime_type = "application/json"

    async def read(self, ctx: ToolContext, system_id: SystemId) -> MachineDetails:
        """Send one ``GET machines/{system_id}/``."""
        return MachineDetails.model_validate(await ctx.maas.machine(system_id), from_attributes=True)


@hookimpl
def maas_mcp_operations() -> Sequence[type[LongRunning[Any, Any]]]:
    """The long-running operations."""
    return [ImportImages]


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The short tools."""
    return [ListMachines, GetMachine, Find, ListObjects, GetEvents, GetScriptResults, WhoAmI]


@hookimpl
def maas_mcp_resources() -> Sequence[type[Resource]]:
    """The resources."""
    return [MachineResource]


@hookimpl
def maas_mcp_completions() -> Sequence[type[Completion]]:
    """The completions."""
    return COMPLETIONS


@hookimpl
def maas_mcp_settings() -> type[BaseModel]:
    """The settings."""
    return InventorySettings


@hookimpl
def maas_mcp_lifespan() -> Callable[[LifespanContext], AbstractAsyncContextManager[Any]]:
    """The informer of each caller."""
    return open_informer
