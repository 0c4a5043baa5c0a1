"""The tool that lists objects of one kind, page by page."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, WithJsonSchema

from maas_inventory.arguments import Limit, Text
from maas_inventory.objects.completing import complete
from maas_inventory.objects.explaining import explain_none
from maas_inventory.objects.kind import MAX_COMPLETED, Kind
from maas_inventory.objects.kind_names import KindName
from maas_inventory.objects.reading import Objects, read_objects
from maas_inventory.objects.row import JSON, ObjectRow, called, in_words
from maas_inventory.objects.selecting import after, check_fields, place, select, sort
from maas_inventory.paging import digest, name_first, open_cursor
from maas_mcp.api import CarriesMachineText, InvalidArgumentsError, Tool, ToolContext, fit_page

COMPLETED: Final = "x" * 30
"""Room for the fields that complete a row."""
DETAILED: Final = 10
"""Objects with details that one page has at most."""

FilterValue = Annotated[str | int | bool, WithJsonSchema({"type": "string"})]
Item = Annotated[dict[str, Any], CarriesMachineText()]


class ObjectFilter(BaseModel, defer_build=True):
    """The objects to list."""

    kind: KindName
    name: Text | None = Field(default=None, description="Name, id or CIDR; globs.")
    filters: dict[str, FilterValue] | None = Field(
        default=None, description="Fields of the items, such as `fabric`, `space` or `type`; globs."
    )
    sort: str | None = Field(default=None, description="A field; a leading - reverses.")
    details: bool = Field(default=False, description="All fields of each object.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`next_cursor` of a page.")


class ObjectPage(BaseModel, defer_build=True):
    """A page of objects."""

    kind: str
    items: list[Item] = Field(description="Fields without a value are left out.")
    total: int = Field(description="Matching objects on all pages.")
    next_cursor: str | None = None
    hint: str | None = None
    unreadable: list[str] = Field(default=[], description="Objects left out and fields that MAAS's JSON lacks.")


class ListObjects(Tool[ObjectFilter, ObjectPage]):
    """List (show, find, count) what exists other than machines, such as subnets with their free IP addresses.

    Also fabrics, VLANs, spaces, zones, resource pools, tags, Ubuntu and other images that can be deployed, rack
    controllers and services, VM hosts, DNS domains, devices, users, scripts. `details` shows free ranges. `ip_address`
    needs the filter `subnet`.
    """

    name = "maas_list_objects"
    toolset = "inventory"
    list_position = 25
    title = "List objects"
    read_only = True

    async def run(self, ctx: ToolContext, args: ObjectFilter) -> ObjectPage:
        """Send one request for the list, and for subnets and images one for each row of the page."""
        kind, filters = _kind(args.kind), args.filters or {}
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
            next_cursor=ctx.cursors.seal({"of": query, "after": place(rows[-1], by.removeprefix("-"))})
            if more
            else None,
            hint=None if found else await explain_none(ctx, kind, objects.rows, args.name, filters),
            unreadable=[*_describe_unreadable(kind, objects, rows), *name_first(problems, kind.nouns)],
        )

    def summary(self, result: ObjectPage) -> str:
        """One line for each object and for each problem."""
        kind = _kind(result.kind)
        lines = [_line(kind, item) for item in result.items]
        problems = [*result.unreadable, *([result.hint] if result.hint else [])]
        more = [f"The next page has the cursor {result.next_cursor}"] if result.next_cursor else []
        return "\n".join([f"{len(lines)} of {result.total} {kind.nouns}", *lines, *problems, *more])


def _kind(name: str) -> Kind:
    from maas_inventory.objects.catalogue import KINDS  # noqa: PLC0415 - its models take a hundredth of the start-up

    return KINDS[name]


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


def _line(kind: Kind, item: dict[str, JSON]) -> str:
    head = item.get(kind.row.label, item.get(kind.row.identity))
    rest = [f"{name} {in_words(value)}" for name, value in item.items() if name != kind.row.label]
    return f"{in_words(head)}: {', '.join(rest)}"
