"""The watcher: one shared read of MAAS's events per tick for all machines that are followed.

MAAS answers an events request with one database query however many machines it names; a read of one machine costs
about a hundred. So machines are read only when an event says that a status changed, and now and then to reconcile.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio

from maas_mcp.errors import MaasError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine, SystemId
from maas_mcp.operations.polling import Observation

logger = logging.getLogger(__name__)

EVENTS_LIMIT: Final = 1000
"""The most events that MAAS gives in one answer; with ``after`` these are the oldest ones, so a full answer has more
behind it."""


class Subscription:
    """One machine being followed: what was seen of it and not yet taken."""

    def __init__(self, system_id: SystemId, cursor: int) -> None:
        self.system_id = system_id
        self.cursor = cursor
        self.stale = False
        self.read_at = anyio.current_time()
        self._machine: Machine | None = None
        self._absent = False
        self._events: list[Event] = []
        self._unreachable_for: float | None = None
        self._error: MaasError | None = None
        self._news = anyio.Event()

    async def next(self) -> Observation:
        """Wait for news, and take all there is in one observation.

        Raises:
            MaasError: The region refuses to be asked, as after the API key was revoked.
        """
        await self._news.wait()
        self._news = anyio.Event()
        if self._error is not None:
            raise self._error
        observation = Observation(self._machine, self._absent, tuple(self._events), self._unreachable_for)
        self._machine, self._absent, self._events, self._unreachable_for = None, False, [], None
        return observation

    def add_events(self, events: Sequence[Event]) -> None:
        """Take what is new of this machine; ``events`` are all that there are up to the last one."""
        mine = [event for event in events if event.node == self.system_id and event.id > self.cursor]
        if events:
            self.cursor = max(self.cursor, events[-1].id)
        if mine:
            self._events += mine
            self.stale = self.stale or any(event.status_change for event in mine)
            self._unreachable_for = None
            self._news.set()

    def add_machine(self, machine: Machine | None) -> None:
        """Take a fresh read; ``None`` says that the machine was not there."""
        self._machine, self._absent = machine, machine is None
        self.stale = machine is None
        self.read_at = anyio.current_time()
        self._unreachable_for = None
        self._news.set()

    def add_outage(self, seconds: float) -> None:
        """MAAS has not answered for ``seconds``; once it does, the machine is read again."""
        self._unreachable_for = seconds
        self.stale = True
        self._news.set()

    def fail(self, error: MaasError) -> None:
        """Nothing more will be seen."""
        self._error = error
        self._news.set()


class Watcher:
    """Watches the followed machines while :meth:`run` runs; asks nothing of MAAS while there are none.

    Args:
        maas: The region.
        interval: Seconds between two ticks.
        reconcile: Seconds after which a machine is read again even without news.
    """

    def __init__(self, maas: MaasClient, *, interval: float = 2.0, reconcile: float = 45.0) -> None:
        self._maas = maas
        self._interval = interval
        self._reconcile = reconcile
        self._subscriptions: set[Subscription] = set()
        self._wanted = anyio.Event()
        self._watching: anyio.CancelScope | None = None
        self._answered_at = 0.0

    @contextmanager
    def follow(self, system_id: SystemId, cursor: int) -> Iterator[Subscription]:
        """Follow a machine from the event ``cursor`` on. When nobody follows any longer, a poll under way is closed."""
        subscription = Subscription(system_id, cursor)
        self._subscriptions.add(subscription)
        self._wanted.set()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._wanted = anyio.Event()
                if self._watching is not None:
                    self._watching.cancel()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._wanted.wait()
            self._answered_at = anyio.current_time()
            with anyio.CancelScope() as self._watching:
                while self._subscriptions:
                    pause = await self._tick()
                    await anyio.sleep(pause)

    async def _tick(self) -> float:
        """One round; returns the seconds to wait before the next."""
        try:
            await self._poll()
        except MaasUnavailableError as error:
            if not error.retryable:  # such as a certificate that is not trusted: waiting does not mend it
                return self._fail(error)
            silence = anyio.current_time() - self._answered_at
            logger.info("MAAS does not answer since %.0f s: %s", silence, error)
            for subscription in self._subscriptions:
                subscription.add_outage(silence)
            return max(self._interval, error.retry_after or 0.0)
        except MaasError as error:
            return self._fail(error)
        self._answered_at = anyio.current_time()
        return self._interval

    def _fail(self, error: MaasError) -> float:
        for subscription in self._subscriptions:
            subscription.fail(error)
        return self._interval

    async def _poll(self) -> None:
        followed = tuple(self._subscriptions)
        await self._read_events(followed)
        due = anyio.current_time() - self._reconcile
        ids = sorted({each.system_id for each in followed if each.stale or each.read_at <= due})
        if not ids:
            return
        machines = {machine.system_id: machine for machine in await self._maas.machines(id=ids)}
        for subscription in followed:
            if subscription.system_id in ids:
                subscription.add_machine(machines.get(subscription.system_id))

    async def _read_events(self, followed: Sequence[Subscription]) -> None:
        cursor = min(each.cursor for each in followed)
        ids = sorted({each.system_id for each in followed})
        while True:
            events = await self._maas.events(after=cursor, ids=ids, level="DEBUG", limit=EVENTS_LIMIT)
            for subscription in followed:
                subscription.add_events(events)
            if len(events) < EVENTS_LIMIT:
                return
            cursor = events[-1].id
