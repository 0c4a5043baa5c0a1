"""Pages of lists, with a cursor that is the position of the next item."""

from collections.abc import Sequence
from typing import Final, TypeVar

import mcp_types as types
from mcp.shared.exceptions import MCPError

PAGE: Final = 50
"""Items on a page."""

ItemT = TypeVar("ItemT")


def page(items: Sequence[ItemT], cursor: str | None, size: int = PAGE) -> tuple[list[ItemT], str | None]:
    """The items at a cursor, and the cursor of the next page; ``None`` for the last page.

    Raises:
        MCPError: The cursor is not one of this list.
    """
    if cursor is None:
        start = 0
    elif cursor.isdecimal() and cursor.isascii() and len(cursor) <= len(str(len(items))):
        start = int(cursor)
    else:
        start = len(items)
    if start and start >= len(items):
        raise MCPError(
            code=types.INVALID_PARAMS, message="Unknown cursor. Pass a `nextCursor` of this list, or none to start."
        )
    end = start + size
    return list(items[start:end]), str(end) if end < len(items) else None
