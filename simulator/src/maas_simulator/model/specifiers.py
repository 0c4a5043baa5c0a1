"""Specifiers: the ways in which a request names a fabric, VLAN, subnet or space, such as ``name:dmz``."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Final

from maas_simulator.model.records import Record, Tables

Test = Callable[[Tables, Record, str], bool]


def matching(tables: Tables, kind: str, specifier: str) -> list[Record]:
    """Return the objects that a specifier names. Without a key it is an id, a name, or the CIDR of a subnet."""
    key, value = parse_specifier(kind, specifier)
    return [record for record in tables[kind].values() if _TESTS[kind][key](tables, record, value)]


def parse_specifier(kind: str, specifier: str) -> tuple[str, str]:
    """Split a specifier into its key and value."""
    key, colon, value = specifier.strip().partition(":")
    if colon and key in _TESTS[kind]:
        return key, value
    if specifier.strip().isdecimal():
        return "id", specifier.strip()
    return "cidr" if kind == "Subnet" and "/" in specifier else "name", specifier.strip()


def _equals(field: str) -> Test:
    return lambda _tables, record, value: str(record[field]) == value


def _is(kind: str, number: Callable[[Tables, Record], int | None]) -> Test:
    """Test the object of another kind that a record refers to."""
    return lambda tables, record, value: (
        number(tables, record) in {each["id"] for each in matching(tables, kind, value)}
    )


def _has(kind: str, field: str) -> Test:
    """Test the objects of another kind that refer to a record."""
    return lambda tables, record, value: any(each[field] == record["id"] for each in matching(tables, kind, value))


def _contains(_tables: Tables, subnet: Record, value: str) -> bool:
    try:
        return ip_address(value) in ip_network(subnet["cidr"])
    except ValueError:
        return False


def _vlan(tables: Tables, subnet: Record) -> Record:
    return tables["VLAN"][subnet["vlan"]]


_NAMED: Final[Mapping[str, Test]] = {"id": _equals("id"), "name": _equals("name")}
_TESTS: Final[Mapping[str, Mapping[str, Test]]] = {
    "Fabric": {**_NAMED, "class": _equals("class_type"), "vlan": _has("VLAN", "fabric")},
    "Space": {**_NAMED, "vlan": _has("VLAN", "space")},
    "VLAN": {
        **_NAMED,
        "vid": lambda _tables, vlan, value: str(vlan["vid"]) == ("0" if value == "untagged" else value),
        "fabric": _is("Fabric", lambda _tables, vlan: vlan["fabric"]),
        "space": _is("Space", lambda _tables, vlan: vlan["space"]),
        "subnet": _has("Subnet", "vlan"),
    },
    "Subnet": {
        **_NAMED,
        "cidr": _equals("cidr"),
        "ip": _contains,
        "vlan": _is("VLAN", lambda _tables, subnet: subnet["vlan"]),
        "vid": lambda tables, subnet, value: _TESTS["VLAN"]["vid"](tables, _vlan(tables, subnet), value),
        "fabric": _is("Fabric", lambda tables, subnet: _vlan(tables, subnet)["fabric"]),
        "space": _is("Space", lambda tables, subnet: _vlan(tables, subnet)["space"]),
    },
}
"""The keys of specifiers by kind, as MAAS's documentation lists them."""
