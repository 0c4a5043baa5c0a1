"""Replays a topic: all exchanges in their order, on a fresh region with the recorded world, over real HTTP."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from maas_simulator import serving
from simulator.tests.contract.comparison import differences
from simulator.tests.contract.recording import Answer, Exchange, exchanges
from simulator.tests.contract.scene import Scene, StuckError
from simulator.tests.contract.sender import Sender
from simulator.tests.contract.stories import STORIES, WORLD

NOT_SIMULATED = 501


@dataclass(frozen=True)
class Known:
    """Known differences with their reasons, by name of the exchange or key."""

    incidental: dict[str, str]
    explained: dict[str, str]
    not_simulated: dict[str, str]


@cache
def known() -> Known:
    """Read ``differences.toml``."""
    return Known(**tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8")))


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
    scene = Scene()
    scene.play(WORLD)
    with serving(scene.region) as url:
        sender = Sender(scene.region, url)
        try:
            return [_again(exchange, scene, sender) for exchange in exchanges(topic)]
        finally:
            sender.close()


@cache
def outcomes(topic: str) -> tuple[Outcome, ...]:
    """Return the results of a topic, which is replayed once for all tests."""
    return tuple(replay(topic))


def _again(exchange: Exchange, scene: Scene, sender: Sender) -> Outcome:
    try:
        scene.play(STORIES.get(exchange.name, ()))
    except StuckError as stuck:
        return Outcome(exchange, Answer(0, {}), (str(stuck),))
    answer = scene.ids.learn(exchange.answer, sender.send(scene.ids.in_request(exchange)))
    return Outcome(exchange, answer, tuple(differences(exchange.answer, answer, known().incidental)))
