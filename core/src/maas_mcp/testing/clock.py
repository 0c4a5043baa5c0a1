"""A clock that stands still but for the time in which somebody lets it follow another one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Seconds from 0 on."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._source: Callable[[], float] | None = None
        self._since = 0.0

    def __call__(self) -> float:
        """The time."""
        return self._passed if self._source is None else self._passed + self._source() - self._since

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
        self._passed = self()
        self._source = source
        self._since = source() if source else 0.0
