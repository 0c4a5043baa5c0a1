"""What MAAS's events tell of one run: when it began, how it ended, and what was done and said meanwhile. Pure."""

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from maas_mcp.maas.models import SYSTEM_USERNAME, Event
from maas_mcp.maas.statuses import AT_WORK, MachineStatus

WARNING_LEVELS: Final = frozenset({"WARNING", "ERROR", "CRITICAL"})
_POWER_QUERY_FAILED: Final = "Failed to query node's BMC"
_REVERTING: Final = re.compile(r"\bAborting .+ and reverting to ")
ACQUIRING: Final = "User acquiring node"
_TAKES: Final = (ACQUIRING, "User starting ")
TESTED_BY_COMMISSIONING: Final = (MachineStatus.COMMISSIONING, MachineStatus.TESTING)
"""What a commissioning does by itself, and a test never."""
_ENDS_NOTHING: Final = ("User locking ", "User unlocking ", "User powering ", ACQUIRING)
"""What users do to a machine without ending what MAAS is doing to it."""
_ENDINGS: Final = frozenset(
    {
        *(status.display for status in MachineStatus if status not in AT_WORK),
        *("Released", "Exited rescue mode", "Marking node failed"),
    }
)
"""Types of events that MAAS writes only when something has ended (MAAS 3.3 to 3.8)."""


def reverts(event: Event) -> bool:
    """Whether MAAS undoes a start with it, since the BMC fails.

    MAAS 3.7 writes events of the same type for every power query that fails, such as a rack's own every few minutes;
    only the description tells them apart.
    """
    return event.type == _POWER_QUERY_FAILED and _REVERTING.search(event.description) is not None


@dataclass(frozen=True, slots=True)
class RunTimeline:
    """The events of a run, from the first event that took the machine into a status on the way.

    The change of status that leads out again is the run's end; what comes after it is of other runs. MAAS 3.7.3 writes
    the events of an abort before the change that they lead to; whether it takes an order back before or after the
    change, no recording shows, so everything up to the next change is counted.
    """

    events: tuple[Event, ...] = ()
    """What bears on it, by id: changes of status, aborts, what people did, warnings and errors."""
    began: Event | None = None
    ended: Event | None = None
    again: bool = False
    """Whether the machine was taken into a status on the way a second time: that is another run."""
    limit: float = math.inf
    """The id of the first change of status after the end."""
    others: bool = False
    """Whether another operation has entered a status on the way, and this one has not begun before."""

    def with_(
        self, pending: Collection[MachineStatus], begins_in: Collection[MachineStatus], news: Iterable[Event]
    ) -> "RunTimeline":
        """This and ``news``, in any order, twice or not; ``pending`` and ``begins_in`` are those of the lifecycle."""
        known = {event.id for event in self.events}
        added = {event.id: event for event in news if event.id not in known and _bears(event)}
        if not added:
            return self
        events = sorted([*self.events, *added.values()], key=lambda event: event.id)
        changes = [event for event in events if event.status_change is not None]
        began = next((event for event in changes if enters(pending, event, begins_in)), None)
        after = [event for event in changes if began is not None and event.id > began.id]
        ended = next((event for event in after if leaves(pending, event)), None)
        beyond = next((event.id for event in after if ended is not None and event.id > ended.id), math.inf)
        others = began is None and any(arrives(pending, event) for event in changes)
        return RunTimeline(tuple(events), began, ended, any(enters(pending, event) for event in after), beyond, others)

    @property
    def end(self) -> MachineStatus | None:
        """The status that it ended in, if an event told of it."""
        change = self.ended.status_change if self.ended else None
        return change[1] if change else None

    @property
    def status_name(self) -> str:
        """The status that its latest change led to; empty if none was told, or one that this release does not know."""
        changes = [change for event in self.events if self._until_end(event) and (change := event.status_change)]
        status = changes[-1][1] if changes else None
        return "" if status is None else status.display

    @property
    def aborted(self) -> bool:
        """Whether someone aborted it: a test that is aborted ends in the status in which a passed one does."""
        return any(event.type.startswith("Aborted ") for event in self._of_this_run)

    @property
    def reverted(self) -> bool:
        """Whether MAAS says that it undid the start, since it could not switch the machine on."""
        return any(reverts(event) for event in self._of_this_run)

    @property
    def went_back(self) -> bool:
        """Whether the machine went back to the status from which it began, and no user did that.

        MAAS 3.7.3 undoes a release and both ways of rescue mode like this when it cannot control the power, and writes
        no event that says so.
        """
        began = self.began.status_change if self.began else None
        return began is not None and self.end == began[0] and not self.user_actions and not self.aborted

    @property
    def warnings(self) -> tuple[Event, ...]:
        """Warnings and errors, oldest first."""
        return tuple(event for event in self.events if event.level in WARNING_LEVELS and event.id < self.limit)

    @property
    def started_by(self) -> str | None:
        """Who requested it, if an event names the user: MAAS 3.7 writes ``User starting …`` just before the start."""
        entered = self.began.id if self.began else math.inf
        return _last_user(event for event in self._by_users if event.id < entered)

    @property
    def user_actions(self) -> tuple[Event, ...]:
        """What users did that may have ended it, oldest first: aborts, releases and other starts while it ran.

        The request that started it is none of them. MAAS writes it before the run begins; where no event tells when
        that was, it is the first that is no allocation.
        """
        last = self.ended.id if self.ended else math.inf
        actions = [event for event in self._by_users if event.id < last and not event.type.startswith(_ENDS_NOTHING)]
        if self.began is not None:
            return tuple(event for event in actions if event.id > self.began.id)
        return tuple([event for event in actions if event.type != ACQUIRING][1:])

    @property
    def taken_by(self) -> str | None:
        """Who has started something else on the machine, or allocated it, since it ended."""
        ended = self.ended.id if self.ended else math.inf
        return _last_user(event for event in self._by_users if event.id > ended and event.type.startswith(_TAKES))

    @property
    def _by_users(self) -> Iterable[Event]:
        return (event for event in self.events if event.type.startswith("User ") and event.username != SYSTEM_USERNAME)

    def _until_end(self, event: Event) -> bool:
        return self.ended is None or event.id <= self.ended.id

    @property
    def _of_this_run(self) -> Iterable[Event]:
        first = self.began.id if self.began else -math.inf
        return (event for event in self.events if first < event.id < self.limit)


def _last_user(events: Iterable[Event]) -> str | None:
    return next((event.username for event in reversed(tuple(events))), None)


UNTOLD: Final = RunTimeline()
"""A run without any event so far."""


def enters(pending: Collection[MachineStatus], event: Event, first: Collection[MachineStatus] | None = None) -> bool:
    """Whether ``event`` takes the machine into one of the ``pending`` statuses, or of the ``first``, from outside.

    From *Commissioning* MAAS goes on to *Testing* by itself: that begins no test.
    """
    change = event.status_change
    if change is None or change == TESTED_BY_COMMISSIONING:
        return False
    return change[1] in (first or pending) and change[0] not in pending


def arrives(pending: Collection[MachineStatus], event: Event) -> bool:
    """Whether ``event`` takes the machine into one of these statuses, from wherever."""
    change = event.status_change
    return change is not None and change[1] in pending


def leaves(pending: Collection[MachineStatus], event: Event) -> bool:
    """Whether ``event`` takes the machine out of these statuses, to one that this release knows."""
    change = event.status_change
    return change is not None and change[0] in pending and change[1] is not None and change[1] not in pending


def tells_of_an_end(event: Event) -> bool:
    """Whether MAAS writes ``event`` only when something has ended: where the status event is missing, it has to do."""
    return event.type in _ENDINGS or event.type.startswith("Aborted ")


def _bears(event: Event) -> bool:
    return (
        event.status_change is not None or event.level in WARNING_LEVELS or event.type.startswith(("Aborted ", "User "))
    )
