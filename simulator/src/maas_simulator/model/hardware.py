"""The hardware of machines of one model, as commissioning finds it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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


SIMULATED: Final = Hardware(**json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8")))
"""The model of machines whose hardware no world file defines."""
