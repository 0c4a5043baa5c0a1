"""The storage of machines as JSON: block devices, partitions and volume groups."""

from maas_simulator.model.disks import PHYSICAL, VIRTUAL, Storage, group_of
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON
from maas_simulator.model.storage import free_space, group_free, group_size, storage_of, table_size

SHOWN = (
    *("id", "name", "type", "size", "block_size", "tags", "model", "serial", "id_path", "uuid", "numa_node"),
    "firmware_version",
)
_FILESYSTEM = ("fstype", "label", "uuid", "mount_point", "mount_options")


def storage_json(machine: SimulatedMachine) -> JSON:
    """The fields of a machine that show its storage."""
    storage = storage_of(machine)
    devices: dict[int, JSON] = {number: device_json(machine, storage, each) for number, each in storage.devices.items()}
    kinds: dict[str, list[JSON]] = {
        kind: [devices[each["id"]] for each in storage.of_type(kind)] for kind in (PHYSICAL, VIRTUAL)
    }
    return {
        "storage": sum(int(each["size"]) for each in storage.of_type(PHYSICAL)) / 10**6,
        "boot_disk": devices.get(storage.boot_disk or 0),
        "blockdevice_set": list(devices.values()),
        **{f"{kind}blockdevice_set": shown for kind, shown in kinds.items()},
        "volume_groups": [group_json(machine, storage, each) for each in storage.groups.values()],
        "special_filesystems": [_filesystem(each) for each in storage.special],
        **{kind: [] for kind in ("raids", "bcaches", "cache_sets")},
    }


def device_json(machine: SimulatedMachine, storage: Storage, device: Record) -> JSON:
    """A block device."""
    partitions, shown = device["partitions"], _visible(machine, device)
    plural = "s" * (len(partitions) > 1)
    used = f"GPT partitioned with {len(partitions)} partition{plural}"
    used_size = sum(each["size"] for each in partitions) + table_size(machine) if partitions else 0
    return {
        **{name: device[name] for name in SHOWN},
        "system_id": machine.system_id,
        "used_size": device["size"] if shown else used_size,
        "available_size": free_space(machine, device),
        "used_for": used if partitions else _used_for(storage, shown),
        "partition_table_type": "GPT" if partitions else None,
        "partitions": [partition_json(machine, storage, device, each) for each in partitions],
        "filesystem": shown and _filesystem(shown),
        "path": f"/dev/disk/by-dname/{device['name']}",
        "storage_pool": None,
        "resource_uri": f"{API}/nodes/{machine.system_id}/blockdevices/{device['id']}/",
    }


def partition_json(machine: SimulatedMachine, storage: Storage, device: Record, partition: Record) -> JSON:
    """A partition of a block device."""
    shown = _visible(machine, partition)
    return {
        **{name: partition[name] for name in ("id", "size", "bootable", "tags", "uuid")},
        "system_id": machine.system_id,
        "device_id": device["id"],
        "type": "partition",
        "used_for": _used_for(storage, shown),
        "path": f"/dev/disk/by-dname/{device['name']}-part{partition['place']}",
        "filesystem": shown and _filesystem(shown),
        "resource_uri": f"{API}/nodes/{machine.system_id}/blockdevices/{device['id']}/partition/{partition['id']}",
    }


def group_json(machine: SimulatedMachine, storage: Storage, group: Record) -> JSON:
    """A volume group with its devices and volumes."""
    total, free = group_size(storage, group), group_free(storage, group)
    sizes = {"size": total, "available_size": free, "used_size": total - free}
    return {
        **group,
        **sizes,
        **{f"human_{name}": _human(size) for name, size in sizes.items()},
        "system_id": machine.system_id,
        "devices": [_member(machine, storage, each) for each in storage.members(group)],
        "logical_volumes": [device_json(machine, storage, each) for each in storage.devices.where(group=group["id"])],
        "resource_uri": f"{API}/nodes/{machine.system_id}/volume-group/{group['id']}/",
    }


def _member(machine: SimulatedMachine, storage: Storage, holder: Record) -> JSON:
    for device in storage.devices.values():
        if holder in device["partitions"]:
            return partition_json(machine, storage, device, holder)
    return device_json(machine, storage, holder)


def _visible(machine: SimulatedMachine, holder: Record) -> Record | None:
    """The filesystem that MAAS shows. It always shows what belongs to a group."""
    shown: Record | None = holder["filesystem"] if machine.mounted or group_of(holder) else None
    return shown


def _used_for(storage: Storage, shown: Record | None) -> str:
    if shown is None:
        return "Unused"
    if shown["group"]:
        return f"LVM volume for {storage.groups[shown['group']]['name']}"
    words = f"{shown['fstype']} formatted filesystem"
    return f"{words} mounted at {shown['mount_point']}" if shown["mount_point"] else f"Unmounted {words}"


def _filesystem(record: Record) -> JSON:
    return {name: record[name] for name in _FILESYSTEM}


def _human(size: float) -> str:
    """Show a size as MAAS does, such as ``45.8 GB``."""
    power = 0
    while size >= 1000:  # noqa: PLR2004 - the prefixes of SI
        size, power = size / 1000, power + 1
    return f"{size:.1f} {' kMGTPE'[power]}B" if power else f"{size} bytes"
