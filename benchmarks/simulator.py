"""Measures how a simulated region scales with the number of machines: start-up, memory and the cost of requests.

    python benchmarks/simulator.py [MACHINES ...]

Each size is measured in its own process. ``start`` is the time from the start of Python to a region that can respond.
``memory`` is the growth of the resident set for each machine; the first ``read`` is the growth for each machine that is
read. The other columns are CPU times of one signed request through the application, without a socket. The log has ten
events for each machine. ``new`` polls events with a cursor that is 20 events old, ``50 ids`` does the same for 50
machines and ``zone`` for a zone. ``latest`` reads the latest 100 events of a machine. ``filter`` lists machines by a
hostname, and the second ``read`` reads one machine.
"""

import asyncio
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

SIZES = (10_000, 100_000)
ROUNDS = 400
EVENTS = 10
"""Events for each machine."""
READ = 1000
"""Machines to read, to measure whether reads leak memory."""
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Figures:
    """The results for one size: times in seconds, memory in bytes for each machine."""

    machines: int
    start: float
    memory: float
    memory_read: float = 0.0
    size: float = 0.0
    polls: dict[str, tuple[float, float]] = field(default_factory=dict)


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def measure(machines: int, began: float) -> Figures:
    """Measure one size in this process, which started at ``began``."""
    from maas_simulator import create_app, generated_region  # noqa: PLC0415 - part of what is measured

    small = resident()
    region = generated_region(machines)
    figures = Figures(machines, time.time() - began, (resident() - small) / machines)
    app, nonces = create_app(region), itertools.count()
    consumer, token, secret = region.api_key.split(":")

    def get(path: str) -> bytes:
        query = path.partition("?")[2].encode()
        credentials = {
            "oauth_nonce": str(next(nonces)),
            "oauth_timestamp": str(int(time.time())),
            "oauth_version": "1.0",
            "oauth_signature_method": "PLAINTEXT",
            "oauth_consumer_key": consumer,
            "oauth_token": token,
            "oauth_signature": f"&{secret}",
        }
        header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in credentials.items())
        scope = {
            "type": "http",
            "method": "GET",
            "path": (target := "/MAAS/api/2.0/" + path.partition("?")[0]),
            "raw_path": target.encode(),
            "query_string": query,
            "headers": [(b"authorization", header.encode()), (b"host", b"maas")],
        }
        return exchange(app, scope)

    names = list(region.machines)
    for number in range(EVENTS * machines):
        machine = region.machines[names[number % machines]]
        region.say(machine, "DEBUG", "Node installation", "'curtin' configuring storage")
    gc.freeze()  # as ``maas-mcp simulate`` does after building its world
    cursor, few = region.log.next_id - 21, "&".join(f"id={name}" for name in names[-50:])
    figures.polls = {
        "new": timed(get, f"events/?op=query&level=DEBUG&limit=1000&after={cursor}"),
        "50 ids": timed(get, f"events/?op=query&level=DEBUG&limit=1000&after={cursor}&{few}"),
        "latest": timed(get, f"events/?op=query&level=DEBUG&id={names[len(names) // 2]}"),
        "zone": timed(get, f"events/?op=query&level=DEBUG&limit=1000&after={cursor}&zone=default"),
        "filter": timed(get, f"machines/?hostname={region.machines[names[0]].hostname}"),
        "read": timed(get, f"machines/{names[0]}/"),
    }
    before = resident()
    figures.size = statistics.mean(len(get(f"machines/{name}/")) for name in names[:READ])
    figures.memory_read = (resident() - before) / READ
    return figures


def exchange(app: Any, scope: MutableMapping[str, Any]) -> bytes:
    """Send one request through an ASGI application. Raises unless the response is a 200."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    LOOP.run_until_complete(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    if sent[0]["status"] != 200:
        raise RuntimeError(body.decode())
    return body


def timed(get: Callable[[str], bytes], path: str) -> tuple[float, float]:
    """Return the median and the 95th percentile of a request's CPU seconds, which other processes do not affect."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        get(path)
        took.append(time.process_time() - began)
    return statistics.median(took), statistics.quantiles(took, n=20)[-1]


LOOP = asyncio.new_event_loop()


def main(sizes: list[int]) -> None:
    """Measure each size, and print a table."""
    columns = ("new", "50 ids", "latest", "zone", "filter", "read")
    print(f"{'':>9}{'start':>8}{'memory':>9}{'read':>9}{'JSON':>9}" + "".join(f"{name:>16}" for name in columns))
    print(f"{'machines':>9}{'s':>8}{'kB each':>9}{'kB each':>9}{'kB each':>9}" + f"{'p50 / p95 ms':>16}" * len(columns))
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size), str(time.time())]
        figures = Figures(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        row = [f"{figures.machines:>9}{figures.start:>8.2f}"]
        row += [f"{each / 1000:>9.1f}" for each in (figures.memory, figures.memory_read, figures.size)]
        row += [f"{f'{figures.polls[n][0] * 1000:.2f} / {figures.polls[n][1] * 1000:.2f}':>16}" for n in columns]
        print("".join(row))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        json.dump(asdict(measure(int(sys.argv[2]), float(sys.argv[3]))), sys.stdout)
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
