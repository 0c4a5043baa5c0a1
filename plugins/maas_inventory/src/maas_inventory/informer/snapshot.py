"""The snapshot: all machines by system id, when each was read, and a journal of their changes. It does no I/O."""

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from maas_inventory.informer.rows import Row

MAX_CHANGES: Final = 5_000
"""Changes that the journal keeps."""
MAX_GONE: Final = 1_000
"""Removed machines that are remembered, so that a read from before the removal does not bring one back."""
JOURNALED: Final = tuple(name for name in Row.__struct_fields__ if name not in ("system_id", "status", "unreadable"))
"""The fields whose changes the journal keeps. ``status_name`` stands for the status."""


ChangeKind = Literal["added", "changed", "removed", "unreadable"]
"""``unreadable``: MAAS still lists the machine, but its id or status cannot be read."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A changed field of a machine."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """A machine that came, changed or went."""

    number: int
    """Counts all changes of the snapshot, from 1."""
    at: float
    """When it was noticed, by the event loop's clock."""
    unix_time: float
    """The same as Unix time. It does not change when the two clocks diverge later."""
    system_id: str
    hostname: str
    kind: ChangeKind
    fields: tuple[FieldChange, ...] = ()


class Snapshot:
    """Rows by system id. Times are seconds of the event loop's clock.

    A read counts only if it was requested after the machine's last known change, because MAAS may have answered it
    before that change.

    Args:
        last: The number of the last change before those of this snapshot.
        unix_time: Converts a time of the event loop's clock to Unix time, for the journal.
    """

    def __init__(self, last: int = 0, unix_time: Callable[[float], float] = lambda at: at) -> None:
        self._unix_time = unix_time
        self.rows: dict[str, Row] = {}
        self.complete_since = math.inf
        """When all machines had been read once. Machines that come later are in the journal."""
        self._read: dict[str, float] = {}
        self._changed: dict[str, float] = {}
        """The last known change of machines that have not been read since."""
        self._gone: dict[str, float] = {}
        self._uncertain_before = -math.inf
        self._journal: deque[Change] = deque(maxlen=MAX_CHANGES)
        self._last = last

    @property
    def complete(self) -> bool:
        """Whether all machines have been read once."""
        return self.complete_since < math.inf

    def put(self, row: Row, asked: float, now: float) -> bool:
        """Take a row that was requested at ``asked``. Returns whether it counts."""
        name = row.system_id
        if asked < max(self._changed.get(name, -math.inf), self._gone.get(name, -math.inf), self.read_at(name)):
            return False
        self._changed.pop(name, None)
        self._gone.pop(name, None)
        self._replace(row, now)
        self._read[name] = asked
        return True

    def patch(self, system_id: str, now: float, **fields: Any) -> None:
        """Change fields of a row without a read, because an event shows their new values."""
        row = self.rows.get(system_id)
        if row is not None:
            self._replace(msgspec.structs.replace(row, **fields), now)

    def remove(self, system_id: str, asked: float, now: float, kind: ChangeKind = "removed") -> None:
        """Remove a machine that was missing in an answer requested at ``asked``."""
        if asked < max(self._changed.get(system_id, -math.inf), self.read_at(system_id)):
            return
        row = self.rows.pop(system_id, None)
        if row is None:
            return
        del self._read[system_id]
        self._changed.pop(system_id, None)
        self._gone[system_id] = asked
        if len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]
        self._note(now, row, kind)

    def note_change(self, system_id: str, now: float) -> None:
        """Note that a machine changed: what was requested before does not count any more."""
        if system_id in self.rows:
            self._changed[system_id] = now

    def note_gap(self, now: float) -> None:
        """Note that events may have been missed: all rows are uncertain until they are read again."""
        self._uncertain_before = now

    def read_at(self, system_id: str) -> float:
        """When the row was requested; minus infinity without a row."""
        return self._read.get(system_id, -math.inf)

    def is_uncertain(self, system_id: str) -> bool:
        """Whether the row may be older than a known change, or than missed events."""
        return system_id in self._changed or self._read.get(system_id, math.inf) < self._uncertain_before

    def is_any_uncertain(self, but: Collection[str]) -> bool:
        """Whether a row is uncertain, other than these."""
        return any(name not in but for name in self._changed) or self._oldest_uncertain() < math.inf

    def right_at(self, latest: float) -> float:
        """The time up to which all changes with an event are in the rows; ``latest`` is that of the last events."""
        return min(latest, min(self._changed.values(), default=latest), self._oldest_uncertain())

    def _oldest_uncertain(self) -> float:
        """The oldest read before events may have been missed; infinity if all rows have been read since then."""
        if self._uncertain_before > -math.inf:
            oldest = min(self._read.values(), default=math.inf)
            if oldest < self._uncertain_before:
                return oldest
            self._uncertain_before = -math.inf
        return math.inf

    def oldest(self, rows: Collection[Row], default: float) -> float:
        """When the oldest of these rows was requested; ``default`` without rows."""
        read = self._read
        if len(rows) == len(read):
            return min(read.values(), default=default)
        return min([read.get(row.system_id, -math.inf) for row in rows], default=default)

    @property
    def last_change(self) -> int:
        """The number of the last change, to ask for the changes after it."""
        return self._last

    @property
    def journal_begin(self) -> float:
        """The journal has all changes from this time on; infinite before all machines have been read once."""
        full = len(self._journal) == MAX_CHANGES
        return max(self.complete_since, self._journal[0].at if full else -math.inf)

    def changes(self, after: int) -> tuple[Sequence[Change], bool]:
        """The changes after a number, oldest first, and whether these are all."""
        found = [change for change in self._journal if change.number > after]
        return found, self.complete and self._last - len(self._journal) <= after <= self._last

    def changes_since(self, at: float) -> tuple[Sequence[Change], bool]:
        """The changes that were noticed at or after a time, oldest first, and whether these are all."""
        found = [change for change in self._journal if change.at >= at]
        return found, self.complete_since <= at and (len(found) < len(self._journal) or len(found) < MAX_CHANGES)

    def _replace(self, row: Row, now: float) -> None:
        old = self.rows.get(row.system_id)
        if old == row:
            return
        self.rows[row.system_id] = row
        if old is None:
            if now >= self.complete_since:
                self._note(now, row, "added")
            return
        fields = tuple(
            FieldChange(name, getattr(old, name), getattr(row, name))
            for name in JOURNALED
            if getattr(old, name) != getattr(row, name)
        )
        if fields:
            self._note(now, row, "changed", fields)

    def _note(self, now: float, row: Row, kind: ChangeKind, fields: tuple[FieldChange, ...] = ()) -> None:
        self._last += 1
        self._journal.append(Change(self._last, now, self._unix_time(now), row.system_id, row.hostname, kind, fields))
