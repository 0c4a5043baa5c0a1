"""The request that sets a machine's storage layout, and the storage configuration that MAAS shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from maas_configure.changes.machines import MachineChange, check_changeable, read_machine
from maas_configure.machines import label
from maas_configure.storage import FilesystemRow, LaidOutMachine, SetLayout
from maas_mcp.api import (
    MaasClient,
    MaasModel,
    Machine,
    MachineStatus,
    MachineText,
    OperationRefusedError,
    ToolContext,
    change_once,
    quoted,
)


class _Filesystem(MaasModel):
    """A filesystem on a block device or a partition."""

    fstype: MachineText = ""
    mount_point: MachineText | None = None


class _Partition(MaasModel):
    """A partition of a block device."""

    id: int
    path: MachineText = ""
    size: int = 0
    filesystem: _Filesystem | None = None


class _BlockDevice(MaasModel):
    """A disk, or a volume on other devices."""

    id: int
    name: MachineText = ""
    type: str = ""
    """``physical`` for a disk, ``virtual`` for a volume."""
    size: int = 0
    filesystem: _Filesystem | None = None
    partitions: tuple[_Partition, ...] = ()


class _StoredMachine(Machine):
    """A machine with its storage configuration."""

    blockdevice_set: tuple[_BlockDevice, ...] = ()
    volume_groups: tuple[Any, ...] = ()
    raids: tuple[Any, ...] = ()
    bcaches: tuple[Any, ...] = ()
    cache_sets: tuple[Any, ...] = ()

    @property
    def configuration(self) -> tuple[object, ...]:
        """Everything that a layout replaces. MAAS gives each new part a new id."""
        return (self.blockdevice_set, self.volume_groups, self.raids, self.bcaches, self.cache_sets)

    @property
    def is_blank(self) -> bool:
        """Whether nothing is configured."""
        used = any(each.type == "virtual" or each.partitions or each.filesystem for each in self.blockdevice_set)
        return not used and not any(self.configuration[1:])


async def set_storage_layout(ctx: ToolContext, args: SetLayout) -> LaidOutMachine:
    """Set the layout, unless the machine shows it."""
    machine = await read_machine(ctx.maas, args.system_id, _StoredMachine)
    change = _Layout(machine, args.storage_layout, _root_device(machine, args.root_device))
    if not change.is_done(machine):
        await check_changeable(ctx, machine, {MachineStatus.READY}, to="get another storage layout")
    changed = await change_once(ctx, machine, change)
    return LaidOutMachine.of(changed.state, sent=changed.sent, filesystems=list(_rows(changed.state)))


@dataclass(frozen=True)
class _Layout(MachineChange[_StoredMachine]):
    layout: str
    root_device: int | None
    op = "set_storage_layout"

    async def send(self, maas: MaasClient) -> None:
        path = f"machines/{self.before.system_id}/"
        await maas.post_op(path, self.op, storage_layout=self.layout, root_device=self.root_device)

    def is_done(self, state: _StoredMachine) -> bool:
        return self.layout == "blank" and state.is_blank

    def is_shown(self, state: _StoredMachine) -> bool:
        """Whether the configuration is another one, and can be of this layout."""
        if self.layout == "blank":
            return state.is_blank
        fits = {"lvm": bool(state.volume_groups), "bcache": bool(state.bcaches)}.get(self.layout, not state.is_blank)
        return fits and state.configuration != self.before.configuration

    def shown(self, state: _StoredMachine) -> str:
        return "blank" if state.is_blank else "configured as before"


def _root_device(machine: _StoredMachine, name: str | None) -> int | None:
    """The id of a disk.

    Raises:
        OperationRefusedError: The machine has no disk of this name.
    """
    if name is None:
        return None
    disks = {each.name: each.id for each in machine.blockdevice_set if each.type == "physical"}
    if name not in disks:
        known = ", ".join(f"{each}" for each in disks) or "none"
        raise OperationRefusedError(
            f"{label(machine)} has no disk {quoted(name)}. Expected one of: {known}. Nothing was sent to MAAS."
        )
    return disks[name]


def _rows(machine: _StoredMachine) -> Iterator[FilesystemRow]:
    for device in machine.blockdevice_set:
        parts = [(device.name, device.size, device.filesystem)]
        parts += [(each.path, each.size, each.filesystem) for each in device.partitions]
        for path, size, found in parts:
            if found is not None:
                yield FilesystemRow(path=path, size=size, fstype=found.fstype, mount_point=found.mount_point)
