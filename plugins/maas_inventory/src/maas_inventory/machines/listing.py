"""The tool that lists machines from the informer's snapshot."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, Field

from maas_inventory.arguments import Limit
from maas_inventory.informer.filters import Filter
from maas_inventory.machines.explaining import describe_unreadable, explain_missing, explain_no_match
from maas_inventory.machines.fields import DEFAULT, NAMING, FieldName, SortField, count, place, show, sort
from maas_inventory.machines.filtering import MachineFilter
from maas_inventory.objects.row import in_words
from maas_inventory.paging import digest, open_cursor
from maas_mcp.api import PAGE_BYTES, CarriesMachineText, Tool, ToolContext, fit_page, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Answer, Informer
    from maas_inventory.informer.rows import Row

MAX_COUNTED: Final = 15
"""Values of a field that are counted each."""
COUNT_BYTES: Final = 2_500
"""Bytes of the counts. The page has fewer machines then."""

Item = Annotated[dict[str, Any], CarriesMachineText()]


class ListArguments(MachineFilter):
    """The machines to list, and how."""

    sort: SortField = Field(default="hostname", description="A field; with a minus sign in reverse.")
    fields: list[FieldName] | None = Field(default=None, description="To show, such as `mac_addresses` or `storage`.")
    count_by: list[FieldName] | None = Field(default=None, description="Count the matches by these fields.")
    fresh: bool = Field(default=False, description="Read the page's machines again.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`next_cursor` of a page.")


class MachinePage(BaseModel, defer_build=True):
    """A page of the machines that match."""

    machines: list[Item] = Field(
        description="Fields without a value are left out. `memory` and `storage` are in megabytes."
    )
    total: int = Field(description="Matching machines on all pages.")
    counts: Annotated[dict[str, dict[str, int]], CarriesMachineText()] = Field(
        default={}, description="Matches by field and value."
    )
    next_cursor: str | None = None
    complete: bool = Field(default=True, description="False while MAAS's machines are still being read.")
    as_of: datetime = Field(description="Changes up to this time are shown, if MAAS wrote an event about them.")
    oldest_row_seconds: int | None = Field(
        default=None, description="Changes without an event, such as of tags, may be older than this and missing."
    )
    resync_seconds: int = Field(description="Within this time, all changes without an event show.")
    hint: str | None = Field(default=None, description="Possible problem with the filters.")
    unreadable: list[str] = Field(
        default=[],
        description="Machines left out and fields with a default, because MAAS's value is unreadable.",
    )


class ListMachines(Tool[ListArguments, MachinePage]):
    """List (find, search, count) machines: which nodes, servers, boxes are free (idle, Ready), broken or failed.

    Filters by owner, zone, pool, tag (such as one for each rack), CPUs, memory and more. `count_by` counts the
    matches, such as how many machines each user owns.
    """

    name = "maas_list_machines"
    toolset = "inventory"
    list_position = 10
    offers = "machines read"
    title = "List machines"
    read_only = True

    async def run(self, ctx: ToolContext[Any, "Informer"], args: ListArguments) -> MachinePage:
        """Send no request, once the informer has read all machines; `fresh` sends one."""
        informer, wanted = ctx.state, args.of_informer()
        query = digest({"machines": args.model_dump(mode="json", exclude={"limit", "cursor", "fresh", "count_by"})})
        last = open_cursor(ctx, args.cursor, query)
        answer = await informer.query(wanted, progress=ctx.progress)
        fields = [*NAMING, *args.fields] if args.fields else DEFAULT
        counts = fit_counts({name: count(answer.rows, name, MAX_COUNTED) for name in args.count_by or ()})
        rest = sort(answer.rows, args.sort, args.limit + 1, None if last is None else last["after"])
        size = PAGE_BYTES - len(json.dumps(counts))
        page = rest[: len(fit_page((show(row, fields) for row in rest), args.limit, size=size))]
        informer.show([row.system_id for row in page])
        shown: Sequence[Row] = page
        hint = await _explain(informer, wanted, args.given(), answer)
        more = len(rest) > len(page)
        end = place(page[-1], args.sort.removeprefix("-")) if more and page else None
        total, complete = len(answer.rows), answer.complete
        if args.fresh and page:
            answer = await informer.read([row.system_id for row in page])
            shown, gone = _still_matching(wanted, page, answer.rows)
            hint = " ".join(filter(None, [hint, gone])) or None
        return MachinePage(
            machines=[show(row, fields) for row in shown],
            total=total,
            counts=counts,
            next_cursor=None if end is None else ctx.cursors.seal({"of": query, "after": end}),
            complete=complete,
            as_of=answer.as_of,
            oldest_row_seconds=None if answer.oldest_seconds is None else round(answer.oldest_seconds),
            resync_seconds=round(answer.resync_seconds),
            hint=hint,
            unreadable=describe_unreadable(answer.left_out, shown, fields),
        )

    def summary(self, result: MachinePage) -> str:
        """One line for each machine, each count and each problem."""
        lines = [_line(item) for item in result.machines]
        counts = [f"By {name}: {_counted(values)}" for name, values in result.counts.items()]
        problems = [*result.unreadable, *([result.hint] if result.hint else [])]
        more = [f"The next page has the cursor {result.next_cursor}"] if result.next_cursor else []
        head = f"{len(lines)} of {result.total} machines as of {result.as_of:%Y-%m-%d %H:%M:%S} UTC"
        return "\n".join([head, *counts, *lines, *problems, *more])


def fit_counts(counts: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The counts of the first fields that fit into their part of a page."""
    kept = fit_page(({name: values} for name, values in counts.items()), len(counts), size=COUNT_BYTES)
    return {name: values for each in kept for name, values in each.items()}


def _still_matching(wanted: Filter, page: Sequence["Row"], read: Sequence["Row"]) -> tuple[Sequence["Row"], str | None]:
    """The machines of a page as they were read again, and a hint about those that do not match any more."""
    now = {row.system_id: row for row in read if wanted.matches(row)}
    changed = [row.hostname for row in page if row.system_id not in now]
    hint = f"Read again, these do not match any more: {', '.join(map(quoted, changed))}." if changed else None
    return [now[row.system_id] for row in page if row.system_id in now], hint


async def _explain(informer: "Informer", wanted: Filter, given: Mapping[str, object], answer: "Answer") -> str | None:
    if not answer.complete:
        return (
            f"{answer.known:,} machines have been read so far. Repeat the call to see more, or filter by hostname, "
            "owner, tags or MAC address, which MAAS answers at once."
        )
    named = [each.name.lower() for each in answer.left_out]
    missing = [
        name for name in wanted.find_missing(answer.rows) if not any(name.strip().lower() in each for each in named)
    ]
    if missing:
        return explain_missing(missing, (await informer.query(Filter(), patience=0)).rows)
    if answer.rows or named:
        return None
    known = await informer.query(Filter(), patience=0)
    return explain_no_match(given, known.rows if known.complete else None)


def _line(item: Mapping[str, Any]) -> str:
    rest = (f"{name} {in_words(value)}" for name, value in item.items() if name not in NAMING)
    return f"{item['system_id']} {quoted(item['hostname'])}: {', '.join(rest)}"


def _counted(values: Mapping[str, int]) -> str:
    return ", ".join(f"{quoted(name)} {number}" for name, number in values.items())
