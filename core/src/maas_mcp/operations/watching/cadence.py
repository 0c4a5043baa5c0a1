"""The polling schedule: a grid of ticks that widens without news, and when MAAS is slow or asks to wait."""

import math
from dataclasses import dataclass, fields
from typing import Final, Self

SILENCE_DIVISOR: Final = 8
"""The polling interval is an eighth of the time without news, so an event is noticed late by at most an eighth."""
GRID_POINTS: Final = 2
"""Grid points per interval, so that a widened interval need not be a multiple of the configured one."""
_ON_TIME: Final = 0.02  # of a grid step: no grid point is skipped because of a late wake-up or floating point


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Polling intervals, in seconds."""

    interval: float = 2.0
    """Between two ticks while there is news."""
    slowest: float = 9.0
    """Between two ticks after a long time without news. With the reconciling reads, one machine then costs 7.7 requests
    a minute."""
    longest: float = 30.0
    """Maximum between two ticks while MAAS responds slowly."""
    reconcile: float = 60.0
    """Between two reads of a machine without news; a read may come early, by up to half, to share a request."""
    settle: float = 15.0
    """Until a machine is read after an event moved it to a status in which MAAS is working. The read can wait to share
    a request, because the event already shows the status."""
    scripts: float = 12.0
    """Between two reads of a script set. MAAS 3.7 loads every script's output from its database for them."""
    overlap: float = 10.0
    """Maximum duration of an event's transaction: an event with a lower id may appear that much later."""

    slowdown: float = 10.0
    """The interval as a multiple of MAAS's response time: one watcher uses at most a tenth of a worker."""
    read_pause: float = 4.0
    """The pause as a multiple of MAAS's response time, for reads of machines that can wait."""

    def scaled(self, factor: float) -> Self:
        """Return the cadence for a region whose time takes ``factor`` times as long. Response times do not scale."""
        return type(self)(**{field.name: getattr(self, field.name) * factor for field in fields(self)})


class Pace:
    """Computes when the next tick is due. Times are seconds of any one clock.

    Args:
        cadence: The intervals.
        jitter: From 0.0 to 1.0: the offset of this process's grid within an interval, so that replicas do not poll at
            once.
    """

    def __init__(self, cadence: Cadence, jitter: float) -> None:
        self._cadence = cadence
        self._step = cadence.interval / GRID_POINTS
        self._phase = jitter * cadence.interval
        self._news_at = -math.inf
        self._latency = 0.0
        self._latest = math.inf
        self._asked_to_wait_until = -math.inf

    def note_news(self, now: float) -> None:
        """Note that something happened or following has just started: more news may come soon."""
        self._news_at = now

    def note_latency(self, seconds: float) -> None:
        """Note how long MAAS took to return the events. A single slow response may be chance, and is ignored."""
        self._latency, self._latest = min(self._latest, seconds), seconds

    def note_retry_after(self, now: float, retry_after: float | None) -> None:
        """Note that MAAS asked to wait (``Retry-After`` of a 429 or 503)."""
        self._asked_to_wait_until = max(self._asked_to_wait_until, now + (retry_after or 0.0))

    def clear_retry_after(self) -> None:
        """Note that MAAS has responded since it asked to wait."""
        self._asked_to_wait_until = -math.inf

    def must_wait(self, now: float) -> bool:
        """Whether MAAS asked to wait beyond ``now``."""
        return now < self._asked_to_wait_until

    def due(self, began: float, now: float) -> float:
        """Return the time of the next tick after one that began at ``began``: a grid point, not before ``now``."""
        cadence = self._cadence
        silence = max(0.0, began - self._news_at)
        pause = max(cadence.interval, min(silence / SILENCE_DIVISOR, cadence.slowest))
        pause = max(pause, min(self._latency * cadence.slowdown, cadence.longest))
        due = self._grid(math.floor(self._steps(began + pause) + _ON_TIME))
        return due if due >= now else self._grid(math.ceil(self._steps(now) - _ON_TIME))

    def _steps(self, time: float) -> float:
        return (time - self._phase) / self._step

    def _grid(self, steps: int) -> float:
        return self._phase + steps * self._step
