"""Pages of lists: their size, their cursors, and the sentences about what cannot be read."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from maas_inventory.values import shorten
from maas_mcp.api import InvalidArgumentsError, ToolContext, fit_page

NAMED_BYTES: Final = 300
"""Bytes of the sentences of one sort about what cannot be read."""


def open_cursor(ctx: ToolContext, cursor: str | None, query: str) -> Mapping[str, Any] | None:
    """Return the place that a cursor stands for; ``None`` without a cursor.

    Args:
        ctx: The call.
        cursor: The cursor.
        query: The digest of the arguments of this list.

    Raises:
        InvalidArgumentsError: The cursor belongs to other arguments.
    """
    if cursor is None:
        return None
    position: Mapping[str, Any] = ctx.cursors.open(cursor)
    if position.get("of") != query:
        raise InvalidArgumentsError(
            "`cursor`: it belongs to a list with other arguments.",
            hint="Repeat the arguments of the page before, or leave out `cursor` to start again.",
        )
    return position


def digest(query: Mapping[str, Any]) -> str:
    """Return a short digest of a query, by which a cursor is checked to belong to it."""
    return sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()[:12]


def name_first(sentences: Sequence[str], nouns: str) -> list[str]:
    """Return the first sentences of one sort, and one with the number of the others.

    Args:
        sentences: Sentences about what cannot be read, one for each object.
        nouns: The objects, such as ``subnets``.
    """
    kept = len(fit_page([{"": sentence} for sentence in sentences], len(sentences), size=NAMED_BYTES))
    more = len(sentences) - kept
    shown: list[str] = [shorten(sentence) for sentence in sentences[:kept]]
    return [*shown, *([f"The same is true for {more:,} more {nouns}."] if more else [])]
