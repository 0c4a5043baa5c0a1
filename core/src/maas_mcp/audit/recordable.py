"""Converts values for the audit: hides secrets, and replaces long values."""

import json
import math
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from maas_mcp.redaction import HIDDEN, is_secret_name, redact

MAX_TEXT: Final = 256
"""Maximum characters of a recorded text. A longer one is recorded as its length and digest."""
MAX_VALUE: Final = 16_384
"""Maximum bytes of a recorded value as JSON, such as a list of machines."""


def recordable(name: str, value: Any) -> Any:
    """Return a JSON value as the audit records it.

    Args:
        name: The name of the argument or field, which decides whether the value is secret.
        value: The value.
    """
    try:
        short = _without_secrets(name, value)
    except RecursionError:
        return HIDDEN
    if not isinstance(short, dict | list) or len(text := json.dumps(short)) <= MAX_VALUE:
        return short
    return _digest(text)


def recordable_parameters(parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the parameters of a request to MAAS. One that repeats has a list of values."""
    found: dict[str, list[str]] = {}
    for name, value in parameters:
        found.setdefault(name, []).append(value)
    return {name: recordable(name, values if len(values) > 1 else values[0]) for name, values in found.items()}


def _without_secrets(name: str, value: Any) -> Any:
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return HIDDEN
    match value:
        case str():
            text = redact(value)
            return text if len(text) <= MAX_TEXT else _digest(text)
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _without_secrets(str(key), each) for key, each in value.items()}
        case list() | tuple():
            return [_without_secrets("", each) for each in value]
    return value


def _digest(text: str) -> dict[str, Any]:
    """Replace a long value by its digest, which still shows whether two values are equal."""
    content = text.encode("utf-8", "surrogatepass")
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}
