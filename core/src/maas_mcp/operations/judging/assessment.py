"""The assessment of an operation: its verdict and its progress."""

from dataclasses import dataclass
from typing import Final

from maas_mcp.operations.judging.lifecycle import Verdict

BEFORE_SUCCESS: Final = 0.99
"""The highest fraction of a milestone. Only success is 1.0, and the machine's status decides that."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """The progress of an operation and its description."""

    fraction: float | None
    """From 0.0 to 1.0; ``None`` if unknown."""
    text: str


UNMEASURED: Final = Milestone(0.0, "")
"""The milestone before the first observation."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verdict on an operation, its progress and the message to show."""

    verdict: Verdict
    milestone: Milestone

    @property
    def fraction(self) -> float | None:
        """From 0.0 to 1.0; ``None`` if unknown."""
        return self.milestone.fraction

    @property
    def message(self) -> str:
        """The message to show."""
        return self.milestone.text
