"""Playing a topic again: every exchange in its order, on a fresh region with the recorded world, over real HTTP."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from maas_simulator import serving
from simulator.tests.contract.asking import Asker
from simulator.tests.contract.comparing import differences
from simulator.tests.contract.recording import Answer, Exchange, exchanges
from simulator.tests.contract.scene import Scene, StuckError
from simulator.tests.contract.stories import STORIES, WORLD

NOT_SIMULATED = 501


@dataclass(frozen=True)
class Known:
    """What is known to differ: each a reason, by the name of the exchange or of the key."""

    incidental: dict[str, str]
    explained: dict[str, str]
    not_simulated: dict[str, str]


@cache
def known() -> Known:
    """What ``differences.toml`` says."""
    return Known(**tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Outcome:
    """How one exchange went the second time, with ``answer`` in the recording's words."""

    exchange: Exchange
    answer: Answer
    differences: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the exchange."""
        return self.exchange.name

    @property
    def same(self) -> bool:
        """Whether the simulator answered as MAAS did."""
        return not self.differences


def replay(topic: str) -> list[Outcome]:
    """Play a topic."""
    scene = Scene()
    scene.play(WORLD)
    with serving(scene.region) as url:
        asker = Asker(scene.region, url)
        try:
            return [_again(exchange, scene, asker) for exchange in exchanges(topic)]
        finally:
            asker.close()


@cache
def outcomes(topic: str) -> tuple[Outcome, ...]:
    """How a topic goes, played once for all tests."""
    return tuple(replay(topic))


def _again(exchange: Exchange, scene: Scene, asker: Asker) -> Outcome:
    try:
        scene.play(STORIES.get(exchange.name, ()))
    except StuckError as stuck:
        return Outcome(exchange, Answer(0, {}), (str(stuck),))
    answer = scene.ids.learn(exchange.answer, asker.ask(scene.ids.in_request(exchange)))
    return Outcome(exchange, answer, tuple(differences(exchange.answer, answer, known().incidental)))
