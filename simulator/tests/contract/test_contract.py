"""The simulator answers like MAAS 3.7.3, except for known differences, which have a reason and still exist."""

from collections.abc import Callable
from dataclasses import astuple

import pytest

from maas_simulator.http.endpoints import ENDPOINTS
from maas_simulator.http.unsimulated import UNSIMULATED, NotSimulated, unsimulated_handlers
from simulator.tests.contract.comparison import differences
from simulator.tests.contract.page import PAGE, render
from simulator.tests.contract.recording import FIRST, SECOND, Exchange
from simulator.tests.contract.replay import NOT_SIMULATED, known, outcomes
from simulator.tests.contract.sequence import sequence_outcomes, topic_outcomes
from simulator.tests.contract.stories import STORIES
from simulator.tests.contract.table import is_not_simulated, row, share, total

LEAST = 0.95
"""The minimum share of equal exchanges."""

RECORDED = 271

LEAST_OF_SECOND = 0.96
"""The minimum share of equal exchanges of the second recording."""


def every_exchange() -> list[Exchange]:
    return [exchange for topic in FIRST.topics for exchange in FIRST.exchanges(topic)]


@pytest.mark.parametrize("topic", FIRST.topics)
def test_the_simulator_answers_as_maas_did(topic: str, record_property: Callable[[str, object], None]) -> None:
    played = outcomes(topic)
    record_property("contract first", astuple(row(topic, played, known())))
    unexplained = {
        outcome.name: outcome.differences
        for outcome in played
        if not outcome.same and outcome.name not in known().explained | known().not_simulated
    }
    assert unexplained == {}


@pytest.mark.parametrize("topic", FIRST.topics)
def test_explained_differences_still_exist(topic: str) -> None:
    same = {outcome.name for outcome in outcomes(topic) if outcome.same}
    assert same & (known().explained | known().not_simulated).keys() == set()


@pytest.mark.parametrize("topic", FIRST.topics)
def test_unsimulated_exchanges_are_a_501_with_the_reason(topic: str) -> None:
    for outcome in outcomes(topic):
        answered = (outcome.answer.status, (outcome.answer.text or "").startswith("The simulator does not do this: "))
        assert (answered == (NOT_SIMULATED, True)) == (outcome.name in known().not_simulated), outcome.name


def test_nearly_all_exchanges_are_the_same() -> None:
    whole = total([row(topic, outcomes(topic), known()) for topic in FIRST.topics])
    assert whole.exchanges == RECORDED
    assert whole.same >= LEAST * RECORDED, share(whole)


def test_every_incidental_key_differs_somewhere() -> None:
    played = [*(outcome for topic in FIRST.topics for outcome in outcomes(topic)), *sequence_outcomes()]
    pairs = [(outcome.exchange.answer, outcome.answer) for outcome in played]
    found = [each for recorded, answer in pairs for each in differences(recorded, answer, {})]
    differing = {each.partition(" ")[0].rpartition(".")[2].partition("[")[0] for each in found}
    assert known().incidental.keys() - differing == set()


def test_stories_and_differences_name_existing_exchanges() -> None:
    names = [exchange.name for exchange in every_exchange()]
    assert len(set(names)) == len(names) == RECORDED
    known_names = STORIES.keys() | known().explained.keys() | known().not_simulated.keys()
    assert known_names - set(names) == set()


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `python -m simulator.tests.contract.page`"


def test_every_operation_that_is_listed_as_not_simulated_is_a_501() -> None:
    handlers = {endpoint.path: endpoint.handlers for endpoint in ENDPOINTS}
    for path in UNSIMULATED:
        for key in unsimulated_handlers(path):
            assert isinstance(handlers[path][key], NotSimulated), (path, key)


@pytest.mark.parametrize("topic", SECOND.topics)
def test_the_second_recording_differs_only_as_explained(
    topic: str, record_property: Callable[[str, object], None]
) -> None:
    played, reasons = topic_outcomes(topic), known("second")
    record_property("contract second", astuple(row(topic, played, reasons)))
    unexplained = {
        outcome.name: outcome.differences
        for outcome in played
        if not outcome.same and outcome.name not in reasons.explained and not is_not_simulated(outcome, reasons)
    }
    assert unexplained == {}
    same = {outcome.name for outcome in played if outcome.same}
    assert same & (reasons.explained | reasons.not_simulated).keys() == set()


def test_enough_exchanges_of_the_second_recording_are_the_same() -> None:
    whole = total([row(topic, topic_outcomes(topic), known("second")) for topic in SECOND.topics])
    assert whole.same >= LEAST_OF_SECOND * whole.exchanges, share(whole)


def test_differences_of_the_second_recording_name_existing_exchanges() -> None:
    names = {outcome.name for outcome in sequence_outcomes()}
    reasons = known("second")
    assert (reasons.explained | reasons.not_simulated).keys() - names == set()
