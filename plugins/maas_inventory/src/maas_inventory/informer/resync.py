"""The rolling resync: which machines to read again, and when, at a share of MAAS's time. It does no I/O."""

import math
from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest
from typing import Final

from maas_inventory.informer.loading import START, Part, Space
from maas_inventory.informer.rows import Row
from maas_inventory.informer.snapshot import Snapshot

SHORTEST_ROUND: Final = 300.0
"""Seconds in which a small region is read again, where the share would allow more."""
SHORTEST_PAUSE: Final = 30.0
"""Seconds between two requests of the resync if the first one read all that was due, so that the next one has more."""
REQUEST_SECONDS: Final = 2.0
"""MAAS's time for one request of the resync: other requests do not wait longer for the worker."""
MOST: Final = 100
"""The most machines in a request of the resync."""
LEAST: Final = 5
SHOWN_FACTOR: Final = 4.0
"""Machines on a page that a caller sees age this much faster."""
MARGIN: Final = 1.1
"""How much longer a round may take than computed: its requests are smaller than those of the first list."""
MEMORY: Final = 0.2
"""How much a measurement changes the learned time for a machine."""
EXCLUDED_BYTES: Final = 5_800
"""Bytes of the ids that a request excludes. MAAS's nginx refuses a URL of 8 kB, and the rest of it needs space."""


class Resync:
    """When the next request of the resync is due, and for which machines.

    Args:
        share: The share of one worker's time that the resync uses.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._ready_at = -math.inf
        self.seconds_per_machine = 0.045
        """Measured. The first value is that of MAAS 3.7 with 14 machines."""

    def note_read(self, machines: int, seconds: float) -> None:
        """Note how long MAAS took for a list of this many machines."""
        if machines >= LEAST:
            self.seconds_per_machine += MEMORY * (seconds / machines - self.seconds_per_machine)

    def spend(self, machines: int, seconds: float, now: float) -> None:
        """Note that a request of the resync, which ended now, took this time."""
        pause = seconds * (1.0 / self._share - 1.0)
        self._ready_at = now + (pause if machines >= self.request_size else max(pause, SHORTEST_PAUSE))

    @property
    def request_size(self) -> int:
        """How many machines to read in one request."""
        return min(MOST, max(LEAST, int(REQUEST_SECONDS / max(self.seconds_per_machine, 1e-6))))

    def round_seconds(self, machines: int) -> float:
        """How long it takes at most until every machine has been read again."""
        return max(SHORTEST_ROUND + SHORTEST_PAUSE, MARGIN * machines * self.seconds_per_machine / self._share)

    def due(self, snapshot: Snapshot, marked: Collection[str]) -> float:
        """When the next request is due; infinity without machines. Marked machines are read by other requests."""
        if not snapshot.rows:
            return math.inf
        if snapshot.is_any_uncertain(marked):
            return self._ready_at
        return max(self._ready_at, snapshot.oldest(snapshot.rows.values(), math.inf) + SHORTEST_ROUND)

    def choose(self, snapshot: Snapshot, marked: Collection[str], shown: Collection[str], now: float) -> list[str]:
        """The machines to read now: uncertain ones, and then the oldest."""

        def order(name: str) -> tuple[bool, float]:
            age = now - snapshot.read_at(name)
            return not snapshot.is_uncertain(name), -age * (SHOWN_FACTOR if name in shown else 1.0)

        due = [
            name
            for name in snapshot.rows
            if name not in marked
            and (snapshot.is_uncertain(name) or now - snapshot.read_at(name) >= SHORTEST_ROUND / 2)
        ]
        return nsmallest(self.request_size, due, key=order)


def fits(ids: Sequence[str]) -> bool:
    """Whether a request can exclude these machines by id."""
    return sum(len("&not_id=") + len(each) for each in ids) <= EXCLUDED_BYTES


def parts_without_known(rows: Sequence[Row], space: Space) -> Iterator[tuple[Part, list[str]]]:
    """Divide all machines into parts, each with the ids of its known machines, for MAAS to list the others.

    MAAS lists machines that are not known at almost no cost. A part with too many known machines that nothing divides
    is left out.
    """
    waiting: list[tuple[Part, Sequence[Row]]] = [(Part(), rows)]
    while waiting:
        part, known = waiting.pop()
        ids = [row.system_id for row in known]
        if fits(ids):
            yield part, ids
            continue
        halves: Sequence[Part] = (part.halves(space) or ()) if part.values else START
        waiting.extend((half, [row for row in known if half.holds(row)]) for half in halves)
