"""A machine's hardware as JSON."""

import uuid
from typing import Final

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.scripts import JSON

HARDWARE: Final = (
    *(f"system_{name}" for name in ("vendor", "product", "family", "version", "sku", "serial")),
    "cpu_model",
    *(f"mainboard_{name}" for name in ("vendor", "product", "serial", "version")),
    *(f"mainboard_firmware_{name}" for name in ("vendor", "date", "version")),
    *(f"chassis_{name}" for name in ("vendor", "type", "serial", "version")),
)


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
        "hardware_uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"hardware.{machine.system_id}.maas")) if known else None,
        "numanode_set": [{"index": 0, "memory": memory, "cores": list(range(cores)), "hugepages_set": []}],
    }
