"""An operation as a poller saw it: the machine's states, its events and the progress of its scripts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from simulator.tests.recordings import SETS, named

OWN = ("ip_addresses", *(f"current_{kind}_result_id" for kind in SETS))
"""Fields whose values differ between regions. Only changes count, and whether a value returns."""

HARDWARE = ("system_id", "hostname", "architecture", "cpu_count", "memory", "storage", "power_type", "tag_names")
PLACE = ("zone", "pool")
"""Fields that no operation changes."""

State = dict[str, Any]
Said = tuple[str, str, str, str]
"""Level, user, type and description of an event."""
Script = tuple[str, str, int | None, bool, bool]
"""Name, status and exit status of a script, and whether it has started and ended."""
Scripts = tuple[str, tuple[Script, ...]]
"""The status of a script set, and its scripts."""


@dataclass
class Timeline:
    """One operation, with the machine before and after it."""

    machines: list[State] = field(default_factory=list)
    """The machine after each change. The second is the response to the request."""
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    sets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The script sets of each kind, as read."""
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Status and body of the response to the request and of the last read, if they were errors, without ids."""

    def refuse(self, status: int, text: str, system_id: str) -> None:
        """Add an error response."""
        self.refusals.append((status, text.replace(system_id, "SYSTEM_ID")))

    @cached_property
    def states(self) -> list[State]:
        """The machine's states without repetition, with comparable values for fields that differ between regions."""
        known: dict[str, list[Any]] = {name: [] for name in OWN}
        return list(_changes({name: _own(known, name, machine[name]) for name in FIELDS} for machine in self.machines))

    @property
    def said(self) -> list[Said]:
        """The events in the order of their ids."""
        return [
            (event["level"], event["username"], event["type"], event["description"])
            for _, event in sorted(self.events.items())
        ]

    def scripts(self, kind: str) -> list[Scripts]:
        """The states of the run's script set."""
        return list(_changes(_scripts(each) for each in self.sets.get(kind, ())))


def recorded(name: str) -> Timeline:
    """Return an operation of the recorded region."""
    recording, timeline = named(name), Timeline()
    for frame in recording.frames:
        for answer in (frame.start.answer if frame.start else None, frame.machine):
            if answer is not None and answer.json is None:
                timeline.refuse(answer.status, answer.body, recording.system_id)
        if frame.shown and frame.shown.json:
            timeline.machines.append(frame.shown.json)
        timeline.events |= {event["id"]: event for event in frame.events}
        for kind, scripts in frame.scripts.items():
            if scripts.json:  # otherwise it is MAAS's error that there is none
                timeline.sets.setdefault(kind, []).append(scripts.json)
    return timeline


FIELDS = tuple(name for name in recorded("deploy-ok").machines[0] if name not in (*HARDWARE, *PLACE))


def values(states: Iterable[State], name: str) -> list[Any]:
    """The values of a field in their order."""
    return list(_changes(state[name] for state in states))


def _own(known: dict[str, list[Any]], name: str, value: Any) -> Any:
    if name not in known or value in (None, []):
        return value
    if value not in known[name]:
        known[name].append(value)
    return f"the {known[name].index(value) + 1}. of its own"


def _scripts(scripts: dict[str, Any]) -> Scripts:
    return scripts["status_name"], tuple(
        (each["name"], each["status_name"], each["exit_status"], bool(each["started"]), bool(each["ended"]))
        for each in scripts["results"]
    )


def _changes(each: Iterable[Any]) -> Iterator[Any]:
    before = object()
    for now in each:
        if now != before:
            yield now
        before = now
