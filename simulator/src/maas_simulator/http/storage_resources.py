"""The storage of machines in the API: block devices, partitions and volume groups, each with its operations.

MAAS's words for some conflicts are not known, such as formatting what is mounted: those are not simulated.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handler
from maas_simulator.http.resources import DELETED, add_tag, remove_tag
from maas_simulator.http.storage_targets import READY, Change, StorageOperation, Target, find, refuse
from maas_simulator.http.storage_views import device_json, group_json
from maas_simulator.model.disks import PHYSICAL, VIRTUAL, Storage, group_of
from maas_simulator.model.fields import Field, Invalid, RecordForm, boolean, byte_size, choice, listed, text, whole
from maas_simulator.model.forms import last
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.refusals import Refusal, invalid
from maas_simulator.model.statuses import Status
from maas_simulator.model.storage import (
    BLOCK,
    add_device,
    add_group,
    add_partition,
    add_volume,
    filesystem,
    free_space,
    group_free,
    new_uuid,
)

_UUID: Final = Field("uuid", text(36, r"[0-9a-fA-F-]{36}"), default=None)
_DEVICE: Final = RecordForm(
    "Physical block device",
    (
        Field("name", text(255), required=True),
        *(Field(name, text(255)) for name in ("model", "serial", "id_path")),
        Field("size", byte_size(143360), required=True),
        Field("block_size", whole(512), required=True),
    ),
)
_FORMAT: Final = RecordForm(
    "Filesystem",
    (
        Field("fstype", choice("fat32", "vfat", "ext2", "ext4", "xfs", "swap", "btrfs", "zfsroot"), required=True),
        _UUID,
        Field("label", text(255)),
    ),
)
MOUNT: Final = RecordForm(
    "Filesystem", (Field("mount_point", text(4096, r"/.*|none"), required=True), Field("mount_options", text()))
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


def _create_device(call: Call, at: Target) -> Answer:
    """Add a disk. MAAS needs either a path, or a model and a serial number."""
    values = _DEVICE.clean(call.region.tables, call.form, None)
    refuse(not values["id_path"] and not (values["model"] and values["serial"]), "a disk that cannot be identified")
    refuse(values["name"] in at.storage.devices.names, "a name in use")
    device = add_device(at.storage, call.region.tables.take_id("BlockDevice"), **values, numa_node=0)
    at.storage.boot_disk = at.storage.boot_disk or device["id"]
    return Answer(replace(at, device=device).view())


def _update_device(call: Call, at: Target) -> None:
    """Change a disk. That of a deployed machine can be replaced by another of the same size."""
    refuse(at.record["type"] == VIRTUAL, "a change of a volume")
    fixed = {"size", "block_size"} if at.machine.status is Status.DEPLOYED else set()
    given = {name: values for name, values in call.form.items() if name not in fixed}
    values = _DEVICE.clean(call.region.tables, given, None, at.record)
    refuse(values["size"] != at.record["size"] and at.record["partitions"], "another size of a partitioned disk")
    at.record.update(values)


def _delete_device(_call: Call, at: Target) -> Answer:
    refuse(any(map(group_of, (at.record, *at.record["partitions"]))), "deleting a disk of a volume group")
    del at.storage.devices[at.record["id"]]
    if at.storage.boot_disk == at.record["id"]:
        at.storage.boot_disk = next((each["id"] for each in at.storage.of_type(PHYSICAL)), None)
    return DELETED


def _set_boot_disk(_call: Call, at: Target) -> Answer:
    refuse(at.record["type"] == VIRTUAL, "a volume as boot disk")
    at.storage.boot_disk = at.record["id"]
    return Answer(text="OK", content_type="text/plain")


def _format(call: Call, at: Target) -> None:
    values = _FORMAT.clean(call.region.tables, call.form, None)
    refuse(_in_use(at.record) or at.record.get("partitions"), "formatting what is in use")
    chosen = values["uuid"] or new_uuid("filesystem", call.region.tables.take_id("Filesystem"))
    at.record["filesystem"] = filesystem(chosen, values["fstype"], values["label"])


def _unformat(_call: Call, at: Target) -> None:
    refuse(not at.record["filesystem"] or _in_use(at.record), "unformatting what has no free filesystem")
    at.record["filesystem"] = None


def _mount(call: Call, at: Target) -> None:
    values = MOUNT.clean(call.region.tables, call.form, None)
    refuse(not at.record["filesystem"] or _in_use(at.record), "mounting what has no free filesystem")
    check_mount_point(at.storage, values["mount_point"])
    at.record["filesystem"].update(values)


def _unmount(_call: Call, at: Target) -> None:
    refuse(not (at.record["filesystem"] or {}).get("mount_point"), "unmounting what is not mounted")
    at.record["filesystem"].update(mount_point=None, mount_options=None)


def _list_partitions(call: Call) -> Answer:
    """The partitions of a block device. MAAS 3.7 fails if it has none."""
    at = find(call)
    if not at.record["partitions"]:
        raise Refusal(500, "PartitionTable matching query does not exist.")
    return Answer([replace(at, partition=each).view() for each in at.record["partitions"]])


def _create_partition(call: Call, at: Target) -> Answer:
    """Add a partition, by default in all free space."""
    free = free_space(at.machine, at.record)
    fields = (Field("size", byte_size(BLOCK, free), default=None), _UUID, Field("bootable", boolean, default=False))
    values = RecordForm("Partition", fields).clean(call.region.tables, call.form, None)
    refuse(free < BLOCK, "a partition without space")
    partition = add_partition(at.machine, at.record, call.region.tables.take_id("Partition"), values["size"])
    partition |= {"bootable": values["bootable"], "uuid": values["uuid"] or partition["uuid"]}
    return Answer(replace(at, partition=partition).view())


def _delete_partition(_call: Call, at: Target) -> Answer:
    refuse(group_of(at.record), "deleting a partition of a volume group")
    if at.device is not None:
        at.device["partitions"].remove(at.record)
    return DELETED


def _list_groups(call: Call) -> Answer:
    at = find(call)
    return Answer([group_json(at.machine, at.storage, group) for group in at.storage.groups.values()])


def _create_group(call: Call, at: Target) -> Answer:
    """Make a volume group of unused block devices and partitions."""
    free = [each for each in at.storage.holders() if not each["filesystem"] and not each.get("partitions")]
    devices = [each for each in free if "type" in each]
    kinds = {"block_devices": devices, "partitions": [each for each in free if each not in devices]}
    fields = (Field(name, _read_members(known), default=[], several=True) for name, known in kinds.items())
    form = RecordForm("Volume group", (Field("name", text(255), required=True), _UUID, *fields))
    values = form.clean(call.region.tables, call.form, None)
    members = [*values["block_devices"], *values["partitions"]]
    refuse(not members, "a volume group without devices")
    refuse(at.storage.boot_disk in [each["id"] for each in values["block_devices"]], "the boot disk in a volume group")
    group = add_group(at.storage, call.region.tables.take_id("VolumeGroup"), values["name"], members)
    group["uuid"] = values["uuid"] or group["uuid"]
    return Answer(replace(at, group=group).view())


def _read_members(known: list[Record]) -> Callable[[Tables, str], list[Record]]:
    by_id = {str(each["id"]): each for each in known}

    def read_them(tables: Tables, value: str) -> list[Record]:
        for name in listed(tables, value):
            if name not in by_id:
                raise Invalid(f"Select a valid choice. {name} is not one of the available choices.")
        return [by_id[name] for name in listed(tables, value)]

    return read_them


def _delete_group(_call: Call, at: Target) -> Answer:
    """Delete a volume group with its volumes."""
    for each in at.storage.members(at.record):
        each["filesystem"] = None
    at.storage.devices.delete_where(group=at.record["id"])
    del at.storage.groups[at.record["id"]]
    return DELETED


def _create_volume(call: Call, at: Target) -> Answer:
    """Add a logical volume, by default in all free space."""
    free = group_free(at.storage, at.record)
    fields = (Field("name", text(255), required=True), _UUID, Field("size", byte_size(BLOCK, free), default=None))
    values = RecordForm("Logical volume", fields).clean(call.region.tables, call.form, None)
    refuse(free < BLOCK, "a volume without space")
    number = call.region.tables.take_id("BlockDevice")
    volume = add_volume(at.storage, number, at.record, values["name"], values["size"])
    volume["uuid"] = values["uuid"] or volume["uuid"]
    return Answer(device_json(at.machine, at.storage, volume))


def _delete_volume(call: Call, at: Target) -> Answer:
    if "id" not in call.form:
        raise Refusal(400, "No provided id!")
    volumes = {str(each["id"]): each for each in at.storage.devices.where(group=at.record["id"])}
    refuse(last(call.form, "id") not in volumes, "an unknown volume")
    del at.storage.devices[int(last(call.form, "id"))]
    return DELETED


def _none(call: Call) -> Answer:
    """No object: those of this kind cannot be created here."""
    find(call)
    return Answer([])


def _tag(change: Callable[[Call, Record], None]) -> Change:
    return lambda call, at: change(call, at.record)


_CHANGES: Final[Mapping[str, Change]] = {
    "format": _format,
    "unformat": _unformat,
    "mount": _mount,
    "unmount": _unmount,
}
_TAGS: Final[Mapping[str, Change]] = {"add_tag": _tag(add_tag), "remove_tag": _tag(remove_tag)}
_FILESYSTEM: Final[Mapping[tuple[str, str | None], Handler]] = {
    ("POST", name): StorageOperation(change, f"{name} {{}}") for name, change in _CHANGES.items()
}
_UPDATE, _NODE = "update {}", "nodes/{system_id}/"
_UPDATABLE: Final = READY | {Status.DEPLOYED}
ENDPOINTS: Final = (
    Endpoint(
        "BlockDevices",
        f"{_NODE}blockdevices/",
        {
            ("GET", None): list_devices,
            ("POST", None): StorageOperation(_create_device, "create {}", "admin", READY),
        },
    ),
    Endpoint(
        "BlockDevice",
        f"{_NODE}blockdevices/{{id}}/",
        {
            ("GET", None): read,
            ("PUT", None): StorageOperation(_update_device, _UPDATE, "admin", _UPDATABLE),
            ("DELETE", None): StorageOperation(_delete_device, "delete {}", "admin", READY),
            ("POST", "set_boot_disk"): StorageOperation(_set_boot_disk, "set as boot disk", "admin"),
            **{("POST", name): StorageOperation(each, _UPDATE, "admin", READY) for name, each in _TAGS.items()},
            **_FILESYSTEM,
        },
    ),
    Endpoint(
        "Partitions",
        f"{_NODE}blockdevices/{{device_id}}/partitions/",
        {("GET", None): _list_partitions, ("POST", None): StorageOperation(_create_partition, "create partition")},
    ),
    Endpoint(
        "Partition",
        f"{_NODE}blockdevices/{{device_id}}/partition/{{id}}",
        {
            ("GET", None): read,
            ("DELETE", None): StorageOperation(_delete_partition, "delete {}"),
            **{("POST", name): StorageOperation(each, _UPDATE) for name, each in _TAGS.items()},
            **_FILESYSTEM,
        },
    ),
    Endpoint(
        "VolumeGroups",
        f"{_NODE}volume-groups/",
        {("GET", None): _list_groups, ("POST", None): StorageOperation(_create_group, "create volume group")},
    ),
    Endpoint(
        "VolumeGroup",
        f"{_NODE}volume-group/{{id}}/",
        {
            ("GET", None): read,
            ("DELETE", None): StorageOperation(_delete_group, "delete volume group"),
            ("POST", "create_logical_volume"): StorageOperation(_create_volume, "create logical volume"),
            ("POST", "delete_logical_volume"): StorageOperation(_delete_volume, "delete logical volume"),
        },
    ),
    *(
        Endpoint(name, f"{_NODE}{path}/", {("GET", None): _none})
        for name, path in (
            ("Raids", "raids"),
            ("Bcaches", "bcaches"),
            ("BcacheCacheSets", "bcache-cache-sets"),
            ("VmfsDatastores", "vmfs-datastores"),
        )
    ),
)
