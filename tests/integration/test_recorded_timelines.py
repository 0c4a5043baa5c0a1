"""Recorded operations of live regions, played to the real server over HTTP.

Every file of ``simulator/tests/recorded/timelines*`` is played. The tests assert rules that hold for all recordings.
``tests/recorded_operations.py`` has the expected reports of single recordings.
"""

import os
import pickle
from collections.abc import Collection

import pytest
from filelock import FileLock

from maas_mcp.operations.judging.lifecycle import Verdict
from simulator.tests.recordings import Recording, paths, read
from tests.integration.replaying import MAX_POLLS, Replay, form_of, replay
from tests.recorded_operations import ENDS, End, milestones_not_reached


@pytest.fixture(scope="module", params=paths(), ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    """Each recording of each region."""
    return read(request.param)


@pytest.fixture(scope="module")
def replayed(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """The replay of a recording. All workers of pytest-xdist share it."""
    folder = tmp_path_factory.getbasetemp()
    cache = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / f"{recording.name}.replay"
    with FileLock(f"{cache}.lock"):
        if not cache.exists():
            cache.write_bytes(pickle.dumps(replay(recording)))
        played: Replay = pickle.loads(cache.read_bytes())
    return played


@pytest.fixture
def end(recording: Recording) -> End:
    """The expected end of the recording, if it is known."""
    if recording.name not in ENDS:
        pytest.skip(f"tests/recorded_operations.py does not say how {recording.name} ended")
    return ENDS[recording.name]


def test_the_operation_is_started_once_with_the_recorded_form(replayed: Replay, recording: Recording) -> None:
    (post,) = replayed.posts

    assert (post.op, dict(post.form)) == (recording.start.op, form_of(recording, replayed.arguments))


def test_every_request_exists_in_maas(replayed: Replay) -> None:
    assert replayed.unanswerable == ()


def test_progress_never_decreases_and_reaches_1_only_on_success(replayed: Replay) -> None:
    fractions = [each["progress"] for each in replayed.progress]

    assert fractions == sorted(set(fractions))
    assert (1.0 in fractions) is (replayed.reported.state == "succeeded")


def test_only_reached_milestones_are_shown(replayed: Replay, recording: Recording) -> None:
    text = "\n".join([*replayed.messages, replayed.reported.headline, replayed.later_report.headline])

    assert milestones_not_reached(recording, text) == []


def test_the_end_is_noticed_before_the_next_change(replayed: Replay, recording: Recording) -> None:
    if not recording.took_effect:
        pytest.skip("the request had no effect, so there is no end")

    assert replayed.reported.state != "working"
    assert replayed.polls < MAX_POLLS


def test_a_later_read_reports_the_same_end(replayed: Replay, recording: Recording) -> None:
    # Another process does not know MAAS's response to a request without effect.
    allowed = {replayed.reported.state} if recording.took_effect else {replayed.reported.state, "working"}

    assert replayed.later_report.state in allowed


def test_an_operation_ends_as_recorded(replayed: Replay, end: End) -> None:
    states = {"working", "failed"} if end.verdict is Verdict.PENDING else {end.verdict.name.lower()}

    assert replayed.reported.state in states
    assert replayed.later_report.state in states


def test_the_report_has_the_words_of_maas(replayed: Replay, end: End) -> None:
    assert _find_missing(end.headline, replayed.reported.headline) == []
    assert _find_missing(end.says, replayed.text) == []


def test_the_report_has_nothing_that_did_not_happen(replayed: Replay, end: End) -> None:
    assert _find_present(end.never, replayed.text) == []
    assert _find_present(end.never_headline, replayed.reported.headline) == []
    assert _find_present(end.never_hint, replayed.reported.hint) == []
    assert _find_present(end.never, replayed.later_report.text) == []
    assert _find_present(end.never_headline, replayed.later_report.headline) == []
    assert _find_present(end.never_hint, replayed.later_report.hint) == []


def _find_present(phrases: Collection[str], text: str) -> list[str]:
    return [each for each in phrases if each.lower() in text.lower()]


def _find_missing(phrases: Collection[str], text: str) -> list[str]:
    return [each for each in phrases if each.lower() not in text.lower()]
