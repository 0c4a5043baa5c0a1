"""The region at the start of the first recording: its machines and their history.

Hardware, names, zones and tags come from the recording; operations create the statuses.
"""

from functools import cache
from typing import Any, Final

from maas_simulator import Disk, SimulatedMachine, SimulatedRegion, User, Variant
from simulator.tests.contract.recording import FIRST, Answer
from simulator.tests.contract.users import RecordedUser

STARTED: Final = 1795336816.0
"""The moment of all recorded signatures, in epoch seconds."""
VARIANT: Final = Variant(local_boot_events=True, rescue_boot="commissioning")
"""The variant of the region that was recorded first."""

_UNKNOWN_FABRIC = 100
"""The fabric of a NIC on a network that MAAS does not know."""


def first_region() -> SimulatedRegion:
    """The recorded region with its machines, before their history."""
    admin = RecordedUser("admin", is_superuser=True, key="KEY0:KEY1:KEY2")
    region = SimulatedRegion([admin, User("bob")], speed=0.0)
    region.authenticator.clock = lambda: STARTED
    region.variant = VARIANT
    for machine in recorded_machines():
        region.machines[machine.system_id] = machine
    return region


def recorded_machines() -> list[SimulatedMachine]:
    """The thirteen machines of the recording, *New* and never commissioned."""
    return [_machine(number, seen) for number, seen in enumerate(first_list(), 1)]


@cache
def first_list() -> tuple[dict[str, Any], ...]:
    """The machines in the first complete list."""
    return tuple(_answers("02-machines-list")[0].json)


def _machine(number: int, seen: dict[str, Any]) -> SimulatedMachine:
    known = _known(seen["system_id"]) or seen
    hardware: dict[str, Any] = {}
    if known["blockdevice_set"]:
        hardware["cpu_count"], hardware["memory"] = known["cpu_count"], known["memory"]
        hardware["disks"] = tuple(
            Disk(disk["name"], disk["size"], tuple(disk["tags"])) for disk in known["blockdevice_set"]
        )
    return SimulatedMachine(
        seen["system_id"],
        seen["hostname"],
        number,
        known=False,
        fabrics=tuple(_fabric(number, nic) for nic in known["interface_set"][1:]),
        tag_names=tuple(name for name in known["tag_names"] if name != "kvm-capable"),
        zone=seen["zone"]["name"],
        pool=seen["pool"]["name"],
        architecture=seen["architecture"],
        power_type=seen["power_type"],
        power_state="unknown",
        status_action=None,
        **hardware,
    )


def _fabric(number: int, nic: dict[str, Any]) -> int:
    return int(nic["vlan"]["fabric_id"]) if nic["vlan"] else _UNKNOWN_FABRIC + number


@cache
def _known(system_id: str) -> dict[str, Any] | None:
    """The machine as first shown after commissioning had found its hardware."""
    for topic in FIRST.topics:
        for answer in _answers(topic):
            answered = answer.json if isinstance(answer.json, list) else [answer.json]
            for seen in answered:
                if isinstance(seen, dict) and seen.get("system_id") == system_id and seen.get("blockdevice_set"):
                    return seen
    return None


def _answers(topic: str) -> list[Answer]:
    return [exchange.answer for exchange in FIRST.exchanges(topic) if exchange.answer is not None]
