"""The first list in parts: MAAS has no paging, so its filters divide the machines. It does no I/O."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.rows import Row
from maas_mcp.api import FormValue, MachineStatus

MAX_REQUESTS: Final = 64
"""About how many requests the first list takes, if no answer is too slow."""
REQUEST_SECONDS: Final = 6.0
"""MAAS's time for a request, at which the number of zones and pools in the next one aims."""
MAX_GROWTH: Final = 8.0
"""By which factor this number grows or shrinks at most."""
COMMON: Final = ("new", "allocated", "ready", "deployed")
"""The statuses of most machines. One part has all others, also those that this release does not know."""
DIMENSIONS: Final = ("pool", "zone", "status", "power_state")
"""MAAS's filters that divide the machines, in the order in which a slow part is divided."""
POWER_STATES: Final = ("on", "off", "unknown", "error")
_STATUSES: Final = {status.value: status.filter_value for status in MachineStatus}

Space = Mapping[str, Sequence[str]]
"""All values of the dimensions with names that a region chooses: ``zone`` and ``pool``."""


@dataclass(frozen=True, slots=True)
class Part:
    """The machines with one of the given values in each dimension. A dimension without values is not restricted."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def restricted(self, dimension: str, values: Sequence[str]) -> "Part":
        """The machines of this part with one of these values."""
        return Part({**self.values, dimension: tuple(values)})

    @property
    def query(self) -> dict[str, FormValue]:
        """MAAS's filters for this part."""
        return dict(self.values)

    def holds(self, row: Row) -> bool:
        """Whether a machine belongs to this part, as far as its row shows."""
        status = _STATUSES.get(row.status, "")
        shown = {"zone": row.zone, "pool": row.pool, "power_state": row.power_state, "status": status}
        if status in self.values.get("not_status", ()):
            return False
        return all(shown[name] in values for name, values in self.values.items() if name != "not_status")

    def may_match(self, wanted: Filter) -> bool:
        """Whether a machine of this part may match the filter."""
        statuses = {_STATUSES.get(each, "") for each in wanted.statuses}
        pairs: list[tuple[str, Collection[str]]] = [
            ("zone", wanted.zones),
            ("pool", wanted.pools),
            ("power_state", wanted.power_states),
            ("status", statuses),
        ]
        if statuses and statuses.issubset(self.values.get("not_status", ())):
            return False
        return all(
            not given or not self.values.get(name) or set(given) & set(self.values[name]) for name, given in pairs
        )

    def choices(self, dimension: str, space: Space) -> tuple[str, ...]:
        """The values of a dimension by which this part can be divided."""
        everything = POWER_STATES if dimension == "power_state" else space.get(dimension, ())
        return self.values.get(dimension, tuple(everything))

    def halves(self, space: Space) -> "tuple[Part, Part] | None":
        """Divide the part in two, or return ``None`` if no dimension divides it."""
        for dimension in DIMENSIONS:
            choices = self.choices(dimension, space)
            if len(choices) > 1:
                middle = len(choices) // 2
                return self.restricted(dimension, choices[:middle]), self.restricted(dimension, choices[middle:])
        return None


RARE: Final = (Part({"not_status": COMMON}), Part({"status": COMMON[:2]}))
"""The parts that probably have few machines, and are read whole."""
START: Final = (*RARE, Part({"status": COMMON[2:3]}), Part({"status": COMMON[3:]}))
"""The parts from which loading starts. Together they have all machines."""


class LoadingPlan:
    """Which part to read next.

    The number of machines is unknown before they are read. So for each common status, the first request is for few
    zones and pools, and the next ones are for more as long as MAAS answers quickly. A small region takes a few
    requests, and a large one about :data:`MAX_REQUESTS`.

    Args:
        space: The zones and pools.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        """The zones and pools by which it divides the machines."""
        cells = max(1, len(space.get("zone", ()))) * max(1, len(space.get("pool", ())))
        self._least = ceil(cells / (MAX_REQUESTS // 2 - 1))
        """The same at least, unless MAAS was too slow."""
        self._most = {part.values.get("status"): cells if part in RARE else self._least for part in START}
        """The most zones, times pools, of the next request for a status."""
        self._remaining: list[Part] = list(START)
        self._total = sum(map(self._size, START))

    @property
    def is_finished(self) -> bool:
        """Whether all parts have been read."""
        return not self._remaining

    @property
    def fraction(self) -> float:
        """How much has been read, by zones and pools."""
        return 1.0 - sum(map(self._size, self._remaining)) / self._total

    def may_match(self, wanted: Filter) -> bool:
        """Whether a part that has not been read may have matching machines."""
        return any(part.may_match(wanted) for part in self._remaining)

    def next(self, waiting: Collection[Filter]) -> Part:
        """The next part to read, first one for which a caller waits. It remains until :meth:`note_read`."""
        pairs = ((part, wanted) for part in self._remaining for wanted in waiting if part.may_match(wanted))
        part, wanted = next(pairs, (self._remaining[0], Filter()))
        narrow, *others = self._narrow(part, wanted)
        first, *rest = self._cut(narrow, self._limit(part))
        position = self._remaining.index(part)
        self._remaining[position : position + 1] = [first, *rest, *others]
        return first

    def note_read(self, part: Part, seconds: float) -> None:
        """Note that a part was read in this time."""
        self._remaining.remove(part)
        limit, size = self._limit(part), self._size(part)
        fitting = size * REQUEST_SECONDS / max(seconds, 1e-6)
        self._set_limit(part, int(min(max(fitting, self._least, limit / MAX_GROWTH), limit * MAX_GROWTH)))

    def divide(self, part: Part) -> bool:
        """Divide a part that took too long. Returns false if no dimension divides it."""
        halves = part.halves(self.space)
        if halves is None:
            return False
        position = self._remaining.index(part)
        self._remaining[position : position + 1] = halves
        self._least = 1
        self._set_limit(part, self._size(part) // 2)
        return True

    def _limit(self, part: Part) -> int:
        return self._most.get(part.values.get("status"), 1)

    def _set_limit(self, part: Part, most: int) -> None:
        self._most[part.values.get("status")] = max(1, most)

    def _size(self, part: Part) -> int:
        return max(1, len(part.choices("zone", self.space))) * max(1, len(part.choices("pool", self.space)))

    def _narrow(self, part: Part, wanted: Filter) -> list[Part]:
        """Divide a part into one with the wanted zones and pools, and the others."""
        others: list[Part] = []
        for dimension, given in (("zone", wanted.zones), ("pool", wanted.pools)):
            choices = part.choices(dimension, self.space)
            chosen = [each for each in choices if each in given]
            if chosen and len(chosen) < len(choices):
                others.append(part.restricted(dimension, [each for each in choices if each not in given]))
                part = part.restricted(dimension, chosen)
        return [part, *others]

    def _cut(self, part: Part, most: int) -> list[Part]:
        """Cut a part with at most ``most`` zones, times pools, off a larger one."""
        zones, pools = part.choices("zone", self.space), part.choices("pool", self.space)
        if self._size(part) <= most:
            return [part]
        if most >= len(zones):
            return _split(part, "pool", pools, most // len(zones))
        first, *others = _split(part, "pool", pools, 1)
        return [*_split(first, "zone", zones, most), *others]


def _split(part: Part, dimension: str, values: Sequence[str], count: int) -> list[Part]:
    """Divide a part into one with the first values and one with the others, if there are others."""
    if count >= len(values):
        return [part]
    return [part.restricted(dimension, values[:count]), part.restricted(dimension, values[count:])]
