"""Rows of MAAS's objects: read leniently, and shown in short form."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from maas_inventory.values import JSON, has_value, shorten
from maas_mcp.api import MaasModel, quoted

Source = tuple[str, ...] | Callable[[Mapping[str, JSON]], JSON]
"""Where a field's value is in MAAS's object: the keys that lead to it, or a function of the object."""

UNSET: Final[Any] = None
"""The default of a field that MAAS always fills. The field's type excludes ``null``, which counts as unreadable."""
UNREADABLE: Final[JSON] = {}
"""A value that no field accepts, in place of one that cannot be computed."""

Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Flag = Annotated[bool, Field(strict=True)]
Amount = Annotated[float, Field(strict=True)]


class ObjectRow(MaasModel):
    """A short form of one of MAAS's objects. A field without a value is not shown."""

    identity: ClassVar[str] = "id"
    """The field whose value no two objects of the kind share. It has no default."""
    label: ClassVar[str] = "name"
    """The field with the name that people use."""
    sources: ClassVar[Mapping[str, Source]] = MappingProxyType({})
    """The sources of fields that MAAS does not have under the same name."""

    @classmethod
    def prepare(cls, entry: JSON) -> JSON:
        """Return MAAS's object with the fields of the row at its top level."""
        if not isinstance(entry, dict):
            return entry
        found = {name: _find(entry, source) for name, source in cls.sources.items()}
        kept = {name: value for name, value in entry.items() if name not in found}
        return kept | {name: value for name, value in found.items() if value is not _MISSING}

    @property
    def key(self) -> str | int:
        """The object's identity."""
        value: str | int = getattr(self, self.identity)
        return value

    @property
    def display_name(self) -> str:
        """The object's name, or its identity if the name is unreadable or empty."""
        return str(getattr(self, self.label) or self.key)

    def shown(self) -> dict[str, JSON]:
        """Return the fields that have a value."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: shorten(value) for name, value in values if has_value(value)}


_MISSING: Final = object()


def _find(entry: Mapping[str, JSON], source: Source) -> JSON:
    if callable(source):
        return source(entry)
    value: JSON = entry
    for key in source:
        if value is None:
            return None
        if not isinstance(value, dict):
            return UNREADABLE
        if key not in value:
            return _MISSING
        value = value[key]
    return value


def taken_from(**sources: Source) -> Mapping[str, Source]:
    """Return the sources of fields, by the fields' names."""
    return MappingProxyType(sources)


def count(name: str) -> Callable[[Mapping[str, JSON]], JSON]:
    """Return a source that counts the items of a list."""
    return lambda entry: len(found) if isinstance(found := entry.get(name), list) else UNREADABLE


def each(name: str, *keys: str) -> Callable[[Mapping[str, JSON]], JSON]:
    """Return a source that takes one value from each item of a list."""

    def find(entry: Mapping[str, JSON]) -> JSON:
        items = entry.get(name)
        return [_find({"": item}, ("", *keys)) for item in items] if isinstance(items, list) else UNREADABLE

    return find


def called(row: ObjectRow) -> str:
    """Return the name of an object for a sentence, with its identity if that is not its name."""
    title, key = quoted(row.display_name), str(row.key)
    return title if key == row.display_name else f"{title} ({quoted(key)})"
