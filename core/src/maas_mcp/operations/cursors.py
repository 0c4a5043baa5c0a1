"""Cursors of lists: a position as a signed string, which any process with the secret can continue from.

    eyJhZnRlciI6WyJub2RlMTIiLCI0eTNoN24iXX0.Zl0mJ3xH0cS2yQ9dVb1wAg
    position, as JSON                       signature

Nothing is stored. The position can be read but not changed. A cursor is untrusted input until it is opened.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from maas_mcp.errors import InvalidArgumentsError, PluginError
from maas_mcp.operations.signing import Signer, decode, encode

PURPOSE: Final = b"maas-mcp: cursors"
"""Derives the keys, so that no cursor can pass for an operation id or a plan id."""
MAX_LENGTH: Final = 4_096
"""Maximum characters of a cursor. Longer strings are rejected unread."""


class Cursors:
    """Makes and opens the cursors of one tool, for one user of one region.

    Args:
        signer: Returns the signer, when a cursor is made or opened.
    """

    def __init__(self, signer: Callable[[], Signer]) -> None:
        self._signer = signer

    def seal(self, position: Mapping[str, Any]) -> str:
        """Return a position as a cursor.

        Args:
            position: JSON values from which the next call of the tool can continue, such as the last row's name. The
                caller can read them. A cursor stays valid, so the row may have gone when it is used.

        Raises:
            MaasMcpError: The position is too long for a cursor, or is not JSON. This is a bug in the plugin.
        """
        try:
            body = encode(json.dumps(position, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())
        except (TypeError, ValueError) as error:
            raise PluginError("A cursor's position is not JSON. Expected text, numbers and lists of them.") from error
        cursor = f"{body}.{self._signer().sign(body)}"
        if len(cursor) > MAX_LENGTH:
            raise PluginError(
                f"A cursor has {len(cursor):,} characters. Expected at most {MAX_LENGTH:,}: keep the position short."
            )
        return cursor

    def open(self, cursor: str) -> dict[str, Any]:
        """Return the position of a cursor.

        Raises:
            InvalidArgumentsError: The cursor is not one of this tool, user and region, or was changed.
        """
        body, _, signature = cursor[: MAX_LENGTH + 1].rpartition(".")
        if len(cursor) > MAX_LENGTH or self._signer().secret_of(body, signature) is None:
            raise InvalidArgumentsError(
                "`cursor` is not valid here. Expected the complete `next_cursor` of an earlier call of this tool with "
                "the same access.",
                hint="Call again without `cursor`, which returns the first page.",
            )
        position: dict[str, Any] = json.loads(decode(body))
        return position


def _refuse() -> Signer:
    raise PluginError(
        "`ctx.cursors` is not available here: an operation has no list to continue.",
        hint="Write a Tool and use them in `run`.",
    )


NOT_OFFERED: Final = Cursors(_refuse)
"""Placeholder for ``ctx.cursors`` in operations."""
