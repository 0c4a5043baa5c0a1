"""Completes the rows of a page: with the fields that MAAS shows for single objects only, or with all details."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

import anyio

from maas_inventory.objects.kind import Kind
from maas_inventory.objects.reading import Objects
from maas_inventory.objects.row import ObjectRow, called
from maas_inventory.values import JSON, has_value, shorten
from maas_mcp.api import MaasError, ToolContext

AT_A_TIME: Final = 2
"""Requests at a time for one page. MAAS serves four, and others need it too."""
DETAIL_TEXT: Final = 500
"""Characters of a text among the details."""
DETAIL_BYTES: Final = 4_000
"""Bytes of the details of one object, roughly."""
_SECRET: Final = re.compile(r"pass|secret|token|credential|keyring_data|license_key|private", re.IGNORECASE)
_DROPPED: Final = frozenset({"resource_uri"})
_NAMES: Final = ("name", "username", "hostname", "system_id", "cidr", "id")
"""The keys by which an object inside another one is named."""
_DEPTH: Final = 3
_KEY: Final = 64
_HUGE: Final = 2**63
_OF_ONE_OBJECT: Final = frozenset({403, 404})
"""The statuses of errors that say nothing about other objects."""


async def complete(
    ctx: ToolContext, kind: Kind, rows: Sequence[ObjectRow], objects: Objects, *, details: bool
) -> tuple[list[dict[str, JSON]], list[str]]:
    """Return the rows as they are shown, and the sentences about those that could not be completed.

    An object that was deleted meanwhile stays incomplete. Any other error of MAAS ends the requests for all rows.
    """
    shown = [row.shown() for row in rows]
    if details:
        shown = [_with_details(one, objects.entries.get(row.key, {})) for one, row in zip(shown, rows, strict=True)]
    read = (kind.details if details else None) or kind.complete
    if read is None:
        return shown, []
    problems: list[str] = []
    limiter = anyio.CapacityLimiter(AT_A_TIME)

    async def add(number: int, row: ObjectRow) -> None:
        try:
            async with limiter:
                more = await read(ctx, row)
        except MaasError as error:
            problems.append(f"{kind.noun} {called(row)} is incomplete: {error.message}")
            if error.status not in _OF_ONE_OBJECT:
                tasks.cancel_scope.cancel()
            return
        shown[number] |= {name: shorten(value, DETAIL_TEXT) for name, value in more.items() if has_value(value)}
        if odd := [f"`{name}`" for name, value in more.items() if value is None]:
            problems.append(f"{kind.noun} {called(row)}: {', '.join(odd)} cannot be read.")

    async with anyio.create_task_group() as tasks:
        for number, row in enumerate(rows):
            tasks.start_soon(add, number, row)
    return shown, problems


def _with_details(shown: Mapping[str, JSON], entry: Mapping[str, JSON]) -> dict[str, JSON]:
    """Add the fields that the short form leaves out, as MAAS has them, until they take :data:`DETAIL_BYTES`."""
    added = dict(shown)
    room = DETAIL_BYTES
    for name, value in entry.items():
        if name in shown or name in _DROPPED or _SECRET.search(name):
            continue
        simple = simplify(value)
        if not has_value(simple):
            continue
        size = len(str(simple))
        if size > room:
            added[name] = "(too long)"
            continue
        room -= size
        added[name] = simple
    return added


def simplify(value: JSON, depth: int = 0) -> JSON:
    """Return a value of MAAS without addresses of resources, secrets and empty fields, with bounded texts and lists."""
    if isinstance(value, dict):
        if depth >= _DEPTH:
            return next((value[name] for name in _NAMES if has_value(value.get(name))), "…")
        found = {
            shorten(str(name), _KEY): simplify(each, depth + 1)
            for name, each in value.items()
            if name not in _DROPPED and not _SECRET.search(str(name))
        }
        return {name: each for name, each in found.items() if has_value(each)}
    if isinstance(value, list):
        return shorten([simplify(each, depth + 1) for each in value], DETAIL_TEXT)
    return shorten(str(value), DETAIL_TEXT) if _is_odd_number(value) else shorten(value, DETAIL_TEXT)


def _is_odd_number(value: JSON) -> bool:
    """Whether JSON cannot contain the number, or other programs cannot read it."""
    return (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) >= _HUGE)
