"""Simulated time: a heap of callbacks that run when the region is accessed, never in a background task."""

import heapq
import math
import time
from collections.abc import Callable
from itertools import count


class Schedule:
    """The clock of a region and its scheduled steps.

    ``clock`` returns real seconds. A simulated second is ``1 / speed`` real seconds; at speed 0, time passes only by
    ``advance``. ``moment`` is the current simulated time: the due time of the running step, or else the time of the
    last ``play``.
    """

    def __init__(self, clock: Callable[[], float], speed: float, epoch: float | None = None) -> None:
        self.clock = clock
        self.epoch = time.time() if epoch is None else epoch
        self.moment = 0.0
        self._speed = _checked("a speed", speed)
        self._real = clock()
        self._simulated = 0.0
        self._steps: list[tuple[float, int, Callable[[], None]]] = []
        """A heap of callbacks by due time, and by number, so that those of one moment run in order."""
        self._numbers = count()

    @property
    def now(self) -> float:
        """The current simulated time, in epoch seconds."""
        return self.epoch + self.moment

    @property
    def speed(self) -> float:
        """Simulated seconds per real second. Setting it first runs the steps that are due at the old speed."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        _checked("a speed", speed)
        self.play()
        self._simulated, self._real, self._speed = self._until(), self.clock(), speed

    def advance(self, seconds: float) -> None:
        """Let simulated seconds pass at once, and run the steps that become due."""
        self._simulated += _checked("the length of time", seconds)
        self.play()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Schedule a callback after this many simulated seconds."""
        heapq.heappush(self._steps, (self.moment + seconds, next(self._numbers), act))

    def play(self) -> None:
        """Run all due steps in order, each at its own time."""
        until = max(self.moment, self._until())
        while self._steps and self._steps[0][0] <= until:
            due, _, act = heapq.heappop(self._steps)
            self.moment = max(self.moment, due)
            act()
        self.moment = max(self.moment, until)

    def _until(self) -> float:
        return self._simulated + (self.clock() - self._real) * self._speed


def _checked(what: str, value: float) -> float:
    if not 0 <= value < math.inf:
        raise ValueError(f"{what} must be a finite number, 0 or more; it was {value}")
    return value
