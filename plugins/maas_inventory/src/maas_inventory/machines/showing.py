"""Machines as a list shows, sorts and counts them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import nlargest, nsmallest
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final

from maas_inventory.machines.fields import NAMING
from maas_inventory.objects.selecting import MAX_SORTED, SortKey, sort_key
from maas_inventory.values import JSON, has_value, shorten

if TYPE_CHECKING:
    from maas_inventory.informer.rows import Row

MAX_COUNTED_TEXT: Final = 60
"""Characters of a value that is counted."""
MAX_KEYS: Final = 32_768
"""Places of machines that are remembered, because the same machines are sorted for every page."""


def show(row: "Row", fields: Iterable[str]) -> dict[str, JSON]:
    """A machine with those of the fields that have a value; ``locked`` only if it is."""
    values = ((name, shown_value(getattr(row, name))) for name in dict.fromkeys((*NAMING, *fields)))
    return {name: value for name, value in values if has_value(value) and (name, value) != ("locked", False)}


def shown_value(value: Any) -> JSON:
    """A value of a row as JSON, in short form."""
    return shorten(list(value) if isinstance(value, tuple) else value)


def place(row: "Row", field: str) -> list[JSON]:
    """The place of a machine in a list sorted by a field, as a cursor carries it."""
    return _place(getattr(row, field), row.hostname, row.system_id)


def _place(value: Any, hostname: str, system_id: str) -> list[JSON]:
    if isinstance(value, tuple):
        value = ", ".join(value)
    return [value[:MAX_SORTED] if isinstance(value, str) else value, hostname[:MAX_SORTED], system_id]


@lru_cache(maxsize=MAX_KEYS)
def _key(value: Any, hostname: str, system_id: str) -> SortKey:
    return sort_key(_place(value, hostname, system_id))


def sort(rows: Iterable["Row"], by: str, most: int, last: Sequence[JSON] | None = None) -> list["Row"]:
    """The first ``most`` machines sorted by a field, without those up to the place ``last``."""
    field, descending = by.removeprefix("-"), by.startswith("-")
    value = attrgetter(field)
    keyed = [(_key(value(row), row.hostname, row.system_id), row) for row in rows]
    if last is not None:
        end = sort_key(last)
        keyed = [each for each in keyed if (each[0] < end if descending else each[0] > end)]
    first = nlargest if descending else nsmallest
    return [row for _, row in first(most, keyed, key=itemgetter(0))]


def count(rows: Iterable["Row"], field: str, most: int) -> dict[str, int]:
    """How many machines have each value of a field, the most frequent first; a list counts each of its items.

    Values beyond ``most`` are counted together.
    """
    counts: dict[str, int] = {}
    for row in rows:
        value: Any = getattr(row, field)
        for each in value if isinstance(value, tuple) else (value,):
            name = "none" if each is None or each == "" else str(each)
            counts[name] = counts.get(name, 0) + 1
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(number for _, number in ranked[most:])
    shown: dict[str, int] = {shorten(name, MAX_COUNTED_TEXT): number for name, number in ranked[:most]}
    return shown | ({f"… {len(ranked) - most:,} other values": rest} if rest else {})
