"""A machine's hardware as JSON: NICs, disks and processors."""

import uuid
from collections.abc import Iterator

from maas_simulator.http.network_views import subnet_json, vlan_json
from maas_simulator.model.hardware import UEFI, Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API, vlan_of_fabric
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

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


def interfaces_json(region: RegionState, machine: SimulatedMachine) -> list[JSON]:
    """All NICs of a machine."""
    return [_interface(region, machine, index) for index in range(len(machine.mac_addresses))]


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


def _interface(region: RegionState, machine: SimulatedMachine, index: int) -> JSON:
    """A NIC of a machine. The machine boots from the first; each other NIC is alone in its fabric."""
    number, known = machine.number * 10 + index, machine.known
    return {
        "id": number,
        "system_id": machine.system_id,
        "name": f"eno{index + 1}" if known else f"eth{index}",
        "type": "physical",
        "mac_address": machine.mac_addresses[index],
        **(machine.hardware.nic if known else dict.fromkeys(machine.hardware.nic)),
        "interface_speed": machine.hardware.link_speed if known else 0,
        "link_speed": machine.hardware.link_speed if known else 0,
        "link_connected": True,
        "enabled": True,
        "effective_mtu": 1500,
        "sriov_max_vf": 0,
        "numa_node": 0,
        "tags": [],
        "params": {},
        "parents": [],
        "children": [],
        **_connection(region, machine, index, number),
        "resource_uri": f"{API}/nodes/{machine.system_id}/interfaces/{number}/",
    }


def _connection(region: RegionState, machine: SimulatedMachine, index: int, number: int) -> JSON:
    """The connection of a NIC, known after commissioning."""
    if not machine.known:
        boots = index == 0 and machine.booted
        vlan = vlan_json(region, region.tables["VLAN"][region.tables["Subnet"][machine.subnet]["vlan"]])
        return {"vlan": vlan if boots else None, "links": [], "discovered": None}
    if index > 0:
        vlan = vlan_of_fabric(region.tables, machine.fabrics[index - 1])
        links = [{"id": number, "mode": "link_up"}] if machine.linked else []
        return {"vlan": vlan_json(region, vlan), "links": links, "discovered": None}
    subnet = subnet_json(region, region.tables["Subnet"][machine.subnet])
    discovered = [{"subnet": subnet, "ip_address": machine.discovered_address}]
    return {"vlan": subnet["vlan"], "links": _links(machine, number, subnet), "discovered": discovered}


def _links(machine: SimulatedMachine, number: int, subnet: JSON) -> list[JSON]:
    """The address assignment of the boot NIC."""
    if not machine.linked:
        return []
    link: JSON = {"id": number, "mode": "auto", "subnet": subnet}
    return [link | {"ip_address": machine.ip_address} if machine.addressed else link]


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
