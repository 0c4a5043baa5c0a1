"""One life of a snapshot: it is loaded, and kept fresh by events, own changes and a rolling resync."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.loading import LoadingPlan, Part, Space
from maas_inventory.informer.machine_reads import MachineReads, Read
from maas_inventory.informer.news import take_events
from maas_inventory.informer.own_changes import affected, may_add_machines
from maas_inventory.informer.resync import MOST, Resync, fits, parts_without_known
from maas_inventory.informer.snapshot import Snapshot
from maas_mcp.api import (
    ChangeRequest,
    EventNews,
    Events,
    MaasBadRequestError,
    MaasClient,
    MaasError,
    MaasUnavailableError,
)

logger = logging.getLogger(__name__)

UNUSED_LIMIT: Final = 900.0
"""Seconds without a question after which the snapshot is dropped."""
POLL_INTERVAL: Final = 15.0
"""Seconds between two polls of the events while no operation is followed."""
FIRST_NEWS_LIMIT: Final = 5.0
"""Seconds to wait for the first poll of the events, before the first list. Events are known from then on."""
OWN_DELAY: Final = 0.5
"""Seconds until machines that this server changed are read, so that one request serves several."""
MARKED_PAUSE: Final = 4.0
"""Seconds between two requests for machines with news. The first news of a burst is read soon, the others together."""
TOO_SLOW: Final = 20.0
"""Seconds after which a request that fails is too large, and not only unlucky."""
LONG_PATIENCE: Final = 900.0
"""Seconds to wait for a part that nothing divides: MAAS's own nginx waits as long (MAAS 3.7)."""
LONGEST_BACKOFF: Final = 60.0
"""Maximum seconds until a failed request is repeated."""
WAITING_BACKOFF: Final = 2.0
"""The same while a caller waits."""
NO_MACHINE_LIMIT: Final = 300.0
"""Seconds for which a node with events is known to be no machine, such as a rack controller."""
MAX_NO_MACHINES: Final = 1_000
NAMES: Final = {"zone": "zones/", "pool": "resourcepools/"}
"""The lists of the names by which parts are divided."""


class Session:
    """Keeps a snapshot while :meth:`run` is running.

    Args:
        maas: The region.
        events: The events of all machines.
        share: The share of one worker's time for the resync.
        last_change: The number of the last change before this session.
        unix_time: Converts a time of the event loop's clock to Unix time.
    """

    def __init__(
        self, maas: MaasClient, events: Events, share: float, last_change: int, unix_time: Callable[[float], float]
    ) -> None:
        self._maas = maas
        self._events = events
        self.snapshot = Snapshot(last_change, unix_time)
        self.resync = Resync(share)
        self.reads = MachineReads(maas.once(), self.snapshot, self.resync)
        self.plan: LoadingPlan | None = None
        """``None`` until the zones and pools are known."""
        self.shown: frozenset[str] = frozenset()
        """The machines on the page that a caller sees."""
        self._events_at = self._last_used = anyio.current_time()
        """When the last events were requested, and when the last question ended."""
        self._users = 0
        self.failures = 0
        """All failed requests so far."""
        self.failure: Exception | None = None
        """The error of the latest request; ``None`` if it succeeded."""
        self._backoff = 1.0
        self.progressed = anyio.Event()
        """Set when a request has ended; then replaced."""
        self._waiting: dict[object, Filter] = {}
        self._due: dict[str, float] = {}
        """When to read each machine with news."""
        self._marked_read_at = -math.inf
        self._unknown: dict[str, None] = {}
        self._no_machines: dict[str, float] = {}
        self._search_at = math.inf
        """When to search for machines that came without an event."""
        self._first_news = anyio.Event()
        self._wake = anyio.Event()

    # For questions

    def may_miss(self, wanted: Filter) -> bool:
        """Whether matching machines may not have been read yet."""
        return self.plan is None or self.plan.may_match(wanted)

    @property
    def right_at(self) -> float:
        """The time up to which all changes with an event, and our own, are in the snapshot."""
        return self.snapshot.right_at(self._events_at)

    @property
    def fraction(self) -> float:
        """How much of the first list has been read."""
        return 0.0 if self.plan is None else self.plan.fraction

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the snapshot during the block, and some time longer."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._last_used = anyio.current_time()

    @contextmanager
    def waiting(self, wanted: Filter) -> Iterator[None]:
        """Read the machines that match first, during the block."""
        key = object()
        self._waiting[key] = wanted
        self._wake.set()
        try:
            yield
        finally:
            del self._waiting[key]

    # News

    def machines_read(self, machines: Sequence[object], asked: float) -> None:
        """Take machines that any other request has read."""
        self.reads.take_json(machines, asked)

    def change_ended(self, change: ChangeRequest, asked: float) -> None:  # noqa: ARG002 - the observer's signature
        """Read the machines that a change of this server may have changed."""
        now = anyio.current_time()
        ids = affected(change, self.snapshot.rows.values())
        for name in ids:
            self.snapshot.note_change(name, now)
        if len(ids) <= MOST:  # more are read by the resync, which reads uncertain machines first
            self._mark(ids, now + OWN_DELAY)
        if may_add_machines(change):
            self._search_at = min(self._search_at, now)
        self._wake.set()

    def take_news(self, news: EventNews) -> None:
        """Take the new events of all machines."""
        now = anyio.current_time()
        self._events_at = news.asked
        self._first_news.set()
        if not news.complete:
            self.snapshot.note_gap(news.asked)
            self._search_at = min(self._search_at, now)
        found = take_events(self.snapshot, news.events, now)
        for name, delay in found.delays.items():
            self._mark([name], now + delay)
        for name in found.unknown:
            if now >= self._no_machines.get(name, -math.inf) + NO_MACHINE_LIMIT:
                self._unknown[name] = None
        self._wake.set()

    def _mark(self, names: Iterable[str], due: float) -> None:
        for name in names:
            self._due[name] = min(due, self._due.get(name, math.inf))

    # Work

    async def run(self) -> None:
        """Load and keep the snapshot until it has not been used for some time."""
        with self._maas.observe(self), self._events.listen(self.take_news, idle=POLL_INTERVAL):
            with anyio.move_on_after(FIRST_NEWS_LIMIT):
                await self._first_news.wait()
            while self._users or anyio.current_time() < self._last_used + UNUSED_LIMIT:
                step, due = self._next()
                if step is None:
                    await self._sleep_until(due)
                else:
                    await self._try(step)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Exception as error:
            if not isinstance(error, MaasError):
                logger.exception("The informer of machines failed with an unexpected error, and continues")
            logger.info("A request of the informer of machines failed: %s", error)
            self.failures, self.failure = self.failures + 1, error
            self._announce()
            await self._back_off()
        else:
            self._backoff, self.failure = 1.0, None
            self._announce()

    async def _back_off(self) -> None:
        """Wait after a failed request, but not long while a caller waits."""
        failed, self._backoff = anyio.current_time(), min(self._backoff * 2.0, LONGEST_BACKOFF)
        while True:
            pause = min(self._backoff, WAITING_BACKOFF if self._waiting else math.inf)
            self._wake = anyio.Event()
            with anyio.CancelScope(deadline=failed + pause) as scope:
                await self._wake.wait()
            if scope.cancelled_caught:
                return

    def _announce(self) -> None:
        progressed, self.progressed = self.progressed, anyio.Event()
        progressed.set()

    async def _sleep_until(self, due: float) -> None:
        self._wake = anyio.Event()
        unused = math.inf if self._users else self._last_used + UNUSED_LIMIT
        with anyio.CancelScope(deadline=min(due, unused)):
            await self._wake.wait()

    def _next(self) -> tuple[Callable[[], Awaitable[None]] | None, float]:
        """The next step, or ``None`` and when there will be one."""
        now = anyio.current_time()
        for name in [name for name in self._due if not self.snapshot.is_uncertain(name)]:
            del self._due[name]  # somebody else has read it
        marked = max(min(self._due.values(), default=math.inf), self._marked_read_at + MARKED_PAUSE)
        if marked <= now:
            return self._read_marked, now
        if self.plan is None or not self.plan.is_finished:
            return self._load, now
        if self._unknown:
            return self._read_unknown, now
        resync = self.resync.due(self.snapshot, self._due)
        if min(self._search_at, resync) <= now:
            return self._search if self._search_at <= now else self._resync, now
        return None, min(marked, self._search_at, resync)

    async def _read_marked(self) -> None:
        due = sorted(self._due, key=self._due.__getitem__)[:MOST]
        self._marked_read_at = now = anyio.current_time()
        await self.reads.list_by_id([name for name in due if self._due[name] <= now])

    async def _read_unknown(self) -> None:
        names = [name for name in self._unknown if name not in self.snapshot.rows][:MOST]
        if names:
            read = await self.reads.list_by_id(names)
            self._note_no_machines({*names} - {row.system_id for row in read.rows})
        for name in list(self._unknown):
            if name in names or name in self.snapshot.rows:
                del self._unknown[name]

    def _note_no_machines(self, names: Iterable[str]) -> None:
        now = anyio.current_time()
        for name in names:
            self._no_machines.pop(name, None)
            self._no_machines[name] = now
        while len(self._no_machines) > MAX_NO_MACHINES:
            del self._no_machines[next(iter(self._no_machines))]

    async def _load(self) -> None:
        if self.plan is None:
            self.plan = LoadingPlan(await self._read_space())
            return
        part = self.plan.next(tuple(self._waiting.values()))
        try:
            read = await self._read_part(self.plan, part)
        except MaasBadRequestError:
            space = await self._read_space()
            if space == self.plan.space:
                raise
            self.plan = LoadingPlan(space)  # a zone or pool was renamed or deleted meanwhile
            return
        if read is not None:
            self.plan.note_read(part, read.seconds)
        if self.plan.is_finished:
            # Search at once: a machine may have moved from a part that was not read yet to one that was.
            self._search_at = self.snapshot.complete_since = anyio.current_time()

    async def _read_part(self, plan: LoadingPlan, part: Part) -> Read | None:
        """Read a part, or divide it if it takes too long."""
        asked = anyio.current_time()
        try:
            return await self.reads.list(part.query)
        except MaasUnavailableError as error:
            if not error.sent or anyio.current_time() - asked < TOO_SLOW:
                raise
            if plan.divide(part):
                return None
        return await self.reads.list(part.query, patience=LONG_PATIENCE)

    async def _read_space(self) -> Space:
        return {dimension: await self.reads.names(path) for dimension, path in NAMES.items()}

    async def _resync(self) -> None:
        chosen = self.resync.choose(self.snapshot, self._due, self.shown, anyio.current_time())
        seconds = (await self.reads.list_by_id(chosen)).seconds if chosen else 0.0
        self.resync.spend(len(chosen), seconds, anyio.current_time())

    async def _search(self) -> None:
        """Search for machines that are not known, which costs MAAS little: known ones are excluded."""
        rows = list(self.snapshot.rows.values())
        known_before = dict(self.reads.left_out)
        found: dict[str, object] = {}
        try:
            space = {} if fits([row.system_id for row in rows]) else await self._read_space()
            for part, known in parts_without_known(rows, space):
                read = await self.reads.list({**part.query, "not_id": known})
                found |= {str(each.identity or each.name): each for each in read.left_out}
        except MaasBadRequestError as error:
            logger.info("MAAS refused the search for new machines: %s", error)
        else:
            for name in known_before.keys() - found.keys():
                self.reads.left_out.pop(name, None)
        self._search_at = anyio.current_time() + self.resync.round_seconds(len(self.snapshot.rows))
