"""Freeze windows: times in which calls that change MAAS are refused."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Final, Literal, Self, cast

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from maas_mcp.policy.table import PolicyTable
from maas_mcp.setting_types import lower

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""The days, in the order of :meth:`datetime.weekday`."""

Day = Annotated[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], BeforeValidator(lower)]


def _explain_moment(value: object, validate: ValidatorFunctionWrapHandler) -> datetime | time:
    try:
        return cast("datetime | time", validate(value))
    except ValidationError:
        pass
    raise ValueError("expected a date with time, such as 2026-12-23T18:00:00Z, or a time of day, such as 18:00")


Moment = Annotated[datetime | time, WrapValidator(_explain_moment)]
"""A date with time, or a time of day. One message explains both."""


class Freeze(PolicyTable):
    """A window in which calls are refused: between two dates, or at a time of day on some days of each week."""

    start: Moment = Field(description="Start: a date with a time, or a time of day.")
    end: Moment = Field(
        description="End, of the same kind as `start`. A time of day before `start` is on the next day."
    )
    days: tuple[Day, ...] = Field(default=DAYS, description="Days on which a window with times of day starts.")
    timezone: str = Field(default="UTC", description="Time zone of times without an offset, such as Europe/Vienna.")
    tiers: tuple[Annotated[Literal["operate", "destroy"], BeforeValidator(lower)], ...] = Field(
        default=("operate", "destroy"), description="Tiers of the calls to refuse."
    )
    reason: str = Field(default="", description="Reason, which callers see.")

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            _zone(name)
        except (KeyError, OSError, ValueError):
            raise ValueError(f"no time zone has the name {name}; expected one such as Europe/Vienna") from None
        return name

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if isinstance(self.start, datetime) is not isinstance(self.end, datetime):
            raise ValueError("start and end are of different kinds; expected two dates with times, or two times of day")
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            if self._ends(self.end) <= self._starts(self.start):
                raise ValueError("end is not later than start; expected a later date")
        elif self.start == self.end:
            raise ValueError("start and end are the same time of day; for a whole day, write 00:00 and 23:59:59")
        return self

    def covers(self, now: datetime) -> bool:
        """Whether the window is open at ``now``, which has a time zone."""
        return self.ends(now) is not None

    def ends(self, now: datetime) -> datetime | None:
        """When the window closes, if it is open at ``now``; otherwise ``None``."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            end = self._ends(self.end)
            return end if self._starts(self.start) <= now < end else None
        local = now.astimezone(_zone(self.timezone))
        for first in (local.date(), local.date() - timedelta(days=1)):
            start, end = self._on(first)
            if DAYS[first.weekday()] in self.days and start <= now < end:
                return end
        return None

    def is_over(self, now: datetime) -> bool:
        """Whether the window never opens again."""
        return isinstance(self.end, datetime) and self._ends(self.end) <= now

    def _on(self, day: date) -> tuple[datetime, datetime]:
        """The start and end of a window with times of day that starts on ``day``."""
        assert isinstance(self.start, time) and isinstance(self.end, time)  # noqa: S101, PT018 - the validator's
        last = day + timedelta(days=1) if self.end <= self.start else day
        return self._starts(datetime.combine(day, self.start)), self._ends(datetime.combine(last, self.end))

    def _starts(self, moment: datetime) -> datetime:
        return min(self._in_utc(moment))

    def _ends(self, moment: datetime) -> datetime:
        return max(self._in_utc(moment))

    def _in_utc(self, moment: datetime) -> list[datetime]:
        """A local time in UTC. Around a clock change there are two, because the local time occurs twice or never."""
        if moment.tzinfo is not None:
            return [moment.astimezone(UTC)]
        zone = _zone(self.timezone)
        return [moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


def _zone(name: str) -> tzinfo:
    """The time zone of this name. UTC needs no time zone database."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - most servers have no freeze windows

    return ZoneInfo(name)
