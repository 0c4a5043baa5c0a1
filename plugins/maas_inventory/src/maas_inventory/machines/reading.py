"""The tool that shows one machine, by any of its names, with more of its details on request."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BaseModel, Field

from maas_inventory.arguments import Text
from maas_inventory.lifespan import InventorySettings
from maas_inventory.values import has_value, in_words, shorten
from maas_mcp.api import (
    CarriesMachineText,
    MaasNotFoundError,
    Machine,
    MachineText,
    Resource,
    SystemId,
    Tool,
    ToolContext,
    quoted,
)

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer

Context: TypeAlias = "ToolContext[InventorySettings, Informer]"
SectionName = Literal["network", "storage", "hardware", "boot", "events", "scripts", "operation"]
SECTIONS: Final = get_args(SectionName)
IN_HEAD: Final = {"system_id", "hostname", "status_name", "status_message", "owner", "sections", "unreadable"}
"""The fields that a summary does not list, because other lines show them."""
_SYSTEM_ID: Final = re.compile(r"[a-z0-9]{6}")
"""MAAS's own ids. A hostname may look like one."""


class MachineName(BaseModel, defer_build=True):
    """A machine, and what to show of it."""

    system_id: Text = Field(description="Or a hostname, FQDN, MAC or IP address.")
    sections: list[SectionName] = []


class MachineDetails(BaseModel, defer_build=True):
    """A machine with the details that show its state."""

    system_id: SystemId
    hostname: MachineText
    fqdn: MachineText
    status_name: str
    status_message: MachineText | None = Field(
        description="The machine's latest event in MAAS; may lag behind the status."
    )
    error_description: MachineText = Field(
        description="Reason of the last failure. MAAS never clears it, so it may be old."
    )
    owner: str | None
    locked: bool
    power_state: str
    power_type: str | None
    osystem: MachineText
    distro_series: MachineText
    hwe_kernel: MachineText | None
    ephemeral_deploy: bool
    netboot: bool
    architecture: MachineText | None
    cpu_count: int
    memory: int = Field(description="Megabytes.")
    storage: float = Field(description="Megabytes of 1,000,000 bytes.")
    zone: MachineText | None
    pool: MachineText | None
    tag_names: list[MachineText]
    ip_addresses: list[str]
    commissioning_status_name: str
    testing_status_name: str
    description: MachineText
    sections: Annotated[dict[str, dict[str, Any]], CarriesMachineText()] = Field(
        default={}, description="The requested sections."
    )
    unreadable: list[str] = Field(
        default=[], description="Names of fields with a default, because MAAS's value is unreadable."
    )


class GetMachine(Tool[MachineName, MachineDetails]):
    """Show (read, inspect) one machine or node with its details: status, IP, owner, hardware, OS.

    `sections` adds network, storage, boot, scripts and more.
    """

    name = "maas_get_machine"
    toolset = "inventory"
    list_position = 11
    offers = "machine read"
    title = "Show a machine"
    read_only = True

    async def run(self, ctx: Context, args: MachineName) -> MachineDetails:
        """Send one request for the machine, and more to find it by a name, and for events, scripts and operations."""
        from maas_inventory.machine_names import resolve_machine  # noqa: PLC0415 - only a call needs it

        system_id = args.system_id.strip()
        if not _SYSTEM_ID.fullmatch(system_id):
            system_id = (await resolve_machine(ctx, system_id)).system_id
        try:
            details, answer = await _read(ctx, system_id)
        except MaasNotFoundError:  # it may be a hostname that looks like a system id
            details, answer = await _read(ctx, (await resolve_machine(ctx, system_id)).system_id)
        if args.sections:
            from maas_inventory.machines.sections import read_section  # noqa: PLC0415 - its models are needed only here

        for name in dict.fromkeys(args.sections):
            details.sections[name] = await read_section(ctx, name, answer)
        return details

    def summary(self, result: MachineDetails) -> str:
        """The status, the latest event, which may be older than the status, all other values, and the sections."""
        owner = f" for {quoted(result.owner)}" if result.owner else ""
        latest = f" Latest event: {quoted(result.status_message.rstrip('.'))}." if result.status_message else ""
        state = f"{result.hostname} ({result.system_id}) is {result.status_name}{owner}.{latest}"
        fields = ", ".join(f"`{name}`" for name in result.unreadable)
        unreadable = [f"{fields} cannot be read; a default is shown."] if fields else []
        sections = [line for name, section in result.sections.items() for line in _lines(name, section)]
        values = result.model_dump(exclude=IN_HEAD).items()
        known = {name: shorten(value) for name, value in values if has_value(value)}
        return "\n".join([state, in_words(known), *unreadable, *sections])


async def _read(ctx: Context, system_id: SystemId) -> tuple[MachineDetails, dict[str, Any]]:
    answer = await ctx.maas.get(f"machines/{system_id}/")
    machine = Machine.from_response(answer)
    return MachineDetails.model_validate(machine, from_attributes=True), answer


def _lines(name: str, section: dict[str, Any]) -> Sequence[str]:
    lines = [f"{name}:"]
    for key, value in section.items():
        if isinstance(value, list):
            lines += [f"  {key}: {in_words(each)}" for each in value]
        else:
            lines.append(f"  {key}: {in_words(value)}")
    return lines


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
