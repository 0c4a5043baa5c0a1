"""The simulator answers what MAAS 3.7.3 answered; where it does not, the reason is written down, and is still one."""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import pytest

from simulator.tests.contract.asking import MANNERS
from simulator.tests.contract.comparing import differences
from simulator.tests.contract.recording import TOPICS, Exchange, exchanges
from simulator.tests.contract.replay import NOT_SIMULATED, known, outcomes
from simulator.tests.contract.stories import STORIES
from simulator.tests.contract.table import markdown, row, share, total

LEAST = 0.95
"""The share of exchanges that has to be the same."""

RECORDED = 271
PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "simulator.md"


def every_exchange() -> list[Exchange]:
    return [exchange for topic in TOPICS for exchange in exchanges(topic)]


@pytest.mark.parametrize("topic", TOPICS)
def test_the_simulator_answers_as_maas_did(topic: str, record_property: Callable[[str, object], None]) -> None:
    played = outcomes(topic)
    record_property("contract", astuple(row(topic, played)))
    unexplained = {
        outcome.name: outcome.differences
        for outcome in played
        if not outcome.same and outcome.name not in known().explained | known().not_simulated
    }
    assert unexplained == {}


@pytest.mark.parametrize("topic", TOPICS)
def test_what_is_explained_still_differs(topic: str) -> None:
    same = {outcome.name for outcome in outcomes(topic) if outcome.same}
    assert same & (known().explained | known().not_simulated).keys() == set()


@pytest.mark.parametrize("topic", TOPICS)
def test_what_is_not_simulated_is_a_501_that_says_so(topic: str) -> None:
    for outcome in outcomes(topic):
        answered = (outcome.answer.status, (outcome.answer.text or "").startswith("The simulator does not do this: "))
        assert (answered == (NOT_SIMULATED, True)) == (outcome.name in known().not_simulated), outcome.name


def test_nearly_all_is_the_same() -> None:
    whole = total([row(topic, outcomes(topic)) for topic in TOPICS])
    assert whole.exchanges == RECORDED
    assert whole.same >= LEAST * RECORDED, share(whole)


def test_every_incidental_key_differs_somewhere() -> None:
    played = [outcome for topic in TOPICS for outcome in outcomes(topic) if outcome.same]
    found = [each for outcome in played for each in differences(outcome.exchange.answer, outcome.answer, {})]
    differing = {each.partition(" ")[0].rpartition(".")[2].partition("[")[0] for each in found}
    assert known().incidental.keys() - differing == set()


def test_stories_manners_and_differences_are_about_exchanges_that_there_are() -> None:
    names = [exchange.name for exchange in every_exchange()]
    assert len(set(names)) == len(names) == RECORDED
    told = STORIES.keys() | MANNERS.keys() | known().explained.keys() | known().not_simulated.keys()
    assert told - set(names) == set()


def test_the_documented_table_is_this_one() -> None:
    rows = [row(topic, outcomes(topic)) for topic in TOPICS]
    assert markdown(rows) in PAGE.read_text(encoding="utf-8"), f"{PAGE.name} has to say:\n\n{markdown(rows)}"
