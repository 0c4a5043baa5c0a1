"""Reads the list of a kind, and explains why MAAS does not show it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from maas_inventory.objects.kind import Filters, Kind
from maas_inventory.objects.row import ObjectRow
from maas_inventory.values import JSON
from maas_mcp.api import Listing, MaasNotFoundError, MaasPermissionError, MaasProtocolError, ToolContext

NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a kind."""

    rows: Listing[ObjectRow]
    entries: Mapping[str | int, Mapping[str, JSON]]
    """MAAS's own objects, by identity."""


async def read_objects(ctx: ToolContext, kind: Kind, filters: Filters | None = None) -> Objects:
    """Read all objects of a kind, mostly in one request, because MAAS has no paging for them.

    Raises:
        MaasPermissionError: MAAS shows them to administrators only.
        MaasNotFoundError: The region's version does not have the kind.
        InvalidArgumentsError: A filter that the list needs names nothing.
    """
    with explained(kind):
        answer = await (kind.read(ctx, filters or {}) if kind.read else ctx.maas.get(kind.path))
    return objects_of(kind, answer)


@contextmanager
def explained(kind: Kind) -> Iterator[None]:
    """Explain MAAS's refusal of the list, and the lack of the kind in the region's version."""
    try:
        yield
    except MaasPermissionError as error:
        raise MaasPermissionError(
            f"MAAS does not show its {kind.nouns} to this user (403).",
            hint="Use the API key of a MAAS administrator.",
            maas_says=error.maas_says,
        ) from None
    except MaasProtocolError as error:
        if error.status != NOT_FOUND or "Unknown API endpoint" not in (error.maas_says or ""):
            raise
        since = f"MAAS has them since version {kind.since}." if kind.since else "Its version does not have them."
        raise MaasNotFoundError(f"This region has no {kind.nouns} (404).", hint=since) from None


def objects_of(kind: Kind, answer: JSON) -> Objects:
    """Return the objects in MAAS's response.

    Raises:
        MaasProtocolError: The response is not a list.
    """
    listed = kind.entries(answer) if kind.entries else answer
    prepared = [kind.row.prepare(entry) for entry in listed] if isinstance(listed, list) else listed
    rows: Listing[ObjectRow] = kind.row.list_from_response(prepared)
    entries = {}
    for entry, row in zip(listed, prepared, strict=True):
        key = row.get(kind.row.identity) if isinstance(row, dict) else None
        if isinstance(key, str | int):
            entries[key] = entry
    return Objects(rows, entries)
