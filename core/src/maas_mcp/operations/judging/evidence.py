"""Everything that was seen of a run, and the verdict by it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from maas_mcp.maas.models import Event, Machine, ScriptSet, ScriptSetName
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.judging.assessment import UNMEASURED, Milestone
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.timeline import UNTOLD, RunTimeline

ABSENCES_TO_BE_GONE: Final = 2
"""A machine is gone when two reads in a row do not show it: one may have raced a change of owner or pool."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was true before the operation was started, or what is still known of it."""

    machine: Machine
    cursor: int
    """The newest event's id: what comes after it is news."""
    runs: tuple[int | None, ...]
    """The script sets of the runs before this one, as :meth:`Lifecycle.runs` gives them; empty where they are not
    known, as for a run that someone else started: then only events and statuses tell that it began."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a strategy wants to see beside the machine itself."""

    events: bool = True
    """Without events the machine is read at every tick, which costs MAAS a hundred times as much."""
    script_sets: frozenset[ScriptSetName] = frozenset()
    """Script sets of the latest runs; MAAS reads every output for them, so they are asked for every 10 s or so."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one poll saw of one machine."""

    machine: Machine | None = None
    """The machine, if it was read."""
    absent: bool = False
    """Whether it was asked for and not there."""
    events: tuple[Event, ...] = ()
    """New events, oldest first."""
    unreachable_for: float | None = None
    """Seconds since MAAS was last read, or ``None`` while it is."""
    script_sets: Mapping[ScriptSetName, ScriptSet] = field(default_factory=dict)
    """Those that were read, of those that :class:`Needs` names; a set that MAAS does not have is missing."""
    answering: bool = False
    """Whether it answers meanwhile, if only with errors such as a 500."""


NOTHING: Final = Observation()
"""A poll that saw nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was seen since the start, as far as it matters."""

    baseline: Baseline
    machine: Machine | None = None
    """The latest read since the start; none from before the run began, or from before it ended."""
    timeline: RunTimeline = UNTOLD
    """What the events tell."""
    started: bool = False
    """Whether a pending status or a new run was seen."""
    runs: tuple[int | None, ...] = ()
    """The script sets of this run, as far as they differ from the baseline's."""
    superseded: bool = False
    """Whether another run than ours was seen."""
    absences: int = 0
    status_name: str = ""
    """The status that was last told of, by an event or by a read."""
    milestone: Milestone = UNMEASURED
    """The latest one, as the strategy has measured it; its fraction never decreases."""

    @property
    def gone(self) -> bool:
        """Whether the machine is no longer there."""
        return self.absences >= ABSENCES_TO_BE_GONE

    @property
    def aborted(self) -> bool:
        """Whether someone aborted it."""
        return self.timeline.aborted

    @property
    def reverted(self) -> bool:
        """Whether MAAS undid the start, since it could not switch the machine on."""
        return self.timeline.reverted

    @property
    def warnings(self) -> tuple[Event, ...]:
        """Warnings and errors of this run, oldest first."""
        return self.timeline.warnings

    @property
    def user_actions(self) -> tuple[Event, ...]:
        """What users did while it ran, oldest first: who aborted or released the machine stands here."""
        return self.timeline.user_actions

    @property
    def moved_on(self) -> bool:
        """Whether the machine is no longer as this run has left it: what it shows is another run's."""
        end = self.timeline.end
        return self.superseded or (end is not None and self.machine is not None and self.machine.status != end)

    def with_(self, lifecycle: Lifecycle, observation: Observation) -> "Evidence":
        """This and what ``observation`` adds."""
        news = [event for event in observation.events if event.id > self.baseline.cursor]
        timeline = self.timeline.with_(lifecycle.pending, lifecycle.begins_in, news)
        began = timeline.began is not None and not self.started
        ended = timeline.ended is not None and timeline.ended != self.timeline.ended
        evidence = replace(
            self,
            timeline=timeline,
            machine=None if began or ended else self.machine,  # as it was before says nothing of what came then
            started=self.started or timeline.began is not None,
            superseded=self.superseded or timeline.again,
            status_name=self.status_name if timeline is self.timeline else timeline.status_name or self.status_name,
            absences=self.absences + 1 if observation.absent else self.absences,
        )
        return _after_read(evidence, lifecycle, observation.machine) if observation.machine else evidence


def _after_read(evidence: Evidence, lifecycle: Lifecycle, machine: Machine) -> Evidence:
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
        or (not evidence.timeline.others and lifecycle.shows_start(machine, evidence.baseline.runs, runs)),
        superseded=evidence.superseded or superseded,
    )


def of_this_run(evidence: Evidence, observation: Observation) -> Observation:
    """What was seen of this run: what comes after its end is another's, such as the next user's deployment."""
    ended = evidence.timeline.ended
    last = math.inf if ended is None else ended.id
    events = tuple(event for event in observation.events if evidence.baseline.cursor < event.id <= last)
    return replace(observation, events=events, script_sets={} if ended else observation.script_sets)


def judge(lifecycle: Lifecycle, evidence: Evidence) -> Verdict:
    """The verdict: by the event that tells of the run's end, else by the latest read, and never before a read.

    A machine may move on before it is read: a free one is taken by whoever waits for one. So a run has ended as its
    own event says, whatever came later; where that event is missing, the read is all there is.
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
    if evidence.reverted and status is evidence.baseline.machine.status:  # which may be one of an earlier failure
        return Verdict.REVERTED
    undone = lifecycle.hides_an_undoing and (evidence.aborted or evidence.reverted)
    return Verdict.REVERTED if undone and verdict is Verdict.SUCCEEDED else verdict
