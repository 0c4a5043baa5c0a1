"""Which machines are read together: requests that hold few enough ids for a URL, and few enough machines for MAAS."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from maas_mcp.maas.models import SystemId
from maas_mcp.operations.watching.subscription import Subscription

URL_BYTES: Final = 5_800
"""The most that the ids of a request may take: MAAS's nginx refuses a URL of 8 kB, and the rest of it needs room."""
MACHINES: Final = 50
"""The most machines in one request. MAAS 3.7: 7 SQL queries and 19 kB each; a list of 13 took half a second."""
URGENT_MACHINES: Final = 10
"""How far a request that someone waits for is filled with machines that can wait."""
EARLY: Final = 0.5
"""How much of the time until its reconciling a machine may be read early, if that saves a request."""


@dataclass(frozen=True, slots=True)
class Groups:
    """What to read in one tick: requests, each of them some ids."""

    urgent: tuple[tuple[SystemId, ...], ...]
    """Someone waits for these: an operation may have ended."""
    unhurried: tuple[tuple[SystemId, ...], ...]
    """Nothing says that anything has happened to these."""


@dataclass(slots=True)
class _Wish:
    """Everything that the followers of one machine want of the next read."""

    urgent: bool
    polled: bool
    alone: bool
    due: float


def chunks(ids: Iterable[SystemId], most: int | None = None) -> Iterator[tuple[SystemId, ...]]:
    """``ids`` in parts that fit into a URL as ``id=…&id=…``, with at most ``most`` in each."""
    chunk: list[SystemId] = []
    size = 0
    for system_id in ids:
        length = len("&id=") + len(system_id)
        if chunk and (size + length > URL_BYTES or len(chunk) == most):
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(system_id)
        size += length
    if chunk:
        yield tuple(chunk)


def plan(
    subscriptions: Iterable[Subscription], now: float, reconcile: float, *, calm: bool, most: int = MACHINES
) -> Groups:
    """What to read now.

    Machines that are due at the same time do not come together in one tick: of those that are only reconciled one
    request is made at a time, so that they spread over the ticks that follow.

    Args:
        subscriptions: Who follows what.
        now: The time, in the clock of the subscriptions.
        reconcile: Seconds between two reads without news.
        calm: Whether reads that nobody waits for may be made now.
        most: Machines in one request.
    """
    wishes = _wishes(subscriptions)
    alone = [(wish.due, each) for each, wish in wishes.items() if wish.alone and (wish.urgent or wish.due <= now)]
    wishes = {each: wish for each, wish in wishes.items() if not wish.alone}
    urgent = list(chunks((each for each, wish in wishes.items() if wish.urgent), most))
    if not calm:
        return Groups(tuple(urgent), ())
    polled = list(chunks((each for each, wish in wishes.items() if wish.polled and not wish.urgent), most))
    soonest = sorted((wish.due, each) for each, wish in wishes.items() if not (wish.urgent or wish.polled))
    waiting = [(due, each) for due, each in soonest if due <= now + reconcile * EARLY]
    if urgent:
        urgent[-1], waiting = _filled(urgent[-1], min(most, URGENT_MACHINES), waiting)
    if polled:
        polled[-1], waiting = _filled(polled[-1], most, waiting)
    if waiting and waiting[0][0] <= now:
        polled += list(chunks((each for _, each in waiting), most))[:1]
    polled += [(each,) for _, each in sorted(alone)[:1]]
    return Groups(tuple(urgent), tuple(polled))


def _wishes(subscriptions: Iterable[Subscription]) -> dict[SystemId, _Wish]:
    wishes: dict[SystemId, _Wish] = {}
    for each in subscriptions:
        wish = wishes.setdefault(each.system_id, _Wish(urgent=False, polled=False, alone=False, due=each.due))
        wish.urgent = wish.urgent or each.urgent
        wish.polled = wish.polled or not each.needs.events
        wish.alone = wish.alone or each.alone
        wish.due = min(wish.due, each.due)
    return wishes


def _filled(
    group: tuple[SystemId, ...], size: int, waiting: Sequence[tuple[float, SystemId]]
) -> tuple[tuple[SystemId, ...], list[tuple[float, SystemId]]]:
    room = max(0, size - len(group))
    return (*group, *(each for _, each in waiting[:room])), list(waiting[room:])
