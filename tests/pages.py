"""The size of a page: the bytes and tokens of its structured content and of its text. A model may read either."""

import json
import re
from typing import Any, Final

from mcp_types import CallToolResult, TextContent

MAX_BYTES: Final = 10_000
MAX_TOKENS: Final = 2_500
_PIECE: Final = re.compile(r"\s?[^\W\d_]+|\d{1,3}|[^\w\s]+|_|\s+")
"""Roughly a token: a word, a group of at most three digits, or a group of punctuation."""


def size_of(value: Any) -> tuple[int, int]:
    """The bytes and the estimated tokens of JSON or of a text."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode()), len(_PIECE.findall(text))


def check_page(result: CallToolResult) -> Any:
    """Check the size of a page, and return its structured content."""
    texts = [each.text for each in result.content if isinstance(each, TextContent)]
    assert not result.is_error, texts
    for part in (result.structured_content, "\n".join(texts)):
        size, tokens = size_of(part)
        assert size <= MAX_BYTES, (size, str(part)[:500])
        assert tokens <= MAX_TOKENS, (tokens, str(part)[:500])
    return result.structured_content
