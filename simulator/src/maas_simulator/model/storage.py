"""The storage of machines: derived from their disks, and records once it was changed.

A block device has partitions or a filesystem. The filesystem of a device or partition that belongs to a volume group
names it as its ``group``, and so does a logical volume. The sizes follow from those that MAAS 3.7.3 shows.
"""

import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count
from typing import Any, Final

from maas_simulator.model.disks import PHYSICAL, VIRTUAL, Storage
from maas_simulator.model.hardware import UEFI
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.statuses import Status

FLAT, LVM, BLANK = "flat", "lvm", "blank"
SIMULATED: Final = (FLAT, LVM, BLANK)
"""The simulated layouts."""
BLOCK: Final = 4 * 2**20
"""The unit of partitions and volumes. A device of a volume group loses one to it."""
_TABLE, _BIOS, _EFI = 5 * 2**20, 2**20, 512 * 2**20
"""What a partition table takes, in addition to boot without UEFI, and the size of the partition to boot with UEFI."""

_NOT_IN_USE: Final = frozenset({Status.NEW, Status.READY, Status.BROKEN, Status.RELEASING})

NewId = Callable[[str], int]
"""Returns an id for an object of this kind."""


def storage_of(machine: SimulatedMachine) -> Storage:
    """The storage of a machine, to be read."""
    return machine.storage or _derive(machine)


def changeable_storage(machine: SimulatedMachine) -> Storage:
    """The storage of a machine, to be changed, and stored in the machine if the change is not rejected."""
    storage = storage_of(machine)
    if machine.storage is None and machine.acquired:
        storage.keep()
    return storage


def track_use(machine: SimulatedMachine) -> None:
    """Follow the machine's status: its disks are in use from its allocation until its release begins."""
    if machine.status is Status.ALLOCATED:
        machine.acquired = True
        if machine.storage is not None:
            machine.storage.keep()
    elif machine.status in _NOT_IN_USE:
        machine.acquired = False
        if machine.storage is not None:
            machine.storage.give_back()


def table_size(machine: SimulatedMachine) -> int:
    """The space that a partition table takes."""
    return _TABLE if machine.hardware.boot_method == UEFI else _TABLE + _BIOS


def free_space(machine: SimulatedMachine, device: Record) -> int:
    """The space for new partitions."""
    partitioned = sum(each["size"] for each in device["partitions"])
    return 0 if device["filesystem"] else whole_blocks(device["size"] - partitioned - table_size(machine))


def whole_blocks(size: int) -> int:
    """Round down to blocks."""
    return max(0, size // BLOCK * BLOCK)


def group_size(storage: Storage, group: Record) -> int:
    """The size of a volume group."""
    return sum(whole_blocks(int(each["size"])) - BLOCK for each in storage.members(group))


def group_free(storage: Storage, group: Record) -> int:
    """The space for new logical volumes."""
    return group_size(storage, group) - sum(int(each["size"]) for each in storage.devices.where(group=group["id"]))


@lru_cache(maxsize=50_000)
def new_uuid(what: str, number: int) -> str:
    """Build the UUID of an object: always the same, so that it need not be stored."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}-{number}.maas"))


def filesystem(uuid_: str, fstype: str, label: str | None = None, **mount: str) -> Record:
    """Build a filesystem, with ``mount_point`` and ``mount_options`` if it is mounted."""
    nothing = dict.fromkeys(("mount_point", "mount_options", "group"))
    return {"fstype": fstype, "label": label, "uuid": uuid_, **nothing, **mount}


def add_partition(machine: SimulatedMachine, device: Record, number: int, size: int | None = None) -> Record:
    """Add a partition after the others, by default as large as possible."""
    places = [each["place"] for each in device["partitions"]]
    first = 1 if machine.hardware.boot_method == UEFI else 2
    partition: Record = {
        "id": number,
        "place": max(places, default=first - 1) + 1,
        "size": free_space(machine, device) if size is None else whole_blocks(size),
        "uuid": new_uuid("partition", number),
        "bootable": False,
        "tags": [],
        "filesystem": None,
    }
    device["partitions"].append(partition)
    return partition


def add_device(storage: Storage, number: int, **fields: Any) -> Record:
    """Add a block device, by default a physical one."""
    nothing = dict.fromkeys(("model", "serial", "id_path", "firmware_version", "uuid", "numa_node", "group"))
    device: Record = {**nothing, "type": PHYSICAL, "block_size": 4096, "tags": [], "partitions": [], "filesystem": None}
    return storage.devices.add(**device | fields | {"id": number})


def add_group(storage: Storage, number: int, name: str, members: list[Record]) -> Record:
    """Make a volume group of devices and partitions."""
    group = storage.groups.add(id=number, name=name, uuid=new_uuid("volume-group", number))
    for each in members:
        each["filesystem"] = filesystem(new_uuid("physical-volume", each["id"]), "lvm-pv") | {"group": number}
    return group


def add_volume(storage: Storage, number: int, group: Record, name: str, size: int | None = None) -> Record:
    """Add a logical volume to a group, by default as large as possible."""
    length = group_free(storage, group) if size is None else whole_blocks(size)
    own = {"type": VIRTUAL, "group": group["id"], "uuid": new_uuid("volume", number)}
    return add_device(storage, number, name=f"{group['name']}-{name}", size=length, **own)


def lay_out(machine: SimulatedMachine, storage: Storage, layout: str, new: NewId, given: Mapping[str, Any]) -> None:
    """Replace the configuration of the disks by one of MAAS's layouts, with its parameters."""
    machine.laid_out = True
    storage.clear()
    if layout == BLANK or storage.boot_disk is None:
        return
    boot = storage.devices[storage.boot_disk]
    root = storage.devices.get(given.get("root_device") or 0, boot)

    def format_(holder: Record, fstype: str, label: str, mount_point: str) -> None:
        own = new_uuid(f"filesystem-{label}", holder["id"])
        holder["filesystem"] = filesystem(own, fstype, label, mount_point=mount_point)

    if machine.hardware.boot_method == UEFI:
        efi = add_partition(machine, boot, new("Partition"), _EFI)
        efi["bootable"] = True
        format_(efi, "fat32", "efi", "/boot/efi")
    if given.get("boot_size"):
        first = add_partition(machine, boot, new("Partition"), given["boot_size"])
        first["bootable"] = True
        format_(first, "ext4", "boot", "/boot")
    main = add_partition(machine, root, new("Partition"), given.get("root_size"))
    if layout == LVM:
        group = add_group(storage, new("VolumeGroup"), given.get("vg_name") or "vgroot", [main])
        name = given.get("lv_name") or "lvroot"
        main = add_volume(storage, new("BlockDevice"), group, name, given.get("lv_size"))
    format_(main, "ext4", "root", "/")


def clear_layout(machine: SimulatedMachine) -> None:
    """Remove the layout, as commissioning first does."""
    machine.laid_out = False
    if machine.storage is not None:
        machine.storage.clear()


def apply_layout(tables: Tables, machine: SimulatedMachine, layout: str) -> None:
    """Apply the default layout to a machine without one, as commissioning does; flat, if it is not simulated."""
    if not machine.laid_out and (machine.storage is not None or layout in (LVM, BLANK)):
        machine.storage = storage_of(machine)
        lay_out(machine, machine.storage, layout if layout in SIMULATED else FLAT, tables.take_id, {})
    machine.laid_out = True


def _derive(machine: SimulatedMachine) -> Storage:
    """Derive the storage of a machine whose disks were never changed."""
    storage, first = Storage(), machine.number * 10
    for number, disk in enumerate(machine.disks if machine.known else (), first):
        found = {name: getattr(disk, name) for name in _FOUND}
        path = disk.id_path or f"/dev/{disk.name}"
        add_device(storage, number, **found, tags=list(disk.tags), id_path=path, numa_node=0)
    if storage.devices:
        storage.boot_disk = first
    if machine.laid_out:
        numbers = count(first * 10 + 1)
        lay_out(machine, storage, FLAT, lambda _kind: next(numbers), {})
    return storage


_FOUND: Final = ("name", "size", "model", "serial", "block_size", "firmware_version")
