"""Polling strategies: they measure progress. Pure, with no clock and no I/O.

An ``Observation`` and the ``Evidence`` so far result in an ``Assessment``. The lifecycle decides the verdict in the
same way for every strategy, and a strategy only adds the progress. So both can be replayed from recorded traffic, and
tested for every order of events.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.judging.assessment import BEFORE_SUCCESS, Assessment, Milestone
from maas_mcp.operations.judging.evidence import Evidence, Needs, Observation, judge, limit_to_run
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.progress import describe_outage


@dataclass(frozen=True, slots=True)
class MachineAssessment(Assessment):
    """An assessment of a machine, with its evidence."""

    evidence: Evidence


class PollingStrategy(ABC):
    """The way an operation's progress is measured. Subclass it and override :meth:`measure` for another way.

    The lifecycle alone decides the verdict.
    """

    needs: Needs = Needs()
    """The data that observations must contain."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "assess" in vars(cls):
            raise TypeError(
                f"{cls.__qualname__}.assess: expected no such method, because the lifecycle alone decides the verdict. "
                "Override `measure`, which measures the progress."
            )

    @final
    def assess(self, lifecycle: Lifecycle, evidence: Evidence, observation: Observation) -> MachineAssessment:
        """Assess the operation after ``observation``. The fraction never decreases, and is 1.0 only on success."""
        known = evidence.with_(lifecycle, observation)
        verdict = judge(lifecycle, known)
        measured = self.measure(known, limit_to_run(known, observation))
        fraction, before = measured.fraction, known.milestone.fraction or 0.0
        if fraction is not None:
            fraction = min(max(fraction if math.isfinite(fraction) else before, before), BEFORE_SUCCESS)
        known = replace(known, milestone=replace(measured, fraction=fraction))
        shown = Milestone(1.0 if verdict is Verdict.SUCCEEDED else fraction, _message(verdict, known, observation))
        return MachineAssessment(verdict, shown, known)

    @abstractmethod
    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Measure the progress of the operation, from 0.0 to below 1.0, and describe it.

        Args:
            evidence: Everything known, including ``observation``. ``evidence.milestone`` is the previous return value
                of this method.
            observation: The news of this run: events and script sets until its end.

        Returns:
            The milestone to show. A fraction lower than the last one is ignored.
        """


def _message(verdict: Verdict, evidence: Evidence, observation: Observation) -> str:
    machine = evidence.machine or evidence.baseline.machine
    milestone = evidence.milestone.text or evidence.status_name or machine.status_name
    if observation.unreachable_for is not None:
        outage = describe_outage(observation.unreachable_for, answering=observation.answering)
        return f"{outage}; last seen: {milestone}"
    if verdict is Verdict.UNKNOWN:
        return f"{machine.status_name} (status {machine.status}, which this version of maas-mcp does not know)"
    if evidence.gone:
        return f"{machine.hostname} is no longer in MAAS"
    return _end_message(machine, evidence) if verdict.final else milestone


def _end_message(machine: Machine, evidence: Evidence) -> str:
    end = evidence.timeline.end
    if end is None or end == machine.status:
        return machine.status_name
    owner = f" for {machine.owner}" if machine.owner else ""
    return f"{end.display}; since then {machine.hostname} has become {machine.status_name}{owner}"


@dataclass(frozen=True, slots=True)
class Phase:
    """A milestone of an operation: an event that MAAS writes, and the progress at that point.

    Args:
        event: The event's type, as MAAS shows it: ``Loading ephemeral``.
        fraction: The progress once the event exists, from 0.0 to 1.0.
        description: The event's description, if the type alone is ambiguous: a machine sends several PXE requests.
        message: The message to show instead of the event's type.
    """

    event: str
    fraction: float
    description: str | None = None
    message: str | None = None

    def matches(self, event: Event) -> bool:
        """Whether ``event`` is the event of this phase."""
        return event.type == self.event and self.description in (None, event.description)


class EventPolling(PollingStrategy):
    """Progress from MAAS's events: each phase is reached when its event exists.

    A phase below the one already reached is ignored: the second PXE boot of a deployment comes after the installation.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        phases = _checked_phases(phases)
        fractions = [phase.fraction for phase in phases]
        if fractions != sorted(fractions) or not all(0 <= fraction <= 1 for fraction in fractions):
            raise ValueError(
                f"EventPolling: expected phases in the order in which they happen, with fractions from 0.0 to 1.0; "
                f"got {fractions}. Sort the phases in the order in which MAAS writes their events."
            )
        self.phases = phases

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Return the furthest phase whose event was seen."""
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
            raise TypeError(
                f"expected an event type and a numeric fraction in each Phase, but one is {phase!r}. {advice}"
            )
    return found


class StatusPolling(PollingStrategy):
    """Progress without milestones: the machine's status and the elapsed time."""

    needs = Needs(events=False)

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Return the machine's status without a fraction."""
        machine = observation.machine or evidence.machine
        return Milestone(None, machine.status_name if machine else evidence.milestone.text)
