"""The watcher: one shared look at MAAS per tick for everything that is followed.

MAAS answers an events request with one database query however many machines it names; a read of one machine costs
about a hundred. So machines are read only when an event says that something has ended, and now and then to reconcile.
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
from maas_mcp.operations.judging.evidence import Needs
from maas_mcp.operations.outages import answers
from maas_mcp.operations.watching.cadence import Cadence, Pace
from maas_mcp.operations.watching.event_feed import EVENTS_LIMIT, EventFeed
from maas_mcp.operations.watching.machine_reads import Reads
from maas_mcp.operations.watching.subscription import Subscription

__all__ = ["EVENTS_LIMIT", "Subscription", "Watcher"]

logger = logging.getLogger(__name__)

ALL: Final = Needs()
REFUSALS: Final = 2
"""So many refusals of every question, with no answer in between, end all following: one may be a proxy's."""


class Watcher:
    """Watches the followed machines while :meth:`run` runs; asks nothing of MAAS while there are none.

    Args:
        maas: The region.
        interval: Seconds between two ticks while there is news.
        cadence: All intervals, instead of those that go with ``interval``.
        jitter: A number from 0 to 1, asked for once: where in an interval this process has its ticks.
    """

    def __init__(
        self,
        maas: MaasClient,
        *,
        interval: float = 2.0,
        cadence: Cadence | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        once = maas.once()  # what fails is told, and asked for again at the next tick
        self._cadence = cadence or Cadence(interval=interval)
        self._pace = Pace(self._cadence, jitter())
        self._feed = EventFeed(once, self._cadence)
        self._reads = Reads(once, self._cadence, answered=self._answered, changed=self._hurry, failed=self._failed)
        self._subscriptions: dict[Subscription, None] = {}
        self._followed = anyio.Event()
        self._stirred = anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._refusals = 0

    @contextmanager
    def follow(
        self, system_id: SystemId, cursor: int, needs: Needs = ALL, pending: Collection[MachineStatus] = AT_WORK
    ) -> Iterator[Subscription]:
        """Follow a machine from the event ``cursor`` on. When nobody follows any longer, a poll under way is closed.

        Args:
            system_id: The machine.
            cursor: The event after which its news begin.
            needs: What is to be seen of it.
            pending: The statuses of the operation: once the machine leaves them, it is read at once.
        """
        subscription = Subscription(system_id, cursor, needs, self._cadence, pending)
        self._subscriptions[subscription] = None
        self._followed.set()
        self._hurry()
        try:
            yield subscription
        finally:
            self._leave(subscription)

    def _leave(self, subscription: Subscription) -> None:
        if subscription not in self._subscriptions:  # it failed, and has left already
            return
        del self._subscriptions[subscription]
        if not self._subscriptions:
            self._followed = anyio.Event()
            if self._watching is not None:
                self._watching.cancel()

    async def run(self) -> None:
        """Watch until cancelled. A fault in here is an outage to who follows; it ends neither them nor the server."""
        while True:
            await self._followed.wait()
            self._feed.begin()
            with anyio.CancelScope() as self._watching:
                try:
                    await self._watch()
                except Exception:
                    logger.exception("watching failed; it begins anew")
                    self._tell_outage(tuple(self._subscriptions))
                    await anyio.sleep(self._cadence.interval)

    async def _watch(self) -> None:
        async with anyio.create_task_group() as tasks:
            while self._subscriptions:
                began = anyio.current_time()
                await self._tick(tuple(self._subscriptions), tasks)
                await self._rest(began)

    async def _rest(self, began: float) -> None:
        """Wait for the next tick; it comes sooner if something stirs."""
        due = self._pace.due(began, anyio.current_time())
        while anyio.current_time() < due:
            self._stirred = anyio.Event()
            with anyio.CancelScope(deadline=due):
                await self._stirred.wait()
                due = min(due, self._pace.due(began, anyio.current_time()))

    async def _tick(self, followed: Sequence[Subscription], tasks: TaskGroup) -> None:
        """Ask for the events, and begin to read what is due. Whoever it could not be asked for hears of an outage."""
        began = anyio.current_time()
        if self._pace.must_wait(began):
            self._tell_outage(followed)
            return
        try:
            news = await self._feed.read([each for each in followed if each.needs.events])
        except MaasError as error:
            self._failed(error)
            self._tell_outage(followed, error)
            return
        self._answered()
        self._pace.answered(self._feed.latency)
        if news:
            self._pace.news(anyio.current_time())
        self._reads.begin(followed, tasks)
        for subscription in followed:
            if not self._reads.is_waiting(subscription):
                subscription.answered(began)

    def _hurry(self) -> None:
        """Something happened, or someone has just begun to follow."""
        self._pace.news(anyio.current_time())
        self._stirred.set()

    @staticmethod
    def _tell_outage(followed: Sequence[Subscription], error: MaasError | None = None) -> None:
        for subscription in followed:
            subscription.add_outage(answering=answers(error))

    def _answered(self) -> None:
        """MAAS is there, and knows us."""
        self._refusals = 0
        self._pace.relieved()

    def _failed(self, error: MaasError) -> None:
        """Take it as an outage, whatever it is: a 403 or a 404 to what all of us ask for is not MAAS's.

        Only a key that is not accepted, or a certificate that is not trusted, ends all following, when said again:
        waiting mends neither.
        """
        logger.info("MAAS did not answer: %s", error)
        if isinstance(error, MaasAuthError | MaasTlsError):
            self._refusals += 1
            self._pace.news(anyio.current_time())
            if self._refusals >= REFUSALS:
                self._end_all(error)
        retry_after = error.retry_after if isinstance(error, MaasUnavailableError) else None
        self._pace.refused(anyio.current_time(), retry_after)

    def _end_all(self, error: MaasError) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.fail(error)
            self._leave(subscription)
        self._refusals = 0
