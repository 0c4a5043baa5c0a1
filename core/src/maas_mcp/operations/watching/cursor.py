"""How far MAAS's event log was read, where to read on, and how to notice that the log is no longer the same."""

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from maas_mcp.maas.models import Event, SystemId

OVERLAP_IDS: Final = 500
"""The most that is asked for again: half of what MAAS gives in one answer, so that there is room for news."""


class Cursor:
    """The place in the event log. Times are seconds of any one clock.

    MAAS numbers an event when it is written and shows it when its transaction ends, so that a lower id may appear
    after a higher one. What is younger than the overlap is therefore asked for again each time; whoever takes it has
    to leave out what it has.

    The newest event that was seen is always asked for again. An answer without it says that it was deleted, or that
    the log began anew, as after a restore of the database; it costs MAAS nothing more.

    Args:
        overlap: Seconds that an event may appear after one with a higher id.
        now: The time.
    """

    def __init__(self, overlap: float, now: float) -> None:
        self._overlap = overlap
        self._marks: deque[tuple[float, int]] = deque()
        self._confirmed_at = now
        self.newest = 0
        """The highest id that was seen."""
        self.anchor: Event | None = None
        """The newest event of the last answer that had any."""

    def floor(self, now: float) -> int:
        """The id beyond which to ask: everything up to it has appeared."""
        settled = 0
        for seen_at, newest in self._marks:
            if seen_at <= now - self._overlap:
                settled = newest
        return max(0, min(max(settled, self.newest - OVERLAP_IDS), self.newest - 1))

    def advance(self, events: Iterable[Event], now: float) -> None:
        """Take an answer: ``now`` is when it was there."""
        latest = max(events, key=lambda event: event.id, default=None)
        if latest is None:
            return
        self._confirmed_at = now
        self.anchor = latest
        if latest.id > self.newest:
            self.newest = latest.id
            self._marks.append((now, latest.id))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._overlap:
            self._marks.popleft()

    def missing(self, ids: Iterable[int], asked_for: frozenset[SystemId] | None, after: int) -> bool:
        """Whether an answer should have held the newest event and does not.

        Args:
            ids: The events of the answer.
            asked_for: The machines that were asked for; ``None``: all.
            after: The id beyond which was asked.
        """
        anchor = self.anchor
        if anchor is None or anchor.id <= after:
            return False
        return (asked_for is None or anchor.node in asked_for) and anchor.id not in set(ids)

    def unconfirmed_for(self, now: float) -> float:
        """Seconds since an answer held any event at all: a log that began anew below the cursor looks like silence."""
        return now - self._confirmed_at

    def confirm(self, now: float) -> None:
        """The log is the one that was read, only that the newest event is no longer in it."""
        self._confirmed_at = now
        self.anchor = None

    def restart(self, newest: int, now: float) -> None:
        """The log began anew; ``newest`` is its newest id now."""
        self.confirm(now)
        self._marks.clear()
        self._marks.append((-math.inf, newest))
        self.newest = newest
