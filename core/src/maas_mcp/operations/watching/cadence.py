"""When MAAS is asked: a grid of ticks that widens in silence and where MAAS is slow or asks to be left alone."""

import math
from dataclasses import dataclass, fields
from typing import Final, Self

QUICKNESS: Final = 8
"""A silence is polled every eighth of its own length: an event that ends it is late by an eighth at the most."""
GRID: Final = 2
"""Grid points to an interval: a widened interval need not be a multiple of the configured one."""
_ON_TIME: Final = 0.02  # of a grid step: a clock that woke up a little late, and floating point, skip no grid point


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often what is asked, in seconds."""

    interval: float = 2.0
    """Between two ticks while there is news."""
    slowest: float = 9.0
    """Between two ticks in a long silence. With the reconciling, one machine then costs 7.7 requests a minute."""
    longest: float = 30.0
    """Between two ticks where MAAS answers slowly."""
    reconcile: float = 60.0
    """After which a machine is read again even without news; other reads may bring it forward by half."""
    settle: float = 15.0
    """Within which a machine is read that came into a status in which MAAS is at work: the event has told that, and
    later the read can share a request with others."""
    scripts: float = 12.0
    """Between two reads of a script set. MAAS 3.7 reads every script's output from its database for them."""
    overlap: float = 10.0
    """How long the transaction of an event may take: one with a lower id may appear that much later."""

    patience: float = 10.0
    """How many times as long as MAAS took to answer it is left in peace: one watcher takes a tenth of a worker."""
    rest: float = 4.0
    """The same for reads of machines that nobody waits for."""

    def scaled(self, factor: float) -> Self:
        """The same rhythm for a region whose time takes ``factor`` times as long, while its answers do not."""
        return type(self)(**{field.name: getattr(self, field.name) * factor for field in fields(self)})


class Pace:
    """When the next tick is due. Times are seconds of any one clock.

    Args:
        cadence: The intervals.
        jitter: From 0.0 to 1.0: where in an interval this process has its grid, so that replicas do not ask at once.
    """

    def __init__(self, cadence: Cadence, jitter: float) -> None:
        self._cadence = cadence
        self._step = cadence.interval / GRID
        self._phase = jitter * cadence.interval
        self._news_at = -math.inf
        self._latency = 0.0
        self._latest = math.inf
        self._asked_to_wait_until = -math.inf

    def news(self, now: float) -> None:
        """Something happened, or someone has just begun to follow: more may come soon."""
        self._news_at = now

    def answered(self, seconds: float) -> None:
        """MAAS took so long to answer for the events. One slow answer is chance, or a read that was tried again."""
        self._latency, self._latest = min(self._latest, seconds), seconds

    def refused(self, now: float, retry_after: float | None) -> None:
        """MAAS asked to be left alone for so long (``Retry-After`` of a 429 or 503)."""
        self._asked_to_wait_until = max(self._asked_to_wait_until, now + (retry_after or 0.0))

    def relieved(self) -> None:
        """MAAS has answered something since it asked to be left alone: it is there."""
        self._asked_to_wait_until = -math.inf

    def must_wait(self, now: float) -> bool:
        """Whether MAAS asked not to be asked yet."""
        return now < self._asked_to_wait_until

    def due(self, began: float, now: float) -> float:
        """When the next tick is, for one that began at ``began``: a point of the grid, not before ``now``."""
        cadence = self._cadence
        silence = max(0.0, began - self._news_at)
        pause = max(cadence.interval, min(silence / QUICKNESS, cadence.slowest))
        pause = max(pause, min(self._latency * cadence.patience, cadence.longest))
        due = self._grid(math.floor(self._steps(began + pause) + _ON_TIME))
        return due if due >= now else self._grid(math.ceil(self._steps(now) - _ON_TIME))

    def _steps(self, time: float) -> float:
        return (time - self._phase) / self._step

    def _grid(self, steps: int) -> float:
        return self._phase + steps * self._step
