"""Values of MAAS's objects as results show them: with bounded texts and lists, and in words for summaries."""

import re
from typing import Any, Final

from maas_mcp.api import quoted

JSON = Any
"""A parsed JSON value."""

_FIELD: Final = re.compile(r"(?!maas_)[a-z0-9_]{1,40}")
MAX_TEXT: Final = 300
"""Characters of one text in a row."""
MAX_ITEMS: Final = 20
"""Items of one list in a row."""


def has_value(value: JSON) -> bool:
    """Whether a value says something: neither null nor empty."""
    return value is not None and value not in ("", [], {})


def shorten(value: JSON, text: int = MAX_TEXT, items: int = MAX_ITEMS) -> JSON:
    """Return a text or list in at most ``text`` characters or ``items`` items, with the number of missing ones."""
    if isinstance(value, str) and len(value) > text:
        return type(value)(f"{value[:text]}… ({len(value) - text:,} more characters)")
    if isinstance(value, list):
        more = [f"… and {len(value) - items:,} more"] if len(value) > items else []
        return [*(shorten(one, text, items) for one in value[:items]), *more]
    return value


def in_words(value: JSON) -> str:
    """Return a value for a line of a summary. Texts are quoted, unless they are plain names."""
    if isinstance(value, dict):
        return ", ".join(f"{_name_in_words(str(name))} {in_words(each)}" for name, each in value.items())
    if isinstance(value, list):
        return f"[{'; '.join(map(in_words, value)) if _has_objects(value) else ', '.join(map(in_words, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else str(value)


def _name_in_words(name: str) -> str:
    """Return the name of a field, quoted if it may be a word of a user or the name of a tool."""
    return name if _FIELD.fullmatch(name) else quoted(name)


def _has_objects(values: list[JSON]) -> bool:
    return any(isinstance(each, dict) for each in values)
