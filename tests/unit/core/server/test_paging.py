"""A client that passes each cursor back sees every item once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.exceptions import MCPError

from maas_mcp.server.paging import page


@given(st.integers(0, 30), st.integers(1, 12))
def test_all_pages_together_are_the_list(length: int, size: int) -> None:
    items, seen, cursor = list(range(length)), [], None
    for _ in range(length + 1):
        part, cursor = page(items, cursor, size)
        assert len(part) <= size
        seen += part
        if cursor is None:
            break

    assert (seen, cursor) == (items, None)


@pytest.mark.parametrize("cursor", ["-1", "x", "", "10", "11", "1.0", "\u0661", "9" * 5000])
def test_an_unknown_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(MCPError, match="Unknown cursor"):
        page(range(10), cursor)
