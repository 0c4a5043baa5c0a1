"""A wrapper around a plugin's polling strategy that falls back to the machine's status."""

import logging

from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Evidence, Observation
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling

logger = logging.getLogger(__name__)


class FallbackPolling(PollingStrategy):
    """Uses a strategy until it fails once, and the machine's status from then on.

    A strategy only measures progress. A failing strategy must not stop the following of an operation that MAAS is
    running.

    Args:
        strategy: The plugin's strategy.
        operation: The operation's name for the log.
    """

    def __init__(self, strategy: PollingStrategy, operation: str) -> None:
        self.needs = strategy.needs
        self._strategy = strategy
        self._operation = operation

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Return the strategy's milestone or, after a failure, the machine's status."""
        try:
            return _validated(self._strategy.measure(evidence, observation))
        except BaseException:  # not a coroutine, so this is never a cancellation
            logger.exception(
                "%s: %s failed; progress now comes from the machine's status only",
                self._operation,
                type(self._strategy).__name__,
            )
        self._strategy = StatusPolling()
        return self._strategy.measure(evidence, observation)


def _validated(measured: object) -> Milestone:
    """Check the milestone that a strategy returned.

    Raises:
        TypeError: It is not a ``Milestone``, or one of its fields has the wrong type.
        OverflowError: The fraction is too large for a float.
    """
    match measured:
        case Milestone(None, str()):
            return measured
        case Milestone(int() | float() as fraction, str(text)):
            return Milestone(float(fraction), text)
    raise TypeError(
        "expected a Milestone with a fraction (a number or None) and a text. "
        "Return it from `measure`: `return Milestone(0.5, 'Booting')`."
    )
