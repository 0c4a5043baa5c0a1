"""A subscription: one followed machine, with the reads that are due and the news not yet consumed."""

import math
from collections.abc import Collection, Container, Iterable
from typing import Final

import anyio

from maas_mcp.errors import MaasError
from maas_mcp.maas.models import SCRIPT_SETS, Event, Machine, ScriptSet, ScriptSetName, SystemId
from maas_mcp.maas.statuses import AT_WORK, MachineStatus
from maas_mcp.operations.judging.evidence import Needs, Observation
from maas_mcp.operations.judging.timeline import is_end_event, leaves
from maas_mcp.operations.watching.cadence import Cadence

ABSENCES_READ_AT_ONCE: Final = 2
"""Number of absences after which a missing machine is no longer read again at once."""


class Subscription:
    """One machine followed for one operation.

    Args:
        system_id: The machine.
        cursor: The id of the last event before its news.
        needs: The data to read.
        cadence: The intervals.
        pending: The operation's pending statuses. When the machine leaves them, it is read at once.
    """

    def __init__(
        self,
        system_id: SystemId,
        cursor: int,
        needs: Needs,
        cadence: Cadence,
        pending: Collection[MachineStatus] = AT_WORK,
    ) -> None:
        # Long because each attribute is described here.
        now = anyio.current_time()
        self.system_id = system_id
        self._pending = pending
        self.needs = needs
        self.floor = cursor
        """All events up to this id were seen or are no news."""
        self.urgent = False
        """Whether to read the machine at once: an event shows an end, or the machine was missing."""
        self.due = now if not needs.events else now + cadence.reconcile
        """When to read the machine without news."""
        self.alone = False
        """Whether a read of this machine alone failed. It is then never combined with others."""
        self.status: MachineStatus | int | None = None
        """The machine's last known status."""
        self._cadence = cadence
        self.answered_at = now
        """The time up to which MAAS has answered all reads for this machine."""
        self._seen: set[int] = set()
        self._newest = 0
        """The highest id of its events; 0 before the first."""
        self.changed_at = -math.inf
        """When an event last changed the status. Reads requested earlier may not show it."""
        self._absences = 0
        self._ending = False
        """Whether an event shows an end that the machine's status may not show yet."""
        self._known: Machine | None = None
        self._sets: dict[ScriptSetName, ScriptSet] = {}
        self.sets_due = now
        """When to read the script sets."""
        self._sets_read: set[ScriptSetName] = set()
        self._fresh = True
        self._machine: Machine | None = None
        self._absent = False
        self._events: list[Event] = []
        self._script_sets: dict[ScriptSetName, ScriptSet] = {}
        self._unreachable_for: float | None = None
        self._answering = False
        self._error: MaasError | None = None
        self._news = anyio.Event()

    async def next(self) -> Observation:
        """Wait for news, and return all of it in one observation.

        Raises:
            MaasError: The region permanently refuses requests, for example after the API key was revoked.
        """
        await self._news.wait()
        self._news = anyio.Event()
        if self._error is not None:
            raise self._error
        observation = Observation(
            self._machine,
            self._absent,
            tuple(self._events),
            self._unreachable_for,
            self._script_sets,
            self._answering and self._unreachable_for is not None,
        )
        self._machine, self._absent, self._events, self._unreachable_for = None, False, [], None
        self._script_sets = {}
        return observation

    def add_events(self, events: Iterable[Event]) -> bool:
        """Add the machine's new events; return whether there were any."""
        news = sorted(
            (event for event in events if event.id > self.floor and event.id not in self._seen),
            key=lambda event: event.id,
        )
        if not news:
            return False
        self._seen.update(event.id for event in news)
        self._newest = max(self._newest, news[-1].id)
        self._events += news
        changes = [change[1] for event in news if (change := event.status_change)]
        if changes:
            self._note_status(changes[-1])
        if any(leaves(self._pending, event) for event in news):
            self.urgent = True  # even if events followed: the machine may already show another run
        elif any(is_end_event(event) for event in news) and not changes:
            self._read_for_end()
        self._notify()
        return True

    def read_up_to(self, floor: int, *, again: int = 0) -> None:
        """Record that all events up to ``floor`` have appeared.

        The machine is read now if the first poll did not show its status. Its newest event is requested again each
        time, unless it is ``again`` ids back.
        """
        if floor - again < self._newest <= floor:
            floor = self._newest - 1
        self.floor = max(self.floor, floor)
        self._seen = {seen for seen in self._seen if seen > self.floor}
        self.urgent = self.urgent or (self._fresh and self.status is None)
        self._fresh = False

    def check_newest(self, ids: Container[int], after: int) -> None:
        """Check a complete list of ids after ``after``. MAAS deletes a machine's events together with the machine."""
        if self._newest > after and self._newest not in ids:
            self._newest = 0
            self.urgent = True

    def restart(self, floor: int) -> None:
        """Restart after a reset of the event log: ignore ids up to ``floor`` and read the machine."""
        self.floor, self._newest = floor, 0
        self._seen.clear()
        self.read_soon()

    def read_soon(self) -> None:
        """Make the machine due, behind those already waiting: it may be one that cannot be read."""
        self.due = anyio.current_time()

    def add_machine(self, machine: Machine | None) -> bool:
        """Record a read; ``None`` if the machine was missing. Return whether anything changed."""
        now = anyio.current_time()
        changed = machine != self._known or (machine is None and not self._absences)
        self._machine, self._absent, self._known = machine, machine is None, machine
        self._absences = 0 if machine else self._absences + 1
        self.urgent = 0 < self._absences < ABSENCES_READ_AT_ONCE
        again = self._cadence.settle if self._ending else self._cadence.reconcile
        self.due = now + again if self.needs.events else now
        self.alone = self._ending = False
        if machine is not None:
            self._enter_status(machine.status)
        self._notify()
        return changed

    def sets_to_read(self, now: float) -> list[ScriptSetName]:
        """Return the script sets to read now: that of the current status, and each other one once per status.

        So a completed set is seen in its final state, and a later one with all of its scripts.
        """
        statuses = {status: name for status, name in SCRIPT_SETS.items() if name in self.needs.script_sets}
        if self.sets_due > now or self.status not in statuses:
            return []
        present = statuses[MachineStatus(self.status)]
        return [name for name in sorted(statuses.values()) if name == present or name not in self._sets_read]

    def add_script_set(self, name: ScriptSetName, scripts: ScriptSet | None) -> None:
        """Record a read; ``None`` if there is no such set. Observations contain all known sets."""
        self._sets_read.add(name)
        if scripts is None:
            return
        self._sets[name] = scripts
        self._script_sets = dict(self._sets)
        self._notify()

    def schedule_sets(self) -> None:
        """Schedule the next read of the script sets, whether or not this one succeeds."""
        self.sets_due = anyio.current_time() + self._cadence.scripts

    def note_outage(self, *, answering: bool = False) -> None:
        """Record a failed read, with ``answering`` if MAAS responds with errors. The next read is due at once."""
        self._answering = answering
        self._unreachable_for = anyio.current_time() - self.answered_at
        self.read_soon()
        self._news.set()

    def note_answered(self, asked: float) -> None:
        """Record that MAAS answered all reads for this machine that were requested up to ``asked``."""
        self.answered_at = max(self.answered_at, asked)

    def fail(self, error: MaasError) -> None:
        """End the subscription with an error."""
        self._error = error
        self._news.set()

    def _note_status(self, status: MachineStatus | None) -> None:
        """Record a new status from an event; ``None`` is one that this release does not know."""
        self.changed_at, self._machine = anyio.current_time(), None
        if status in AT_WORK:
            self._enter_status(status)
            self.due = min(self.due, anyio.current_time() + self._cadence.settle)
        else:
            self.status = status
            self.urgent = True

    def _read_for_end(self) -> None:
        """Read the machine after an end without a status event; the first read may not show the new status."""
        self.changed_at, self._machine = anyio.current_time(), None
        self.urgent = self._ending = True

    def _enter_status(self, status: MachineStatus | int) -> None:
        if status != self.status:
            self._sets_read.clear()
            self.sets_due = -math.inf
        self.status = status

    def _notify(self) -> None:
        self._unreachable_for = None
        self._news.set()
