"""Explains lists of machines: why nothing matches, and what cannot be read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from maas_mcp.api import LeftOut, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.rows import Row

MAX_REPEATED: Final = 200
"""Characters of the caller's filters that a message repeats."""
MAX_NAMED: Final = 10
"""Machines that one message about unreadable fields names."""


def explain_missing(missing: Sequence[str], known: Iterable["Row"]) -> str:
    """Say that machines are missing, and which known ones have a similar name."""
    names = [name for row in known for name in (row.hostname, row.fqdn) if name]
    close = dict.fromkeys(one for name in missing for one in get_close_matches(name.strip().lower(), names, n=1))
    problem = f"No machine matches {_cut(' or '.join(missing))}."
    return f"{problem} Did you mean {' or '.join(map(quoted, close))}?" if close else problem


def explain_no_match(given: Mapping[str, object]) -> str:
    """Say why no machine matches."""
    if not given:
        return "MAAS shows no machines: it has none, or the API key's user may not see any."
    every = " All filters must match: try fewer." if len(given) > 1 else ""
    exact = [f"`{name}`" for name in ("owner", "agent_name", "zone", "pool", "tags") if name in given]
    spelled = f" {' and '.join(exact)} must be spelled exactly as in MAAS." if exact else ""
    shown = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in given.items()}
    return f"No machine matches {_cut('; '.join(f'{name}={value}' for name, value in shown.items()))}.{every}{spelled}"


def describe_unreadable(left_out: Sequence[LeftOut], rows: Iterable["Row"], fields: Iterable[str]) -> list[str]:
    """Name machines that are left out, and fields that hold a default. Machines with the same fields share a sentence.

    Args:
        left_out: The machines without a readable id or status.
        rows: The machines on the page.
        fields: The fields on the page.
    """
    sentences = [f"{each}, so this machine is left out. It is still in MAAS." for each in left_out[:MAX_NAMED]]
    if len(left_out) > MAX_NAMED:
        sentences.append(f"{len(left_out) - MAX_NAMED:,} more machines cannot be read and are left out.")
    shown = set(fields)
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        if names := tuple(name for name in row.unreadable if name in shown):
            alike[names].append(f"{row.system_id} ({quoted(row.hostname)})")
    return [
        *sentences,
        *(
            f"{_join_first(machines)}: {', '.join(f'`{name}`' for name in names)} cannot be read; a default is shown."
            for names, machines in alike.items()
        ),
    ]


def _join_first(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _cut(text: str) -> str:
    return quoted(text if len(text) <= MAX_REPEATED else f"{text[:MAX_REPEATED]}…")
