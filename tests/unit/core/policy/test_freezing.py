"""Freeze windows: from one date to another, or on days of each week."""

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maas_mcp.policy.freezing import DAYS, Freeze


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_window_between_two_dates_is_open_from_its_start_until_its_end() -> None:
    window = Freeze(start=at("2026-12-23T18:00:00Z"), end=at("2027-01-02T08:00:00Z"))

    assert not window.covers(at("2026-12-23T17:59:59Z"))
    assert window.covers(at("2026-12-23T19:00:00+01:00"))
    assert window.ends(at("2026-12-31T00:00:00Z")) == at("2027-01-02T08:00:00Z")
    assert not window.covers(at("2027-01-02T08:00:00Z"))


def test_a_weekly_window_is_in_its_own_time_zone() -> None:
    window = Freeze(start=time(8), end=time(18), days=("mon",), timezone="Europe/Vienna")

    assert window.covers(at("2026-11-30T07:30:00Z"))
    assert not window.covers(at("2026-11-30T17:30:00Z"))
    assert not window.covers(at("2026-12-01T07:30:00Z"))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = Freeze(start=time(22), end=time(6), days=("fri",))

    assert window.covers(at("2026-11-27T23:00:00Z"))
    assert window.ends(at("2026-11-28T05:59:00Z")) == at("2026-11-28T06:00:00Z")
    assert not window.covers(at("2026-11-28T23:00:00Z"))
    assert not window.covers(at("2026-11-27T05:00:00Z"))


def test_a_window_is_open_where_the_clocks_change() -> None:
    skipped = Freeze(start=time(2, 30), end=time(3, 15), timezone="Europe/Vienna")
    repeated = Freeze(start=time(1, 30), end=time(2, 30), timezone="Europe/Vienna")

    assert skipped.covers(at("2026-03-29T01:10:00Z"))
    assert repeated.covers(at("2026-10-25T00:15:00Z"))
    assert repeated.covers(at("2026-10-25T01:15:00Z"))


def test_times_are_read_as_text_and_without_a_zone_are_in_the_windows_zone() -> None:
    window = Freeze.model_validate(
        {"start": "2026-12-24T00:00:00", "end": "2026-12-27T00:00:00", "timezone": "Europe/Vienna"}
    )

    assert window.covers(at("2026-12-23T23:30:00Z"))
    assert Freeze.model_validate({"start": "08:00", "end": "09:00"}).covers(at("2026-12-24T08:30:00Z"))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start": "2026-12-24T00:00:00Z", "end": "09:00"}, "of different kinds"),
        ({"start": "2026-12-24T00:00:00Z", "end": "2026-12-24T00:00:00Z"}, "not later than start"),
        ({"start": "09:00", "end": "09:00"}, "same time of day"),
        ({"start": "08:00", "end": "09:00", "timezone": "Vienna"}, "no time zone has the name"),
        ({"start": "08:00", "end": "09:00", "days": ["friday"]}, "mon"),
        ({"start": "08:00", "end": "09:00", "until": "now"}, "extra"),
    ],
)
def test_an_impossible_window_is_refused_with_the_reason(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Freeze.model_validate(given)


@given(
    st.times(),
    st.times(),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - UTC below
)
def test_an_open_window_ends_later_within_a_day(start: time, end: time, days: set[str], moment: datetime) -> None:
    if start == end:
        return
    now = moment.replace(tzinfo=UTC)
    window = Freeze.model_validate({"start": start, "end": end, "days": sorted(days)})

    ends = window.ends(now)

    assert window.covers(now.astimezone(timezone(timedelta(hours=5)))) is (ends is not None)
    if ends is not None:
        assert now < ends <= now + timedelta(days=1)
