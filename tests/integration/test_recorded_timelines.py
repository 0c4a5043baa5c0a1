"""Recorded operations of live regions, played to the real server over HTTP: what a user hears of each.

Every file of ``simulator/tests/recorded/timelines*`` is played; what holds for any recording is asserted for all
of them. What has to be said of each in particular is in ``tests/recorded_operations.py``.
"""

import os
import pickle
from collections.abc import Collection

import pytest
from filelock import FileLock

from maas_mcp.operations.judging.lifecycle import Verdict
from simulator.tests.recordings import Recording, paths, read
from tests.integration.replaying import LOOKS, Replay, form_of, replay
from tests.recorded_operations import ENDS, End, milestones_not_reached


@pytest.fixture(scope="module", params=paths(), ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Each recording of each region."""
    return read(request.param)


@pytest.fixture(scope="module")
def replayed(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """The recorded operation, followed by one call and asked for late; played once for all workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    kept = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / f"{recording.name}.replay"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            kept.write_bytes(pickle.dumps(replay(recording)))
        played: Replay = pickle.loads(kept.read_bytes())
    return played


@pytest.fixture
def end(recording: Recording) -> End:
    """How it ended, where that was written down."""
    if recording.name not in ENDS:
        pytest.skip(f"tests/recorded_operations.py does not say how {recording.name} ended")
    return ENDS[recording.name]


def test_the_operation_is_started_once_and_as_it_was_recorded(replayed: Replay, recording: Recording) -> None:
    (post,) = replayed.posts

    assert (post.op, dict(post.form)) == (recording.start.op, form_of(recording, replayed.arguments))


def test_nothing_is_asked_that_maas_would_not_know(replayed: Replay) -> None:
    assert replayed.unknown == ()


def test_progress_never_decreases_and_is_whole_at_success_only(replayed: Replay) -> None:
    fractions = [each["progress"] for each in replayed.progress]

    assert fractions == sorted(set(fractions))
    assert (1.0 in fractions) is (replayed.reported.state == "succeeded")


def test_no_milestone_is_shown_that_the_run_did_not_reach(replayed: Replay, recording: Recording) -> None:
    shown = "\n".join([*replayed.messages, replayed.reported.headline, replayed.asked_late.headline])

    assert milestones_not_reached(recording, shown) == []


def test_the_end_is_noticed_before_anything_else_happens(replayed: Replay, recording: Recording) -> None:
    if not recording.took_effect:
        pytest.skip("nothing came of it, so that it has no end")

    assert replayed.reported.state != "working"
    assert replayed.looks < LOOKS


def test_a_caller_who_asks_late_hears_of_the_same_end(replayed: Replay, recording: Recording) -> None:
    # Of a request that nothing came of, another process does not know MAAS's answer.
    same = {replayed.reported.state} if recording.took_effect else {replayed.reported.state, "working"}

    assert replayed.asked_late.state in same


def test_an_operation_ends_as_it_did(replayed: Replay, end: End) -> None:
    states = {"working", "failed"} if end.verdict is Verdict.PENDING else {end.verdict.name.lower()}

    assert replayed.reported.state in states
    assert replayed.asked_late.state in states


def test_what_happened_is_said_in_maas_own_words(replayed: Replay, end: End) -> None:
    assert _missing(end.headline, replayed.reported.headline) == []
    assert _missing(end.says, replayed.text) == []


def test_what_did_not_happen_is_not_said(replayed: Replay, end: End) -> None:
    assert _found(end.never, replayed.text) == []
    assert _found(end.never_headline, replayed.reported.headline) == []
    assert _found(end.never_hint, replayed.reported.hint) == []
    assert _found(end.never, replayed.asked_late.text) == []
    assert _found(end.never_headline, replayed.asked_late.headline) == []
    assert _found(end.never_hint, replayed.asked_late.hint) == []


def _found(phrases: Collection[str], text: str) -> list[str]:
    return [each for each in phrases if each.lower() in text.lower()]


def _missing(phrases: Collection[str], text: str) -> list[str]:
    return [each for each in phrases if each.lower() not in text.lower()]
