"""Valid Unicode text from JSON, without characters that a reader does not see."""

import json
import re
from typing import Final

from maas_mcp.maas.reading import JSON
from maas_mcp.machine_text import is_visible_json, make_json_visible

_MAY_HIDE: Final = re.compile(rb"\\[bfru]")
"""An escape that may stand for an invisible character."""


def parse_json(body: bytes) -> JSON:
    """Parse JSON, with U+FFFD in place of invalid characters and escapes in place of invisible ones.

    Raises:
        ValueError: The body is not JSON.
        RecursionError: The JSON is nested too deeply.
    """
    text = body.decode("utf-8-sig", "replace")
    value: JSON = json.loads(text)
    return value if _hides_nothing(body) or is_visible_json(text) else make_json_visible(value)


def visible_json(body: bytes) -> bytes:
    """Return JSON whose strings are those that :func:`parse_json` returns.

    Raises:
        ValueError: The body is not JSON.
        RecursionError: The JSON is nested too deeply.
    """
    if _hides_nothing(body):
        return body
    text = body.decode("utf-8-sig", "replace")
    if is_visible_json(text):
        return text.encode()
    return json.dumps(make_json_visible(json.loads(text)), ensure_ascii=False).encode()


def _hides_nothing(body: bytes) -> bool:
    """Whether no string in this JSON can have invisible characters. Most bodies of MAAS pass this quick check.

    JSON has no control character below a space in strings.
    """
    return body.isascii() and b"\x7f" not in body and _MAY_HIDE.search(body) is None
