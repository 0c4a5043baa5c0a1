"""The process that benchmarks/following.py measures: it follows deployments, in our way or in the naive one.

Takes a plan as JSON in its only argument, and prints as JSON what it came to.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio.abc import TaskGroup

from maas_deploy.deploy import Deploy
from maas_mcp.maas.client import MaasClient, Transport
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.models import SystemId
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.statuses import AT_WORK, MachineStatus
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Evidence, Needs, Observation
from maas_mcp.operations.judging.strategies import EventPolling
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.start_requests import StartRequests
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.subscription import Subscription
from maas_mcp.operations.watching.watcher import Watcher
from maas_mcp.settings import Settings

ALMOST = 0.98
"""The part of the machines that has to be followed before it counts: while the last are picked up, the first end."""
SETTLED = 15.0
"""Simulated seconds after that in which each machine is read for the first time."""
EVERY = 5.0
"""Simulated seconds between two reads of a machine by the naive poller: what clients of MAAS do by default."""


@dataclass
class Counted:
    """A transport that counts reads; the connections below are shared."""

    below: Transport
    took: list[float] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    """SQL queries that MAAS 3.7 makes for them, by what its own tests allow: 1 for any number of events, 94 for a list
    of machines and 7 more for each; a single read is counted as a list of one."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
    ) -> JSON:
        """Send it on."""
        if method != "GET":
            return await self.below.request(method, path, query=query, form=form)
        began = time.monotonic()
        machines = sum(key == "id" for key, _ in query) if path == "machines/" else 1
        self.queries.append(94 + 7 * machines if path.startswith("machines/") else 1)
        try:
            return await self.below.request(method, path, query=query, form=form)
        finally:
            self.took.append(time.monotonic() - began)

    def once(self) -> "Counted":
        """Nothing fails here."""
        return self

    @asynccontextmanager
    async def turn(self, op: str, waiting: Callable[[], None]) -> AsyncIterator[Transport]:
        """That of the transport below; what is read in it is counted."""
        async with self.below.turn(op, waiting) as below:
            yield replace(self, below=below)

    async def aclose(self) -> None:
        """Nothing of its own."""


class Noting(EventPolling):
    """The deployment's strategy, noting when events reach it."""

    def __init__(self, polling: EventPolling) -> None:
        super().__init__(polling.phases)
        self.events: list[tuple[int, float]] = []

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Note, and measure."""
        now = time.monotonic()
        self.events += [(event.id, now) for event in observation.events]
        return super().measure(evidence, observation)


class Timed(Watcher):
    """A watcher that adds up for how long it was followed."""

    seconds = 0.0
    since = 0.0
    """What came before is not added."""

    def __init__(self, maas: MaasClient, *, cadence: Cadence) -> None:
        super().__init__(maas, cadence=cadence)
        self._followers = 0
        self._joined_by_more = anyio.Event()

    async def when_followed_by(self, followers: float) -> None:
        """Wait for so many at the same time."""
        while self._followers < followers:
            self._joined_by_more = anyio.Event()
            await self._joined_by_more.wait()

    @contextmanager
    def follow(
        self,
        system_id: SystemId,
        cursor: int,
        needs: Needs = Needs(),  # noqa: B008 - frozen
        pending: Collection[MachineStatus] = AT_WORK,
    ) -> Iterator[Subscription]:
        """Follow, and add up."""
        began = time.monotonic()
        self._followers += 1
        self._joined_by_more.set()
        try:
            with super().follow(system_id, cursor, needs, pending) as subscription:
                yield subscription
        finally:
            self._followers -= 1
            self.seconds += max(0.0, time.monotonic() - max(began, self.since))


class Measured:
    """The engine's parts, with every interval as much shorter as the region is faster, and what they have cost."""

    def __init__(self, plan: dict[str, Any], transport: Transport) -> None:
        self.following, self.beside = Counted(transport), Counted(transport)
        self.watcher = Timed(MaasClient(self.following), cadence=Cadence().scaled(1 / plan["speed"]))
        assert isinstance(Deploy.polling, EventPolling)
        self.noting = Noting(Deploy.polling)
        self.operation: Operation[Any, Any] = Deploy()

    def engine(self, tasks: TaskGroup) -> Engine:
        """The engine; its orders are held in ``tasks``."""
        maas = MaasClient(self.beside)
        return Engine(maas, self.watcher, StartRequests(tasks), polling=self.noting)

    def forget(self) -> None:
        """Count from zero again."""
        for counted in (self.following, self.beside):
            counted.took.clear()
            counted.queries.clear()

    def reported(self) -> dict[str, Any]:
        """The figures so far."""
        return {
            "following": len(self.following.took),
            "queries": sum(self.following.queries),
            "beside": len(self.beside.took),
            "seconds": self.watcher.seconds,
            "latency": statistics.median(self.following.took),
            "events": self.noting.events,
        }


async def ours(plan: dict[str, Any], transport: Transport) -> dict[str, Any]:
    """The engine and the watcher, with every interval as much shorter as the region is faster."""
    measured = Measured(plan, transport)
    watcher, operation = measured.watcher, measured.operation

    async def deploy(engine: Engine, system_id: str, after: float) -> None:
        await anyio.sleep(after)
        progress = ProgressReporter(_nobody)
        async with progress.reporting():
            arguments = Deploy.arguments.model_validate({"system_id": system_id})
            await engine.run(operation, arguments, progress, CancellationToken())

    async with anyio.create_task_group() as watching:
        watching.start_soon(watcher.run)
        engine = measured.engine(watching)
        async with anyio.create_task_group() as tasks:
            for number, system_id in enumerate(plan["machines"]):
                tasks.start_soon(deploy, engine, system_id, number * plan["gap"] / plan["speed"])
        watching.cancel_scope.cancel()
    return measured.reported()


async def midway(plan: dict[str, Any], transport: Transport) -> dict[str, Any]:
    """The same, for a while in the middle: picks up what is under way, starts more as time goes on, and leaves it."""
    measured = Measured(plan, transport)
    watcher, operation = measured.watcher, measured.operation

    async def pick_up(engine: Engine, system_id: str, cursor: int) -> None:
        handle = Handle(operation.name, system_id, int(time.time()), cursor, ())
        await engine.resume(operation, handle, ProgressReporter(_nobody), CancellationToken(), wait=None)

    async def start(engine: Engine, system_id: str, after: float) -> None:
        await anyio.sleep(after)
        arguments = Deploy.arguments.model_validate({"system_id": system_id})
        await engine.run(operation, arguments, ProgressReporter(_nobody), CancellationToken())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run)
        engine = measured.engine(tasks)
        for system_id, cursor in plan["under_way"].items():
            tasks.start_soon(pick_up, engine, system_id, cursor)
        for number, system_id in enumerate(plan["machines"]):
            tasks.start_soon(start, engine, system_id, number * plan["gap"] / plan["speed"])
        with anyio.move_on_after(plan["picked_up"] / plan["speed"]):
            await watcher.when_followed_by(ALMOST * len(plan["under_way"]))
        await anyio.sleep(SETTLED / plan["speed"])
        watcher.since, cpu = time.monotonic(), time.process_time()
        measured.forget()
        await anyio.sleep(plan["window"] / plan["speed"])
        tasks.cancel_scope.cancel()
    return {**measured.reported(), "since": watcher.since, "cpu": time.process_time() - cpu}


async def naive(plan: dict[str, Any], transport: Transport) -> dict[str, Any]:
    """Read each machine every few seconds until it is deployed, or for a window of simulated seconds.

    The machines are at it already: that leaves to this poller what it is best at.
    """
    following = Counted(transport)
    maas = MaasClient(following)
    polls: list[tuple[str, float, float]] = []
    seconds = 0.0

    async def poll(system_id: str, after: float) -> None:
        nonlocal seconds
        await anyio.sleep(after)
        began, status = time.monotonic(), None
        end = began + plan["window"] / plan["speed"]
        while status != MachineStatus.DEPLOYED and time.monotonic() < end:
            asked_at = time.monotonic()
            status = (await maas.machine(system_id)).status
            polls.append((system_id, asked_at, time.monotonic()))
            await anyio.sleep(EVERY / plan["speed"])
        seconds += time.monotonic() - began

    gap = EVERY / plan["speed"] / len(plan["machines"])
    async with anyio.create_task_group() as tasks:
        for number, system_id in enumerate(plan["machines"]):
            tasks.start_soon(poll, system_id, number * gap)
    return {
        "following": len(following.took),
        "queries": sum(following.queries),
        "beside": 0,
        "seconds": seconds,
        "latency": statistics.median(following.took),
        "polls": polls,
    }


WAYS = {"ours": ours, "midway": midway, "naive": naive}


async def _nobody(_progress: Progress) -> None:
    """Hears the progress."""


async def main(plan: dict[str, Any]) -> None:
    """Follow as planned, and tell what it took."""
    region = Settings.load(maas_url=plan["url"], maas_api_key=plan["key"]).require_region()
    transport = HttpTransport(region)
    before = time.process_time()
    reported = await WAYS[plan["way"]](plan, transport)
    reported.setdefault("cpu", time.process_time() - before)
    reported["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    await transport.aclose()
    json.dump(reported, sys.stdout)


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
