"""The informer of machines on a simulated region with MAAS's own latencies: cold, warm, idle and busy, and its memory.

Run: ``python benchmarks/inventory.py 10 1000 10000``. Times of MAAS are virtual, so that an hour takes seconds.
"""

import json
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any, Final

import anyio
import msgspec
import trio
import trio.testing

from maas_deploy.deploy import Deploy, DeployMachine
from maas_inventory.informer.filters import Filter
from maas_inventory.informer.rows import Row, RowReader
from maas_inventory.machines.listing import ListMachines
from maas_mcp.api import CancellationToken, Machine, ProgressReporter
from maas_mcp.operations.progress import discard_progress
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.start_requests import StartRequests
from maas_mcp.operations.timing import Timing
from maas_simulator import generated_region
from maas_simulator.http.render import machine_json
from tests.inventory import Bench, opened
from tests.unit.plugins.maas_inventory.calling import call

SAMPLES = 20
"""Changes of each kind whose freshness is measured."""
BODY = 1_000
"""Machines in the list that is decoded."""


def main(counts: Iterable[int]) -> None:
    """Measure regions of these sizes."""
    decoding()
    for count in counts:
        trio.run(measure, count, clock=trio.testing.MockClock(autojump_threshold=0))


async def measure(count: int) -> None:
    """Measure a region with this many machines."""
    region = generated_region(count, speed=1.0, clock=anyio.current_time)
    async with opened(region) as bench:
        print(f"\n{count} machines")
        await first_page(bench)
        await warm_page(bench)
        memory(bench)
        await idle(bench)
        await deployments(bench)
        await freshness(bench)
    await own_deployments(min(count, 100))


async def first_page(bench: Bench) -> None:
    """The first question: all machines, and then a page of one zone."""
    began, requests = anyio.current_time(), bench.requests
    answer = await bench.informer.query(Filter(), patience=3600.0)
    print(f"  all machines, cold: {anyio.current_time() - began:.1f} s, {bench.requests - requests} requests")
    print(f"  known {answer.known}, a change without an event shows within {answer.resync_seconds / 60:.1f} min")


PAGES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"sort": "-memory"},
    {"sort": "ip_addresses", "status": ["ready"], "limit": 200},
    {"hostname": ["*7"], "count_by": ["status_name", "zone"]},
)
"""The arguments of the pages that are measured."""


async def warm_page(bench: Bench) -> None:
    """Pages of the tool when all machines are known: the median of twenty calls, and what a model gets."""
    await anyio.sleep(60)
    requests = bench.requests
    for arguments in PAGES:
        taken = []
        for _ in range(20):
            began = time.perf_counter()
            page = await call(ListMachines, bench, **arguments)
            taken.append(time.perf_counter() - began)
        size, text = len(page.model_dump_json(exclude_none=True)), len(ListMachines().summary(page))
        print(
            f"  warm page {arguments}: {statistics.median(taken) * 1000:.1f} ms, {len(page.machines)} machines,", end=""
        )
        print(f" {size:,} B of JSON, {text:,} B of text, {bench.requests - requests} requests")


def memory(bench: Bench) -> None:
    """The memory of a snapshot with these machines."""
    sent = [json.dumps(machine_json(bench.region, each)).encode() for each in bench.region.machines.values()]
    tracemalloc.start()
    reader = RowReader()
    rows: dict[str, Row] = {}
    for start in range(0, len(sent), 100):
        body = b"[" + b",".join(sent[start : start + 100]) + b"]"
        rows |= {row.system_id: row for row in reader.read_body(body).rows}
        del body
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"  rows: {kept / 1e6:.1f} MB for {len(rows)}")


async def idle(bench: Bench) -> None:
    """An hour in which callers read pages that are warm."""
    requests, reads = bench.requests, len(bench.reads())
    for _ in range(6):
        await anyio.sleep(600)
        await bench.informer.query(Filter(statuses=(4,)))
    print(f"  an hour idle: {bench.requests - requests} requests, {len(bench.reads()) - reads} of them for machines")


async def deployments(bench: Bench) -> None:
    """Others deploy a hundred machines, or all if there are fewer."""
    names = [each.hostname for each in bench.region.machines.values()][:100]
    requests, reads = bench.requests, len(bench.reads())
    for name in names:
        bench.region.deploy(name, "admin")
        await anyio.sleep(1)
    await anyio.sleep(1200)
    machines = len(bench.reads()) - reads
    print(f"  {len(names)} deployments by others: {bench.requests - requests} requests, {machines} for machines")
    print(f"  differences after it: {len(await bench.differences())}")


async def own_deployments(count: int) -> None:
    """The same by this server, which follows them, with an informer and without one."""
    requests = [await follow(count, informed=informed) for informed in (False, True)]
    more = requests[1] / requests[0] - 1.0
    print(f"  {count} deployments followed: {requests[0]} requests, {requests[1]} with an informer ({more:+.1%})")


async def follow(count: int, *, informed: bool) -> int:
    """Deploy machines and wait for them. Returns the number of requests, without those of the informer's first list."""
    region = generated_region(count, speed=1.0, clock=anyio.current_time)
    async with opened(region) as bench:
        if informed:
            await bench.all()
            await anyio.sleep(60)
        before = bench.requests
        now = anyio.current_time
        requests = StartRequests(bench.tasks, now=now, timing=Timing())
        engine = Engine(bench.maas, bench.watcher, requests, now=now)
        async with anyio.create_task_group() as tasks:
            for machine in region.machines.values():
                tasks.start_soon(deploy, engine, machine.system_id)
        return bench.requests - before


async def deploy(engine: Engine, system_id: str) -> None:
    """Deploy a machine and wait for it."""
    progress = ProgressReporter(discard_progress)
    await engine.run(Deploy(), DeployMachine(system_id=system_id), progress, CancellationToken())


async def freshness(bench: Bench) -> None:
    """How long it takes until a change shows, at random moments."""
    names = [each.hostname for each in bench.region.machines.values()][:SAMPLES]
    chance = random.Random(14)  # the same moments in each run
    took: dict[str, list[float]] = {"by us": [], "by others with an event": [], "by others without one": []}
    for name in names:
        await anyio.sleep(chance.uniform(30.0, 90.0))
        await bench.maas.put(f"machines/{bench.region.machine(name).system_id}/", description="by us")
        took["by us"].append(await until(bench, name, lambda row: row.description == "by us"))
        await anyio.sleep(chance.uniform(30.0, 90.0))
        bench.region.release(name, "admin")
        took["by others with an event"].append(await until(bench, name, lambda row: row.status_name != "Deployed"))
    waiting = set(chance.sample(sorted(bench.region.machines), len(names)))
    for system_id in waiting:
        bench.region.machines[system_id].description = "by others"
    began = anyio.current_time()
    while waiting:
        await anyio.sleep(5.0)
        shown = {row.system_id for row in (await bench.all()).rows if row.description == "by others"}
        took["by others without one"] += [anyio.current_time() - began] * len(waiting & shown)
        waiting -= shown
    for kind, seconds in took.items():
        p50, p95 = statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.95)]
        print(f"  a change {kind} shows after {p50:.1f} s (p50), {p95:.1f} s (p95)")


async def until(bench: Bench, name: str, shows: Callable[[Row], bool]) -> float:
    """Wait until the informer shows a change. Returns the seconds that it took."""
    began = anyio.current_time()
    while not shows(await bench.row(name)):  # noqa: ASYNC110 - the informer announces nothing
        await anyio.sleep(0.1)
    return anyio.current_time() - began


def decoding() -> None:
    """The speed of reading a list, next to ``json.loads`` and the model of a machine."""
    region = generated_region(BODY)
    body = json.dumps([machine_json(region, each) for each in region.machines.values()]).encode()
    print(f"{BODY} machines, {len(body) / 1e6:.1f} MB")
    raw = msgspec.json.Decoder(list[msgspec.Raw])
    ways: dict[str, Callable[[], Any]] = {
        "msgspec into rows": lambda: RowReader().read_body(body),
        "msgspec, only divided": lambda: raw.decode(body),
        "json.loads": lambda: json.loads(body),
        "json.loads and pydantic": lambda: Machine.list_from_response(json.loads(body)),
    }
    for name, decode in ways.items():
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            decode()
            taken.append(time.perf_counter() - began)
        tracemalloc.start()
        kept = decode()
        size, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept
        print(f"  {name}: {min(taken) * 1000:.0f} ms, {size / 1e6:.1f} MB kept, {peak / 1e6:.1f} MB at most")


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [10, 1_000])
