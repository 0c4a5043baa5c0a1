"""What was seen of an operation comes to: a verdict, and how far it is."""

from dataclasses import dataclass
from typing import Final

from maas_mcp.operations.judging.lifecycle import Verdict

BEFORE_SUCCESS: Final = 0.99
"""The most that a milestone may claim: 1.0 is success, and only the machine's status says that."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """How far an operation is, and what to call that."""

    fraction: float | None
    """From 0.0 to 1.0, ``None`` where it cannot be told."""
    text: str


UNMEASURED: Final = Milestone(0.0, "")
"""Before anything was seen."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was seen comes to: the verdict, how far it is, and what to say."""

    verdict: Verdict
    milestone: Milestone

    @property
    def fraction(self) -> float | None:
        """From 0.0 to 1.0, ``None`` where it cannot be told."""
        return self.milestone.fraction

    @property
    def message(self) -> str:
        """What to say."""
        return self.milestone.text
