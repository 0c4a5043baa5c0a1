"""Which machines a change of this server may have changed."""

from collections.abc import Iterable
from typing import Final

from maas_inventory.informer.rows import Row
from maas_mcp.api import ChangeRequest

_NAMED: Final = {"zones": "zone", "users": "owner"}
"""Collections whose objects machines name, and the field with the name."""
_OF_ANY_MACHINE: Final = frozenset({"resourcepool", "domains", "vm-hosts", "pods"})
"""Collections whose objects machines name too, but whose paths have numbers."""


def affected(change: ChangeRequest, rows: Iterable[Row]) -> list[str]:
    """The system ids of the known machines that a change may have changed."""
    collection, _, rest = change.path.partition("/")
    name = rest.partition("/")[0]
    named = set(change.system_ids)
    field = _NAMED.get(collection)

    def may_change(row: Row) -> bool:
        if row.system_id in named or (collection in _OF_ANY_MACHINE and bool(name)):
            return True
        if collection == "tags":
            return name in row.tag_names
        return field is not None and bool(name) and getattr(row, field) == name

    return [row.system_id for row in rows if may_change(row)]


def may_add_machines(change: ChangeRequest) -> bool:
    """Whether a change may have added machines: a new or accepted one, a chassis, or a composed VM."""
    collection, _, name = change.path.partition("/")
    return change.method == "POST" and (
        (collection == "machines" and not name and change.op in (None, "accept_all", "add_chassis", "create"))
        or (collection in ("vm-hosts", "pods"))
    )
