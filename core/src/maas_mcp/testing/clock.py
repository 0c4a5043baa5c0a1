"""A clock that stands still but for the time in which somebody lets it follow another one."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio


class Clock:
    """Seconds from 0 on, for any thread: the other clock has to be one that every thread can ask."""

    def __init__(self) -> None:
        self._read: Callable[[], float] = float
        """Replaced as a whole, because a thread may read while another one lets the clock follow something else."""
        self._source: Callable[[], float] | None = None

    def __call__(self) -> float:
        """The time."""
        return self._read()

    @contextmanager
    def following(self, source: Callable[[], float]) -> Iterator[None]:
        """Let time pass as it does on another clock, for as long as the block runs."""
        before = self._source
        self._follow(source)
        try:
            yield
        finally:
            self._follow(before)

    def _follow(self, source: Callable[[], float] | None) -> None:
        passed = self()
        self._source = source
        if source is None:
            self._read = lambda: passed
        else:
            since = source()
            self._read = lambda: passed + source() - since


def clock_of_the_loop() -> Callable[[], float]:
    """The clock of the event loop that is running here. ``anyio.current_time`` is another one in another thread."""
    if trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_clock().current_time
    return asyncio.get_running_loop().time
