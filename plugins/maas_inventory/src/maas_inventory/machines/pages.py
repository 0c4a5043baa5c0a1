"""Pages of machines, from the informer's snapshot."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from maas_inventory.informer.filters import Filter
from maas_inventory.machines.explaining import describe_unreadable, explain_missing, explain_no_match
from maas_inventory.machines.fields import DEFAULT, NAMING
from maas_inventory.machines.listing import ListArguments, MachinePage
from maas_inventory.machines.showing import count, place, show, sort
from maas_inventory.paging import digest, open_cursor
from maas_mcp.api import PAGE_BYTES, ToolContext, fit_page, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Answer, Informer
    from maas_inventory.informer.rows import Row

MAX_COUNTED: Final = 15
"""Values of a field that are counted each."""
COUNT_BYTES: Final = 2_500
"""Bytes of the counts. The page has fewer machines then."""


async def read_page(ctx: ToolContext[Any, "Informer"], args: ListArguments) -> MachinePage:
    """Return a page of the machines that match."""
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
        return explain_missing(missing, (await informer.query(patience=0)).rows)
    if answer.rows or named:
        return None
    known = await informer.query(patience=0)
    return explain_no_match(given, known.rows if known.complete else None)
