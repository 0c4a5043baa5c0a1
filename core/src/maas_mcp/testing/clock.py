"""A clock that is stopped, except while it follows another clock."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio


class Clock:
    """Counts seconds from 0. It works in all threads if the clock that it follows does."""

    def __init__(self) -> None:
        self._read: Callable[[], float] = float
        """Replaced atomically, because one thread may read the clock while another changes its source."""
        self._source: Callable[[], float] | None = None

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._read()

    @contextmanager
    def following(self, source: Callable[[], float]) -> Iterator[None]:
        """Follow another clock during the block."""
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


def event_loop_clock() -> Callable[[], float]:
    """Return the clock of the running event loop, for all threads. ``anyio.current_time`` depends on the thread."""
    if trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_clock().current_time
    return asyncio.get_running_loop().time
