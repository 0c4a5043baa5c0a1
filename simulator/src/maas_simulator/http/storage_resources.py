"""The storage of machines in the API: block devices, partitions, volume groups and layouts, with their operations.

MAAS's words for some conflicts are not known, such as formatting what is mounted: those are not simulated.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call, Handler, Handlers, keyed, route
from maas_simulator.http.render import machine_json
from maas_simulator.http.resources import DELETED, add_tag, remove_tag
from maas_simulator.http.storage_targets import READY, StorageOperation, Target, find, refuse
from maas_simulator.http.storage_views import device_json, group_json, partition_json
from maas_simulator.model.config import LAYOUTS
from maas_simulator.model.disks import PHYSICAL, VIRTUAL, Storage, group_of
from maas_simulator.model.fields import Field, RecordForm, all_of, boolean, byte_size, choice, one_of, text, whole
from maas_simulator.model.forms import mandatory
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import Refusal, conflict, invalid, not_simulated
from maas_simulator.model.statuses import Status
from maas_simulator.model.storage import (
    BLANK,
    BLOCK,
    SIMULATED,
    add_device,
    add_group,
    add_partition,
    add_volume,
    filesystem,
    free_space,
    group_free,
    lay_out,
    new_uuid,
    storage_of,
)

_NAME: Final = Field("name", text(255), required=True)
_UUID: Final = Field("uuid", text(36, r"[0-9a-fA-F-]{36}"), default=None)
_DEVICE: Final = RecordForm(
    "Physical block device",
    _NAME,
    *(Field(name, text(255)) for name in ("model", "serial", "id_path")),
    Field("size", byte_size(143360), required=True),
    Field("block_size", whole(512), required=True),
)
_FORMAT: Final = RecordForm(
    "Filesystem",
    Field("fstype", choice("fat32", "vfat", "ext2", "ext4", "xfs", "swap", "btrfs", "zfsroot"), required=True),
    _UUID,
    Field("label", text(255)),
)
MOUNT: Final = RecordForm(
    "Filesystem", Field("mount_point", text(4096, r"/.*|none"), required=True), Field("mount_options", text())
)


def check_mount_point(storage: Storage, mount_point: str) -> None:
    """Reject a mount point that is in use."""
    if mount_point != "none" and storage.mounted_at(mount_point):
        raise invalid("__all__", f"Another filesystem is already mounted at {mount_point}.")


def _in_use(holder: Record) -> bool:
    return bool(holder["filesystem"] and (holder["filesystem"]["mount_point"] or group_of(holder)))


def list_devices(call: Call) -> Answer:
    """The block devices of a machine, without firmware versions, which MAAS omits here."""
    at = find(call)
    shown = (device_json(at.machine, at.storage, device) for device in at.storage.devices.values())
    return Answer([{name: value for name, value in each.items() if name != "firmware_version"} for each in shown])


def read(call: Call) -> Answer:
    """One object."""
    return Answer(find(call).view())


def _create_device(at: Target) -> Target:
    """Add a disk. MAAS needs either a path, or a model and a serial number."""
    values = at.clean(_DEVICE)
    refuse(not values["id_path"] and not (values["model"] and values["serial"]), "a disk that cannot be identified")
    refuse(values["name"] in at.storage.devices.names, "a name in use")
    device = add_device(at.storage, at.new_id("BlockDevice"), **values, numa_node=0)
    at.storage.boot_disk = at.storage.boot_disk or device["id"]
    return replace(at, kind="BlockDevice", record=device)


def _update_device(at: Target) -> None:
    """Change a disk. That of a deployed machine can be replaced by another of the same size."""
    refuse(at.record["type"] == VIRTUAL, "a change of a volume")
    fixed = {"size", "block_size"} if at.machine.status is Status.DEPLOYED else set()
    given = {name: values for name, values in at.call.form.items() if name not in fixed}
    values = at.clean(_DEVICE, given, at.record)
    refuse(values["size"] != at.record["size"] and at.record["partitions"], "another size of a partitioned disk")
    at.record.update(values)


def _delete_device(at: Target) -> Answer:
    refuse(any(map(group_of, (at.record, *at.record["partitions"]))), "deleting a disk of a volume group")
    del at.storage.devices[at.record["id"]]
    if at.storage.boot_disk == at.record["id"]:
        at.storage.boot_disk = next((each["id"] for each in at.storage.of_type(PHYSICAL)), None)
    return DELETED


def _set_boot_disk(at: Target) -> Answer:
    refuse(at.record["type"] == VIRTUAL, "a volume as boot disk")
    at.storage.boot_disk = at.record["id"]
    return Answer(text="OK", content_type="text/plain")


def _format(at: Target) -> None:
    values = at.clean(_FORMAT)
    refuse(_in_use(at.record) or at.record.get("partitions"), "formatting what is in use")
    chosen = values["uuid"] or new_uuid("filesystem", at.new_id("Filesystem"))
    at.record["filesystem"] = filesystem(chosen, values["fstype"], values["label"])


def _unformat(at: Target) -> None:
    refuse(not at.record["filesystem"] or _in_use(at.record), "unformatting what has no free filesystem")
    at.record["filesystem"] = None


def _mount(at: Target) -> None:
    values = at.clean(MOUNT)
    refuse(not at.record["filesystem"] or _in_use(at.record), "mounting what has no free filesystem")
    check_mount_point(at.storage, values["mount_point"])
    at.record["filesystem"].update(values)


def _unmount(at: Target) -> None:
    refuse(not (at.record["filesystem"] or {}).get("mount_point"), "unmounting what is not mounted")
    at.record["filesystem"].update(mount_point=None, mount_options=None)


def _list_partitions(call: Call) -> Answer:
    """The partitions of a block device. MAAS 3.7 fails if it has none."""
    at = find(call)
    if not at.record["partitions"]:
        raise Refusal(500, "PartitionTable matching query does not exist.")
    return Answer([partition_json(at.machine, at.storage, at.record, each) for each in at.record["partitions"]])


def _create_partition(at: Target) -> Target:
    """Add a partition, by default in all free space."""
    free = free_space(at.machine, at.record)
    size = Field("size", byte_size(BLOCK, free), default=None)
    values = at.clean(RecordForm("Partition", size, _UUID, Field("bootable", boolean, default=False)))
    refuse(free < BLOCK, "a partition without space")
    partition = add_partition(at.machine, at.record, at.new_id("Partition"), values["size"])
    partition |= {"bootable": values["bootable"], "uuid": values["uuid"] or partition["uuid"]}
    return replace(at, kind="Partition", record=partition, device=at.record)


def _delete_partition(at: Target) -> Answer:
    refuse(group_of(at.record), "deleting a partition of a volume group")
    at.device["partitions"].remove(at.record)
    return DELETED


def _list_groups(call: Call) -> Answer:
    at = find(call)
    return Answer([group_json(at.machine, at.storage, group) for group in at.storage.groups.values()])


def _create_group(at: Target) -> Target:
    """Make a volume group of unused block devices and partitions."""
    unused = (each for each in at.storage.holders() if not each["filesystem"] and not each.get("partitions"))
    free = {str(each["id"]): each for each in unused}
    kinds = {"block_devices": [name for name, each in free.items() if "type" in each]}
    kinds["partitions"] = [name for name in free if name not in kinds["block_devices"]]
    fields = (Field(name, all_of(choice(*known)), default=[], several=True) for name, known in kinds.items())
    values = at.clean(RecordForm("Volume group", _NAME, _UUID, *fields))
    members = [free[name] for kind in kinds for name in values[kind]]
    refuse(not members, "a volume group without devices")
    refuse(str(at.storage.boot_disk) in values["block_devices"], "the boot disk in a volume group")
    group = add_group(at.storage, at.new_id("VolumeGroup"), values["name"], members)
    group["uuid"] = values["uuid"] or group["uuid"]
    return replace(at, kind="VolumeGroup", record=group)


def _delete_group(at: Target) -> Answer:
    """Delete a volume group with its volumes."""
    for each in at.storage.members(at.record):
        each["filesystem"] = None
    at.storage.devices.delete_where(group=at.record["id"])
    del at.storage.groups[at.record["id"]]
    return DELETED


def _create_volume(at: Target) -> Target:
    """Add a logical volume, by default in all free space."""
    free = group_free(at.storage, at.record)
    size = Field("size", byte_size(BLOCK, free), default=None)
    values = at.clean(RecordForm("Logical volume", _NAME, _UUID, size))
    refuse(free < BLOCK, "a volume without space")
    volume = add_volume(at.storage, at.new_id("BlockDevice"), at.record, values["name"], values["size"])
    volume["uuid"] = values["uuid"] or volume["uuid"]
    return replace(at, kind="BlockDevice", record=volume)


def _delete_volume(at: Target) -> Answer:
    number = mandatory(at.call.form, "id")
    volumes = {str(each["id"]): each for each in at.storage.devices.where(group=at.record["id"])}
    refuse(number not in volumes, "an unknown volume")
    del at.storage.devices[int(number)]
    return DELETED


def _none(call: Call) -> Answer:
    """No object: those of this kind cannot be created here."""
    find(call)
    return Answer([])


def _holder(*tagging: Any) -> Handlers:
    """The operations that block devices and partitions have in common; ``tagging`` says who may tag, and when."""

    def tag(change: Callable[[Call, Record], None]) -> StorageOperation:
        return StorageOperation(lambda at: change(at.call, at.record), "update {}", *tagging)

    return keyed(
        GET=read,
        POST_format=StorageOperation(_format, "format {}"),
        POST_unformat=StorageOperation(_unformat, "unformat {}"),
        POST_mount=StorageOperation(_mount, "mount {}"),
        POST_unmount=StorageOperation(_unmount, "unmount {}"),
        POST_add_tag=tag(add_tag),
        POST_remove_tag=tag(remove_tag),
    )


_LAYOUT: Final = RecordForm(
    "Storage layout", Field("storage_layout", one_of("storage_layout", *LAYOUTS), required=True)
)
_LEAST_BOOT, _LEAST_ROOT = 10**8, 3 * 10**9
"""Sizes below which nothing is installed. MAAS's own limits, and its words for them, are not known."""


def set_layout(call: Call) -> Answer:
    """Replace the configuration of all disks by a layout."""
    machine, tables = call.machine(), call.region.tables
    call.check_permission("admin", machine)
    if machine.status is not Status.READY:
        raise conflict("Cannot change the storage layout on a machine that is not Ready.")
    layout = _LAYOUT.clean(tables, call.form, None)["storage_layout"]
    storage = storage_of(machine)
    size = byte_size(0, percent_of=storage.devices.get(storage.boot_disk or 0, {}).get("size", 0))
    fields = (
        Field(
            "root_device", one_of("root_device", *(str(each["id"]) for each in storage.of_type(PHYSICAL))), default=0
        ),
        *(Field(name, size, default=None) for name in ("boot_size", "root_size", "lv_size")),
        *(Field(name, text(255)) for name in ("vg_name", "lv_name")),
    )
    values = RecordForm("Storage layout", *fields).clean(tables, call.form, None)
    values["root_device"] = int(values["root_device"])
    if layout not in SIMULATED or not storage.devices:
        raise not_simulated(f"the storage layout {layout} on this machine")
    if layout != BLANK:
        _check_sizes(machine, storage, values)
    lay_out(machine, storage, layout, tables.take_id, values)
    machine.storage = storage
    return Answer(machine_json(call.region, machine))


def _check_sizes(machine: SimulatedMachine, storage: Storage, values: Record) -> None:
    disk = storage.devices[values["root_device"] or storage.boot_disk or 0]
    most = free_space(machine, {**disk, "partitions": [], "filesystem": None}) - 2**29
    boot, root, volume = values["boot_size"] or _LEAST_BOOT, values["root_size"] or _LEAST_ROOT, values["lv_size"] or 0
    refuse(boot < _LEAST_BOOT or root < _LEAST_ROOT, "partitions that are too small")
    refuse(boot + root > most or boot + volume > min(most, values["root_size"] or most), "sizes that are too large")


_SPECIAL: Final = RecordForm("Filesystem", *MOUNT.fields, Field("fstype", choice("tmpfs", "ramfs"), required=True))


def _mount_special(at: Target) -> None:
    values = at.clean(_SPECIAL)
    check_mount_point(at.storage, values["mount_point"])
    at.storage.special.append(filesystem(new_uuid("filesystem", at.new_id("Filesystem")), **values))


def _unmount_special(at: Target) -> None:
    place = at.clean(RecordForm("Filesystem", *MOUNT.fields[:1]))["mount_point"]
    left = [each for each in at.storage.special if each["mount_point"] != place]
    refuse(len(left) == len(at.storage.special), "unmounting where nothing is mounted")
    at.storage.special = left


def _restore(words: str) -> Handler:
    """Fail like MAAS, which reads what it restores from the output of commissioning: here, it has no resources."""

    def restore(call: Call) -> Answer:
        machine = call.machine()
        call.check_permission("admin", machine)
        if machine.status not in (Status.READY, Status.FAILED_TESTING):
            raise conflict(f"Machine must be in a ready or failed testing state to restore {words}")
        raise Refusal(500, "No resources found from commissioning output")

    return restore


MACHINE_OPERATIONS: Final = keyed(
    POST_set_storage_layout=set_layout,
    POST_mount_special=StorageOperation(_mount_special, "mount the filesystem", "edit"),
    POST_unmount_special=StorageOperation(_unmount_special, "unmount the filesystem", "edit"),
    POST_restore_storage_configuration=_restore("storage configuration."),
    POST_restore_default_configuration=_restore("default networking and storage configuration."),
    POST_restore_networking_configuration=_restore("networking configuration"),
)
_NODE: Final = "nodes/{system_id}/"
_UPDATABLE: Final = READY | {Status.DEPLOYED}
ENDPOINTS: Final = (
    route(
        "BlockDevices",
        f"{_NODE}blockdevices/",
        GET=list_devices,
        POST=StorageOperation(_create_device, "create {}", "admin", READY),
    ),
    route(
        "BlockDevice",
        f"{_NODE}blockdevices/{{id}}/",
        _holder("admin", READY),
        PUT=StorageOperation(_update_device, "update {}", "admin", _UPDATABLE),
        DELETE=StorageOperation(_delete_device, "delete {}", "admin", READY),
        POST_set_boot_disk=StorageOperation(_set_boot_disk, "set as boot disk", "admin"),
    ),
    route(
        "Partitions",
        f"{_NODE}blockdevices/{{device_id}}/partitions/",
        GET=_list_partitions,
        POST=StorageOperation(_create_partition, "create partition"),
    ),
    route(
        "Partition",
        f"{_NODE}blockdevices/{{device_id}}/partition/{{id}}",
        _holder(),
        DELETE=StorageOperation(_delete_partition, "delete {}"),
    ),
    route(
        "VolumeGroups",
        f"{_NODE}volume-groups/",
        GET=_list_groups,
        POST=StorageOperation(_create_group, "create volume group"),
    ),
    route(
        "VolumeGroup",
        f"{_NODE}volume-group/{{id}}/",
        GET=read,
        DELETE=StorageOperation(_delete_group, "delete volume group"),
        POST_create_logical_volume=StorageOperation(_create_volume, "create logical volume"),
        POST_delete_logical_volume=StorageOperation(_delete_volume, "delete logical volume"),
    ),
    route("Raids", f"{_NODE}raids/", GET=_none),
    route("Bcaches", f"{_NODE}bcaches/", GET=_none),
    route("BcacheCacheSets", f"{_NODE}bcache-cache-sets/", GET=_none),
    route("VmfsDatastores", f"{_NODE}vmfs-datastores/", GET=_none),
)
