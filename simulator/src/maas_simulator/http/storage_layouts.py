"""Operations on the whole storage of a machine: layouts, special filesystems, and restoring the found configuration."""

from typing import Final

from maas_simulator.http.calls import Answer, Call, Handler, keyed
from maas_simulator.http.render import machine_json
from maas_simulator.http.storage_resources import MOUNT, check_mount_point
from maas_simulator.http.storage_targets import StorageOperation, Target, refuse
from maas_simulator.model.config import LAYOUTS
from maas_simulator.model.disks import PHYSICAL, Storage
from maas_simulator.model.fields import Field, RecordForm, byte_size, choice, one_of, text
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import Refusal, conflict, not_simulated
from maas_simulator.model.statuses import Status
from maas_simulator.model.storage import (
    BLANK,
    SIMULATED,
    filesystem,
    free_space,
    lay_out,
    new_uuid,
    storage_of,
)

_LAYOUT: Final = RecordForm(
    "Storage layout", (Field("storage_layout", one_of("storage_layout", *LAYOUTS), required=True),)
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
    values = RecordForm("Storage layout", fields).clean(tables, call.form, None)
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


_SPECIAL: Final = RecordForm("Filesystem", (*MOUNT.fields, Field("fstype", choice("tmpfs", "ramfs"), required=True)))


def _mount(at: Target) -> None:
    values = at.clean(_SPECIAL)
    check_mount_point(at.storage, values["mount_point"])
    at.storage.special.append(filesystem(new_uuid("filesystem", at.new_id("Filesystem")), **values))


def _unmount(at: Target) -> None:
    place = at.clean(RecordForm("Filesystem", MOUNT.fields[:1]))["mount_point"]
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
    POST_mount_special=StorageOperation(_mount, "mount the filesystem", "edit"),
    POST_unmount_special=StorageOperation(_unmount, "unmount the filesystem", "edit"),
    POST_restore_storage_configuration=_restore("storage configuration."),
    POST_restore_default_configuration=_restore("default networking and storage configuration."),
    POST_restore_networking_configuration=_restore("networking configuration"),
)
