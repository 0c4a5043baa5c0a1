"""The next step that an error suggests: a tool call that helps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from maas_mcp.machine_text import quoted

_MAX_SHOWN_LENGTH: Final = 200
"""The most characters of a step's arguments to include in its sentence."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """A tool call that helps after an error. Users see it as a sentence, programs get it as data.

    The server leaves out steps whose tool it does not serve.

    Raises:
        TypeError: An argument has a type that JSON does not have.
    """

    tool: str
    """A tool's name, or the MAAS operation that a tool ``offers``, such as ``machine unlock``. Clients always get the
    tool's name."""
    arguments: Mapping[str, object] = field(default_factory=dict, hash=False)
    """The call's arguments, as JSON. The caller chooses required arguments that are missing."""
    why: str = field(kw_only=True)
    """The purpose of the call, without a full stop: ``Read the machine to see how far it is``."""

    def __post_init__(self) -> None:
        try:
            json.dumps(dict(self.arguments), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"NextStep.arguments: expected JSON values, but: {error}.") from error

    @property
    def sentence(self) -> str:
        """The step as a sentence."""
        given = ", ".join(
            f"{name}: {quoted(value) if isinstance(value, str) else json.dumps(value)}"
            for name, value in self.arguments.items()
        )
        return (
            f"{self.why}: {self.tool} ({given})."
            if 0 < len(given) <= _MAX_SHOWN_LENGTH
            else f"{self.why}: {self.tool}."
        )
