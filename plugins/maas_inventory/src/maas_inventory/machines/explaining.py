"""Explains lists of machines: why nothing matches, and what cannot be read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from maas_inventory.machines.filtering import NO_OWNER
from maas_mcp.api import LeftOut, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.rows import Row

MAX_REPEATED: Final = 200
"""Characters of the caller's filters that a message repeats."""
MAX_NAMED: Final = 10
"""Machines that one message about unreadable fields names, and values that a message about a filter names."""
EXACT: Final = ("owner", "agent_name", "zone", "pool", "tags")
"""Filters whose values are compared exactly."""
VALUES: Final = {"owner": "owner", "zone": "zone", "pool": "pool", "tags": "tag_names"}
"""Those of them that machines show, with the machines' field."""


def explain_missing(missing: Sequence[str], known: Iterable["Row"]) -> str:
    """Say that machines are missing, and which known ones have a similar name."""
    problem = f"No machine matches {_cut(' or '.join(missing))}."
    return f"{problem} {suggest_names(missing, known)}".rstrip()


def suggest_names(names: Sequence[str], known: Iterable["Row"]) -> str:
    """Ask whether the caller meant a machine with a similar name; empty if none has one."""
    return _suggest(names, [name for row in known for name in (row.hostname, row.fqdn) if name])


def explain_no_match(given: Mapping[str, object], known: Sequence["Row"] | None) -> str:
    """Say why no machine matches.

    Args:
        given: The filters.
        known: All machines, if they are known.
    """
    if not given:
        return "MAAS shows no machines: it has none, or the API key's user may not see any."
    shown = {name: ", ".join(_values(value)) for name, value in given.items()}
    problem = f"No machine matches {_cut('; '.join(f'{name}={value}' for name, value in shown.items()))}."
    sentences = (_explain_value(name, given[name], known or ()) for name in VALUES if known and name in given)
    unused = [sentence for sentence in sentences if sentence]
    exact = [f"`{name}`" for name in EXACT if name in given and not (known and name in VALUES)]
    every = "All filters must match: try fewer." if len(given) > 1 and not unused else ""
    spelled = f"{' and '.join(exact)} must be spelled exactly as in MAAS." if exact else ""
    return " ".join(filter(None, [problem, *unused, every, spelled]))


def _explain_value(name: str, wanted: object, known: Sequence["Row"]) -> str:
    """Say that no machine has a value, and which similar values or which few values there are."""
    of_row = attrgetter(VALUES[name])
    found = {each for row in known for each in _values(of_row(row)) if each}
    missing = [each for each in _values(wanted) if each not in found and (name, each) != ("owner", NO_OWNER)]
    if not missing:
        return ""
    close = _suggest(missing, found)
    few = f"There are {', '.join(map(_cut, sorted(found)))}." if 0 < len(found) <= MAX_NAMED else ""
    return f"No machine has the {name.removesuffix('s')} {_cut(' or '.join(missing))}. {close or few}".rstrip()


def _suggest(names: Iterable[str], known: Iterable[str]) -> str:
    spelled = {each.lower(): each for each in known}
    close = dict.fromkeys(one for name in names for one in get_close_matches(name.strip().lower(), spelled, n=1))
    return f"Did you mean {' or '.join(_cut(spelled[each]) for each in close)}?" if close else ""


def _values(value: object) -> Sequence[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [] if value is None else [str(value)]


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
