"""Recorded operations of a MAAS 3.7.3 region, as the observations that a poller would have made."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from maas_mcp.maas.models import Event, Machine, ScriptSet, ScriptSetName
from maas_mcp.operations.polling import (
    Assessment,
    Baseline,
    Evidence,
    Lifecycle,
    Observation,
    PollingStrategy,
)

FOLDER = Path(__file__).parents[2] / "data" / "timelines"


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
    """The machine and the newest event before it, and what was seen then: all of it frozen, and read once."""
    frames: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())["frames"]
    first, *others = frames
    return Machine.model_validate(first["machine"]), first["cursor"], tuple(map(_observation, others))


def _observation(frame: dict[str, Any]) -> Observation:
    machine = Machine.model_validate(frame["machine"]) if frame.get("machine") else None
    events = sorted((Event.model_validate(event) for event in frame.get("events", [])), key=lambda event: event.id)
    sets = {
        name: ScriptSet.model_validate(frame[key])
        for name in ScriptSetName
        if "results" in frame.get(key := name.replace("current-", "scripts_"), {})  # else it holds MAAS's 400
    }
    return Observation(machine=machine, events=tuple(events), script_sets=sets)


def replay(
    strategy: PollingStrategy, lifecycle: Lifecycle, baseline: Baseline, observations: Sequence[Observation]
) -> Iterator[Assessment]:
    """Assess the observations in turn, up to the end of the operation."""
    evidence = Evidence(baseline)
    for observation in observations:
        assessment = strategy.assess(lifecycle, evidence, observation)
        evidence = assessment.evidence
        yield assessment
        if assessment.verdict.final:
            return
