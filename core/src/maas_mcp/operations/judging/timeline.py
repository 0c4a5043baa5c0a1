"""The timeline of a run, built from MAAS's events: its start, its end, and everything in between. Pure."""

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
"""The change that commissioning makes on its own, and a test never makes."""
_ENDS_NOTHING: Final = ("User locking ", "User unlocking ", "User powering ", ACQUIRING)
"""User actions that do not end an operation."""
_ENDINGS: Final = frozenset(
    {
        *(status.display for status in MachineStatus if status not in AT_WORK),
        *("Released", "Exited rescue mode", "Marking node failed"),
    }
)
"""Types of events that MAAS writes only when an operation has ended (MAAS 3.3 to 3.8)."""


def reverts(event: Event) -> bool:
    """Whether MAAS reverts a start with this event because the BMC fails.

    MAAS 3.7 writes an event of the same type for every failed power query, such as the rack controller's own every few
    minutes. Only the description distinguishes them.
    """
    return event.type == _POWER_QUERY_FAILED and _REVERTING.search(event.description) is not None


@dataclass(frozen=True, slots=True)
class RunTimeline:
    """The events of a run, from the first event that moved the machine into a pending status.

    The run ends with the change of status out of the pending ones; later changes belong to other runs. MAAS 3.7.3
    writes the events of an abort before the resulting change. No recording shows whether it reverts a start before or
    after the change, so events up to the next change are counted.
    """

    events: tuple[Event, ...] = ()
    """The relevant events, by id: changes of status, aborts, user actions, warnings and errors."""
    began: Event | None = None
    ended: Event | None = None
    restarted: bool = False
    """Whether the machine entered a pending status a second time, which is another run."""
    limit: float = math.inf
    """The id of the first change of status after the end."""
    preceded: bool = False
    """Whether another operation entered a pending status before this run began."""

    def with_(
        self, pending: Collection[MachineStatus], begins_in: Collection[MachineStatus], news: Iterable[Event]
    ) -> "RunTimeline":
        """Return the timeline with ``news`` added, in any order, with or without duplicates.

        ``pending`` and ``begins_in`` are those of the lifecycle.
        """
        known = {event.id for event in self.events}
        added = {event.id: event for event in news if event.id not in known and _is_relevant(event)}
        if not added:
            return self
        events = sorted([*self.events, *added.values()], key=lambda event: event.id)
        changes = [event for event in events if event.status_change is not None]
        began = next((event for event in changes if enters(pending, event, begins_in)), None)
        after = [event for event in changes if began is not None and event.id > began.id]
        ended = next((event for event in after if leaves(pending, event)), None)
        beyond = next((event.id for event in after if ended is not None and event.id > ended.id), math.inf)
        preceded = began is None and any(arrives(pending, event) for event in changes)
        return RunTimeline(
            tuple(events), began, ended, any(enters(pending, event) for event in after), beyond, preceded
        )

    @property
    def end(self) -> MachineStatus | None:
        """The status in which the run ended, if an event shows it."""
        change = self.ended.status_change if self.ended else None
        return change[1] if change else None

    @property
    def status_name(self) -> str:
        """The status after the latest change; empty if unknown."""
        changes = [change for event in self.events if self._until_end(event) and (change := event.status_change)]
        status = changes[-1][1] if changes else None
        return "" if status is None else status.display

    @property
    def aborted(self) -> bool:
        """Whether a user aborted the run: an aborted test may end in the same status as a passed one."""
        return any(event.type.startswith("Aborted ") for event in self._of_this_run)

    @property
    def reverted(self) -> bool:
        """Whether MAAS reverted the start because it could not control the machine's power."""
        return any(reverts(event) for event in self._of_this_run)

    @property
    def went_back(self) -> bool:
        """Whether the machine went back to the status before the run, without a user's action.

        MAAS 3.7.3 reverts a release, and entering or exiting rescue mode, like this if it cannot control the power. It
        writes no event about this.
        """
        began = self.began.status_change if self.began else None
        return began is not None and self.end == began[0] and not self.user_actions and not self.aborted

    @property
    def warnings(self) -> tuple[Event, ...]:
        """Warnings and errors, oldest first."""
        return tuple(event for event in self.events if event.level in WARNING_LEVELS and event.id < self.limit)

    @property
    def started_by(self) -> str | None:
        """The user who started the run, if an event names one.

        MAAS 3.7 writes ``User starting …`` just before the start.
        """
        entered = self.began.id if self.began else math.inf
        return _last_user(event for event in self._by_users if event.id < entered)

    @property
    def user_actions(self) -> tuple[Event, ...]:
        """User actions that may have ended the run, oldest first: aborts, releases and other starts while it ran.

        The start request itself is excluded. MAAS writes it before the run begins. If no event shows when the run
        began, the first action other than an allocation counts as the start request.
        """
        last = self.ended.id if self.ended else math.inf
        actions = [event for event in self._by_users if event.id < last and not event.type.startswith(_ENDS_NOTHING)]
        if self.began is not None:
            return tuple(event for event in actions if event.id > self.began.id)
        return tuple([event for event in actions if event.type != ACQUIRING][1:])

    @property
    def taken_by(self) -> str | None:
        """The user who started another operation on the machine, or allocated it, after the run's end."""
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


EMPTY_TIMELINE: Final = RunTimeline()
"""A timeline without events."""


def enters(pending: Collection[MachineStatus], event: Event, first: Collection[MachineStatus] | None = None) -> bool:
    """Whether ``event`` moves the machine from a non-pending status into one of ``first``, by default ``pending``.

    MAAS itself goes from *Commissioning* to *Testing*; that does not start a test.
    """
    change = event.status_change
    if change is None or change == TESTED_BY_COMMISSIONING:
        return False
    return change[1] in (first or pending) and change[0] not in pending


def arrives(pending: Collection[MachineStatus], event: Event) -> bool:
    """Whether ``event`` moves the machine into a pending status, from any status."""
    change = event.status_change
    return change is not None and change[1] in pending


def leaves(pending: Collection[MachineStatus], event: Event) -> bool:
    """Whether ``event`` moves the machine from a pending status to another status that this release knows."""
    change = event.status_change
    return change is not None and change[0] in pending and change[1] is not None and change[1] not in pending


def is_end_event(event: Event) -> bool:
    """Whether MAAS writes ``event`` only when an operation has ended.

    It shows the end if the event of the change of status is missing.
    """
    return event.type in _ENDINGS or event.type.startswith("Aborted ")


def _is_relevant(event: Event) -> bool:
    return (
        event.status_change is not None or event.level in WARNING_LEVELS or event.type.startswith(("Aborted ", "User "))
    )
