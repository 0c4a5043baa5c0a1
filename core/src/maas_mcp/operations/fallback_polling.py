"""A plugin's polling strategy, with the machine's status to fall back on where it fails."""

import logging

from maas_mcp.operations.polling import (
    Assessment,
    Evidence,
    Lifecycle,
    Observation,
    PollingStrategy,
    StatusPolling,
    Verdict,
)

logger = logging.getLogger(__name__)


class FallbackPolling(PollingStrategy):
    """Assesses by a strategy until that fails once, and by the machine's status from then on.

    A strategy only says how far an operation is. What MAAS has begun is followed to its end without it.

    Args:
        strategy: The plugin's.
        operation: What it is called in the log.
    """

    def __init__(self, strategy: PollingStrategy, operation: str) -> None:
        self.needs = strategy.needs
        self._strategy = strategy
        self._operation = operation

    def assess(self, lifecycle: Lifecycle, evidence: Evidence, observation: Observation) -> Assessment:
        """What the strategy says, or what the status does."""
        try:
            return _whole(self._strategy.assess(lifecycle, evidence, observation))
        except BaseException:  # it is no coroutine: nothing cancels it
            logger.exception(
                "%s: %s failed, so its progress comes from the machine's status only",
                self._operation,
                type(self._strategy).__name__,
            )
        self._strategy = StatusPolling()
        return self._strategy.assess(lifecycle, evidence, observation)

    def measure(self, evidence: Evidence, observation: Observation) -> tuple[float | None, str]:
        """As the strategy does."""
        return self._strategy.measure(evidence, observation)


def _whole(assessment: object) -> Assessment:
    """The assessment, if it is one.

    Raises:
        TypeError: A part of it is not what it has to be.
    """
    if (
        isinstance(assessment, Assessment)
        and isinstance(assessment.verdict, Verdict)
        and isinstance(assessment.message, str)
        and isinstance(assessment.evidence, Evidence)
        and isinstance(assessment.evidence.milestone, str)
        and (assessment.fraction is None or _is_fraction(assessment.fraction))
    ):
        return assessment
    raise TypeError(
        "expected a fraction, which is a number or None, and a milestone, which is a string. "
        "Return them from `measure`: `return 0.5, 'Booting'`."
    )


def _is_fraction(value: object) -> bool:
    return isinstance(value, int | float) and 0.0 <= value <= 1.0
