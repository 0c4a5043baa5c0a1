"""Explains why a list of objects is empty."""

from collections.abc import Sequence
from difflib import get_close_matches

from maas_inventory.objects.kind import Filters, Kind
from maas_inventory.objects.row import ObjectRow
from maas_mcp.api import ToolContext, quoted

MAX_REPEATED = 200
"""Characters of the caller's filters that a message repeats."""


async def explain_none(
    ctx: ToolContext, kind: Kind, rows: Sequence[ObjectRow], name: str | None, filters: Filters
) -> str:
    """Return why no object was found, with close names."""
    if rows:
        return _explain_filters(kind, rows, name, filters)
    if kind.hidden:
        user = await ctx.maas.whoami()
        if not user.is_superuser:
            return f"MAAS shows {kind.nouns} to administrators only, and {quoted(user.username)} is none."
    return f"This region has no {kind.nouns}, or MAAS does not show them to this user."


def _explain_filters(kind: Kind, rows: Sequence[ObjectRow], name: str | None, filters: Filters) -> str:
    given = [*([f"name={name}"] if name else []), *(f"{field}={value}" for field, value in filters.items())]
    problem = f"None of the {len(rows):,} {kind.nouns} matches {_cut('; '.join(given))}."
    if name is None:
        return problem
    titles = {row.display_name.lower(): row.display_name for row in rows}
    close = get_close_matches(name.strip().lower(), titles, n=2)
    return f"{problem} Did you mean {' or '.join(quoted(titles[each]) for each in close)}?" if close else problem


def _cut(text: str) -> str:
    return quoted(text if len(text) <= MAX_REPEATED else f"{text[:MAX_REPEATED]}…")
