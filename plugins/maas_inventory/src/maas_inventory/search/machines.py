"""Finds machines for a search, in the informer's snapshot and, while that is not complete, by MAAS's own filters."""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from maas_inventory.informer.filters import Filter
from maas_inventory.machine_names import find_machines
from maas_inventory.search.query import EXACT, IN_FIELD, IN_NAME, PREFIX, Match, Query
from maas_mcp.api import ToolContext

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer
    from maas_inventory.informer.rows import Row

PATIENCE: Final = 10.0
"""Seconds that a search waits for the informer's first list."""
TEXTS: Final = ("system_id", "hostname", "fqdn", "owner", "status_name", "zone", "pool", "architecture", "description")
"""The fields whose texts are searched for words, besides the tags."""


@dataclass(frozen=True, slots=True)
class FoundMachine:
    """A machine that matches."""

    match: Match
    system_id: str
    hostname: str
    fqdn: str
    status_name: str
    owner: str | None


async def search_machines(ctx: ToolContext[Any, "Informer"], query: Query) -> tuple[list[FoundMachine], str | None]:
    """Return the machines that match, and what was not searched, if anything."""
    answer = await ctx.state.query(Filter(), progress=ctx.progress, patience=PATIENCE)
    matches = ((_match(query, row), row) for row in answer.rows)
    found = [
        FoundMachine(match, row.system_id, row.hostname, row.fqdn, row.status_name, row.owner)
        for match, row in matches
        if match
    ]
    if answer.complete:
        return found, None
    known = {each.system_id for each in found}
    if query.address is None and query.network is None and len(query.words) == 1:
        named = await find_machines(ctx, query.text)
        exact = Match(EXACT + 1, "hostname")
        found += [
            FoundMachine(exact, each.system_id, each.hostname, each.fqdn, each.status_name, each.owner)
            for each in named
            if each.system_id not in known
        ]
    return found, f"machines: only {answer.known:,} have been read so far. Search again for the others."


def _match(query: Query, row: "Row") -> Match | None:
    if query.address is not None or query.network is not None:
        score = EXACT + 1 if query.address is not None else IN_FIELD
        return Match(score, "ip_addresses") if _has_address(query, row) else None
    if query.mac is not None:
        return Match(EXACT + 1, "mac_addresses") if query.mac in row.mac_addresses else None
    return _match_words(query.words, row)


def _match_words(words: list[str], row: "Row") -> Match | None:
    wanted, name = " ".join(words), row.hostname.lower()
    if wanted in (name, row.fqdn.lower(), row.system_id):
        return Match(EXACT + 1, "hostname")
    if name.startswith(wanted):
        return Match(PREFIX, "hostname")
    if all(word in name for word in words):
        return Match(IN_NAME, "hostname")
    texts = {field: str(getattr(row, field) or "").lower() for field in TEXTS}
    texts["tag_names"] = " ".join(row.tag_names).lower()
    # The words may be in several fields.
    found = [next((field for field, text in texts.items() if word in text), None) for word in words]
    return Match(IN_FIELD, found[-1]) if all(found) and found[-1] else None


def _has_address(query: Query, row: "Row") -> bool:
    for each in row.ip_addresses:
        with suppress(ValueError):
            address = ip_address(each)
            if address == query.address or (query.network is not None and address in query.network):
                return True
    return False
