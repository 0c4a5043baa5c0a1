"""The evidence about a run: everything observed of it, and the verdict that follows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from maas_mcp.maas.models import Event, Machine, ScriptSet, ScriptSetName
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.judging.assessment import UNMEASURED, Milestone
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.timeline import EMPTY_TIMELINE, RunTimeline

ABSENCES_TO_BE_GONE: Final = 2
"""A machine counts as deleted after two reads in a row without it. A single read may race a change of owner or pool."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The state before the operation started, as far as it is known."""

    machine: Machine
    cursor: int
    """The id of the newest event. Only later events count."""
    runs: tuple[int | None, ...]
    """The script sets of earlier runs, as :meth:`Lifecycle.runs` returns them. Empty if unknown, as for a run that
    another user started; then only events and statuses show that the run began."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The data that a strategy needs in addition to the machine."""

    events: bool = True
    """Whether to read events. Without them the machine is read at every poll, which costs MAAS a hundred times as
    much."""
    script_sets: frozenset[ScriptSetName] = frozenset()
    """Script sets of the latest runs. They are read every 12 s only, because MAAS loads the output of every script for
    them."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one poll of one machine."""

    machine: Machine | None = None
    """The machine, if it was read."""
    absent: bool = False
    """Whether the machine was requested and MAAS did not return it."""
    events: tuple[Event, ...] = ()
    """New events, oldest first."""
    unreachable_for: float | None = None
    """Seconds since the last successful read, or ``None`` outside an outage."""
    script_sets: Mapping[ScriptSetName, ScriptSet] = field(default_factory=dict)
    """The script sets that were read, of those in :class:`Needs`. Sets that do not exist in MAAS are missing."""
    answering: bool = False
    """Whether MAAS responds during the outage, if only with errors such as a 500."""


EMPTY_OBSERVATION: Final = Observation()
"""The result of a poll without news."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything relevant that was observed since the start."""

    baseline: Baseline
    machine: Machine | None = None
    """The latest read. ``None`` until the machine was read after the run began, and again after it ended."""
    timeline: RunTimeline = EMPTY_TIMELINE
    """The events of the run."""
    started: bool = False
    """Whether a pending status or a new script set was seen."""
    runs: tuple[int | None, ...] = ()
    """The script sets of this run, as far as they differ from the baseline."""
    superseded: bool = False
    """Whether a later run was seen on the machine."""
    absences: int = 0
    status_name: str = ""
    """The latest status, from an event or a read."""
    milestone: Milestone = UNMEASURED
    """The latest milestone that the strategy measured. Its fraction never decreases."""

    @property
    def gone(self) -> bool:
        """Whether the machine was deleted."""
        return self.absences >= ABSENCES_TO_BE_GONE

    @property
    def aborted(self) -> bool:
        """Whether a user aborted the run."""
        return self.timeline.aborted

    @property
    def reverted(self) -> bool:
        """Whether MAAS reverted the start because it could not control the machine's power."""
        return self.timeline.reverted

    @property
    def warnings(self) -> tuple[Event, ...]:
        """Warnings and errors of this run, oldest first."""
        return self.timeline.warnings

    @property
    def user_actions(self) -> tuple[Event, ...]:
        """User actions during the run, oldest first, such as an abort or a release."""
        return self.timeline.user_actions

    @property
    def moved_on(self) -> bool:
        """Whether the machine has changed since this run ended, so that its state is another run's."""
        end = self.timeline.end
        return self.superseded or (end is not None and self.machine is not None and self.machine.status != end)

    def with_(self, lifecycle: Lifecycle, observation: Observation) -> "Evidence":
        """Return the evidence with ``observation`` added."""
        news = [event for event in observation.events if event.id > self.baseline.cursor]
        timeline = self.timeline.with_(lifecycle.pending, lifecycle.begins_in, news)
        began = timeline.began is not None and not self.started
        ended = timeline.ended is not None and timeline.ended != self.timeline.ended
        evidence = replace(
            self,
            timeline=timeline,
            machine=None if began or ended else self.machine,  # an earlier read does not show the new state
            started=self.started or timeline.began is not None,
            superseded=self.superseded or timeline.restarted,
            status_name=self.status_name if timeline is self.timeline else timeline.status_name or self.status_name,
            absences=self.absences + 1 if observation.absent else self.absences,
        )
        return _with_machine(evidence, lifecycle, observation.machine) if observation.machine else evidence


def _with_machine(evidence: Evidence, lifecycle: Lifecycle, machine: Machine) -> Evidence:
    runs, superseded = evidence.runs, False
    if now := lifecycle.runs(machine):
        before = evidence.baseline.runs or now
        known = evidence.runs or (None,) * len(now)
        superseded = any(was is not None and run not in (None, was) for was, run in zip(known, now, strict=True))
        runs = tuple(
            was if was is not None else (run if run != old else None)
            for was, old, run in zip(known, before, now, strict=True)
        )
    return replace(
        evidence,
        machine=machine,
        absences=0,
        status_name=machine.status_name,
        runs=runs,
        started=evidence.started
        or (not evidence.timeline.preceded and lifecycle.shows_start(machine, evidence.baseline.runs, runs)),
        superseded=evidence.superseded or superseded,
    )


def limit_to_run(evidence: Evidence, observation: Observation) -> Observation:
    """Limit an observation to this run: anything after the run's end belongs to another one."""
    ended = evidence.timeline.ended
    last = math.inf if ended is None else ended.id
    events = tuple(event for event in observation.events if evidence.baseline.cursor < event.id <= last)
    return replace(observation, events=events, script_sets={} if ended else observation.script_sets)


def judge(lifecycle: Lifecycle, evidence: Evidence) -> Verdict:
    """Return the verdict: by the event of the run's end, otherwise by the latest read. Before a read it is pending.

    The machine may change again before it is read, for example when another user allocates it at once. Therefore the
    event of the end decides, whatever happened later. The read decides only if there is no such event.
    """
    if evidence.gone:
        return lifecycle.verdict_if_gone(on_vm_host=evidence.baseline.machine.pod is not None)
    if evidence.machine is None or not evidence.started:
        return Verdict.PENDING
    end = evidence.timeline.end
    status = evidence.machine.status if end is None else end  # New is 0
    if not isinstance(status, MachineStatus):
        return Verdict.UNKNOWN
    if evidence.superseded and end is None:
        return Verdict.REVERTED
    verdict = lifecycle.verdict(status)
    if evidence.reverted and status is evidence.baseline.machine.status:  # possibly a failure status of an earlier run
        return Verdict.REVERTED
    undone = lifecycle.hides_an_undoing and (evidence.aborted or evidence.reverted)
    return Verdict.REVERTED if undone and verdict is Verdict.SUCCEEDED else verdict
