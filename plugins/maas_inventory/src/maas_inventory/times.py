"""Times of callers and of MAAS: always UTC, shown to the second."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

_PERIOD: Final = re.compile(r"([0-9]{1,6}) ?(?:(m)in(?:ute)?s?|(h)ours?|(d)ays?|(w)eeks?|([mhdw]))(?: ago)?")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _read_moment(value: Any) -> Any:
    if isinstance(value, datetime | timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if found := _PERIOD.fullmatch(text.lower()):
        number, *units = found.groups()
        return timedelta(**{_UNITS[next(filter(None, units))]: int(number)})
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a time such as 2026-11-30T18:00:00Z, or 12h for twelve hours ago") from None


Moment = Annotated[datetime | timedelta, BeforeValidator(_read_moment), WithJsonSchema({"type": "string"})]
"""A time, which is UTC without a time zone, or a period before now: ``30m``, ``12h``, ``2 days ago``."""


def seconds_of(moment: datetime | timedelta, now: float) -> float:
    """Return a moment in seconds since 1970.

    Args:
        moment: The time, or the period before now.
        now: The present time in seconds since 1970.
    """
    return max(0.0, now - moment.total_seconds() if isinstance(moment, timedelta) else moment.timestamp())


def show(seconds: float | None) -> str | None:
    """Return seconds since 1970 as ``2026-11-29T23:36:30Z``."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
