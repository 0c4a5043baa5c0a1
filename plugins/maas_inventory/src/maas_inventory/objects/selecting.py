"""Selects objects by name and by the values of their fields, sorts them, and finds the place where a page begins."""

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from typing import Any, Final

from maas_inventory.objects.kind import Filters, Kind
from maas_inventory.objects.row import ObjectRow
from maas_inventory.values import JSON
from maas_mcp.api import InvalidArgumentsError

SortKey = tuple[Any, ...]

MAX_SORTED: Final = 200
"""Characters of a text by which objects are sorted. A cursor carries them."""
MAX_KEY: Final = 300
"""Characters of an identity in a cursor. MAAS's own names have at most 256."""
_DIGITS: Final = re.compile(r"[0-9]+")
_MAX_DIGITS: Final = 18


def matcher(pattern: str) -> Callable[[JSON], bool]:
    """Return a test whether a value matches a glob, in any case. A list matches if an item does."""
    matches = re.compile(translate(pattern.strip().lower())).fullmatch

    def test(value: JSON) -> bool:
        if isinstance(value, list):
            return any(test(each) for each in value)
        return value is not None and matches(str(value).lower()) is not None

    return test


def select(kind: Kind, rows: Iterable[ObjectRow], name: str | None, filters: Filters) -> list[ObjectRow]:
    """Return the objects whose name or identity matches a glob, and whose fields match the filters.

    Raises:
        InvalidArgumentsError: The kind has no such field.
    """
    check_fields(kind, filters)
    tests = [(field, matcher(str(value))) for field, value in filters.items() if field != kind.needs]
    found = [row for row in rows if all(test(getattr(row, field)) for field, test in tests)]
    if name is None:
        return found
    test = matcher(name)
    return [row for row in found if test(row.key) or test(getattr(row, row.label)) or test(getattr(row, "cidr", None))]


def check_fields(kind: Kind, names: Iterable[str], argument: str = "filters") -> None:
    """Check that the kind has these fields.

    Raises:
        InvalidArgumentsError: It lacks one.
    """
    known = (*kind.row.model_fields, *([kind.needs] if kind.needs and argument == "filters" else []))
    for name in names:
        if name not in known:
            raise InvalidArgumentsError(
                f"`{argument}`: a {kind.noun} has no field {name[:64]!r}. Expected one of {', '.join(known)}.",
                hint="`name` matches names and ids.",
            )


def sort(kind: Kind, rows: Iterable[ObjectRow], by: str) -> list[ObjectRow]:
    """Return the objects sorted by a field, in descending order after a ``-``; those without a value come last."""
    field, descending = by.removeprefix("-"), by.startswith("-")
    check_fields(kind, [field], "sort")
    return sorted(rows, key=lambda row: sort_key(place(row, field)), reverse=descending)


def place(row: ObjectRow, field: str) -> list[JSON]:
    """Return the place of an object in a list sorted by a field, as a cursor carries it."""
    value = getattr(row, field)
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    key = row.key
    return [
        value[:MAX_SORTED] if isinstance(value, str) else value,
        key[:MAX_KEY] if isinstance(key, str) else key,
    ]


def sort_key(place: Sequence[JSON]) -> SortKey:
    """Return a key that compares places. Numbers in texts compare as numbers: ``node2`` comes before ``node10``."""
    return tuple(map(_value_key, place))


def _value_key(value: JSON) -> SortKey:
    if value is None or value == "":
        return (2,)
    if isinstance(value, int | float):
        return (0, value)
    text = str(value)
    return (1, _pad_numbers(text), text)


def _pad_numbers(text: str) -> str:
    return _DIGITS.sub(lambda found: found[0].zfill(_MAX_DIGITS), text.lower())


def after(rows: Sequence[ObjectRow], by: str, last: Sequence[JSON]) -> list[ObjectRow]:
    """Return the sorted objects that come after a place, wherever objects were added or deleted meanwhile."""
    field, descending = by.removeprefix("-"), by.startswith("-")
    end = sort_key(last)
    keys = ((row, sort_key(place(row, field))) for row in rows)
    return [row for row, key in keys if (key < end if descending else key > end)]
