"""A machine as JSON: the 81 keys that MAAS 3.7 answers, in lists and single reads alike."""

import uuid
from typing import TYPE_CHECKING

from maas_mcp.simulator.machines import Disk, SimulatedMachine
from maas_mcp.simulator.networks import API, lone_vlan
from maas_mcp.simulator.scripts import JSON, SetType, overall
from maas_mcp.simulator.statuses import ScriptStatus

if TYPE_CHECKING:
    from maas_mcp.simulator.region import Region

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
"""What MAAS counts as used beside the partitions."""

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
"""What commissioning finds in every machine here."""

DOMAIN: JSON = {
    "authoritative": True,
    "ttl": None,
    "resource_record_count": 0,
    "is_default": True,
    "name": "maas",
    "id": 0,
    "resource_uri": f"{API}/domains/0/",
}
"""The only DNS domain."""

TEST_KINDS = ("cpu", "memory", "network", "interface", "other")
"""Kinds of tests that are never run by default: always *Unknown* here."""


def machine_json(region: "Region", machine: SimulatedMachine) -> JSON:
    """The whole machine."""
    interfaces = interfaces_json(machine)
    disks = disks_json(machine)
    return {
        **_identity(region, machine),
        **_state(machine),
        **_scripts(region, machine),
        **_hardware(machine),
        **_never_set(),
        "boot_interface": interfaces[0],
        "interface_set": interfaces,
        "boot_disk": disks[0] if disks else None,
        "blockdevice_set": disks,
        "physicalblockdevice_set": disks,
    }


def interfaces_json(machine: SimulatedMachine) -> list[JSON]:
    """All NICs of a machine."""
    return [_interface(machine, index) for index in range(len(machine.mac_addresses))]


def disks_json(machine: SimulatedMachine) -> list[JSON]:
    """All disks that MAAS knows of a machine."""
    return [_disk(machine, index) for index in range(len(machine.disks))] if machine.known else []


def power_json(machine: SimulatedMachine) -> JSON:
    """The power parameters: of no use to anybody, since nothing is there."""
    if machine.power_type == "manual":
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


def zone_json(region: "Region", name: str) -> JSON:
    """An availability zone; ids count from 1 in the order they were made."""
    number = list(region.zones).index(name) + 1
    return {
        "name": name,
        "description": region.zones[name],
        "id": number,
        "resource_uri": f"{API}/zones/{name}/",
    }


def pool_json(region: "Region", name: str) -> JSON:
    """A resource pool; the default pool's id is 0."""
    number = list(region.pools).index(name)
    return {
        "name": name,
        "description": region.pools[name],
        "id": number,
        "resource_uri": f"{API}/resourcepool/{number}/",
    }


def tag_json(region: "Region", name: str) -> JSON:
    """A tag."""
    return {
        "name": name,
        "definition": "//capability[@id='vmx']" if name == "kvm-capable" else "",
        "comment": region.tags[name],
        "kernel_opts": "",
        "resource_uri": f"{API}/tags/{name}/",
    }


def _identity(region: "Region", machine: SimulatedMachine) -> JSON:
    return {
        "system_id": machine.system_id,
        "hostname": machine.hostname,
        "fqdn": f"{machine.hostname}.maas",
        "description": machine.description,
        "owner": machine.owner,
        "owner_data": {},
        "workload_annotations": {},
        "node_type": 0,
        "node_type_name": "Machine",
        "zone": zone_json(region, machine.zone),
        "pool": pool_json(region, machine.pool),
        "domain": DOMAIN,
        "tag_names": list(machine.tag_names),
        "pod": machine.pod and {"id": 1, "name": machine.pod, "resource_uri": f"{API}/vm-hosts/1/"},
        "virtualmachine_id": machine.number if machine.pod else None,
        "resource_uri": f"{API}/machines/{machine.system_id}/",
    }


def _state(machine: SimulatedMachine) -> JSON:
    gateway = machine.subnet.gateway if machine.known and machine.linked else None
    return {
        "status": int(machine.status),
        "status_name": machine.status_name,
        "status_message": machine.status_message,
        "status_action": machine.status_action,
        "error_description": machine.error_description,
        "power_type": machine.power_type,
        "power_state": machine.power_state,
        "locked": machine.locked,
        "netboot": machine.netboot,
        "osystem": machine.osystem,
        "distro_series": machine.distro_series,
        "hwe_kernel": machine.hwe_kernel,
        "ephemeral_deploy": machine.ephemeral_deploy,
        "enable_hw_sync": machine.enable_hw_sync,
        "enable_kernel_crash_dump": machine.enable_kernel_crash_dump,
        "ip_addresses": [machine.ip_address] if machine.known else [],
        "default_gateways": {
            "ipv4": {"gateway_ip": gateway, "link_id": None},
            "ipv6": {"gateway_ip": None, "link_id": None},
        },
    }


def _scripts(region: "Region", machine: SimulatedMachine) -> JSON:
    shown: JSON = {}
    for kind in (SetType.COMMISSIONING, SetType.TESTING):
        scripts = region.current_set(machine, kind)
        status = overall(scripts.results) if scripts is not None else ScriptStatus.UNKNOWN
        for field in (kind.name.lower(), *(("storage_test",) if kind is SetType.TESTING else ())):
            shown |= {f"{field}_status": int(status), f"{field}_status_name": status.display}
    for kind in (SetType.COMMISSIONING, SetType.TESTING, SetType.INSTALLATION):
        shown[f"current_{kind.name.lower()}_result_id"] = machine.current.get(kind)
    for name in TEST_KINDS:
        shown |= {f"{name}_test_status": -1, f"{name}_test_status_name": "Unknown"}
    return shown


def _hardware(machine: SimulatedMachine) -> JSON:
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


def _never_set() -> JSON:
    """What no simulated machine has."""
    nothing = ("parent", "swap_size", "next_sync", "last_sync", "sync_interval")
    empty = ("volume_groups", "bcaches", "special_filesystems", "virtualblockdevice_set", "cache_sets", "raids")
    return {
        **dict.fromkeys((*nothing, "address_ttl", "bios_boot_method")),
        **{name: [] for name in empty},
        "min_hwe_kernel": "",
        "disable_ipv4": False,
        "is_dpu": False,
    }


def _interface(machine: SimulatedMachine, index: int) -> JSON:
    """A NIC of a machine: it boots from the first, and every further one is alone in its fabric."""
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
        **_connection(machine, index, number),
        "resource_uri": f"{API}/nodes/{machine.system_id}/interfaces/{number}/",
    }


def _connection(machine: SimulatedMachine, index: int, number: int) -> JSON:
    """Where a NIC is plugged in. MAAS learns it by commissioning."""
    if not machine.known:
        return {"vlan": None, "links": [], "discovered": None}
    if index > 0:
        vlan = lone_vlan(machine.fabrics[index - 1])
        links = [{"id": number, "mode": "link_up"}] if machine.linked else []
        return {"vlan": vlan.as_json(), "links": links, "discovered": None}
    discovered = [{"subnet": machine.subnet.as_json(), "ip_address": machine.discovered_address}]
    return {"vlan": machine.subnet.vlan.as_json(), "links": _links(machine, number), "discovered": discovered}


def _links(machine: SimulatedMachine, number: int) -> list[JSON]:
    """How the NIC that a machine boots from gets its address."""
    if not machine.linked:
        return []
    link: JSON = {"id": number, "mode": "auto", "subnet": machine.subnet.as_json()}
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
        "model": "",
        "serial": "",
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
    """What a disk has for partitions: whole blocks of four MiB, but for one."""
    return (disk.size // BLOCK - 1) * BLOCK


def _uuid(machine: SimulatedMachine, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}.{machine.system_id}.maas"))
