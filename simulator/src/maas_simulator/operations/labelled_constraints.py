"""The labelled constraints of ``allocate``: the disks and NICs of a machine that match each label."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from maas_simulator.model.machines import GIGABYTE, Disk, SimulatedMachine
from maas_simulator.model.networks import vlan_of_fabric
from maas_simulator.model.records import Tables
from maas_simulator.model.refusals import invalid, not_simulated
from maas_simulator.state import RegionState

Found = dict[str, list[int]]
"""Ids by label."""
Labelled = Callable[[SimulatedMachine], Found | None]
"""Finds the ids for each label on a machine, or returns None if a label has no match."""

LINK_SPEED: Final = 10000
"""The link speed of every NIC, in Mbit/s."""

_DISK: Final = r"(?:(\w+):)?(\d+(?:\.\d+)?)(?:\(([^()]*)\))?"
_DISKS: Final = re.compile(rf"{_DISK}(?:,{_DISK})*")


@dataclass(frozen=True, slots=True)
class _WantedDisk:
    label: str
    size: float
    tags: frozenset[str]

    def fits(self, disk: Disk) -> bool:
        return disk.size >= self.size and self.tags <= set(disk.tags)


def storage(region: RegionState, text: str) -> Labelled:
    """Parse ``root:50(ssd),data:100``: a separate disk per label, with a minimum size in GB and with these tags."""
    del region
    if _DISKS.fullmatch(text) is None:
        raise invalid("storage", f'Malformed storage constraint, "{text}".')
    wanted = [
        _WantedDisk(label, float(size) * GIGABYTE, frozenset(filter(None, tags.split(","))))
        for label, size, tags in re.findall(_DISK, text)
    ]
    if not all(each.label for each in wanted):
        raise not_simulated("allocating by storage without a label")

    def find(machine: SimulatedMachine) -> Found | None:
        for chosen in permutations(range(len(machine.disks) if machine.known else 0), len(wanted)):
            pairs = list(zip(wanted, chosen, strict=True))
            if all(each.fits(machine.disks[index]) for each, index in pairs):
                return {each.label: [machine.number * 10 + index] for each, index in pairs}
        return None

    return find


def interfaces(region: RegionState, text: str) -> Labelled:
    """Parse ``lan:fabric=fabric-0,vid=0;wan:name=eno2``: all NICs that meet the conditions of each label."""
    wanted: dict[str, dict[str, str]] = {}
    for part in filter(None, text.split(";")):
        label, _, pairs = part.partition(":")
        wanted[label] = dict(_pair(pair) for pair in pairs.split(","))

    def find(machine: SimulatedMachine) -> Found | None:
        nics = list(_nics(region.tables, machine))
        found = {
            label: [number for number, nic in nics if all(_holds(nic, *pair) for pair in pairs.items())]
            for label, pairs in wanted.items()
        }
        return found if all(found.values()) else None

    return find


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if not value:
        raise not_simulated("MAAS's error for a malformed interfaces constraint")
    if key not in _KEYS or (key == "link_speed" and not value.isdecimal()):
        raise not_simulated(f"allocating by the {key} of an interface")
    return key, value


def _holds(nic: Mapping[str, str], key: str, value: str) -> bool:
    return int(nic[key]) >= int(value) if key == "link_speed" else nic[key] == value


_KEYS: Final = frozenset({"name", "fabric", "vid", "subnet", "subnet_cidr", "link_speed"})


def _nics(tables: Tables, machine: SimulatedMachine) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The ids and properties of the NICs that MAAS knows. Only the first has addresses."""
    subnet = tables["Subnet"][machine.subnet]
    vlans = [tables["VLAN"][subnet["vlan"]], *(vlan_of_fabric(tables, fabric) for fabric in machine.fabrics)]
    for index, vlan in enumerate(vlans if machine.known else []):
        linked = index == 0 and machine.linked
        yield (
            machine.number * 10 + index,
            {
                "name": f"eno{index + 1}",
                "fabric": tables["Fabric"][vlan["fabric"]]["name"],
                "vid": str(vlan["vid"]),
                "subnet": subnet["name"] if linked else "",
                "subnet_cidr": subnet["cidr"] if linked else "",
                "link_speed": str(LINK_SPEED),
            },
        )
