"""Errors of a world file, and checks of its names."""

from collections.abc import Collection, Iterable, Sequence

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.region import SimulatedRegion

Place = tuple[int | str, ...]
"""A place in a world file: ``("machines", 2, "zone")``."""


class WorldError(ValueError):
    """A world whose parts do not fit together; ``place`` is the place of the bad value."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def find_duplicate(values: Iterable[str]) -> int | None:
    """The index of the first duplicate, or None."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None


def check_unique(place: Place, key: str, values: Sequence[str]) -> None:
    """Raise a :class:`WorldError` for a name that occurs twice."""
    if (duplicate := find_duplicate(values)) is not None:
        raise WorldError((*place, duplicate, key), f"the name {values[duplicate]} is taken; names must be unique")


def check_known(place: Place, kind: str, name: str, known: Collection[str]) -> None:
    """Raise a :class:`WorldError` for a name that does not exist."""
    if name not in known:
        raise WorldError(place, f"there is no {kind} {name!r}; known: {', '.join(known)}")


def check_new(place: Place, machine: SimulatedMachine, region: SimulatedRegion) -> None:
    """Raise a :class:`WorldError` for a machine whose system id or hostname is taken."""
    if machine.system_id in region.machines:
        raise WorldError(
            (*place, "system_id"), f"two machines have the system id {machine.system_id}; system ids must be unique"
        )
    if region.machines.called([machine.hostname]):
        raise WorldError(
            (*place, "hostname"), f"two machines have the hostname {machine.hostname}; hostnames must be unique"
        )
