"""Recorded operations of MAAS 3.7.3 regions, as the observations of a poller."""

from collections.abc import Iterator, Sequence
from functools import cache

from maas_mcp.maas.models import Event, Machine, ScriptSet, ScriptSetName
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Observation
from maas_mcp.operations.judging.lifecycle import Lifecycle
from maas_mcp.operations.judging.strategies import MachineAssessment, PollingStrategy
from simulator.tests.recordings import Frame, named


class Timeline:
    """One recorded operation."""

    def __init__(self, name: str, lifecycle: Lifecycle) -> None:
        machine, cursor, self.observations = _recorded(name)
        self.baseline = Baseline(machine, cursor, lifecycle.runs(machine))

    @property
    def events(self) -> list[Event]:
        return [event for observation in self.observations for event in observation.events]

    @property
    def machines(self) -> list[Machine]:
        return [observation.machine for observation in self.observations if observation.machine]


@cache
def _recorded(name: str) -> tuple[Machine, int, tuple[Observation, ...]]:
    """Return the machine and the newest event before the start, and the observations since. Frozen, and read only
    once."""
    recording = named(name)
    _, *frames = recording.frames
    seen = [_observation(frame) for frame in frames]
    # An unchanged state was recorded once, although every poll observed it. This includes a missing machine.
    observations = tuple(each for one in seen for each in ((one, one) if one.absent else (one,)))
    return Machine.model_validate(recording.machines[0]), recording.cursor, observations


def _observation(frame: Frame) -> Observation:
    read, sets = frame.machine, {name: frame.scripts.get(name.removeprefix("current-")) for name in ScriptSetName}
    return Observation(
        machine=Machine.model_validate(read.json) if read and read.json else None,
        absent=read is not None and read.json is None,
        events=tuple(map(Event.model_validate, frame.events)),
        script_sets={
            name: ScriptSet.model_validate(reported.json)
            for name, reported in sets.items()
            if reported and reported.json
        },
    )


def replay(
    strategy: PollingStrategy, lifecycle: Lifecycle, baseline: Baseline, observations: Sequence[Observation]
) -> Iterator[MachineAssessment]:
    """Assess the observations in order, up to the end of the operation."""
    evidence = Evidence(baseline)
    for observation in observations:
        assessment = strategy.assess(lifecycle, evidence, observation)
        evidence = assessment.evidence
        yield assessment
        if assessment.verdict.final:
            return
