"""The hardware of machines of one model, as commissioning finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

GIGABYTE: Final = 10**9
UEFI: Final = "uefi"


@dataclass(frozen=True, slots=True)
class Disk:
    """A physical disk; ``size`` is in bytes."""

    name: str
    size: int
    tags: tuple[str, ...] = ("ssd",)
    model: str = ""
    serial: str = ""
    block_size: int = 512
    firmware_version: str | None = None
    id_path: str = ""
    """By default the device file."""


@dataclass(frozen=True)
class Hardware:
    """What all machines of a model have in common. ``info`` is MAAS's ``hardware_info`` where it is known."""

    info: Mapping[str, str]
    nic: Mapping[str, str]
    """The vendor, product and firmware version of each network interface."""
    boot_method: str | None = None
    """With ``uefi``, disks get a partition for it."""
    cpu_speed: int = 0
    link_speed: int = 10000


SIMULATED: Final = Hardware(
    MappingProxyType(
        {
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
    ),
    MappingProxyType(
        {
            "vendor": "My Corporation",
            "product": "My Gigabit Network Connection",
            "firmware_version": "1.63, 0x800009fa",
        }
    ),
)
