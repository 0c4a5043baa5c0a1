"""The objects of a region other than machines: tables of records, as MAAS's database stores them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

Record = dict[str, Any]
"""The stored fields of one object. A field that refers to another object has its id."""


class Table(dict[int, Record]):
    """The objects of one kind by id. An id is never used twice."""

    def __init__(self, kind: str, first_id: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self._next = first_id

    def take_id(self) -> int:
        """Return an id that no object has or will have."""
        self._next += 1
        return self._next - 1

    def add(self, **fields: Any) -> Record:
        """Add an object, with the next id unless ``id`` is given."""
        number = fields.pop("id", self._next)
        self._next = max(self._next, number + 1)
        self[number] = {**fields, "id": number}
        return self[number]

    def where(self, **fields: Any) -> list[Record]:
        """Return the objects with these values, in the order of their creation."""
        return [record for record in self.values() if all(record[name] == value for name, value in fields.items())]

    def delete_where(self, **fields: Any) -> None:
        """Delete the objects with these values."""
        for record in self.where(**fields):
            del self[record["id"]]

    def named(self, name: str, key: str = "name") -> Record | None:
        """Return the first object with this name."""
        return next((record for record in self.values() if record[key] == name), None)

    def get_named(self, name: str) -> Record:
        """Return the object with this name; ``KeyError`` if there is none."""
        found = self.named(name)
        if found is None:
            raise KeyError(f"there is no {self.kind} {name!r}; known: {', '.join(self.names)}")
        return found

    @property
    def names(self) -> list[str]:
        """The names of all objects."""
        return [record["name"] for record in self.values()]


class Tables(dict[str, Table]):
    """The tables of a region by kind, such as ``Zone``. A table is empty until an object is added."""

    FIRST_IDS: ClassVar[Mapping[str, int]] = {
        "Domain": 0,
        "ResourcePool": 0,
        "Fabric": 0,
        "VLAN": 5001,
        # Lower ids are those of machines whose network was never changed.
        "Interface": 10_000_001,
        "StaticIPAddress": 10_000_001,
        "BlockDevice": 10_000_001,
        "Partition": 100_000_001,
    }

    OWNED: ClassVar[Mapping[str, Sequence[tuple[str, str]]]] = {
        "BootSource": [("BootSourceSelection", "boot_source")],
        "Domain": [("DNSResource", "domain")],
        "DNSResource": [("StaticIPAddress", "dnsresource"), ("DNSData", "dnsresource")],
        "Fabric": [("VLAN", "fabric")],
        "IPRange": [("DHCPSnippet", "iprange")],
        "Subnet": [
            *((kind, "subnet") for kind in ("IPRange", "ReservedIP", "StaticIPAddress", "DHCPSnippet")),
            *(("StaticRoute", field) for field in ("source", "destination")),
        ],
    }
    """What is deleted with an object: the kinds, and their fields that refer to it."""
    LINKED: ClassVar[Mapping[str, tuple[str, str]]] = {"Space": ("VLAN", "space"), "VLAN": ("VLAN", "relay_vlan")}
    """The fields that are emptied when the object to which they refer is deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.interfaces: dict[str, Table] = {}
        """The interfaces of the machines whose network was changed, by system id."""

    def __missing__(self, kind: str) -> Table:
        return self.clear_table(kind)

    def take_id(self, kind: str) -> int:
        """Return an id that no object of this kind has or will have."""
        return self[kind].take_id()

    def delete(self, kind: str, number: int) -> None:
        """Delete an object, and what depends on it."""
        del self[kind][number]
        for owned, field in self.OWNED.get(kind, ()):
            for record in self[owned].where(**{field: number}):
                self.delete(owned, record["id"])
        if kind in self.LINKED:
            other, field = self.LINKED[kind]
            for record in self[other].where(**{field: number}):
                record[field] = None

    def clear_table(self, kind: str) -> Table:
        """Replace the objects of a kind by none, and number them from the first id again."""
        self[kind] = Table(kind, self.FIRST_IDS.get(kind, 1))
        return self[kind]
