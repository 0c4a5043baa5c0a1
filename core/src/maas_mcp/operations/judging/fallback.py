"""A plugin's polling strategy, with the machine's status to fall back on where it fails."""

import logging

from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Evidence, Observation
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling

logger = logging.getLogger(__name__)


class FallbackPolling(PollingStrategy):
    """Measures by a strategy until that fails once, and by the machine's status from then on.

    A strategy only says how far an operation is. What MAAS has begun is followed to its end without it.

    Args:
        strategy: The plugin's.
        operation: What it is called in the log.
    """

    def __init__(self, strategy: PollingStrategy, operation: str) -> None:
        self.needs = strategy.needs
        self._strategy = strategy
        self._operation = operation

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """What the strategy says, or what the status does."""
        try:
            return _whole(self._strategy.measure(evidence, observation))
        except BaseException:  # it is no coroutine: nothing cancels it
            logger.exception(
                "%s: %s failed, so its progress comes from the machine's status only",
                self._operation,
                type(self._strategy).__name__,
            )
        self._strategy = StatusPolling()
        return self._strategy.measure(evidence, observation)


def _whole(measured: object) -> Milestone:
    """What was measured, if it is that.

    Raises:
        TypeError: A part of it is not what it has to be.
        OverflowError: The fraction is too large for a number of Python's.
    """
    match measured:
        case Milestone(None, str()):
            return measured
        case Milestone(int() | float() as fraction, str(text)):
            return Milestone(float(fraction), text)
    raise TypeError(
        "expected a Milestone of a fraction, which is a number or None, and a text. "
        "Return it from `measure`: `return Milestone(0.5, 'Booting')`."
    )
