"""How what a poll saw becomes a verdict, a fraction and a message: pure, with no clock and no I/O.

An ``Observation`` goes in with the ``Evidence`` so far, an ``Assessment`` comes out. The verdict is the lifecycle's,
the same for every strategy; a strategy adds how far the operation is. So both can be replayed from recorded traffic,
and tested for every order of events.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.judging.assessment import BEFORE_SUCCESS, Assessment, Milestone
from maas_mcp.operations.judging.evidence import Evidence, Needs, Observation, judge, of_this_run
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.progress import silence


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
        measured = self.measure(known, of_this_run(known, observation))
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
    end = evidence.timeline.end
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
