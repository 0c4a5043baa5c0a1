"""The end of the event log: the new events of all machines, each one once, for the watcher's listeners."""

import math
from collections.abc import Collection, Iterable
from typing import Final

from maas_mcp.maas.models import Event

FIRST_EVENTS: Final = 100
"""The newest events, which are read at the start. An event with a lower id may appear later, and is new then."""


class EventTail:
    """Collects the new events of all machines. Times are seconds of any one clock.

    A poll may fail half-way. Its events are then reported with those of the next one.
    """

    def __init__(self) -> None:
        self.floor: int | None = None
        """All events up to this id were seen or are no news. ``None`` before the first read, and after a gap."""
        self.read_at = -math.inf
        """When the log was last read completely."""
        self._seen: set[int] = set()
        self._new: list[Event] = []
        self._has_gap = True
        self._is_read = False

    def start(self, ids: Collection[int], floor: int) -> None:
        """Start after the events that have these ids above ``floor``. They are no news."""
        self.floor = floor
        self._seen = set(ids)

    def stop(self) -> None:
        """Forget the position, after a gap or a reset of the log: the next read is a new start."""
        self.floor, self._has_gap = None, True

    def add(self, events: Iterable[Event]) -> None:
        """Add events that were read. Those that were already seen are ignored."""
        floor = self.floor
        if floor is None:
            return
        new = [event for event in events if event.id > floor and event.id not in self._seen]
        self._seen.update(event.id for event in new)
        self._new += new

    def finish(self, floor: int, began: float) -> None:
        """Record that a read which began at ``began`` was complete, and that all events up to ``floor`` have appeared.

        Without a position there is nothing to record.
        """
        if self.floor is None:
            return
        self.floor = max(self.floor, floor)
        self._seen = {seen for seen in self._seen if seen > self.floor}
        self.read_at, self._is_read = began, True

    def take(self) -> tuple[list[Event], bool] | None:
        """Return the new events, oldest first, and whether none is missing; ``None`` without a complete read."""
        if not self._is_read:
            return None
        news = sorted(self._new, key=lambda event: event.id), not self._has_gap
        self._new, self._has_gap, self._is_read = [], False, False
        return news
