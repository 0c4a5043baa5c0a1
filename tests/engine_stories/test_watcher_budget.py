"""The cost of following for MAAS, measured on a virtual clock against a promised limit.

The limit is in requests per followed machine and minute, including final reads. News reach the follower within two
seconds.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise

import anyio
import pytest

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.event_news import EventNews, Listener
from maas_mcp.operations.watching.watcher import Watcher
from maas_simulator import SimulatedMachine, generated_region
from maas_simulator import SimulatedRegion as Region
from tests.house import client_of

pytestmark = pytest.mark.anyio

TEN_MINUTES = 600


@dataclass
class Bill:
    """Deploys and follows machines, and counts the cost."""

    region: Region
    began: float = field(default_factory=anyio.current_time)
    minutes: float = 0.0
    """Machine-minutes followed."""
    waits: list[float] = field(default_factory=list)
    """Seconds from an event's creation until it was reported."""

    @property
    def rate(self) -> float:
        return len(self.region.requests) / self.minutes

    @property
    def p95(self) -> float:
        return sorted(self.waits)[int(len(self.waits) * 0.95)]

    async def deploy(self, maas: MaasClient, *, over: float, listener: Listener | None = None) -> None:
        """Deploy all machines, spread over ``over`` seconds, and follow each to its end."""
        watcher, machines = Watcher(maas), list(self.region.machines.values())
        async with anyio.create_task_group() as watching:
            watching.start_soon(watcher.run)
            async with AsyncExitStack() as stack:
                if listener is not None:
                    stack.enter_context(watcher.listen(listener))
                tasks = await stack.enter_async_context(anyio.create_task_group())
                for number, machine in enumerate(machines):
                    tasks.start_soon(self._deploy, watcher, machine, over * number / len(machines))
            watching.cancel_scope.cancel()

    async def _deploy(self, watcher: Watcher, machine: SimulatedMachine, after: float) -> None:
        await anyio.sleep(after)
        cursor = self.region.log.next_id - 1
        self.region.deploy(machine.hostname, "admin")
        began = anyio.current_time()
        status, reported = None, []
        with watcher.follow(machine.system_id, cursor) as news:
            while status != MachineStatus.DEPLOYED:
                seen = await news.next()
                status = seen.machine.status if seen.machine else status
                reported += [event.id for event in seen.events]
                self.waits += [self._since(event.id) for event in seen.events]
        self.minutes += (anyio.current_time() - began) / 60
        written = [each.id for each in self.region.log.events if each.system_id == machine.system_id]
        assert reported == [number for number in written if number > cursor]

    def _since(self, number: int) -> float:
        event = self.region.log.events[number - self.region.log.events[0].id]
        return anyio.current_time() - self.began - (event.created - self.region.schedule.epoch)


@pytest.mark.parametrize(
    ("over", "listens"), [(0, False), (60, True)], ids=["at once", "within a minute and with a listener"]
)
async def test_a_hundred_deployments_cost_less_than_half_a_request_per_machine_and_minute(
    over: float, *, listens: bool
) -> None:
    bill = Bill(generated_region(100, speed=1.0, clock=anyio.current_time))
    bill.region.debug_delay = 0.0  # so that an event's date is the time it was written
    maas, received = client_of(bill.region), list[EventNews]()
    await bill.deploy(maas, over=over, listener=received.append if listens else None)
    await maas.aclose()

    assert bill.minutes > 100 * 9
    assert bill.rate <= 0.45
    assert bill.p95 <= 2.0
    if listens:
        events = [event.id for news in received for event in news.events]
        written = [each.id for each in bill.region.log.events if each.id >= min(events)]
        assert sorted(events) == written[: len(events)]
        assert len(events) > 100 * 20
        assert [news.complete for news in received].count(False) == 1


async def test_one_machine_in_a_long_stage_costs_at_most_eight_requests_a_minute() -> None:
    region = generated_region(1, speed=1.0, clock=anyio.current_time)
    region.plan("node0001", hang="Installing OS")
    maas, cursor = client_of(region), region.log.next_id - 1
    region.deploy("node0001", "admin")
    watcher = Watcher(maas)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run)
        with watcher.follow("m00001", cursor):
            await anyio.sleep(TEN_MINUTES)
            before = len(region.requests)
            await anyio.sleep(TEN_MINUTES)
            assert len(region.requests) - before <= 8 * TEN_MINUTES / 60
        tasks.cancel_scope.cancel()
    await maas.aclose()


async def test_replicas_that_start_to_follow_at_once_poll_at_different_times() -> None:
    region = generated_region(1, speed=1.0, clock=anyio.current_time)
    region.plan("node0001", hang="Installing OS")
    maas, cursor = client_of(region), region.log.next_id - 1
    region.deploy("node0001", "admin")
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(_follow, maas, cursor)
        await anyio.sleep(TEN_MINUTES)
        tasks.cancel_scope.cancel()
    polls = sorted(each.time for each in region.requests if each.path.endswith("/events/"))
    await maas.aclose()

    together = [first for first, second in pairwise(polls) if second - first < 1e-6]
    assert len(polls) > 3 * TEN_MINUTES / 10
    assert len(set(together)) <= 1, "only the first polls, which do not wait, coincide"


async def _follow(maas: MaasClient, cursor: int) -> None:
    """Follow the machine from a watcher of its own, as a replica does."""
    watcher = Watcher(maas)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run)
        with watcher.follow("m00001", cursor):
            await anyio.sleep_forever()
