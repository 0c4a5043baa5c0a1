"""The watcher: one shared look at MAAS per tick for everything that is followed.

MAAS answers an events request with one database query however many machines it names; a read of one machine costs
about a hundred. So machines are read only when an event says that something has ended, and now and then to reconcile.
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio

from maas_mcp.errors import MaasAuthError, MaasError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import ScriptSetName, SystemId
from maas_mcp.operations.cadence import Cadence, Pace
from maas_mcp.operations.feed import EVENTS_LIMIT, EventFeed
from maas_mcp.operations.polling import Needs
from maas_mcp.operations.reading_groups import MACHINES, plan
from maas_mcp.operations.subscription import Subscription

__all__ = ["EVENTS_LIMIT", "Subscription", "Watcher"]

logger = logging.getLogger(__name__)

REQUESTS: Final = 2
"""Reads at once: half of what the client sends at once, so that operations can be started meanwhile."""
SCRIPTS_SHARE: Final = 0.5
"""How much of an interval the reading of script sets may take: each is a request of its own, and the tick waits."""
ALL: Final = Needs()


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
        self._maas = maas
        self._cadence = cadence or Cadence(interval=interval)
        self._pace = Pace(self._cadence, jitter())
        self._feed = EventFeed(maas, self._cadence)
        self._subscriptions: dict[Subscription, None] = {}
        self._followed = anyio.Event()
        self._joined = anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._calm_at = 0.0
        self._together = MACHINES

    @contextmanager
    def follow(self, system_id: SystemId, cursor: int, needs: Needs = ALL) -> Iterator[Subscription]:
        """Follow a machine from the event ``cursor`` on. When nobody follows any longer, a poll under way is closed."""
        subscription = Subscription(system_id, cursor, needs, self._cadence)
        self._subscriptions[subscription] = None
        self._pace.news(anyio.current_time())
        self._followed.set()
        self._joined.set()
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
        """Watch until cancelled."""
        while True:
            await self._followed.wait()
            self._feed.begin()
            with anyio.CancelScope() as self._watching:
                while self._subscriptions:
                    began = anyio.current_time()
                    await self._tick(tuple(self._subscriptions))
                    await self._rest(began)

    async def _rest(self, began: float) -> None:
        """Wait for the next tick; it comes sooner if someone begins to follow."""
        due = self._pace.due(began, anyio.current_time())
        while anyio.current_time() < due:
            self._joined = anyio.Event()
            with anyio.CancelScope(deadline=due):
                await self._joined.wait()
                due = min(due, self._pace.due(began, anyio.current_time()))

    async def _tick(self, followed: Sequence[Subscription]) -> None:
        """One look; whoever it could not be told for hears of an outage."""
        if self._pace.must_wait(anyio.current_time()):
            unanswered = set(followed)
        else:
            try:
                unanswered = await self._look(followed)
            except MaasError as error:
                for subscription in followed:
                    subscription.fail(error)
                    self._leave(subscription)
                return
        for subscription in followed:
            if subscription in unanswered:
                subscription.add_outage()
            else:
                subscription.answered()

    async def _look(self, followed: Sequence[Subscription]) -> set[Subscription]:
        """Ask for everything that is due; answers for whom MAAS did not answer.

        Raises:
            MaasError: It refuses to be asked.
        """
        try:
            news = await self._feed.read([each for each in followed if each.needs.events])
        except MaasError as error:
            self._excuse(error)
            return set(followed)
        self._pace.answered(self._feed.latency)
        if news:
            self._pace.news(anyio.current_time())
        reads = _Reads(self._maas, followed)
        now = anyio.current_time()
        groups = plan(followed, now, self._cadence.reconcile, calm=now >= self._calm_at, most=self._together)
        async with anyio.create_task_group() as tasks:
            for group in groups.urgent + groups.unhurried:
                tasks.start_soon(reads.machines, group)
            tasks.start_soon(reads.script_sets, self._cadence.interval * SCRIPTS_SHARE)
        # Too many for a proxy's patience, or one that MAAS cannot show: in smaller parts the others come through.
        self._together = max(1, self._together // 2) if reads.too_many else min(MACHINES, self._together * 2)
        if groups.unhurried:
            self._calm_at = anyio.current_time() + self._cadence.rest * reads.took
        if reads.news:
            self._pace.news(anyio.current_time())
        for failure in reads.errors:
            self._excuse(failure)
        return reads.unanswered

    def _excuse(self, error: MaasError) -> None:
        """Take an outage as one, and raise anything else: waiting does not mend a certificate that is not trusted."""
        if not error.may_pass:
            raise error
        logger.info("MAAS did not answer: %s", error)
        retry_after = error.retry_after if isinstance(error, MaasUnavailableError) else None
        self._pace.refused(anyio.current_time(), retry_after)


class _Reads:
    """The reads of one tick beside the events: none of them can undo what another has brought."""

    def __init__(self, maas: MaasClient, followed: Sequence[Subscription]) -> None:
        self._maas = maas
        self._followed = followed
        self._limiter = anyio.CapacityLimiter(REQUESTS)
        self.errors: list[MaasError] = []
        self.unanswered: set[Subscription] = set()
        self.too_many = False
        """Whether machines could not be read together that might be one by one."""
        self.news = False
        self.took = 0.0
        """Seconds of the slowest read of machines."""

    async def machines(self, ids: Sequence[SystemId]) -> None:
        """Read machines in one request."""
        subscriptions = [each for each in self._followed if each.system_id in set(ids)]
        async with self._limiter:
            began = anyio.current_time()
            try:
                found = {machine.system_id: machine for machine in await self._maas.machines(id=ids)}
            except MaasError as error:
                self.errors.append(error)
                self.unanswered.update(subscriptions)
                self.too_many = self.too_many or len(ids) > 1
                for subscription in subscriptions:
                    subscription.alone = len(ids) == 1
                return
            finally:
                self.took = max(self.took, anyio.current_time() - began)
        for subscription in subscriptions:
            self.news = subscription.add_machine(found.get(subscription.system_id)) or self.news

    async def script_sets(self, seconds: float) -> None:
        """Begin to read the script sets that are due, for so many seconds: those that waited longest come first."""
        began = anyio.current_time()
        due = [(each, names) for each in self._followed if (names := each.sets_to_read(began))]
        for subscription, names in sorted(due, key=lambda pair: pair[0].sets_due):
            if anyio.current_time() > began + seconds:
                return
            subscription.sets_were_asked()
            for name in names:
                await self._script_set(subscription, name)

    async def _script_set(self, subscription: Subscription, name: ScriptSetName) -> None:
        """Read one script set. It is an extra: without it the operation is followed all the same."""
        async with self._limiter:
            try:
                scripts = await self._maas.script_set(subscription.system_id, name)
            except MaasAuthError as error:
                self.errors.append(error)
                return
            except MaasError as error:
                logger.info("the %s script set of %s could not be read: %s", name, subscription.system_id, error)
                return
        subscription.add_script_set(name, scripts)
