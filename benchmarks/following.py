"""What following costs, beside a poller that reads every machine every five seconds.

    python benchmarks/following.py [MACHINES[xLASTING][@SPEED][/SECONDS] …]

By default 1, 100 and 1,000 machines, each deployed for ten minutes of a simulated region that is spoken to over HTTP.
The region's time is faster than the clock, and so are all intervals, so that requests per machine-minute are those of
real time. Latencies are not: what HTTP takes counts as that many times as long, and the news are late by it. With
``100@1`` they are real, too, and it takes twelve minutes.

With ``1000@1/300`` it takes six or seven: so many machines are at it from the beginning, each at another point of its
deployment, others begin as they end, and that is counted for so many simulated seconds, once all have been picked up
and read as after a restart of the server. Nothing is compared then.

With ``100x30`` so many deployments that last so many seconds each are started together, and the requests in all are
what counts: those of the starts, of the following and of the results. Nothing is compared, and the clock is the real
one unless a speed is given: ``100x600@8``.

The follower is a process of its own (benchmarks/followers.py), whose CPU time and memory are its own.
"""

import json
import subprocess
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maas_simulator import SimulatedRegion, generated_region, serving

FOLLOWERS = Path(__file__).with_name("followers.py")
SPEEDS = {1: 10.0, 100: 8.0, 1000: 10.0}
"""Simulated seconds a second: a deployment takes ten and a half minutes."""
STARTED_EVERY = 0.6
"""Simulated seconds between the starts of two deployments: a hundred in a minute."""
NAIVE = {100: (2.0, 60.0), 1000: (0.25, 20.0)}
"""Many naive pollers are more than a simulator answers in fast motion: their speed, and the simulated seconds that are
looked at."""

POWERED_ON = 70.0
"""Simulated seconds that a deployment says nothing for; the naive poller begins after them."""


DEPLOYMENT = 630.0
"""Simulated seconds that a deployment takes."""
PICKED_UP = 120.0
"""Simulated seconds for picking up what is under way, at the most; then it settles for a moment."""
FIGURES = {
    "requests / machine-minute": "requests",
    "  starts and results beside": "beside",
    "  in all": "in_all",
    "SQL queries / machine-minute": "queries",
    "CPU ms / machine-minute": "cpu",
    "memory (MiB)": "memory",
    "news p50 (simulated s)": "p50",
    "news p95 (simulated s)": "p95",
    "one request (ms)": "latency",
}


@dataclass
class Cost:
    """What one way of following came to; a machine-minute is a simulated minute in which a machine was followed."""

    requests: float
    """For each machine-minute; what the starts and the results take is not counted."""
    queries: float
    """SQL queries in MAAS for each machine-minute, as far as MAAS's own tests tell them."""
    beside: float
    """Requests of the starts and the results, for each machine-minute."""
    cpu: float
    """Milliseconds for each machine-minute, of everything in the process."""
    memory: float
    """MiB at the most, Python and the libraries included."""
    p50: float
    p95: float
    """Simulated seconds from an event's existence until the follower has it."""
    latency: float
    """Milliseconds that a request took, the median."""

    @property
    def in_all(self) -> float:
        """Requests for each machine-minute, those of the starts and the results included."""
        return self.requests + self.beside


def main(runs: list[str]) -> None:
    """Measure both ways in turns."""
    print(f"{'':30}{'ours':>10}{'naive':>10}{'ratio':>10}")
    for run in runs:
        first, _, rest = run.partition("@")
        machines, _, lasting = first.partition("x")
        faster, _, seconds = rest.partition("/")
        if lasting:
            show_together(int(machines), float(lasting), float(faster or 1))
            continue
        count, speed = int(machines), float(faster or SPEEDS.get(int(machines), 8.0))
        if seconds:
            show_midway(count, speed, float(seconds))
            continue
        naive_speed, window = NAIVE.get(count, (speed, 3600.0))
        began = time.monotonic()
        ours = measure("ours", count, speed, 3600.0)
        took = time.monotonic() - began
        naive = measure("naive", count, naive_speed, window)
        less = f"; naive: {window:g} s at {naive_speed:g} times" if count in NAIVE else ""
        print(f"{count} machine(s), {speed:g} times as fast as the clock, {took:.0f} s{less}")
        for label, figure in FIGURES.items():
            one, other = getattr(ours, figure), getattr(naive, figure)
            ratio = f"{other / one:10.1f}" if one else ""
            print(f"  {label:28}{one:10.3f}{other:10.3f}{ratio}", flush=True)


def show_midway(count: int, speed: float, seconds: float) -> None:
    """Measure our way alone, with all machines at it, and print it."""
    began = time.monotonic()
    cost = midway(count, speed, seconds)
    print(f"{count} machines at all stages, {speed:g} times as fast as the clock, {time.monotonic() - began:.0f} s")
    for label, figure in FIGURES.items():
        print(f"  {label:28}{getattr(cost, figure):10.3f}", flush=True)


def show_together(count: int, lasting: float, speed: float) -> None:
    """Measure our way alone, with short or long deployments that all begin at once, and print it."""
    began = time.monotonic()
    cost = together(count, lasting, speed)
    took = time.monotonic() - began
    print(f"{count} deployments of {lasting:g} s, started together, {speed:g} times as fast as the clock, {took:.0f} s")
    for label, figure in FIGURES.items():
        print(f"  {label:28}{getattr(cost, figure):10.3f}", flush=True)


def measure(way: str, count: int, speed: float, window: float) -> Cost:
    """Deploy and follow so many machines."""
    start = time.monotonic()
    region = generated_region(count, speed=speed, clock=lambda: time.monotonic() - start)
    region.debug_delay = 0.0  # how late MAAS itself hears is not ours to measure
    if way == "naive":
        for machine in region.machines.values():
            region.deploy(machine.hostname, "admin")
        start -= POWERED_ON / speed
    reported = follow(
        region, {"way": way, "speed": speed, "window": window, "gap": STARTED_EVERY, "machines": list(region.machines)}
    )
    waits = (
        news_waits(region, start, reported["events"]) if way == "ours" else poll_waits(region, start, reported["polls"])
    )
    return cost_of(reported, speed, waits)


def together(count: int, lasting: float, speed: float) -> Cost:
    """Deploy and follow so many machines, all started at once."""
    start = time.monotonic()
    quicker = DEPLOYMENT / lasting
    region = generated_region(count, speed=speed * quicker, clock=lambda: time.monotonic() - start)
    region.debug_delay = 0.0  # how late MAAS itself hears is not ours to measure
    reported = follow(region, {"way": "ours", "speed": speed, "gap": 0.0, "machines": list(region.machines)})
    return cost_of(reported, speed, [wait / quicker for wait in news_waits(region, start, reported["events"])])


def midway(count: int, speed: float, window: float) -> Cost:
    """Follow so many machines that are at all points of a deployment, and go on with as many for the window."""
    gap = DEPLOYMENT / count
    region = generated_region(count + int((PICKED_UP + window) / gap), speed=0)
    region.debug_delay = 0.0  # how late MAAS itself hears is not ours to measure
    names = list(region.machines)
    cursors = {}
    for name in names[:count]:
        cursors[name] = region.log.next_id - 1
        region.deploy(name, "admin")
        region.schedule.advance(gap)
    start = time.monotonic() - (region.now() - region.schedule.epoch) / speed
    region.schedule.speed = speed
    reported = follow(
        region,
        {
            "way": "midway",
            "speed": speed,
            "window": window,
            "picked_up": PICKED_UP,
            "gap": gap,
            "machines": names[count:],
            "under_way": cursors,
        },
    )
    since = (reported["since"] - start) * speed + region.schedule.epoch
    first = region.log.events[0].id
    counted = [(number, at) for number, at in reported["events"] if region.log.events[number - first].created >= since]
    return cost_of(reported, speed, news_waits(region, start, counted))


def follow(region: SimulatedRegion, plan: dict[str, Any]) -> dict[str, Any]:
    """Let the other process follow."""
    with serving(region) as url:
        command = [sys.executable, str(FOLLOWERS), json.dumps({**plan, "url": url, "key": region.api_key})]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    reported: dict[str, Any] = json.loads(done.stdout)
    return reported


def cost_of(reported: dict[str, Any], speed: float, waits: list[float]) -> Cost:
    """What it came to."""
    minutes, waits = reported["seconds"] * speed / 60, sorted(waits)
    return Cost(
        requests=reported["following"] / minutes,
        queries=reported["queries"] / minutes,
        beside=reported["beside"] / minutes,
        cpu=reported["cpu"] * 1000 / minutes,
        memory=reported["memory"] / 1024,
        p50=waits[len(waits) // 2],
        p95=waits[int(len(waits) * 0.95)],
        latency=reported["latency"] * 1000,
    )


def news_waits(region: SimulatedRegion, start: float, events: list[tuple[int, float]]) -> list[float]:
    """Simulated seconds that each event took to be told, by when it was: both processes have the same clock."""
    first = region.log.events[0].id
    return [
        (reported_at - start) * region.schedule.speed
        - (region.log.events[number - first].created - region.schedule.epoch)
        for number, reported_at in events
    ]


def poll_waits(region: SimulatedRegion, start: float, polls: list[tuple[str, float, float]]) -> list[float]:
    """The same for one that polls: an event is news at the first answer to a question asked after it."""
    asked: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for machine, asked_at, answered_at in polls:
        asked[machine].append((asked_at, answered_at))
    waits = []
    for event in region.log.events:
        moment = (event.created - region.schedule.epoch) / region.schedule.speed + start
        of_machine = asked[event.system_id]
        index = bisect_left(of_machine, (moment, 0.0))
        # Before the first poll nobody was waiting for it.
        if 0 < index < len(of_machine) and event.level != "DEBUG":
            waits.append((of_machine[index][1] - moment) * region.schedule.speed)
    return waits or [float("nan")]


if __name__ == "__main__":
    main(sys.argv[1:] or ["1", "100", "1000"])
