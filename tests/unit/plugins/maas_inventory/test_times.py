"""The times that callers pass."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from maas_inventory.times import Moment, seconds_of

MOMENT: TypeAdapter[datetime | timedelta] = TypeAdapter(Moment)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-11-30T10:00:00Z", 2),
        ("2026-11-30T12:00:00+02:00", 2),
        ("2026-11-30 10:00", 2),
        ("2026-11-30", 12),
        ("2h", 2),
        ("120 minutes ago", 2),
        ("90m", 1.5),
        ("2 Days", 48),
        ("1 week ago", 168),
    ],
)
def test_a_time_is_a_date_or_a_period_before_now(text: str, hours: float) -> None:
    moment = MOMENT.validate_json(f'"{text}"', strict=True)

    assert seconds_of(moment, NOON) == NOON - hours * 3600


def test_a_time_before_1970_is_1970() -> None:
    assert seconds_of(MOMENT.validate_python("999999w"), NOON) == 0
    assert seconds_of(MOMENT.validate_python("0001-01-01"), NOON) == 0


@pytest.mark.parametrize("text", ["yesterday", "2", "h", "2 fortnights", "0001-01-01T00:00:00+14:00", "9999999h"])
def test_another_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match="expected a time such as 2026-11-30T18:00:00Z, or 12h"):
        MOMENT.validate_python(text)


@pytest.mark.parametrize("value", [3.5, True, {"a": 1}])
def test_another_type_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValidationError, match="expected a time such as 2026-11-30T18:00:00Z, or 12h"):
        MOMENT.validate_python(value)
