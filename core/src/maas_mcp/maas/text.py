"""Valid Unicode text from JSON, without characters that a reader does not see."""

import json

from maas_mcp.maas.reading import JSON
from maas_mcp.machine_text import is_visible_json, make_json_visible


def parse_json(body: bytes) -> JSON:
    """Parse JSON, with U+FFFD in place of invalid characters and escapes in place of invisible ones.

    Raises:
        ValueError: The body is not JSON.
        RecursionError: The JSON is nested too deeply.
    """
    text = body.decode("utf-8-sig", "replace")
    value: JSON = json.loads(text)
    return value if is_visible_json(text) else make_json_visible(value)
