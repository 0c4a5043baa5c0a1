"""One machine being followed: what is to be asked about it, and what was seen of it and not yet taken."""

import math
from collections.abc import Collection, Container, Iterable
from typing import Final

import anyio

from maas_mcp.errors import MaasError
from maas_mcp.maas.models import SCRIPT_SETS, Event, Machine, ScriptSet, ScriptSetName, SystemId
from maas_mcp.maas.statuses import AT_WORK, MachineStatus
from maas_mcp.operations.judging.evidence import Needs, Observation
from maas_mcp.operations.judging.timeline import leaves, tells_of_an_end
from maas_mcp.operations.watching.cadence import Cadence

KEPT_IDS: Final = 500
"""How many ids back a machine's newest event is still asked for again: its absence tells of the machine's deletion."""
ABSENCES_READ_AT_ONCE: Final = 2
"""A machine that was not there is looked for again at once, and then no more often than any other."""


class Subscription:
    """One machine being followed, for one operation.

    Args:
        system_id: The machine.
        cursor: The event after which its news begin.
        needs: What is to be seen of it.
        cadence: How often.
        pending: The statuses of the operation: once the machine leaves them, it is read at once.
    """

    def __init__(
        self,
        system_id: SystemId,
        cursor: int,
        needs: Needs,
        cadence: Cadence,
        pending: Collection[MachineStatus] = AT_WORK,
    ) -> None:
        now = anyio.current_time()
        self.system_id = system_id
        self._pending = pending
        self.needs = needs
        self.floor = cursor
        """All events up to this one were seen, or are not its news."""
        self.urgent = False
        """Whether an event says that the machine has come to an end, or it was not there: it is read at once."""
        self.due = now if not needs.events else now + cadence.reconcile
        """When the machine is to be read again even so."""
        self.alone = False
        """Whether it could not even be read by itself: it must not keep others from being read."""
        self.status: MachineStatus | int | None = None
        """What the machine was last known to be in."""
        self._cadence = cadence
        self.answered_at = now
        """Until when everything that was asked about this machine was answered."""
        self._seen: set[int] = set()
        self._newest = 0
        """The highest id among its events; 0 before the first."""
        self.changed_at = -math.inf
        """When an event last told of a new status: a read that was asked for before may not show it."""
        self._absences = 0
        self._ending = False
        """Whether an event says that something has ended, and the next read has to show it."""
        self._known: Machine | None = None
        self._sets: dict[ScriptSetName, ScriptSet] = {}
        self.sets_due = now
        """When the script sets have their turn."""
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
        """Wait for news, and take all there is in one observation.

        Raises:
            MaasError: The region refuses to be asked, as after the API key was revoked.
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
        """Take those of the machine's events that are new; answers whether there were any."""
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
            self._changed_to(changes[-1])
        if any(leaves(self._pending, event) for event in news):
            self.urgent = True  # whatever came after it: what the machine shows by now may be another run's
        elif any(tells_of_an_end(event) for event in news) and not changes:
            self._read_for_an_end()
        self._tell()
        return True

    def read_up_to(self, floor: int, *, again: bool = False) -> None:
        """All events up to ``floor`` have appeared. A machine of which the first look told nothing is read now.

        ``again``: the machine's newest event is to be asked for once more each time, unless it lies far back.
        """
        if again and floor - KEPT_IDS < self._newest <= floor:
            floor = self._newest - 1
        self.floor = max(self.floor, floor)
        self._seen = {seen for seen in self._seen if seen > self.floor}
        self.urgent = self.urgent or (self._fresh and self.status is None)
        self._fresh = False

    def expect_in(self, ids: Container[int], after: int) -> None:
        """Take note of all that the log has beyond ``after``. MAAS deletes the events of a machine together with it."""
        if self._newest > after and self._newest not in ids:
            self._newest = 0
            self.urgent = True

    def restart(self, floor: int) -> None:
        """The event log began anew: its ids up to ``floor`` are no news, and the machine is to be read."""
        self.floor, self._newest = floor, 0
        self._seen.clear()
        self.read_soon()

    def read_soon(self) -> None:
        """The machine is to be read again, after those that are waiting: it may be one that cannot be read."""
        self.due = anyio.current_time()

    def add_machine(self, machine: Machine | None) -> bool:
        """Take a fresh read; ``None`` says that the machine was not there. Answers whether anything has changed."""
        now = anyio.current_time()
        changed = machine != self._known or (machine is None and not self._absences)
        self._machine, self._absent, self._known = machine, machine is None, machine
        self._absences = 0 if machine else self._absences + 1
        self.urgent = 0 < self._absences < ABSENCES_READ_AT_ONCE
        again = self._cadence.settle if self._ending else self._cadence.reconcile
        self.due = now + again if self.needs.events else now
        self.alone = self._ending = False
        if machine is not None:
            self._set_status(machine.status)
        self._tell()
        return changed

    def sets_to_read(self, now: float) -> list[ScriptSetName]:
        """The script sets to read now: that of the present status, and each other once in every status.

        So the one that a run has passed is seen as it ended, and the one that is still to come with all that is in it.
        """
        statuses = {status: name for status, name in SCRIPT_SETS.items() if name in self.needs.script_sets}
        if self.sets_due > now or self.status not in statuses:
            return []
        present = statuses[MachineStatus(self.status)]
        return [name for name in sorted(statuses.values()) if name == present or name not in self._sets_read]

    def add_script_set(self, name: ScriptSetName, scripts: ScriptSet | None) -> None:
        """Take a fresh read; ``None`` says that there is none. Observations hold all sets as they are known."""
        self._sets_read.add(name)
        if scripts is None:
            return
        self._sets[name] = scripts
        self._script_sets = dict(self._sets)
        self._tell()

    def sets_were_asked(self) -> None:
        """The script sets have their turn again after a while, whether they could be read or not."""
        self.sets_due = anyio.current_time() + self._cadence.scripts

    def add_outage(self, *, answering: bool = False) -> None:
        """This machine could not be read, though MAAS may be ``answering``; once it can be, it is read again."""
        self._answering = answering
        self._unreachable_for = anyio.current_time() - self.answered_at
        self.read_soon()
        self._news.set()

    def answered(self, asked: float) -> None:
        """MAAS has answered everything that was asked about this machine until then."""
        self.answered_at = max(self.answered_at, asked)

    def fail(self, error: MaasError) -> None:
        """Nothing more will be seen."""
        self._error = error
        self._news.set()

    def _changed_to(self, status: MachineStatus | None) -> None:
        """An event told of a new status; ``None`` is one that this release does not know."""
        self.changed_at, self._machine = anyio.current_time(), None
        if status in AT_WORK:
            self._set_status(status)
            self.due = min(self.due, anyio.current_time() + self._cadence.settle)
        else:
            self.status = status
            self.urgent = True

    def _read_for_an_end(self) -> None:
        """Something has ended, and no event says in which status; the machine may not show it in the first read."""
        self.changed_at, self._machine = anyio.current_time(), None
        self.urgent = self._ending = True

    def _set_status(self, status: MachineStatus | int) -> None:
        if status != self.status:
            self._sets_read.clear()
            self.sets_due = -math.inf
        self.status = status

    def _tell(self) -> None:
        self._unreachable_for = None
        self._news.set()
