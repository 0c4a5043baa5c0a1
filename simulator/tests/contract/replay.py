"""Replays a topic of the first recording: all exchanges in their order, on a fresh region, over real HTTP."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from maas_simulator import serving
from simulator.tests.contract.comparison import differences
from simulator.tests.contract.recording import FIRST, Answer, Exchange
from simulator.tests.contract.scene import Scene, StuckError
from simulator.tests.contract.sender import Sender
from simulator.tests.contract.stories import STORIES, WORLD
from simulator.tests.contract.world import first_region

NOT_SIMULATED = 501


@dataclass(frozen=True)
class Known:
    """Known differences with their reasons, by name of the exchange or key."""

    incidental: dict[str, str]
    explained: dict[str, str]
    not_simulated: dict[str, str]


@cache
def known(recording: str = "first") -> Known:
    """Read ``differences.toml``: the incidental keys, and the differences of a recording."""
    read: dict[str, Any] = tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8"))
    return Known(read["incidental"], **read[recording])


@dataclass(frozen=True)
class Outcome:
    """The result of one repeated exchange; ``answer`` has the recorded ids."""

    exchange: Exchange
    answer: Answer
    differences: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the exchange."""
        return self.exchange.name

    @property
    def same(self) -> bool:
        """Whether the simulator answered like MAAS."""
        return not self.differences


def replay(topic: str) -> list[Outcome]:
    """Replay a topic."""
    scene = Scene(first_region())
    scene.play(WORLD)
    with serving(scene.region) as url:
        sender = Sender(scene.region, url)
        try:
            return [_after_its_story(exchange, scene, sender) for exchange in FIRST.exchanges(topic)]
        finally:
            sender.close()


@cache
def outcomes(topic: str) -> tuple[Outcome, ...]:
    """Return the results of a topic, which is replayed once for all tests."""
    return tuple(replay(topic))


def send_again(exchange: Exchange, scene: Scene, sender: Sender, problems: Sequence[str] = ()) -> Outcome:
    """Repeat an exchange. ``problems`` before it count as differences."""
    received, recorded = sender.send(scene.ids.in_request(exchange)), exchange.answer
    scene.ids.learn(recorded.json, received.json)
    answer = scene.ids.in_answer(received)
    return Outcome(exchange, answer, (*problems, *differences(recorded, answer, known().incidental)))


def _after_its_story(exchange: Exchange, scene: Scene, sender: Sender) -> Outcome:
    try:
        scene.play(STORIES.get(exchange.name, ()))
    except StuckError as stuck:
        return Outcome(exchange, Answer(0, {}), (str(stuck),))
    return send_again(exchange, scene, sender)
