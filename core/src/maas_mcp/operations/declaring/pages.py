"""Pages of lists, limited by their size, so that an answer fits into a model's context window."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

PAGE_BYTES: Final = 6_000
"""Maximum bytes of the rows of a page as compact JSON. The whole answer then has at most 10 kB and 2,500 tokens."""

RowT = TypeVar("RowT", bound=BaseModel | Mapping[str, Any])


def fit_page(rows: Iterable[RowT], limit: int, *, size: int = PAGE_BYTES) -> list[RowT]:
    """Return the first rows, at most ``limit`` of them, whose compact JSON has at most ``size`` bytes.

    The first row is returned even if it is larger, so that a list always continues. Rows after the page are not read.

    Args:
        rows: Models or JSON objects, as the result contains them.
        limit: Maximum rows.
        size: Maximum bytes.
    """
    page: list[RowT] = []
    used = 0
    for row in rows:
        used += len(to_json(row, by_alias=True)) + len(",")
        if len(page) >= limit or (page and used > size):
            break
        page.append(row)
    return page
