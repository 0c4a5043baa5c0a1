"""Values that a region shows instead of the real ones, in machines and events, and events that it hides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.events import LEVELS, Event
from maas_simulator.model.faults import STRICT
from maas_simulator.model.scripts import JSON

Shown = Mapping[str, JsonValue]
"""Fields with the values to show, including null and fields that MAAS does not have."""


@checked(config=STRICT)
class OddEvents:
    """Events to show with other values, or to hide. A filter that is left out matches all.

    Raises:
        ValueError: MAAS has no such level.
    """

    machine: str | None = None
    """Match only events of this machine: its hostname or system id."""
    level: str | None = None
    """Match only events of exactly this level, such as ``DEBUG``."""
    type: str | None = None
    """Match only events of this type, such as ``Node changed status``."""
    id: int | None = None
    """Match only the event with this id."""
    show: Shown | None = None
    """The values to show instead of the real ones; null hides the events."""

    def __post_init__(self) -> None:
        """Check the level."""
        if self.level is not None and self.level not in LEVELS:
            raise ValueError(f"there is no level {self.level!r}; the levels are: {', '.join(LEVELS)}")

    def matches(self, event: Event) -> bool:
        """Whether the filters match this event."""
        wanted = {"level": self.level, "type": self.type, "id": self.id}
        meant = self.machine in (None, event.system_id, event.hostname)
        return meant and all(value in (None, getattr(event, name)) for name, value in wanted.items())


@checked(config=STRICT)
class OddMachine:
    """A machine to show with other values, in lists, reads and responses to operations."""

    machine: str
    """Its hostname or system id."""
    show: Shown = Field(min_length=1)
    """The values to show instead of the real ones."""


@dataclass
class Oddities:
    """All values that a region shows instead of the real ones."""

    events: list[OddEvents] = field(default_factory=list)
    machines: dict[str, Shown] = field(default_factory=dict)
    """By system id."""

    def hides(self, event: Event) -> bool:
        """Whether queries omit this event."""
        return any(odd.show is None and odd.matches(event) for odd in self.events)

    def event_json(self, event: Event) -> JSON:
        """An event as queries show it."""
        shown = event.as_json()
        for odd in self.events:
            if odd.show is not None and odd.matches(event):
                shown |= odd.show
        return shown
