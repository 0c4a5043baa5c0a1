"""What a region shows that is not so: fields of machines and events with other values, and events that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.events import LEVELS, Event
from maas_simulator.model.faults import STRICT
from maas_simulator.model.scripts import JSON

Shown = Mapping[str, JsonValue]
"""Fields with the values that they are to show, null and fields that MAAS does not have among them."""


@checked(config=STRICT)
class OddEvents:
    """Events that are shown with other values, or not at all; a filter that is left out matches all.

    Raises:
        ValueError: The level is none of MAAS's.
    """

    machine: str | None = None
    """Only those of this machine: its hostname or system id."""
    level: str | None = None
    """Only those of exactly this level, such as ``DEBUG``."""
    type: str | None = None
    """Only those of this type, such as ``Node changed status``."""
    id: int | None = None
    """Only the one with this id."""
    show: Shown | None = None
    """The values that they show instead of their own; null leaves the events out."""

    def __post_init__(self) -> None:
        """Refuse a level that no event has."""
        if self.level is not None and self.level not in LEVELS:
            raise ValueError(f"level: expected one of {', '.join(LEVELS)}, but it is {self.level!r}")

    def matches(self, event: Event) -> bool:
        """Whether this event is meant."""
        wanted = {"level": self.level, "type": self.type, "id": self.id}
        meant = self.machine in (None, event.system_id, event.hostname)
        return meant and all(value in (None, getattr(event, name)) for name, value in wanted.items())


@checked(config=STRICT)
class OddMachine:
    """A machine that is shown with other values than it has, in lists, reads and answers alike."""

    machine: str
    """Its hostname or system id."""
    show: Shown = Field(min_length=1)
    """The values that it shows instead of its own."""


@dataclass
class Oddities:
    """Everything that a region shows otherwise than it is."""

    events: list[OddEvents] = field(default_factory=list)
    machines: dict[str, Shown] = field(default_factory=dict)
    """By system id."""

    def hides(self, event: Event) -> bool:
        """Whether no query finds this event."""
        return any(odd.show is None and odd.matches(event) for odd in self.events)

    def event_json(self, event: Event) -> JSON:
        """An event as queries show it."""
        shown = event.as_json()
        for odd in self.events:
            if odd.show is not None and odd.matches(event):
                shown |= odd.show
        return shown

    def clear(self) -> None:
        """Show everything as it is."""
        self.events.clear()
        self.machines.clear()
