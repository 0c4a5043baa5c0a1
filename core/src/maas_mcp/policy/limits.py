"""Limits on the number of machines that calls change: per call, per hour and at once."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from pydantic import Field

from maas_mcp.policy.table import PolicyTable

HOUR: Final = 3600.0
CHOSEN: Final = "chosen by MAAS for "
"""The prefix of the names under which machines are counted before MAAS has chosen them."""
ERASE: Final = "erase"
"""The limit that counts the machines of calls that erase disks, in addition to the tool's own."""


class Limit(PolicyTable):
    """The maximum machines of one kind of change. Without a number there is no limit."""

    per_call: int | None = Field(default=None, ge=0, description="Maximum machines of one call.")
    per_hour: int | None = Field(default=None, ge=0, description="Maximum different machines of all calls in an hour.")
    at_once: int | None = Field(default=None, ge=0, description="Maximum machines that change at the same time.")

    @property
    def counts(self) -> bool:
        """Whether earlier calls count towards the limit."""
        return self.per_hour is not None or self.at_once is not None


LIMITS: Final[Mapping[str, Limit]] = MappingProxyType({ERASE: Limit.model_construct(per_hour=20)})
"""The limits that exist without configuration."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The machines of one kind of change so far. Each machine counts once, however often it is changed."""

    last_hour: frozenset[str] = frozenset()
    """The machines that were changed in the last hour."""
    busy: frozenset[str] = frozenset()
    """The machines on which a change is running."""


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that a call would exceed."""

    kind: str
    part: str
    reason: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The machines that a call has added to the counts."""

    kinds: tuple[str, ...]
    machines: tuple[str, ...]
    at: float
    """The Unix time at which they were counted."""
    earlier: tuple[tuple[str, str, float, int], ...]
    """What earlier calls had counted: kind, machine, time, and whether their change was running."""


@lru_cache(maxsize=256)
def limits_of(limit: str, *, erases: bool) -> tuple[str, ...]:
    """The kinds of the limits that count a call of a tool with this limit."""
    return tuple(dict.fromkeys(kind for kind in (limit, ERASE if erases else "") if kind))


def exceeded(limit: Limit, usage: Usage, machines: Collection[str], more: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each part of a limit that a call would exceed, with a clause for a message.

    Args:
        limit: The limit.
        usage: The usage so far.
        machines: The machines of the call.
        more: Further machines, which MAAS will choose.
    """
    wanted = len(set(machines)) + more
    if limit.per_call is not None and wanted > limit.per_call:
        yield "per_call", f"{_machines(wanted)}, and the limit is {limit.per_call} per call"
    for name, most, counted, state, unit in (
        ("per_hour", limit.per_hour, usage.last_hour, "changed in the last hour", "per hour"),
        ("at_once", limit.at_once, usage.busy, "that are changing now", "at once"),
    ):
        if most is None:
            continue
        new = len(set(machines) - counted) + more
        if new and len(counted) + new > most:
            earlier = f" in addition to {len(counted)} {state}" if counted else ""
            yield name, f"{_machines(new)}{earlier}, and the limit is {most} {unit}"


def _machines(number: int) -> str:
    return "1 machine" if number == 1 else f"{number} machines"
