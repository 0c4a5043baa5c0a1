"""URI templates of level 1 (RFC 6570): ``maas://machines/{system_id}``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

_URI: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s{}]+")
_VARIABLE: Final = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """A template for URIs; without variables, a URI.

    Raises:
        ValueError: It is not a URI, or uses another syntax than ``{name}``. The message says what is expected.
    """

    text: str

    def __post_init__(self) -> None:
        if not _URI.fullmatch(_VARIABLE.sub("x", self.text)):
            raise ValueError('a URI with variables such as {system_id}: "acme://racks/{rack}"')
        if len(set(self.variables)) < len(self.variables) or "}{" in self.text:
            raise ValueError("variables with different names and with text between them")

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(_VARIABLE.findall(self.text))

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the values of the variables in ``uri``; ``None`` if it does not match. A value contains no ``/``."""
        parts = _VARIABLE.split(self.text)
        pattern = "".join(f"(?P<{part}>[^/?#]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
        found = re.fullmatch(pattern, uri)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}

    def expand(self, values: Mapping[str, str]) -> str:
        """Return the URI with these values."""
        return _VARIABLE.sub(lambda variable: quote(values[variable[1]], safe=""), self.text)
