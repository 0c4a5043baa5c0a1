"""Followers for tests, which record the observations of a watcher and their times."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import anyio
import anyio.abc

from maas_mcp.errors import MaasError
from maas_mcp.maas.statuses import AT_WORK, MachineStatus
from maas_mcp.operations.event_news import IDLE, EventNews
from maas_mcp.operations.judging.evidence import Needs, Observation
from maas_mcp.operations.watching.watcher import Watcher
from tests.unit.core.operations.event_log import EventLog

EVENTS = Needs()


@dataclass
class Reported:
    """The observations of one follower."""

    observations: list[tuple[float, Observation]] = field(default_factory=list)
    error: MaasError | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def events(self) -> list[int]:
        return [event.id for _, seen in self.observations for event in seen.events]

    @property
    def reads(self) -> list[float]:
        return [time for time, seen in self.observations if seen.machine or seen.absent]

    @property
    def outages(self) -> list[float]:
        return [seen.unreachable_for for _, seen in self.observations if seen.unreachable_for is not None]

    def leave(self) -> None:
        self.scope.cancel()


@dataclass
class Scene:
    """A log, its watcher, and a task group for followers."""

    log: EventLog
    watcher: Watcher
    tasks: anyio.abc.TaskGroup

    def follow(
        self,
        node: str,
        needs: Needs = EVENTS,
        cursor: int | None = None,
        pending: Collection[MachineStatus] = AT_WORK,
    ) -> Reported:
        """Follow from now or from a cursor."""
        reported = Reported()
        self.tasks.start_soon(
            self._follow, reported, node, self.log.newest if cursor is None else cursor, needs, pending
        )
        return reported

    def at(self, time: float, act: Callable[[], object]) -> None:
        """Call a function at a time of the virtual clock."""

        async def later() -> None:
            await anyio.sleep_until(time)
            act()

        self.tasks.start_soon(later)

    async def _follow(
        self, reported: Reported, node: str, cursor: int, needs: Needs, pending: Collection[MachineStatus]
    ) -> None:
        with reported.scope, self.watcher.follow(node, cursor, needs, pending) as news:
            while True:
                try:
                    observation = await news.next()
                except MaasError as error:
                    reported.error = error
                    return
                reported.observations.append((anyio.current_time(), observation))


@asynccontextmanager
async def scene(log: EventLog | None = None) -> AsyncIterator[Scene]:
    """A scene that starts at time 0, with ticks at even seconds."""
    log = log or EventLog()
    watcher = Watcher(log.client, jitter=lambda: 0.0)
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(watcher.run)
        yield Scene(log, watcher, tasks)
        tasks.cancel_scope.cancel()


@dataclass
class Received:
    """The news of one listener, and the times at which they came."""

    news: list[EventNews] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __call__(self, news: EventNews) -> None:
        self.news.append(news)
        self.times.append(anyio.current_time())

    @property
    def events(self) -> list[int]:
        return [event.id for each in self.news for event in each.events]

    @property
    def gaps(self) -> list[float]:
        """The times of the news that may lack events."""
        return [time for time, each in zip(self.times, self.news, strict=True) if not each.complete]


@contextmanager
def listening(s: Scene, idle: float = IDLE) -> Iterator[Received]:
    received = Received()
    with s.watcher.listen(received, idle=idle):
        yield received
