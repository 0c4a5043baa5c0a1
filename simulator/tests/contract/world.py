"""The region at the start of the recording: its machines and their history.

Hardware, names, zones and tags come from the recording; operations create the statuses.
"""

from functools import cache
from typing import Any

from maas_simulator import Disk, SimulatedMachine
from simulator.tests.contract.recording import TOPICS, exchanges

_UNKNOWN_FABRIC = 100
"""The fabric of a NIC on a network that MAAS does not know."""


def recorded_machines() -> list[SimulatedMachine]:
    """The thirteen machines of the recording, *New* and never commissioned."""
    return [_machine(number, seen) for number, seen in enumerate(first_list(), 1)]


@cache
def first_list() -> tuple[dict[str, Any], ...]:
    """The machines in the first complete list."""
    return tuple(exchanges("02-machines-list")[0].answer.json)


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
    for topic in TOPICS:
        for exchange in exchanges(topic):
            answered = exchange.answer.json if isinstance(exchange.answer.json, list) else [exchange.answer.json]
            for seen in answered:
                if isinstance(seen, dict) and seen.get("system_id") == system_id and seen.get("blockdevice_set"):
                    return seen
    return None
