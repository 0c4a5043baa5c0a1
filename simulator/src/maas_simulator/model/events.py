"""The event log of the region, and its query for ``events/?op=query``."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from operator import attrgetter

from maas_simulator.model.statuses import Status

LEVELS = {"AUDIT": 0, "DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""The levels by name. A query's ``level`` is a minimum, by default ``INFO``."""

CLOUD_INIT_EVENT_TYPES = {Status.COMMISSIONING: "Node commissioning", Status.DEPLOYING: "Node installation"}
"""The type of cloud-init events, in the statuses that have their own type."""
DEFAULT_CLOUD_INIT_EVENT_TYPE = "Node status event"
"""The type of cloud-init events in all other statuses."""

FIRST_ID = 501


def timestamp(moment: float) -> str:
    """The format of times in most of the API."""
    return time.strftime("%a, %d %b. %Y %H:%M:%S", time.gmtime(moment))


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``created`` is in epoch seconds; ``type`` is the display text; ``username`` is the acting user."""

    id: int
    system_id: str
    hostname: str
    username: str
    level: str
    created: float
    type: str
    description: str

    @property
    def message(self) -> str:
        """The ``status_message`` while this is the machine's latest event of INFO or above."""
        return f"{self.type} - {self.description}" if self.description else self.type

    def as_json(self) -> dict[str, object]:
        """The event as ``events/?op=query`` lists it."""
        return {
            "username": self.username,
            "node": self.system_id,
            "hostname": self.hostname,
            "id": self.id,
            "level": self.level,
            "created": timestamp(self.created),
            "type": self.type,
            "description": self.description,
        }


@dataclass
class EventLog:
    """All events of the region, oldest first, and by machine. Ids only increase."""

    events: list[Event] = field(default_factory=list)
    by_machine: dict[str, list[Event]] = field(default_factory=dict)

    @property
    def next_id(self) -> int:
        """The id of the next event."""
        return self.events[-1].id + 1 if self.events else FIRST_ID

    def append(self, event: Event) -> None:
        """Add an event, whose id is ``next_id`` or higher."""
        self.events.append(event)
        self.by_machine.setdefault(event.system_id, []).append(event)

    def query(
        self,
        wanted: Callable[[Event], bool],
        *,
        limit: int,
        after: int | None = None,
        before: int | None = None,
        of: Iterable[str] | None = None,
    ) -> list[Event]:
        """Return up to ``limit`` events, newest first. With ``after``, they are the oldest with higher ids.

        ``of`` limits the query to machines with these system ids; events of other machines are not read.
        """
        logs = [self.events] if of is None else [self.by_machine.get(system_id, []) for system_id in of]
        if after is not None:
            following = merge(*(_following(log, after) for log in logs), key=_id)
            return list(islice(filter(wanted, following), limit))[::-1]
        end = self.next_id if before is None else before
        preceding = merge(*(_preceding(log, end) for log in logs), key=_id, reverse=True)
        return list(islice(filter(wanted, preceding), limit))


_id = attrgetter("id")


def _following(log: Sequence[Event], after: int) -> Iterator[Event]:
    first = bisect_left(log, after + 1, key=_id)
    return (log[index] for index in range(first, len(log)))


def _preceding(log: Sequence[Event], end: int) -> Iterator[Event]:
    last = bisect_left(log, end, key=_id)
    return (log[index] for index in range(last - 1, -1, -1))
