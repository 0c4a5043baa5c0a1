"""Limits on how many machines calls reach: per call, per hour and at once."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from pydantic import Field

from maas_mcp.policy.table import PolicyTable

HOUR: Final = 3600.0
CHOSEN: Final = "chosen by MAAS for "
"""The beginning of the names under which machines are counted that MAAS has yet to choose."""
ERASE: Final = "erase"
"""The limit that counts the machines of calls that erase disks, in addition to the tool's own."""


class Limit(PolicyTable):
    """The most machines of one kind of change. Without a number there is no limit."""

    per_call: int | None = Field(default=None, ge=0, description="Most machines of one call.")
    per_hour: int | None = Field(default=None, ge=0, description="Most different machines in an hour.")
    at_once: int | None = Field(default=None, ge=0, description="Most machines at the same time.")

    @property
    def counts(self) -> bool:
        """Whether earlier calls count."""
        return self.per_hour is not None or self.at_once is not None


LIMITS: Final[Mapping[str, Limit]] = MappingProxyType({ERASE: Limit(per_hour=20)})
"""The limits that exist without configuration."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The machines of one kind of change until now. Each machine counts once, however often it is changed."""

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
    """What a call has counted."""

    kinds: tuple[str, ...]
    machines: tuple[str, ...]
    new: tuple[tuple[str, str], ...]
    """The kinds and machines that no earlier call of this hour had counted."""


@lru_cache(maxsize=256)
def limits_of(limit: str, *, erases: bool) -> tuple[str, ...]:
    """The limits that count a call of a tool with this limit."""
    return tuple(dict.fromkeys(kind for kind in (limit, ERASE if erases else "") if kind))


def exceeded(limit: Limit, usage: Usage, machines: Collection[str], more: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each part of a limit that a call would exceed, with a clause that says so.

    Args:
        limit: The limit.
        usage: The usage until now.
        machines: The machines of the call.
        more: Further machines, which MAAS will choose.
    """
    wanted = len(set(machines)) + more
    if limit.per_call is not None and wanted > limit.per_call:
        yield "per_call", f"{_machines(wanted)} in one call, and the limit is {limit.per_call}"
    for name, most, counted, when in (
        ("per_hour", limit.per_hour, usage.last_hour, "in the last hour"),
        ("at_once", limit.at_once, usage.busy, "at the moment"),
    ):
        if most is None:
            continue
        new = len(set(machines) - counted) + more
        if new and len(counted) + new > most:
            already = f"in addition to {len(counted)} {when}" if counted else when.replace("last ", "")
            yield name, f"{_machines(new)} {already}, and the limit is {most}"


def _machines(number: int) -> str:
    return "1 machine" if number == 1 else f"{number} machines"
