"""The process that benchmarks/following.py measures: it follows deployments with our engine, or by naive polling.

Its only argument is a plan as JSON. It prints its measurements as JSON.
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

RESUMED_SHARE = 0.98
"""The share of the machines that must be followed before the measurement starts. Never all: while the last machines are
resumed, the first deployments end."""
SETTLING = 15.0
"""Simulated seconds after that, in which each machine is read for the first time."""
NAIVE_INTERVAL = 5.0
"""Simulated seconds between two reads of a machine by the naive poller: the default of MAAS's clients."""


@dataclass
class CountingTransport:
    """A transport that counts reads. It shares the connections of the transport below."""

    below: Transport
    durations: list[float] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    """SQL queries of MAAS 3.7 for these reads, from the limits in its own tests: 1 for any number of events, 94 for a
    list of machines and 7 more for each machine. Reading one machine counts as a list of one."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        decode: Callable[[bytes], JSON] | None = None,
        patience: float | None = None,
    ) -> JSON:
        """Forward the request, and count it if it is a read."""
        if method != "GET":
            return await self.below.request(method, path, query=query, form=form)
        began = time.monotonic()
        machines = sum(key == "id" for key, _ in query) if path == "machines/" else 1
        self.queries.append(94 + 7 * machines if path.startswith("machines/") else 1)
        try:
            return await self.below.request(method, path, query=query, form=form, decode=decode, patience=patience)
        finally:
            self.durations.append(time.monotonic() - began)

    def once(self) -> "CountingTransport":
        """Return itself: nothing fails in a benchmark."""
        return self

    @asynccontextmanager
    async def turn(self, op: str, waiting: Callable[[], None]) -> AsyncIterator[Transport]:
        """Take a turn of the transport below. Reads in it are counted."""
        async with self.below.turn(op, waiting) as below:
            yield replace(self, below=below)

    async def aclose(self) -> None:
        """Do nothing: the transport below is shared."""


class RecordingPolling(EventPolling):
    """The deployment's strategy, which records when events reach it."""

    def __init__(self, polling: EventPolling) -> None:
        super().__init__(polling.phases)
        self.events: list[tuple[int, float]] = []

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Record the events, and measure the progress."""
        now = time.monotonic()
        self.events += [(event.id, now) for event in observation.events]
        return super().measure(evidence, observation)


class TimingWatcher(Watcher):
    """A watcher that adds up the time for which machines are followed."""

    seconds = 0.0
    since = 0.0
    """The start of the measurement. Earlier time is not added."""

    def __init__(self, maas: MaasClient, *, cadence: Cadence) -> None:
        super().__init__(maas, cadence=cadence)
        self._followers = 0
        self._joined_by_more = anyio.Event()

    async def when_followed_by(self, followers: float) -> None:
        """Wait until this many followers are active at the same time."""
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
        """Follow a machine, and add up the time."""
        began = time.monotonic()
        self._followers += 1
        self._joined_by_more.set()
        try:
            with super().follow(system_id, cursor, needs, pending) as subscription:
                yield subscription
        finally:
            self._followers -= 1
            self.seconds += max(0.0, time.monotonic() - max(began, self.since))


class MeasuredEngine:
    """The parts of the engine, with intervals scaled to the speed of the region, and their costs."""

    def __init__(self, plan: dict[str, Any], transport: Transport) -> None:
        self.following, self.other_requests = CountingTransport(transport), CountingTransport(transport)
        self.watcher = TimingWatcher(MaasClient(self.following), cadence=Cadence().scaled(1 / plan["speed"]))
        assert isinstance(Deploy.polling, EventPolling)
        self.polling = RecordingPolling(Deploy.polling)
        self.operation: Operation[Any, Any] = Deploy()

    def engine(self, tasks: TaskGroup) -> Engine:
        """Create the engine. Its start requests run in ``tasks``."""
        maas = MaasClient(self.other_requests)
        return Engine(maas, self.watcher, StartRequests(tasks), polling=self.polling)

    def reset(self) -> None:
        """Reset the counts."""
        for counted in (self.following, self.other_requests):
            counted.durations.clear()
            counted.queries.clear()

    def reported(self) -> dict[str, Any]:
        """Return the measurements so far."""
        return {
            "following": len(self.following.durations),
            "queries": sum(self.following.queries),
            "other_requests": len(self.other_requests.durations),
            "seconds": self.watcher.seconds,
            "latency": statistics.median(self.following.durations),
            "events": self.polling.events,
        }


async def ours(plan: dict[str, Any], transport: Transport) -> dict[str, Any]:
    """Deploy with the engine and the watcher."""
    measured = MeasuredEngine(plan, transport)
    watcher, operation = measured.watcher, measured.operation

    async def deploy(engine: Engine, system_id: str, after: float) -> None:
        await anyio.sleep(after)
        progress = ProgressReporter(_discard)
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
    """Resume running deployments, start more as time passes, and measure a window of time in the middle."""
    measured = MeasuredEngine(plan, transport)
    watcher, operation = measured.watcher, measured.operation

    async def resume(engine: Engine, system_id: str, cursor: int) -> None:
        handle = Handle(operation.name, system_id, int(time.time()), cursor, ())
        await engine.resume(operation, handle, ProgressReporter(_discard), CancellationToken(), wait=None)

    async def start(engine: Engine, system_id: str, after: float) -> None:
        await anyio.sleep(after)
        arguments = Deploy.arguments.model_validate({"system_id": system_id})
        await engine.run(operation, arguments, ProgressReporter(_discard), CancellationToken())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run)
        engine = measured.engine(tasks)
        for system_id, cursor in plan["running"].items():
            tasks.start_soon(resume, engine, system_id, cursor)
        for number, system_id in enumerate(plan["machines"]):
            tasks.start_soon(start, engine, system_id, number * plan["gap"] / plan["speed"])
        with anyio.move_on_after(plan["resume_limit"] / plan["speed"]):
            await watcher.when_followed_by(RESUMED_SHARE * len(plan["running"]))
        await anyio.sleep(SETTLING / plan["speed"])
        watcher.since, cpu = time.monotonic(), time.process_time()
        measured.reset()
        await anyio.sleep(plan["window"] / plan["speed"])
        tasks.cancel_scope.cancel()
    return {**measured.reported(), "since": watcher.since, "cpu": time.process_time() - cpu}


async def naive(plan: dict[str, Any], transport: Transport) -> dict[str, Any]:
    """Read each machine every few seconds until it is deployed, or for a window of simulated seconds.

    The deployments are already running, so that only polling is measured.
    """
    following = CountingTransport(transport)
    maas = MaasClient(following)
    polls: list[tuple[str, float, float]] = []
    seconds = 0.0

    async def poll(system_id: str, after: float) -> None:
        nonlocal seconds
        await anyio.sleep(after)
        began, status = time.monotonic(), None
        end = began + plan["window"] / plan["speed"]
        while status != MachineStatus.DEPLOYED and time.monotonic() < end:
            sent_at = time.monotonic()
            status = (await maas.machine(system_id)).status
            polls.append((system_id, sent_at, time.monotonic()))
            await anyio.sleep(NAIVE_INTERVAL / plan["speed"])
        seconds += time.monotonic() - began

    gap = NAIVE_INTERVAL / plan["speed"] / len(plan["machines"])
    async with anyio.create_task_group() as tasks:
        for number, system_id in enumerate(plan["machines"]):
            tasks.start_soon(poll, system_id, number * gap)
    return {
        "following": len(following.durations),
        "queries": sum(following.queries),
        "other_requests": 0,
        "seconds": seconds,
        "latency": statistics.median(following.durations),
        "polls": polls,
    }


METHODS = {"ours": ours, "midway": midway, "naive": naive}


async def _discard(_progress: Progress) -> None:
    """Discard the progress."""


async def main(plan: dict[str, Any]) -> None:
    """Follow as planned, and print the measurements."""
    region = Settings.load(maas_url=plan["url"], maas_api_key=plan["key"]).require_region()
    transport = HttpTransport(region)
    before = time.process_time()
    reported = await METHODS[plan["method"]](plan, transport)
    reported.setdefault("cpu", time.process_time() - before)
    reported["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    await transport.aclose()
    json.dump(reported, sys.stdout)


if __name__ == "__main__":
    anyio.run(main, json.loads(sys.argv[1]))
