"""Pages of the objects of one kind."""

from collections.abc import Iterable, Sequence
from typing import Final

from maas_inventory.objects.catalogue import KINDS
from maas_inventory.objects.completing import complete
from maas_inventory.objects.explaining import explain_none
from maas_inventory.objects.kind import MAX_COMPLETED, Kind
from maas_inventory.objects.listing import ObjectFilter, ObjectPage
from maas_inventory.objects.reading import Objects, read_objects
from maas_inventory.objects.row import ObjectRow, called
from maas_inventory.objects.selecting import after, check_fields, place, select, sort
from maas_inventory.paging import digest, name_first, open_cursor
from maas_mcp.api import InvalidArgumentsError, ToolContext, fit_page

COMPLETED: Final = "x" * 30
"""Room for the fields that complete a row."""
DETAILED: Final = 10
"""Objects with details that one page has at most."""


async def read_page(ctx: ToolContext, args: ObjectFilter) -> ObjectPage:
    """Return a page of the objects that match."""
    kind, filters = KINDS[args.kind], args.filters or {}
    if kind.needs and kind.needs not in filters:
        raise InvalidArgumentsError(
            f"`filters`: {kind.nouns} are listed for one {kind.needs}, but none is given.",
            hint=f"Add the filter `{kind.needs}`: a name, id or CIDR.",
        )
    by = args.sort or kind.row.label
    check_fields(kind, [by.removeprefix("-")], "sort")
    query = digest({"kind": kind.name, "name": args.name, "filters": filters, "sort": by})
    last = open_cursor(ctx, args.cursor, query)
    objects = await read_objects(ctx, kind, filters)
    found = select(kind, objects.rows, args.name, filters)
    listed = sort(kind, found, by)
    rest = listed if last is None else after(listed, by, last["after"])
    rows = _fitting(kind, rest, args.limit, details=args.details)
    items, problems = await complete(ctx, kind, rows, objects, details=args.details)
    items = fit_page(items, args.limit)
    rows = rows[: len(items)]
    more = len(rest) > len(rows)
    return ObjectPage(
        kind=kind.name,
        items=items,
        total=len(found),
        next_cursor=ctx.cursors.seal({"of": query, "after": place(rows[-1], by.removeprefix("-"))}) if more else None,
        hint=None if found else await explain_none(ctx, kind, objects.rows, args.name, filters),
        unreadable=[*_describe_unreadable(kind, objects, rows), *name_first(problems, kind.nouns)],
    )


def _fitting(kind: Kind, rows: Sequence[ObjectRow], limit: int, *, details: bool) -> Sequence[ObjectRow]:
    """The first rows that fit into a page. Only they are completed, which may take a request each."""
    own = bool(kind.complete or (details and kind.details))
    limit = min(limit, DETAILED if details else limit, MAX_COMPLETED if own else limit)
    room = {"": COMPLETED} if own else {}
    return rows[: len(fit_page([{**row.shown(), **room} for row in rows[:limit]], limit))]


def _describe_unreadable(kind: Kind, objects: Objects, rows: Iterable[ObjectRow]) -> list[str]:
    """Name the objects that are left out, and the unreadable fields of those on the page."""
    left_out = [f"{each}, so this {kind.noun} is left out." for each in objects.rows.left_out]
    odd = [(row, [name for name in row.unreadable if name in type(row).model_fields]) for row in rows]
    fields = [
        f"{kind.noun} {called(row)}: {', '.join(f'`{name}`' for name in names)} cannot be read."
        for row, names in odd
        if names
    ]
    return [*name_first(left_out, kind.nouns), *name_first(fields, kind.nouns)]
