"""The watcher: one shared poll per tick for everything that is followed.

MAAS answers a request for events with one database query, however many machines it names; a read of one machine costs
about a hundred. So machines are read only when an event shows that an operation has ended, and occasionally to
reconcile.

Listeners receive the events of all machines from the same polls. While there are listeners and nothing is followed, the
polls go on at a slower pace.
"""

import logging
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import MaasAuthError, MaasError, MaasTlsError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.maas.statuses import AT_WORK, MachineStatus
from maas_mcp.operations.event_news import IDLE, Listener
from maas_mcp.operations.judging.evidence import Needs
from maas_mcp.operations.outages import is_answering
from maas_mcp.operations.watching.cadence import Cadence, Pace
from maas_mcp.operations.watching.event_feed import EventFeed
from maas_mcp.operations.watching.listeners import Listeners
from maas_mcp.operations.watching.machine_reads import MachineReads
from maas_mcp.operations.watching.subscription import Subscription

__all__ = ["Subscription", "Watcher"]

logger = logging.getLogger(__name__)

ALL: Final = Needs()
REFUSALS: Final = 2
"""Consecutive refusals after which all following ends. A single one may come from a proxy."""
MAX_IDLE_FACTOR: Final = 16
"""Maximum factor of the idle interval while MAAS refuses the requests."""


class Watcher:
    """Watches the followed machines while :meth:`run` is running. Sends no requests without any, and no listeners.

    Args:
        maas: The region.
        interval: Seconds between two ticks while there is news.
        cadence: All intervals; replaces the defaults for ``interval``.
        on_news: Called with each followed machine that has news. Returns at once.
        jitter: Called once; returns a number from 0 to 1, the offset of this process's ticks within an interval.
        polled: Called after each poll, with its error if it failed.
    """

    def __init__(
        self,
        maas: MaasClient,
        *,
        interval: float = 2.0,
        cadence: Cadence | None = None,
        jitter: Callable[[], float] = random.random,
        polled: Sequence[Callable[[MaasError | None], None]] = (),
        on_news: Callable[[SystemId], None] = lambda _system_id: None,
    ) -> None:
        self._polled = polled
        once = maas.once()  # no retries: a failure is reported, and the next tick polls again
        self._cadence = cadence or Cadence(interval=interval)
        self._pace = Pace(self._cadence, jitter())
        self._feed = EventFeed(once, self._cadence, on_news)
        self._reads = MachineReads(
            once, self._cadence, answered=self._answered, changed=self._poll_soon, failed=self._failed
        )
        self._subscriptions: dict[Subscription, None] = {}
        self._listeners = Listeners()
        self._wanted = anyio.Event()
        """Set while there are subscriptions or listeners."""
        self._activity = anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._refusals = 0

    @contextmanager
    def follow(
        self, system_id: SystemId, cursor: int, needs: Needs = ALL, pending: Collection[MachineStatus] = AT_WORK
    ) -> Iterator[Subscription]:
        """Follow a machine from the event ``cursor`` on. Without subscriptions, a poll in progress is cancelled."""
        subscription = Subscription(system_id, cursor, needs, self._cadence, pending)
        if not self._subscriptions and self._watching is not None:
            self._watching.cancel()  # which waits to poll for the listeners
        self._subscriptions[subscription] = None
        self._wanted.set()
        self._poll_soon()
        try:
            yield subscription
        finally:
            self._unfollow(subscription)

    def _unfollow(self, subscription: Subscription) -> None:
        if subscription not in self._subscriptions:  # it failed and was removed already
            return
        del self._subscriptions[subscription]
        if not self._subscriptions:
            self._stop()

    @contextmanager
    def listen(self, listener: Listener, *, idle: float = IDLE) -> Iterator[None]:
        """Pass the events of all machines to a listener. See :class:`~maas_mcp.operations.event_news.Events`."""
        try:
            with self._listeners.adding(listener, idle):
                self._feed.collect_all()
                self._wanted.set()
                if not self._subscriptions and self._watching is not None:
                    self._watching.cancel()  # which waits to poll for the other listeners
                yield
        finally:
            self._end_listening()

    def _end_listening(self) -> None:
        """Stop reading the events of all machines if nobody listens to them any more."""
        if self._listeners:
            return
        self._feed.tail = None
        if not self._subscriptions:
            self._stop()

    def _stop(self) -> None:
        """Stop polling for what is no longer followed, or for listeners that have gone."""
        if self._wanted.is_set() and not self._subscriptions and not self._listeners:
            self._wanted = anyio.Event()
        if self._watching is not None:
            self._watching.cancel()

    async def run(self) -> None:
        """Watch until cancelled. An unexpected error is reported as an outage, and watching restarts."""
        while True:
            await self._wanted.wait()
            if not self._feed.is_begun:
                self._feed.begin()
            with anyio.CancelScope() as self._watching:
                try:
                    await (self._watch() if self._subscriptions else self._listen())
                except Exception:
                    logger.exception("The watcher failed with an unexpected error, and restarts")
                    self._feed.begin()
                    self._report_outage(tuple(self._subscriptions))
                    await anyio.sleep(self._cadence.interval)

    async def _watch(self) -> None:
        async with anyio.create_task_group() as tasks:
            while self._subscriptions:
                began = anyio.current_time()
                await self._tick(tuple(self._subscriptions), tasks)
                await self._wait_for_tick(began)

    async def _listen(self) -> None:
        """Poll for the listeners while nothing is followed."""
        refusals = 0
        due = self._feed.tail_read_at + self._listeners.idle
        while self._listeners:
            await anyio.sleep_until(due)
            began = anyio.current_time()
            error = None
            if not self._pace.must_wait(began):
                error = await self._read_all_events(())
                self._note_poll(error)
                self._pass_on_news(began)
            refusals = refusals + 1 if error is not None and not error.may_pass else 0
            pause = self._listeners.idle * min(2**refusals, MAX_IDLE_FACTOR)
            due = max(
                began + self._feed.latency * self._cadence.slowdown,
                pause + (began if error is None else anyio.current_time()),
            )

    async def _wait_for_tick(self, began: float) -> None:
        """Wait for the next tick, which comes sooner after activity."""
        due = self._pace.due(began, anyio.current_time())
        while anyio.current_time() < due:
            self._activity = anyio.Event()
            with anyio.CancelScope(deadline=due):
                await self._activity.wait()
                due = min(due, self._pace.due(began, anyio.current_time()))

    async def _tick(self, followed: Sequence[Subscription], tasks: TaskGroup) -> None:
        """Read the events and start the reads that are due. On failure, report an outage to all subscriptions."""
        began = anyio.current_time()
        if self._pace.must_wait(began):
            self._report_outage(followed)
            return
        try:
            news = await self._feed.read([each for each in followed if each.needs.events])
        except MaasError as error:
            self._note_poll(error)
            self._failed(error)
            self._report_outage(followed, error)
            return
        self._note_poll()
        self._answered()
        self._pace.note_latency(self._feed.latency)
        if news:
            self._pace.note_news(anyio.current_time())
        self._reads.start_due(followed, tasks)
        for subscription in followed:
            if not self._reads.is_waiting(subscription):
                subscription.note_answered(began)
        await self._serve_listeners(began, followed)

    async def _serve_listeners(self, began: float, followed: Sequence[Subscription]) -> None:
        """Pass on the events of all machines. If the poll was for the followed machines only, read them at times."""
        if self._listeners and began >= self._feed.tail_read_at + self._listeners.idle:
            await self._read_all_events([each for each in followed if each.needs.events])
        self._pass_on_news(began)

    async def _read_all_events(self, followed: Sequence[Subscription]) -> MaasError | None:
        """Read the events of all machines, and return the error if that fails. It does not concern what is followed."""
        try:
            await self._feed.read_tail(followed)
        except MaasError as error:
            logger.info("A poll of all events failed: %s", error)
            self._note_retry_after(error)
            return error
        self._pace.clear_retry_after()
        return None

    def _pass_on_news(self, asked: float) -> None:
        """Pass the events of all machines to the listeners, if they were read."""
        news = None if self._feed.tail is None else self._feed.tail.take()
        if news is not None:
            self._listeners.pass_on(news[0], complete=news[1], asked=asked)
            self._end_listening()

    def _note_poll(self, error: MaasError | None = None) -> None:
        for polled in self._polled:
            polled(error)

    def _poll_soon(self) -> None:
        """Poll soon: something happened, or following has just started."""
        self._pace.note_news(anyio.current_time())
        self._activity.set()

    @staticmethod
    def _report_outage(followed: Sequence[Subscription], error: MaasError | None = None) -> None:
        for subscription in followed:
            subscription.note_outage(answering=is_answering(error))

    def _answered(self) -> None:
        """Record that MAAS responds and accepts the API key."""
        self._refusals = 0
        self._pace.clear_retry_after()

    def _failed(self, error: MaasError) -> None:
        """Treat any error as an outage: a 403 or 404 for requests that all users may make does not come from MAAS.

        Only a rejected API key or an untrusted certificate ends all following, if it occurs again. Both are permanent.
        """
        logger.info("A poll of MAAS failed: %s", error)
        if isinstance(error, MaasAuthError | MaasTlsError):
            self._refusals += 1
            self._pace.note_news(anyio.current_time())
            if self._refusals >= REFUSALS:
                self._end_all(error)
        self._note_retry_after(error)

    def _note_retry_after(self, error: MaasError) -> None:
        retry_after = error.retry_after if isinstance(error, MaasUnavailableError) else None
        self._pace.note_retry_after(anyio.current_time(), retry_after)

    def _end_all(self, error: MaasError) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.fail(error)
            self._unfollow(subscription)
        self._refusals = 0
