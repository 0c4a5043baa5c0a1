"""Valid Unicode text from JSON, which may contain unpaired surrogates that UTF-8 cannot encode."""

import json
import re
from typing import Any, Final

from maas_mcp.maas.reading import JSON

_MAYBE_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> JSON:
    """Parse JSON, with U+FFFD in place of invalid characters.

    Raises:
        ValueError: The body is not JSON.
        RecursionError: The JSON is nested too deeply.
    """
    text = body.decode("utf-8-sig", "replace")
    value: JSON = json.loads(text)
    return replace_surrogates(value) if _MAYBE_HALF.search(text) else value


def replace_surrogates(value: Any) -> Any:
    """Return a JSON value in which surrogate pairs are joined and unpaired surrogates are U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {replace_surrogates(key): replace_surrogates(each) for key, each in value.items()}
    if isinstance(value, list):
        return [replace_surrogates(each) for each in value]
    return value
