"""Grouping of machine reads into requests, limited by the length of a URL and the load on MAAS."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from maas_mcp.maas.machine_ids import chunks
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.watching.subscription import Subscription

MAX_MACHINES: Final = 50
"""Maximum machines in a request. MAAS 3.7 takes 7 SQL queries and 19 kB for each; a list of 13 took half a second."""
URGENT_SIZE: Final = 10
"""Size up to which an urgent request is filled with machines that can wait."""
EARLY_SHARE: Final = 0.5
"""A reconciling read may come early by this part of its interval, if that saves a request."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The requests to make in one tick, as machine ids."""

    urgent: tuple[tuple[SystemId, ...], ...]
    """Urgent reads: an operation may have ended."""
    routine: tuple[tuple[SystemId, ...], ...]
    """Routine reads: nothing shows that anything has happened."""


@dataclass(slots=True)
class _MachineNeeds:
    """The combined needs of all subscriptions of one machine."""

    urgent: bool
    polled: bool
    alone: bool
    due: float


def plan_reads(
    subscriptions: Iterable[Subscription], now: float, reconcile: float, *, routine: bool, most: int = MAX_MACHINES
) -> Groups:
    """Plan the reads of one tick.

    Only one request is made at a time for machines that are merely reconciled. So machines that are due together spread
    over the following ticks.

    Args:
        subscriptions: The subscriptions.
        now: The time, in the clock of the subscriptions.
        reconcile: Seconds between two reads without news.
        routine: Whether reads that can wait may be made now.
        most: Maximum machines in a request.
    """
    needs = _needs_by_machine(subscriptions)
    alone = [(need.due, each) for each, need in needs.items() if need.alone and (need.urgent or need.due <= now)]
    needs = {each: need for each, need in needs.items() if not need.alone}
    urgent = list(chunks((each for each, need in needs.items() if need.urgent), most))
    if not routine:
        return Groups(tuple(urgent), ())
    polled = list(chunks((each for each, need in needs.items() if need.polled and not need.urgent), most))
    soonest = sorted((need.due, each) for each, need in needs.items() if not (need.urgent or need.polled))
    waiting = [(due, each) for due, each in soonest if due <= now + reconcile * EARLY_SHARE]
    if urgent:
        urgent[-1], waiting = _fill(urgent[-1], min(most, URGENT_SIZE), waiting)
    if polled:
        polled[-1], waiting = _fill(polled[-1], most, waiting)
    if waiting and waiting[0][0] <= now:
        polled += list(chunks((each for _, each in waiting), most))[:1]
    polled += [(each,) for _, each in sorted(alone)[:1]]
    return Groups(tuple(urgent), tuple(polled))


def _needs_by_machine(subscriptions: Iterable[Subscription]) -> dict[SystemId, _MachineNeeds]:
    needs: dict[SystemId, _MachineNeeds] = {}
    for each in subscriptions:
        need = needs.setdefault(each.system_id, _MachineNeeds(urgent=False, polled=False, alone=False, due=each.due))
        need.urgent = need.urgent or each.urgent
        need.polled = need.polled or not each.needs.events
        need.alone = need.alone or each.alone
        need.due = min(need.due, each.due)
    return needs


def _fill(
    group: tuple[SystemId, ...], size: int, waiting: Sequence[tuple[float, SystemId]]
) -> tuple[tuple[SystemId, ...], list[tuple[float, SystemId]]]:
    room = max(0, size - len(group))
    return (*group, *(each for _, each in waiting[:room])), list(waiting[room:])
