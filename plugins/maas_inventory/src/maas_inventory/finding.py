"""Machine filters: those of MAAS, plus hostnames in any case and with or without a domain."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from maas_mcp.api import Listing, Machine, MachineStatus, ToolContext, quoted

STATUSES: Final = [status.filter_value for status in MachineStatus]
MAX_REPEATED: Final = 200
"""Characters of the caller's filters that a message repeats."""


def _normalize(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


_BY_NAME: Final = {_normalize(name): each.filter_value for each in MachineStatus for name in (each.display, each.name)}


def _check_status(status: str) -> str:
    known = _BY_NAME.get(_normalize(status))
    if known is None:
        raise ValueError(f"expected one of {', '.join(STATUSES)}")
    return known


StatusFilter = Annotated[str, AfterValidator(_check_status), WithJsonSchema({"type": "string", "enum": STATUSES})]
"""A status as MAAS's list filter expects it (``failed_deployment``) or as MAAS shows it (``Failed deployment``)."""


class MachineFilter(BaseModel):
    """The filters. Without a filter, all machines match."""

    status: list[StatusFilter] | None = None
    hostname: list[str] | None = Field(default=None, description="Names or FQDNs.")
    owner: str | None = None
    agent_name: str | None = None
    zone: str | None = None
    pool: str | None = None
    tags: list[str] | None = Field(default=None, description="All of them.")
    power_state: Literal["on", "off", "unknown", "error"] | None = None
    limit: int = Field(default=50, ge=1, le=500)


async def find(ctx: ToolContext, args: MachineFilter) -> tuple[Listing[Machine], str | None]:
    """The machines that match, and a hint for the caller if a named machine is missing or none matches.

    Takes one ``GET machines/``. MAAS 3.7 compares hostnames exactly, without domains. If no machine has a given name, a
    second request reads all machines that match the other filters.
    """
    filters = args.model_dump(exclude={"limit", "hostname"}, exclude_none=True)
    if not args.hostname:
        found = await ctx.maas.machine_listing(**filters)
        return found, None if found.total else _explain_no_match(filters)
    spellings = {name.strip().partition(".")[0] for name in args.hostname} | {_label(name) for name in args.hostname}
    found = await ctx.maas.machine_listing(hostname=sorted(spellings), **filters)
    missing = _find_missing_names(args.hostname, found)
    if not missing:
        return _filter_by_names(args.hostname, found), None
    others = await ctx.maas.machine_listing(**filters)
    return _filter_by_names(args.hostname, others), _explain_missing(
        _find_missing_names(args.hostname, others), others, filters
    )


def _is_called(machine: Machine, name: str) -> bool:
    fqdn = machine.fqdn or f"{machine.hostname}.{machine.domain or ''}"
    return name.strip().rstrip(".").lower() in (machine.hostname.lower(), fqdn.lower())


def _filter_by_names(names: Sequence[str], found: Listing[Machine]) -> Listing[Machine]:
    return Listing((each for each in found if any(_is_called(each, name) for name in names)), found.left_out)


def _find_missing_names(names: Sequence[str], found: Listing[Machine]) -> list[str]:
    """The names that no machine has. An unreadable machine is not missing, because it is reported as unreadable."""
    readable = [name for name in names if any(_is_called(each, name) for each in found)]
    unreadable = [name for name in names if any(_label(name) in each.name.lower() for each in found.left_out)]
    return [name for name in names if name not in (*readable, *unreadable)]


def _label(name: str) -> str:
    return name.strip().partition(".")[0].lower()


def _explain_missing(missing: Sequence[str], found: Sequence[Machine], filters: dict[str, object]) -> str | None:
    if not missing:
        return None
    names = [name for each in found for name in (each.hostname, each.fqdn) if name]
    close = dict.fromkeys(one for name in missing for one in get_close_matches(name.strip().lower(), names, n=1))
    among = f" among those that match {_format_filters(filters)}" if filters else ""
    problem = f"No machine{among} has the hostname {_cut(' or '.join(missing))}."
    return f"{problem} Did you mean {' or '.join(map(quoted, close))}?" if close else problem


def _explain_no_match(filters: dict[str, object]) -> str:
    if not filters:
        return "MAAS shows no machines: it has none, or the API key's user may not see any."
    every = " All filters must match: try fewer." if len(filters) > 1 else ""
    exact = [f"`{name}`" for name in ("owner", "agent_name") if name in filters]
    spelled = f" {' and '.join(exact)} must be spelled exactly as in MAAS." if exact else ""
    return f"No machine matches {_format_filters(filters)}.{every}{spelled}"


def _format_filters(filters: dict[str, object]) -> str:
    shown = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in filters.items()}
    return _cut("; ".join(f"{name}={value}" for name, value in shown.items()))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REPEATED else f"{text[:MAX_REPEATED]}…"
