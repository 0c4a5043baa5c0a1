"""Times of callers and of MAAS: always UTC, shown to the second."""

from datetime import UTC, datetime


def as_utc(time: datetime) -> datetime:
    """Return a time of a caller in UTC. One without a time zone is in UTC already."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def show(seconds: float | None) -> str | None:
    """Return seconds since 1970 as ``2026-11-29T23:36:30Z``."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None
