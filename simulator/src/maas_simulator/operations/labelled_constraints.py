"""The constraints with labels, by disks and interfaces, and the properties of interfaces that constraints use."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from typing import Final

from maas_simulator.model.fields import Invalid
from maas_simulator.model.hardware import GIGABYTE
from maas_simulator.model.interfaces import interfaces as interfaces_of
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Tables
from maas_simulator.model.refusals import not_simulated
from maas_simulator.model.storage import storage_of
from maas_simulator.state import RegionState

Found = dict[str, list[int]]
"""Ids by label."""
Labelled = Callable[[SimulatedMachine], Found | None]
"""Finds the ids for each label on a machine, or returns None if a label has no match."""
Nic = Mapping[str, set[str]]
"""The properties of an interface, each with all its spellings."""

_DISK: Final = r"(?:(\w+):)?(\d+(?:\.\d+)?)(?:\(([^()]*)\))?"
_DISKS: Final = re.compile(rf"{_DISK}(?:,{_DISK})*")
_KEYS: Final = (
    *("id", "name", "hwaddress", "type", "tag", "fabric", "fabric_class", "space", "vid", "vlan"),
    *("subnet", "subnet_cidr", "ip", "mode", "link_speed"),
)
_DEVICE_KEYS: Final = ("vendor_id", "product_id", "vendor_name", "product_name", "commissioning_driver")


def storage(_region: RegionState, text: str) -> Labelled:
    """Parse ``root:50(ssd),100``: a separate disk for each, with a minimum size in GB and with these tags."""
    if _DISKS.fullmatch(text) is None:
        raise Invalid(f'Malformed storage constraint, "{text}".')
    wanted = [
        (label, float(size) * GIGABYTE, set(filter(None, tags.split(","))))
        for label, size, tags in re.findall(_DISK, text)
    ]

    def find(machine: SimulatedMachine) -> Found | None:
        for chosen in permutations(storage_of(machine).devices.values(), len(wanted)):
            pairs = list(zip(wanted, chosen, strict=True))
            if all(disk["size"] >= size and tags <= set(disk["tags"]) for (_, size, tags), disk in pairs):
                return {label: [disk["id"]] for (label, _, _), disk in pairs if label}
        return None

    return find


def interfaces(region: RegionState, text: str) -> Labelled:
    """Parse ``lan:fabric=fabric-0,vid=0;wan:name=eno2``: all NICs that meet the conditions of each label."""
    wanted: dict[str, dict[str, str]] = {}
    for part in filter(None, text.split(";")):
        label, _, pairs = part.partition(":")
        if not re.fullmatch(r"\w+:[^=,]+=[^=,]+(,[^=,]+=[^=,]+)*", part):
            form = "'<label>:<key>=<value>[,<key2>=<value2>[,...]]'"
            raise Invalid(f"Malformed constraint: '{part}' (required format: {form})")
        wanted[label] = dict(_pair("interfaces", pair, _KEYS) for pair in pairs.split(","))

    def find(machine: SimulatedMachine) -> Found | None:
        every = list(nics(region.tables, machine))
        found = {
            label: [number for number, nic in every if all(_holds(nic, *pair) for pair in pairs.items())]
            for label, pairs in wanted.items()
        }
        return found if all(found.values()) else None

    return find


def devices(_region: RegionState, text: str) -> Labelled:
    """Parse ``vendor_id=8086,product_id=1572``. Every machine has devices of this vendor only."""
    wanted = dict(_pair("devices", pair, _DEVICE_KEYS) for pair in text.split(","))
    if wanted.keys() != {"vendor_id"}:
        raise not_simulated("allocating by more than the vendor_id of a device")
    return lambda machine: {} if machine.known and wanted["vendor_id"] == "8086" else None


LABELLED: Final[Mapping[str, Callable[[RegionState, str], Labelled]]] = {
    "storage": storage,
    "interfaces": interfaces,
    "devices": devices,
}


def _pair(kind: str, text: str, known: tuple[str, ...]) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if key not in known:
        raise Invalid(f"Unknown {kind} constraint: '{key}")  # MAAS 3.7 does not close the quote.
    return key, value


def _holds(nic: Nic, key: str, value: str) -> bool:
    if key == "link_speed" and value.isdecimal():
        return any(int(speed) >= int(value) for speed in nic[key])
    return value in nic[key]


def nics(tables: Tables, machine: SimulatedMachine) -> Iterator[tuple[int, Nic]]:
    """The ids and properties of the interfaces that MAAS knows."""
    for nic in interfaces_of(tables, machine).values() if machine.known else ():
        subnets = [tables["Subnet"][link["subnet"]] for link in nic["links"] if link["subnet"]]
        vlan = tables["VLAN"].get(nic["vlan"] or 0)
        fabric = vlan and tables["Fabric"][vlan["fabric"]]
        space = vlan and tables["Space"].get(vlan["space"] or 0)
        yield (
            nic["id"],
            {
                **{name: {str(nic[name])} for name in ("id", "name", "type", "link_speed")},
                "hwaddress": {nic["mac_address"]},
                "tag": set(nic["tags"]),
                "fabric": {fabric["name"], str(fabric["id"])} if fabric else set(),
                "fabric_class": {str(fabric["class_type"])} if fabric else set(),
                "space": {space["name"]} if space else {"undefined"},
                "vid": {str(vlan["vid"])} if vlan else set(),
                "vlan": {str(vlan["id"])} if vlan else set(),
                "subnet": {name for subnet in subnets for name in (subnet["name"], str(subnet["id"]))},
                "subnet_id": {str(subnet["id"]) for subnet in subnets},
                "subnet_cidr": {subnet["cidr"] for subnet in subnets},
                "ip": {link["ip_address"] for link in nic["links"] if link["ip_address"]},
                "mode": {link["mode"] for link in nic["links"]},
            },
        )
