"""Cursors of lists: each belongs to the arguments of its list."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from maas_mcp.api import InvalidArgumentsError, ToolContext

# The bounds are not published: each list would repeat them, and a page is limited by its size anyway.
Limit = Annotated[int, Field(ge=1, le=200), WithJsonSchema({"type": "integer"})]
"""The maximum number of rows on a page."""


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
