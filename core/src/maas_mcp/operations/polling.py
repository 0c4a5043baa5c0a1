"""How what a poll saw becomes a verdict, a fraction and a message: pure, with no clock and no I/O.

An :class:`Observation` goes in with the :class:`Evidence` so far, an :class:`Assessment` comes out. The verdict is the
lifecycle's, the same for every strategy; a strategy adds how far the operation is. So both can be replayed from
recorded traffic, and tested for every order of events.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final, final

from maas_mcp.maas.models import Event, Machine, ScriptSet, ScriptSetName
from maas_mcp.maas.statuses import RUN_FIELDS, MachineStatus
from maas_mcp.operations.course import UNTOLD, Course, enters
from maas_mcp.operations.declared_statuses import declared_statuses
from maas_mcp.operations.progress import silence

ABSENCES_TO_BE_GONE: Final = 2
"""A machine is gone when two reads in a row do not show it: one may have raced a change of owner or pool."""
BEFORE_SUCCESS: Final = 0.99
"""The most that a milestone may claim: 1.0 is success, and only the machine's status says that."""


class Verdict(Enum):
    """What an operation has come to."""

    PENDING = auto()
    """Under way, or not seen to have begun."""
    SUCCEEDED = auto()
    FAILED = auto()
    REVERTED = auto()
    """Ended from outside: aborted, released, or taken over by another run."""
    GONE = auto()
    """The machine is no longer there."""
    UNKNOWN = auto()
    """The machine has a status that this release does not know; whoever follows it goes on."""

    @property
    def final(self) -> bool:
        """Whether nothing more is to be expected."""
        return self not in {Verdict.PENDING, Verdict.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Milestone:
    """How far an operation is, and what to call that."""

    fraction: float | None
    """From 0.0 to 1.0, ``None`` where it cannot be told."""
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was seen comes to: the verdict, how far it is, and what to say."""

    verdict: Verdict
    milestone: Milestone

    @property
    def fraction(self) -> float | None:
        """From 0.0 to 1.0, ``None`` where it cannot be told."""
        return self.milestone.fraction

    @property
    def message(self) -> str:
        """What to say."""
        return self.milestone.text


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """The statuses that an operation begins in, passes through and ends in.

    Args:
        start_from: Where MAAS accepts the operation.
        pending: What the machine shows while the operation runs; the first one it passes need not be the only one.
        begins_in: Those of ``pending`` that the operation enters first, if another operation enters the rest directly:
            a commissioning begins in *Commissioning*, and goes on to *Testing*, in which a mere test begins. By
            default all of them.
        success: Where it has succeeded. A status may be in ``start_from`` as well: commissioning starts and ends in
            *Ready*, so success counts only after a pending status, or a new script set, was seen.
        failure: Where it has failed.
        gone: What it means when a virtual machine of a VM host is deleted meanwhile: ``Verdict.SUCCEEDED`` where MAAS
            itself does that, as when one is released that it had composed. Any other machine is ``GONE`` then.
    """

    start_from: frozenset[MachineStatus]
    pending: frozenset[MachineStatus]
    success: frozenset[MachineStatus]
    failure: frozenset[MachineStatus]
    begins_in: frozenset[MachineStatus]
    gone: Verdict

    def __init__(
        self,
        *,
        start_from: Collection[MachineStatus],
        pending: Collection[MachineStatus],
        success: Collection[MachineStatus],
        failure: Collection[MachineStatus] = (),
        begins_in: Collection[MachineStatus] | None = None,
        gone: Verdict = Verdict.GONE,
    ) -> None:
        for name, statuses in (
            ("start_from", start_from),
            ("pending", pending),
            ("success", success),
            ("failure", failure),
            ("begins_in", pending if begins_in is None else begins_in),
        ):
            object.__setattr__(self, name, declared_statuses(name, statuses))
        if not isinstance(gone, Verdict):
            raise TypeError(
                f"Lifecycle: `gone`: expected a Verdict, but it is {gone!r}. "
                "Write `gone=Verdict.SUCCEEDED`, or leave it out."
            )
        object.__setattr__(self, "gone", gone)
        overlap = self.pending & (self.success | self.failure)
        if overlap or not (self.start_from and self.pending and self.success):
            raise ValueError(
                "Lifecycle: expected at least one status each in start_from, pending and success, and none that is "
                f"both pending and an end; got {self!r}. Move the statuses in which MAAS is still at work to pending."
            )

        if not self.begins_in or not self.begins_in <= self.pending:
            raise ValueError(
                f"Lifecycle: expected some of the statuses of `pending` in `begins_in`; got {self!r}. "
                "Leave `begins_in` out, unless another operation passes through the same statuses."
            )

    def verdict(self, status: MachineStatus) -> Verdict:
        """What a status means once the operation has started."""
        if status in self.pending:
            return Verdict.PENDING
        if status in self.success:
            return Verdict.SUCCEEDED
        return Verdict.FAILED if status in self.failure else Verdict.REVERTED

    def verdict_if_gone(self, *, on_vm_host: bool) -> Verdict:
        """What the machine's deletion means."""
        return self.gone if on_vm_host else Verdict.GONE

    def is_entered_by(self, event: Event) -> bool:
        """Whether ``event`` takes the machine into a status of ``begins_in`` from outside: the start of a run."""
        return enters(self.pending, event, self.begins_in)

    def may_be_at(self, machine: Machine, events: Iterable[Event]) -> bool:
        """Whether what ``machine`` is at may be this operation, by the newest ``events``, oldest first."""
        if machine.status not in self.pending or machine.status in self.begins_in:
            return machine.status in self.pending
        entered = [event for event in events if enters(self.pending, event)]
        return not entered or self.is_entered_by(entered[-1])

    @property
    def hides_an_undoing(self) -> bool:
        """Whether a run that was undone may end where one that succeeded does: a test ends where it began."""
        return bool(self.start_from & self.success)

    def runs(self, machine: Machine) -> tuple[int | None, ...]:
        """The identity of the machine's latest run: its script sets, in the order of MAAS's status numbers.

        Empty where the operation has none, and where MAAS's answer about one of them cannot be read.
        """
        statuses = self._with_runs
        if not {RUN_FIELDS[status] for status in statuses}.isdisjoint(machine.unreadable):
            return ()
        return tuple(machine.run(status) for status in statuses)

    @property
    def _with_runs(self) -> list[MachineStatus]:
        return [status for status in sorted(self.pending) if status in RUN_FIELDS]

    def shows_start(self, machine: Machine, baseline: "Baseline", runs: Sequence[int | None]) -> bool:
        """Whether a read shows that the operation has begun: its status, or a script set that is new.

        Args:
            machine: The machine as it was read.
            baseline: What was true before.
            runs: The script sets that are new, as :meth:`runs` orders them.
        """
        if machine.status in (self.begins_in if baseline.runs else self.pending):
            return True
        pairs = zip(self._with_runs, runs, strict=False)  # there may be none that can be read
        return any(run is not None and status in self.begins_in for status, run in pairs)


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
    course: Course = UNTOLD
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
    milestone: Milestone = Milestone(0.0, "")
    """The latest one, as the strategy has measured it; its fraction never decreases."""

    @property
    def gone(self) -> bool:
        """Whether the machine is no longer there."""
        return self.absences >= ABSENCES_TO_BE_GONE

    @property
    def aborted(self) -> bool:
        """Whether someone aborted it."""
        return self.course.aborted

    @property
    def taken_back(self) -> bool:
        """Whether MAAS undid the start, since it could not switch the machine on."""
        return self.course.taken_back

    @property
    def warnings(self) -> tuple[Event, ...]:
        """Warnings and errors of this run, oldest first."""
        return self.course.warnings

    @property
    def user_actions(self) -> tuple[Event, ...]:
        """What users did while it ran, oldest first: who aborted or released the machine stands here."""
        return self.course.user_actions

    @property
    def moved_on(self) -> bool:
        """Whether the machine is no longer as this run has left it: what it shows is another run's."""
        end = self.course.end
        return self.superseded or (end is not None and self.machine is not None and self.machine.status != end)

    def with_(self, lifecycle: Lifecycle, observation: Observation) -> "Evidence":
        """This and what ``observation`` adds."""
        news = [event for event in observation.events if event.id > self.baseline.cursor]
        course = self.course.with_(lifecycle.pending, lifecycle.begins_in, news)
        began = course.began is not None and not self.started
        ended = course.ended is not None and course.ended != self.course.ended
        evidence = replace(
            self,
            course=course,
            machine=None if began or ended else self.machine,  # as it was before says nothing of what came then
            started=self.started or course.began is not None,
            superseded=self.superseded or course.again,
            status_name=self.status_name if course is self.course else course.status_name or self.status_name,
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
        started=evidence.started or lifecycle.shows_start(machine, evidence.baseline, runs),
        superseded=evidence.superseded or superseded,
    )


@dataclass(frozen=True, slots=True)
class MachineAssessment(Assessment):
    """What the evidence comes to, and the evidence."""

    evidence: Evidence


class PollingStrategy(ABC):
    """How an operation is observed. Subclass it and override :meth:`measure` to tell progress in another way.

    What an operation has come to is judged by its lifecycle alone.
    """

    needs: Needs = Needs()
    """What observations have to hold."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "assess" in vars(cls):
            raise TypeError(
                f"{cls.__qualname__}.assess: the lifecycle judges what an operation has come to, and no strategy. "
                "Override `measure`, which says how far it is."
            )

    @final
    def assess(self, lifecycle: Lifecycle, evidence: Evidence, observation: Observation) -> MachineAssessment:
        """What is known after ``observation``. The fraction never decreases, and is 1.0 at success only."""
        known = evidence.with_(lifecycle, observation)
        verdict = judge(lifecycle, known)
        measured = self.measure(known, _of_this_run(known, observation))
        fraction, before = measured.fraction, known.milestone.fraction or 0.0
        if fraction is not None:
            fraction = min(max(fraction if math.isfinite(fraction) else before, before), BEFORE_SUCCESS)
        known = replace(known, milestone=replace(measured, fraction=fraction))
        shown = Milestone(1.0 if verdict is Verdict.SUCCEEDED else fraction, _message(verdict, known, observation))
        return MachineAssessment(verdict, shown, known)

    @abstractmethod
    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """How far the operation is, from 0.0 to below 1.0, and what to call it.

        Args:
            evidence: All that is known, ``observation`` included. ``evidence.milestone`` is what this method last
                answered.
            observation: What is new of this run: events until its end, and script sets until then.

        Returns:
            The milestone to show. A fraction lower than the last one is ignored.
        """


def _of_this_run(evidence: Evidence, observation: Observation) -> Observation:
    """What was seen of this run: what comes after its end is another's, such as the next user's deployment."""
    ended = evidence.course.ended
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
    end = evidence.course.end
    status = evidence.machine.status if end is None else end  # New is 0
    if not isinstance(status, MachineStatus):
        return Verdict.UNKNOWN
    if evidence.superseded and end is None:
        return Verdict.REVERTED
    verdict = lifecycle.verdict(status)
    if evidence.taken_back and status is evidence.baseline.machine.status:  # which may be one of an earlier failure
        return Verdict.REVERTED
    undone = lifecycle.hides_an_undoing and (evidence.aborted or evidence.taken_back)
    return Verdict.REVERTED if undone and verdict is Verdict.SUCCEEDED else verdict


def _message(verdict: Verdict, evidence: Evidence, observation: Observation) -> str:
    machine = evidence.machine or evidence.baseline.machine
    milestone = evidence.milestone.text or evidence.status_name or machine.status_name
    if observation.unreachable_for is not None:
        told = silence(observation.unreachable_for, answering=observation.answering)
        return f"{told}; last seen: {milestone}"
    if verdict is Verdict.UNKNOWN:
        return f"{machine.status_name} (status {machine.status}, which this version of maas-mcp does not know)"
    if evidence.gone:
        return f"{machine.hostname} is no longer in MAAS"
    return _ending(machine, evidence) if verdict.final else milestone


def _ending(machine: Machine, evidence: Evidence) -> str:
    end = evidence.course.end
    if end is None or end == machine.status:
        return machine.status_name
    owner = f" for {machine.owner}" if machine.owner else ""
    return f"{end.display}; since then {machine.hostname} has become {machine.status_name}{owner}"


@dataclass(frozen=True, slots=True)
class Phase:
    """A milestone of an operation: an event that MAAS writes, and how far the operation is then.

    Args:
        event: The event's type, as MAAS shows it: ``Loading ephemeral``.
        fraction: How far the operation is once the event is there, from 0.0 to 1.0.
        description: The event's description, where the type alone is not enough: a machine asks for PXE more than once.
        message: What to show, where it is not the event's type.
    """

    event: str
    fraction: float
    description: str | None = None
    message: str | None = None

    def matches(self, event: Event) -> bool:
        """Whether ``event`` is this milestone."""
        return event.type == self.event and self.description in (None, event.description)


class EventPolling(PollingStrategy):
    """Progress from MAAS's own events: each phase is reached when its event is there.

    A phase below the one already reached changes nothing: the second PXE boot of a deploy comes after the install.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        phases = _checked_phases(phases)
        fractions = [phase.fraction for phase in phases]
        if fractions != sorted(fractions) or not all(0 <= fraction <= 1 for fraction in fractions):
            raise ValueError(
                f"EventPolling: expected phases in the order in which they happen, with fractions from 0.0 to 1.0; "
                f"got {fractions}. Sort the phases by the order in which MAAS writes their events."
            )
        self.phases = phases

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """The furthest phase whose event was seen."""
        furthest = replace(evidence.milestone, fraction=evidence.milestone.fraction or 0.0)
        for event in observation.events:
            for phase in self.phases:
                if phase.fraction > (furthest.fraction or 0.0) and phase.matches(event):
                    furthest = Milestone(phase.fraction, phase.message or phase.event)
        return furthest


def _checked_phases(phases: object) -> tuple[Phase, ...]:
    advice = 'Write `[Phase("Installing OS", 0.4), …]`, with Phase from maas_mcp.api.'
    if isinstance(phases, str | Phase) or not isinstance(phases, Iterable):
        raise TypeError(f"expected a list of Phase, but it is {phases!r}. {advice}")
    found = tuple(phases)
    for phase in found:
        if not isinstance(phase, Phase):
            raise TypeError(f"expected a list of Phase, but {phase!r} is in it. {advice}")
        numeric = isinstance(phase.fraction, int | float) and not isinstance(phase.fraction, bool)
        texts = (phase.event, phase.description or "", phase.message or "")
        if not numeric or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"expected an event's type and a number in a Phase, but it is {phase!r}. {advice}")
    return found


class StatusPolling(PollingStrategy):
    """No milestones: the machine's status is all that is told, and time passes."""

    needs = Needs(events=False)

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """No fraction; the status is the milestone."""
        machine = observation.machine or evidence.machine
        return Milestone(None, machine.status_name if machine else evidence.milestone.text)
