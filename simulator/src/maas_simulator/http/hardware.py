"""A machine's hardware as JSON: NICs, disks, processors and power parameters."""

import uuid

from maas_simulator.http.network_views import subnet_json, vlan_json
from maas_simulator.model.machines import MANUAL, Disk, SimulatedMachine
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
PARTITION_TABLE = 6 * 2**20
"""The space that MAAS counts as used in addition to partitions."""

SIMULATED_HARDWARE = {
    "system_vendor": "Simulated",
    "system_product": "SIM-1",
    "system_version": "1",
    "mainboard_vendor": "Simulated",
    "mainboard_product": "SIM-MB",
    "mainboard_serial": "MB1",
    "mainboard_version": "1",
    "mainboard_firmware_vendor": "SimBIOS",
    "mainboard_firmware_date": "01/01/2024",
    "mainboard_firmware_version": "1.0",
    "chassis_vendor": "Simulated",
    "chassis_type": "Rack Mount Chassis",
    "chassis_serial": "C1",
    "chassis_version": "1",
}
"""The hardware information that commissioning finds on every machine."""


def interfaces_json(region: RegionState, machine: SimulatedMachine) -> list[JSON]:
    """All NICs of a machine."""
    return [_interface(region, machine, index) for index in range(len(machine.mac_addresses))]


def disks_json(machine: SimulatedMachine) -> list[JSON]:
    """All disks of a machine that MAAS knows."""
    return [_disk(machine, index) for index in range(len(machine.disks))] if machine.known else []


def power_json(machine: SimulatedMachine) -> JSON:
    """The power parameters. They are fictitious."""
    if machine.power_type in ("", MANUAL):
        return {}
    return {
        "power_user": "maas",
        "power_driver": "LAN_2_0",
        "power_address": f"10.20.0.{10 + machine.number}",
        "power_off_mode": "hard",
        "cipher_suite_id": "3",
        "power_boot_type": "auto",
        "privilege_level": "OPERATOR",
        "workaround_flags": ["opensesspriv"],
        "k_g": "",
        "power_pass": "secret",
        "mac_address": "",
    }


def hardware_json(machine: SimulatedMachine) -> JSON:
    """The hardware counts from commissioning."""
    known = machine.known
    info: JSON = dict.fromkeys(HARDWARE, "Unknown")
    if known:
        info |= {**SIMULATED_HARDWARE, "system_serial": f"S{23990000 + machine.number}"}
    cores = list(range(machine.cpu_count)) if known else []
    memory = machine.memory if known else 0
    return {
        "architecture": machine.architecture,
        "cpu_count": len(cores),
        "cpu_speed": 0,
        "memory": memory,
        "storage": machine.storage,
        "hardware_info": info,
        "hardware_uuid": _uuid(machine, "hardware") if known else None,
        "numanode_set": [{"index": 0, "memory": memory, "cores": cores, "hugepages_set": []}],
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
        "vendor": "My Corporation" if known else None,
        "product": "My Gigabit Network Connection" if known else None,
        "firmware_version": "1.63, 0x800009fa" if known else None,
        "interface_speed": 10000 if known else 0,
        "link_speed": 10000 if known else 0,
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
        return {"vlan": None, "links": [], "discovered": None}
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
    partitions = [_partition(machine, disk, number)] if index == 0 and machine.laid_out else []
    return {
        "id": number,
        "system_id": machine.system_id,
        "name": disk.name,
        "type": "physical",
        "size": disk.size,
        "used_size": _room(disk) + PARTITION_TABLE if partitions else 0,
        "available_size": 0 if partitions else _room(disk),
        "block_size": 512,
        "tags": list(disk.tags),
        "used_for": "GPT partitioned with 1 partition" if partitions else "Unused",
        "partition_table_type": "GPT" if partitions else None,
        "partitions": partitions,
        "id_path": f"/dev/{disk.name}",
        "path": f"/dev/disk/by-dname/{disk.name}",
        "numa_node": 0,
        "model": disk.model,
        "serial": disk.serial,
        "uuid": None,
        "firmware_version": None,
        "filesystem": None,
        "storage_pool": None,
        "resource_uri": f"{API}/nodes/{machine.system_id}/blockdevices/{number}/",
    }


def _partition(machine: SimulatedMachine, disk: Disk, number: int) -> JSON:
    return {
        "id": number,
        "system_id": machine.system_id,
        "device_id": number,
        "type": "partition",
        "size": _room(disk),
        "bootable": False,
        "tags": [],
        "uuid": _uuid(machine, "partition"),
        "used_for": "ext4 formatted filesystem mounted at /" if machine.mounted else "Unused",
        "path": f"/dev/disk/by-dname/{disk.name}-part2",
        "filesystem": _filesystem(machine) if machine.mounted else None,
        "resource_uri": f"{API}/nodes/{machine.system_id}/blockdevices/{number}/partition/{number}",
    }


def _filesystem(machine: SimulatedMachine) -> JSON:
    return {
        "fstype": "ext4",
        "label": "root",
        "uuid": _uuid(machine, "filesystem"),
        "mount_point": "/",
        "mount_options": None,
    }


def _room(disk: Disk) -> int:
    """The size that partitions can use: whole blocks of 4 MiB, minus one."""
    return (disk.size // BLOCK - 1) * BLOCK


def _uuid(machine: SimulatedMachine, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}.{machine.system_id}.maas"))
