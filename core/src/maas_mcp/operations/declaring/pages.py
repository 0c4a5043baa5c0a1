"""Pages of lists, limited by their size, so that an answer fits into a model's context window."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

PAGE_BYTES: Final = 6_000
"""Maximum bytes of the rows of a page as compact JSON. The whole answer then has at most 10 kB and 2,500 tokens."""
BYTES_PER_TOKEN: Final = 2.8
"""Bytes of a row for each of its tokens. Rows of ids and addresses have fewer, and count as if they were longer."""

_TOKEN: Final = re.compile(r"\s?[A-Za-z]+|\d{1,3}|[^\w\s]{1,3}|\s+|.")
"""A rough token of a model: a word, up to three digits or other characters, or a letter of another alphabet."""

RowT = TypeVar("RowT", bound=BaseModel | Mapping[str, Any])


def fit_page(rows: Iterable[RowT], limit: int, *, size: int = PAGE_BYTES) -> list[RowT]:
    """Return the first rows, at most ``limit`` of them, whose compact JSON has at most ``size`` bytes.

    The first row is returned even if it is larger, so that a list always continues. Rows after the page are not read.

    Args:
        rows: Models or JSON objects, as the result contains them.
        limit: Maximum rows.
        size: Maximum bytes. Rows with many ids or addresses count for more, because they take more tokens.
    """
    page: list[RowT] = []
    used_bytes, used_tokens = len("]"), 0  # each row counts with a comma, or with the opening bracket
    for row in rows:
        content = to_json(row, by_alias=True)
        used_bytes += len(content) + len(",")
        used_tokens += estimate_tokens(content.decode())
        if len(page) >= limit or (page and max(used_bytes, used_tokens * BYTES_PER_TOKEN) > size):
            break
        page.append(row)
    return page


def estimate_tokens(text: str) -> int:
    """Return the approximate number of tokens that a model reads."""
    return len(_TOKEN.findall(text))
