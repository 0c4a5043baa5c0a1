"""The fields of a machine in a list: which there are, how they are shown, and by what they sort."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import nlargest, nsmallest
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, WithJsonSchema

from maas_inventory.objects.row import JSON, has_value, shorten
from maas_inventory.objects.selecting import MAX_SORTED, SortKey, sort_key

if TYPE_CHECKING:
    from maas_inventory.informer.rows import Row

MAX_COUNTED_TEXT: Final = 60
"""Characters of a value that is counted."""
MAX_KEYS: Final = 32_768
"""Places of machines that are remembered, because the same machines are sorted for every page."""
NAMING: Final = ("system_id", "hostname")
"""Each machine of a list has these fields."""
DEFAULT: Final = (
    *NAMING, "status_name", "owner", "power_state", "locked", "zone", "pool", "tag_names", "architecture", "cpu_count",
    "memory", "ip_addresses",
)  # fmt: skip
MORE: Final = (
    "fqdn", "domain", "power_type", "storage", "mac_addresses", "osystem", "distro_series", "hwe_kernel",
    "ephemeral_deploy", "netboot", "description", "error_description", "pod", "commissioning_status_name",
    "testing_status_name",
)  # fmt: skip
FIELDS: Final = (*DEFAULT, *MORE)
"""All fields of MAAS's JSON that a list shows, sorts by and counts."""


def _check_field(name: str) -> str:
    known = _SPELLINGS.get(name.strip().lower().replace(" ", "_"))
    if known is None:
        raise ValueError(f"expected one of {', '.join(FIELDS)}")
    return known


_SPELLINGS: Final = {name: name for name in FIELDS} | {
    "status": "status_name",
    "tags": "tag_names",
    "tag": "tag_names",
    "ip": "ip_addresses",
    "ip_address": "ip_addresses",
    "mac": "mac_addresses",
    "mac_address": "mac_addresses",
    "name": "hostname",
}
FieldName = Annotated[str, AfterValidator(_check_field), WithJsonSchema({"type": "string"})]
"""A field's name, or another usual name of it: ``status``, ``tags``, ``ip``."""


def _check_sort(by: str) -> str:
    sign = "-" if by.strip().startswith("-") else ""
    return sign + _check_field(by.strip().removeprefix("-"))


SortField = Annotated[str, AfterValidator(_check_sort), WithJsonSchema({"type": "string"})]
"""A field's name, with ``-`` in front for descending order."""


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
