"""The sections of a machine's details, read leniently from MAAS's 19 kB."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from maas_inventory.objects.row import UNSET, Flag, ObjectRow, Whole, each, taken_from
from maas_inventory.times import show
from maas_inventory.values import JSON, shorten
from maas_mcp.api import MachineText, ScriptSetName, SystemId, ToolContext, fit_page

if TYPE_CHECKING:
    from maas_inventory.machines.reading import SectionName

SECTION_BYTES: Final = 3_500
"""Bytes of one list in a section."""
EVENTS: Final = 10


class Interface(ObjectRow):
    """A network interface, with the names and ids that the tools which change interfaces take."""

    sources = taken_from(
        vlan=("vlan", "name"),
        vid=("vlan", "vid"),
        fabric=("vlan", "fabric"),
        bond_mode=lambda entry: _bond_mode(entry.get("params")),
        mtu=("effective_mtu",),
        links=lambda entry: [_link(link) for link in _objects(entry.get("links"))],
    )

    id: Whole
    name: MachineText = UNSET
    type: MachineText = UNSET
    mac_address: MachineText | None = None
    parents: list[MachineText] = Field(default_factory=list)
    vlan: MachineText | None = None
    vid: Whole | None = None
    fabric: MachineText | None = None
    bond_mode: MachineText | None = None
    mtu: Whole | None = None
    links: list[dict[str, Whole | MachineText]] = Field(default_factory=list)
    """The links to subnets: ``link_id``, ``mode``, ``subnet`` (CIDR) and ``ip_address``."""
    link_connected: Flag = UNSET
    link_speed: Whole = UNSET
    enabled: Flag = UNSET
    tags: list[MachineText] = Field(default_factory=list)


class BlockDevice(ObjectRow):
    """A disk or a virtual block device."""

    sources = taken_from(
        partitions=lambda entry: [_partition(part) for part in _objects(entry.get("partitions"))],
        filesystem=lambda entry: _filesystem(entry.get("filesystem")),
    )

    id: Whole
    name: MachineText = UNSET
    type: MachineText = UNSET
    size: Whole = UNSET
    """Bytes."""
    model: MachineText | None = None
    serial: MachineText | None = None
    used_for: MachineText | None = None
    filesystem: MachineText | None = None
    partitions: list[MachineText] = Field(default_factory=list)
    tags: list[MachineText] = Field(default_factory=list)


class _OfMachine(ObjectRow):
    """Fields of the machine itself."""

    identity = label = "system_id"

    system_id: SystemId


class Hardware(_OfMachine):
    """Hardware beyond the numbers of processors and megabytes."""

    cpu_speed: Whole = UNSET
    hardware_uuid: MachineText | None = None
    is_dpu: Flag = UNSET
    hardware_info: dict[str, MachineText] = Field(default_factory=dict)
    workload_annotations: dict[str, MachineText] = Field(default_factory=dict)


class Boot(_OfMachine):
    """How the machine boots, and with which system."""

    sources = taken_from(boot_interface=("boot_interface", "name"), boot_disk=("boot_disk", "name"))

    bios_boot_method: MachineText | None = None
    boot_interface: MachineText | None = None
    boot_disk: MachineText | None = None
    netboot: Flag = UNSET
    osystem: MachineText | None = None
    distro_series: MachineText | None = None
    hwe_kernel: MachineText | None = None
    min_hwe_kernel: MachineText | None = None
    ephemeral_deploy: Flag = UNSET
    enable_hw_sync: Flag = UNSET
    enable_kernel_crash_dump: Flag = UNSET
    swap_size: Whole | None = None


class Groups(_OfMachine):
    """Block devices that belong together."""

    sources = taken_from(
        volume_groups=each("volume_groups", "name"), raids=each("raids", "name"), bcaches=each("bcaches", "name")
    )

    volume_groups: list[MachineText] = Field(default_factory=list)
    raids: list[MachineText] = Field(default_factory=list)
    bcaches: list[MachineText] = Field(default_factory=list)


class Gateways(_OfMachine):
    """The default gateways."""

    sources = taken_from(
        ipv4_gateway=("default_gateways", "ipv4", "gateway_ip"), ipv6_gateway=("default_gateways", "ipv6", "gateway_ip")
    )

    ipv4_gateway: MachineText | None = None
    ipv6_gateway: MachineText | None = None


async def read_section(ctx: ToolContext, name: "SectionName", machine: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return a section of a machine.

    Args:
        ctx: The call.
        name: The section.
        machine: The machine's JSON.
    """
    system_id, hostname = str(machine.get("system_id")), str(machine.get("hostname"))
    match name:
        case "events":
            return {"events": await _events(ctx, system_id)}
        case "scripts":
            return await _scripts(ctx, system_id)
        case "operation":
            return await _operation(ctx, hostname)
        case _:
            return _KNOWN[name](machine)


def _network(machine: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"interfaces": _rows(Interface, machine.get("interface_set")), **_fields(Gateways, machine)}


def _storage(machine: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"block_devices": _rows(BlockDevice, machine.get("blockdevice_set")), **_fields(Groups, machine)}


_KNOWN: Final[Mapping[str, Callable[[Mapping[str, JSON]], dict[str, JSON]]]] = {
    "network": _network,
    "storage": _storage,
    "hardware": lambda machine: _fields(Hardware, machine),
    "boot": lambda machine: _fields(Boot, machine),
}
"""The sections that need no further request."""


def _fields(model: type[ObjectRow], machine: Mapping[str, JSON]) -> dict[str, JSON]:
    """The fields that have a value, and the names of those that cannot be read."""
    row = model.from_response(model.prepare(machine))
    shown = {name: value for name, value in row.shown().items() if name != row.identity}
    return shown | ({"unreadable": list(row.unreadable)} if row.unreadable else {})


def _rows(model: type[ObjectRow], entries: JSON) -> list[dict[str, JSON]]:
    """The readable entries of a list, as many as fit, and one entry that says what is missing."""
    found = model.list_from_response([model.prepare(entry) for entry in entries] if isinstance(entries, list) else [])
    rows = [row.shown() for row in found]
    kept = fit_page(rows, len(rows), size=SECTION_BYTES)
    left_out = [str(each) for each in found.left_out[:EVENTS]]
    if len(kept) < len(rows):
        left_out.append(f"{len(rows) - len(kept)} more do not fit into this answer.")
    return [*kept, *({"left_out": text} for text in left_out)]


def _objects(entries: JSON) -> Iterable[Mapping[str, JSON]]:
    return (entry for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()


def _link(link: Mapping[str, JSON]) -> dict[str, JSON]:
    subnet = link.get("subnet")
    found = {
        "link_id": link.get("id"),
        "mode": link.get("mode"),
        "subnet": subnet.get("cidr") if isinstance(subnet, dict) else None,
        "ip_address": link.get("ip_address"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _bond_mode(params: JSON) -> JSON:
    """The mode of a bond. MAAS sends ``params`` as text if it is empty."""
    return params.get("bond_mode") if isinstance(params, dict) else None


def _partition(part: Mapping[str, JSON]) -> str:
    name = _text(part.get("path")).rpartition("/")[2] or f"partition {_text(part.get('id'))}"
    size = part.get("size")
    gigabytes = f"{size / 1e9:.1f} GB" if isinstance(size, int | float) else ""
    return ", ".join(filter(None, [name, gigabytes, _filesystem(part.get("filesystem"))]))


def _filesystem(filesystem: JSON) -> str:
    if not isinstance(filesystem, dict):
        return ""
    mount = _text(filesystem.get("mount_point"))
    return _text(filesystem.get("fstype")) + (f" on {mount}" if mount else "")


def _text(value: JSON) -> str:
    return "" if value is None else str(value)


async def _events(ctx: ToolContext, system_id: SystemId) -> list[dict[str, Any]]:
    events = await ctx.maas.events(ids=[system_id], level="INFO", limit=EVENTS)
    rows = [{"at": show(each.at), "level": each.level, "event": shorten(each.text)} for each in reversed(events)]
    return fit_page(rows, EVENTS, size=SECTION_BYTES)


async def _scripts(ctx: ToolContext, system_id: SystemId) -> dict[str, JSON]:
    """The state of the latest run of each kind, with its failed scripts."""
    found: dict[str, JSON] = {}
    for alias in ScriptSetName:  # one by one, because MAAS reads each script's output for every request
        run = await ctx.maas.script_set(system_id, alias)
        if run is not None:
            failed = [f"{script.label} (exit status {script.exit_status})" for script in run.results if script.failed]
            shown = {"status": run.status_name, "scripts": len(run.results)}
            found[alias.removeprefix("current-")] = shown | ({"failed": shorten(failed)} if failed else {})
    return found


async def _operation(ctx: ToolContext, hostname: str) -> dict[str, JSON]:
    listed = await ctx.operations.list()
    found = [
        {"operation": each.operation, "operation_id": each.operation_id, "state": each.state, "message": each.message}
        for each in listed.operations
        if each.hostname == hostname
    ]
    return {"operations": found, **({"unreadable": listed.unreadable} if listed.unreadable else {})}
