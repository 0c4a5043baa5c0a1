"""The polling schedule: a grid of ticks that widens without news, and when MAAS is slow or asks to wait."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.operations.watching.cadence import Cadence, Pace

CADENCE = Cadence()


def ticks(pace: Pace, seconds: float, *, began: float = 0.0) -> list[float]:
    """Return the start times of ticks that take no time."""
    times = [began]
    while times[-1] < began + seconds:
        times.append(pace.due(times[-1], times[-1]))
    return times


def gaps(times: list[float]) -> list[float]:
    return [round(late - early, 6) for early, late in pairwise(times)]


def test_with_news_ticks_come_at_the_configured_interval() -> None:
    pace = Pace(CADENCE, 0.0)
    times = [0.0]
    for _ in range(20):
        pace.note_news(times[-1])
        times.append(pace.due(times[-1], times[-1]))
    assert set(gaps(times)) == {2.0}


def test_without_news_the_interval_grows_to_an_eighth_of_the_silence_up_to_the_slowest() -> None:
    pace = Pace(CADENCE, 0.0)
    pace.note_news(0.0)
    widening = gaps(ticks(pace, 600))
    assert widening == sorted(widening)
    assert (widening[0], widening[-1]) == (2.0, 9.0)


def test_news_after_a_long_silence_restores_the_configured_interval() -> None:
    pace = Pace(CADENCE, 0.0)
    pace.note_news(0.0)
    pace.note_news(600.0)
    assert gaps(ticks(pace, 10, began=600.0))[0] == 2.0


def test_a_slow_maas_is_polled_at_ten_times_its_response_time_up_to_30_seconds() -> None:
    pace = Pace(CADENCE, 0.0)
    pace.note_news(0.0)
    pace.note_latency(0.7)
    assert pace.due(0.0, 0.7) == 7.0
    pace.note_latency(20.0)
    assert pace.due(0.0, 20.0) == 20.0, "a single slow response is ignored"
    pace.note_latency(20.0)
    assert pace.due(0.0, 20.0) == 30.0
    pace.note_latency(0.01)
    assert pace.due(0.0, 0.01) == 2.0


def test_a_retry_after_is_respected() -> None:
    pace = Pace(CADENCE, 0.0)
    assert not pace.must_wait(0.0)
    pace.note_retry_after(100.0, 60.0)
    assert pace.must_wait(159.0)
    assert not pace.must_wait(160.0)
    pace.note_retry_after(200.0, None)
    assert not pace.must_wait(200.0)


def test_a_later_failure_does_not_shorten_a_retry_after_and_a_response_ends_it() -> None:
    pace = Pace(CADENCE, 0.0)
    pace.note_retry_after(100.0, 60.0)
    pace.note_retry_after(101.0, None)
    assert pace.must_wait(159.0)
    pace.clear_retry_after()
    assert not pace.must_wait(102.0)


def test_replicas_poll_at_different_times() -> None:
    phases = {round(Pace(CADENCE, jitter).due(0.0, 0.0) % 1.0, 3) for jitter in (0.0, 0.11, 0.23, 0.42)}
    assert len(phases) == 4


@given(
    jitter=st.floats(0, 1),
    began=st.floats(0, 1e6),
    took=st.floats(0, 100),
    silence=st.floats(0, 1e5),
    latency=st.floats(0, 100),
)
def test_a_tick_is_on_the_grid_and_never_in_the_past(
    jitter: float, began: float, took: float, silence: float, latency: float
) -> None:
    pace = Pace(CADENCE, jitter)
    pace.note_news(began - silence)
    pace.note_latency(latency)
    due = pace.due(began, began + took)
    steps = (due - jitter * CADENCE.interval) / (CADENCE.interval / 2)
    assert math.isclose(steps, round(steps), abs_tol=1e-6)
    assert due >= began + took - 0.03
    assert due <= began + took + CADENCE.longest + 0.03


@given(jitter=st.floats(0, 1), lateness=st.floats(0, 0.015))
def test_a_clock_that_wakes_up_a_little_late_skips_no_tick(jitter: float, lateness: float) -> None:
    pace = Pace(CADENCE, jitter)
    pace.note_news(1000.0)
    first = pace.due(998.0, 1000.0)
    began = first + lateness
    assert pace.due(began, began) - first == pytest.approx(2.0)


def test_a_scaled_cadence_keeps_its_proportions() -> None:
    scaled = Pace(CADENCE.scaled(0.1), 0.0)
    scaled.note_news(0.0)
    usual = Pace(CADENCE, 0.0)
    usual.note_news(0.0)
    assert gaps(ticks(scaled, 30)) == [round(gap / 10, 6) for gap in gaps(ticks(usual, 300))]


@given(first=st.floats(0, 1), second=st.floats(0, 1), silence=st.floats(0, 1e4), latency=st.floats(0, 100))
def test_two_replicas_keep_the_distance_of_their_grids_however_wide_their_intervals(
    first: float, second: float, silence: float, latency: float
) -> None:
    step = CADENCE.interval / 2
    distance = abs(first - second) * CADENCE.interval % step
    paces = [Pace(CADENCE, jitter) for jitter in (first, second)]
    for pace in paces:
        pace.note_news(-silence)
        pace.note_latency(latency)
    one, other = (ticks(pace, 60)[1:] for pace in paces)

    nearest = min(abs(early - late) for early in one for late in other)

    assert nearest >= min(distance, step - distance) - 1e-6
