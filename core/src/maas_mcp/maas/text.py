"""Text as UTF-8 can hold it: JSON may name halves of characters, which no other program takes."""

import json
import re
from typing import Any, Final

from maas_mcp.maas.reading import JSON

_MAYBE_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parsed(body: bytes) -> JSON:
    """The JSON in ``body``, with U+FFFD for what is no character.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """
    text = body.decode("utf-8-sig", "replace")
    value: JSON = json.loads(text)
    return whole(value) if _MAYBE_HALF.search(text) else value


def whole(value: Any) -> Any:
    """A value of JSON without halves of characters: two that belong together are one, another is U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {whole(key): whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    return value
