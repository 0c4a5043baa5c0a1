"""A machine's hardware as JSON: disks and processors."""

import uuid
from collections.abc import Iterator

from maas_simulator.model.hardware import UEFI, Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.scripts import JSON

HARDWARE = [
    "system_vendor",
    "system_product",
    "system_family",
    "system_version",
    "system_sku",
    "system_serial",
    "cpu_model",
    "mainboard_vendor",
    "mainboard_product",
    "mainboard_serial",
    "mainboard_version",
    "mainboard_firmware_vendor",
    "mainboard_firmware_date",
    "mainboard_firmware_version",
    "chassis_vendor",
    "chassis_type",
    "chassis_serial",
    "chassis_version",
]
BLOCK = 4 * 2**20
PARTITION_TABLE = 5 * 2**20
"""The space that MAAS counts as used in addition to partitions."""
BIOS_PARTITION = 2**20
"""The additional space on disks from which machines boot without UEFI."""

EFI_PARTITION = 512 * 2**20
_PARTITIONS = {"efi": (1, "fat32", "efi", "/boot/efi"), "root": (2, "ext4", "root", "/")}
"""The number, filesystem, label and mount point of the partitions of MAAS's flat layout."""


def disks_json(machine: SimulatedMachine) -> list[JSON]:
    """All disks of a machine that MAAS knows."""
    return [_disk(machine, index) for index in range(len(machine.disks))] if machine.known else []


def hardware_json(machine: SimulatedMachine) -> JSON:
    """The hardware counts from commissioning."""
    known = machine.known
    info: JSON = dict.fromkeys(HARDWARE, "Unknown")
    if known:
        info |= {**machine.hardware.info, "system_serial": f"S{23990000 + machine.number}"}
    cores, memory = machine.numa_node or ((machine.cpu_count, machine.memory) if known else (0, 0))
    return {
        "architecture": machine.architecture,
        "cpu_count": machine.cpu_count if known else 0,
        "cpu_speed": machine.hardware.cpu_speed if known else 0,
        "bios_boot_method": machine.hardware.boot_method if known or machine.booted else None,
        "memory": machine.memory if known else 0,
        "storage": machine.storage,
        "hardware_info": info,
        "hardware_uuid": _uuid(machine, "hardware") if known else None,
        "numanode_set": [{"index": 0, "memory": memory, "cores": list(range(cores)), "hugepages_set": []}],
    }


def _disk(machine: SimulatedMachine, index: int) -> JSON:
    disk, number = machine.disks[index], machine.number * 10 + index
    partitions = list(_partitions(machine, disk, number)) if index == 0 and machine.laid_out else []
    plural = "s" * (len(partitions) > 1)
    table = PARTITION_TABLE + BIOS_PARTITION * (machine.hardware.boot_method != UEFI)
    return {
        "id": number,
        "system_id": machine.system_id,
        "name": disk.name,
        "type": "physical",
        "size": disk.size,
        "used_size": _room(disk) + table if partitions else 0,
        "available_size": 0 if partitions else _room(disk),
        "block_size": disk.block_size,
        "tags": list(disk.tags),
        "used_for": f"GPT partitioned with {len(partitions)} partition{plural}" if partitions else "Unused",
        "partition_table_type": "GPT" if partitions else None,
        "partitions": partitions,
        "id_path": disk.id_path or f"/dev/{disk.name}",
        "path": f"/dev/disk/by-dname/{disk.name}",
        "numa_node": 0,
        "model": disk.model,
        "serial": disk.serial,
        "uuid": None,
        "firmware_version": disk.firmware_version,
        "filesystem": None,
        "storage_pool": None,
        "resource_uri": f"{API}/nodes/{machine.system_id}/blockdevices/{number}/",
    }


def _partitions(machine: SimulatedMachine, disk: Disk, number: int) -> Iterator[JSON]:
    """The partitions of MAAS's flat layout."""
    efi = EFI_PARTITION if machine.hardware.boot_method == UEFI else 0
    if efi:
        yield _partition(machine, disk, number, efi, "efi")
    yield _partition(machine, disk, number, _room(disk) - efi, "root")


def _partition(machine: SimulatedMachine, disk: Disk, device: int, size: int, kind: str) -> JSON:
    place, fstype, label, mount_point = _PARTITIONS[kind]
    number = device * 10 + place
    return {
        "id": number,
        "system_id": machine.system_id,
        "device_id": device,
        "type": "partition",
        "size": size,
        "bootable": label == "efi",
        "tags": [],
        "uuid": _uuid(machine, f"{label} partition"),
        "used_for": f"{fstype} formatted filesystem mounted at {mount_point}" if machine.mounted else "Unused",
        "path": f"/dev/disk/by-dname/{disk.name}-part{place}",
        "filesystem": {
            "fstype": fstype,
            "label": label,
            "uuid": _uuid(machine, f"{label} filesystem"),
            "mount_point": mount_point,
            "mount_options": None,
        }
        if machine.mounted
        else None,
        "resource_uri": f"{API}/nodes/{machine.system_id}/blockdevices/{device}/partition/{number}",
    }


def _room(disk: Disk) -> int:
    """The size that partitions can use: whole blocks of 4 MiB, minus one."""
    return (disk.size // BLOCK - 1) * BLOCK


def _uuid(machine: SimulatedMachine, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}.{machine.system_id}.maas"))
