"""The cursor: the position in MAAS's event log, and detection of a log that was reset."""

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from maas_mcp.maas.models import Event, SystemId

OVERLAP_IDS: Final = 500
"""Maximum ids to read again: half of MAAS's page size, so that there is room for news."""


class Cursor:
    """The position in the event log. Times are seconds of any one clock.

    MAAS numbers an event when it writes it, and shows it when its transaction ends. So a lower id may appear after a
    higher one. Events younger than the overlap are therefore read again each time, and the reader removes duplicates.

    The newest event seen is always read again, at no extra cost for MAAS. A response without it shows that the event
    was deleted or that the log was reset, for example when the database was restored.

    Args:
        overlap: Maximum seconds by which an event may appear after one with a higher id.
        now: The time.
    """

    def __init__(self, overlap: float, now: float) -> None:
        self._overlap = overlap
        self._marks: deque[tuple[float, int]] = deque()
        self._confirmed_at = now
        self.newest = 0
        """The highest id seen."""
        self.anchor: Event | None = None
        """The newest event of the last response that had any."""

    def floor(self, now: float) -> int:
        """Return the id after which to read: all events up to it have appeared."""
        settled = 0
        for seen_at, newest in self._marks:
            if seen_at <= now - self._overlap:
                settled = newest
        return max(0, min(max(settled, self.newest - OVERLAP_IDS), self.newest - 1))

    def advance(self, events: Iterable[Event], now: float) -> None:
        """Record the events of a response that was received at ``now``."""
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

    def is_anchor_missing(self, ids: Iterable[int], asked_for: frozenset[SystemId] | None, after: int) -> bool:
        """Whether a response should have contained the newest event and does not.

        Args:
            ids: The ids of the events in the response.
            asked_for: The requested machines; ``None`` for all.
            after: The id after which events were requested.
        """
        anchor = self.anchor
        if anchor is None or anchor.id <= after:
            return False
        return (asked_for is None or anchor.node in asked_for) and anchor.id not in set(ids)

    def unconfirmed_for(self, now: float) -> float:
        """Return the seconds since any event was received. A log reset below the cursor looks the same as no news."""
        return now - self._confirmed_at

    def confirm(self, now: float) -> None:
        """Record that the log was not reset, although it no longer contains the newest event."""
        self._confirmed_at = now
        self.anchor = None

    def restart(self, newest: int, now: float) -> None:
        """Restart after a reset of the log; ``newest`` is its newest id now."""
        self.confirm(now)
        self._marks.clear()
        self._marks.append((-math.inf, newest))
        self.newest = newest
