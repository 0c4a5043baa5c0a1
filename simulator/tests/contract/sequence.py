"""Replays the second recording: the exchanges and the lab's events of all topics in their common order."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from maas_simulator import serving
from maas_simulator.http.render import machine_json
from simulator.tests.contract.lab import Lab
from simulator.tests.contract.recording import SECOND, Exchange, LabEvent
from simulator.tests.contract.replay import Outcome, send_again
from simulator.tests.contract.scene import Scene, StuckError
from simulator.tests.contract.second_world import second_region, world
from simulator.tests.contract.sender import Sender

FACTOR: Final = 30.0
"""How many simulated seconds pass in a second of the recording, whose machines were programs without a delay."""

WAITS: Final = 200.0
"""How many pass in a second that the recording waited on purpose, until something had happened."""

LONGEST: Final = 900.0
"""The longest time in simulated seconds that passes at once. MAAS's time limits never passed in the recording."""

FREED: Final = {1436: "tg84sf"}
"""A machine that was released outside the sequence, before its owner was deleted."""

Steps = list[Exchange | LabEvent]


@cache
def sequence_outcomes() -> tuple[Outcome, ...]:
    """Return the results of all exchanges, which are replayed once for all tests."""
    return tuple(outcome for part in _parts(SECOND.sequence()) for outcome in _replay(part))


def topic_outcomes(topic: str) -> tuple[Outcome, ...]:
    """Return the results of a topic."""
    return tuple(outcome for outcome in sequence_outcomes() if outcome.exchange.topic == topic)


def _parts(steps: Iterable[Exchange | LabEvent]) -> Iterator[Steps]:
    """Split the sequence at its resets. A reset starts a part."""
    part: Steps = []
    for step in steps:
        if isinstance(step, LabEvent) and step.is_reset:
            yield part
            part = []
        part.append(step)
    yield part


def _replay(steps: Steps) -> list[Outcome]:
    scene = Scene(second_region())
    shown = [machine_json(scene.region, machine) for machine in scene.region.machines.values()]
    scene.ids.learn(world()["gets"]["machines/"], json.loads(json.dumps(shown)))
    with serving(scene.region) as url:
        sender = Sender(scene.region, url)
        try:
            return list(_Player(scene, sender, steps[0]).play(steps))
        finally:
            sender.close()


class _Player:
    """Plays a part of the sequence on a region."""

    def __init__(self, scene: Scene, sender: Sender, first: Exchange | LabEvent) -> None:
        self.scene, self.sender = scene, sender
        self.lab = Lab()
        self.t = first.t if isinstance(first, LabEvent) else first.ended
        self.problems: list[str] = []
        scene.region.authenticator.clock = lambda: world()["start"] + self.t

    def play(self, steps: Steps) -> Iterator[Outcome]:
        """Repeat the steps and return the results of the exchanges."""
        for step in steps:
            if isinstance(step, LabEvent):
                self._pass_time(step.t)
                self._happens(step)
                continue
            self._pass_time(step.ended)  # MAAS stores its changes at the end of a request.
            if step.n in FREED:
                self.scene.region.machines[FREED[step.n]].owner = None
            with self.lab.circumstances(step, self.scene):
                outcome = send_again(step, self.scene, self.sender, self.problems)
            self.problems = []
            yield outcome

    def _pass_time(self, until: float, factor: float = FACTOR) -> None:
        seconds = max(0.0, until - self.t)
        self.t += seconds
        self.scene.region.advance(min(seconds * factor, LONGEST))

    def _happens(self, event: LabEvent) -> None:
        try:
            self.lab.carry_out(event, self.scene)
        except (StuckError, KeyError) as problem:
            self.problems.append(f"after {event.n} {event.title}: {problem}")
        if event.hostname is None:
            self._pass_time(event.ended, WAITS)
        self.t = event.ended
