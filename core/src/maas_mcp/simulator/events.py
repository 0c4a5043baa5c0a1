"""The event log of the region: appending, and the query that ``events/?op=query`` answers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from maas_mcp.simulator.statuses import Status

LEVELS = {"AUDIT": 0, "DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""The levels by name; a query's ``level`` is a minimum, ``INFO`` if it is left out."""

HEARD = {Status.COMMISSIONING: "Node commissioning", Status.DEPLOYING: "Node installation"}
"""The type of the events that tell what cloud-init says, in statuses with one of their own."""

FIRST_ID = 501


@dataclass(frozen=True, slots=True)
class Event:
    """One event: ``created`` is in epoch seconds, ``type`` is the text a person reads, ``username`` the actor."""

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
        """What ``status_message`` says while this is the machine's latest event of INFO or more."""
        return f"{self.type} - {self.description}" if self.description else self.type

    def as_json(self) -> dict[str, object]:
        """The event as ``events/?op=query`` lists it."""
        return {
            "username": self.username,
            "node": self.system_id,
            "hostname": self.hostname,
            "id": self.id,
            "level": self.level,
            "created": time.strftime("%a, %d %b. %Y %H:%M:%S", time.gmtime(self.created)),
            "type": self.type,
            "description": self.description,
        }


@dataclass
class EventLog:
    """Every event of the region, oldest first; ids are consecutive, so that a cursor is an index."""

    events: list[Event] = field(default_factory=list)

    @property
    def next_id(self) -> int:
        """The id that the next event will get."""
        return FIRST_ID + len(self.events)

    def append(self, event: Event) -> None:
        """Add an event that was numbered with ``next_id``."""
        self.events.append(event)

    def query(
        self,
        wanted: Callable[[Event], bool],
        *,
        limit: int,
        after: int | None = None,
        before: int | None = None,
    ) -> list[Event]:
        """Up to ``limit`` events, newest first; with ``after`` they are the oldest beyond that id."""
        if after is not None:
            found = list(islice(filter(wanted, self._from(after + 1)), limit))
            found.reverse()
            return found
        return list(islice(filter(wanted, self._backwards(before)), limit))

    def _from(self, first: int) -> Iterator[Event]:
        return iter(self.events[max(0, first - FIRST_ID) :])

    def _backwards(self, before: int | None) -> Iterator[Event]:
        end = len(self.events) if before is None else max(0, min(before - FIRST_ID, len(self.events)))
        return (self.events[index] for index in range(end - 1, -1, -1))
