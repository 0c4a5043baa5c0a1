"""A machine's hardware as JSON."""

import uuid

from maas_simulator.model.machines import SimulatedMachine
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
        "hardware_info": info,
        "hardware_uuid": _uuid(machine, "hardware") if known else None,
        "numanode_set": [{"index": 0, "memory": memory, "cores": list(range(cores)), "hugepages_set": []}],
    }


def _uuid(machine: SimulatedMachine, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}.{machine.system_id}.maas"))
