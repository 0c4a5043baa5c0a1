"""Simulated time: a heap of callbacks that are played when somebody looks, never by a task of their own."""

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count


@dataclass(order=True)
class _Step:
    due: float
    number: int
    act: Callable[[], None] = field(compare=False)


class Schedule:
    """The clock of a region and what is due on it.

    ``clock`` gives real seconds; a simulated second is ``1 / speed`` of them. ``moment`` is the simulated time
    being lived through: the due time of the step that is played, else the time of the last ``play``.
    """

    def __init__(self, clock: Callable[[], float], speed: float, epoch: float | None = None) -> None:
        self.clock = clock
        self.speed = speed
        self.epoch = time.time() if epoch is None else epoch
        self.moment = 0.0
        self._start = clock()
        self._steps: list[_Step] = []
        self._numbers = count()

    @property
    def now(self) -> float:
        """The simulated time being lived through, in epoch seconds."""
        return self.epoch + self.moment

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something done in this many simulated seconds."""
        heapq.heappush(self._steps, _Step(self.moment + seconds, next(self._numbers), act))

    def play(self) -> None:
        """Do everything that is due, in order, each at its own moment."""
        until = max(self.moment, (self.clock() - self._start) * self.speed)
        while self._steps and self._steps[0].due <= until:
            step = heapq.heappop(self._steps)
            self.moment = max(self.moment, step.due)
            step.act()
        self.moment = max(self.moment, until)
