"""Measures the cost of following operations, compared with reading every machine every five seconds.

    python benchmarks/following.py [MACHINES[xDURATION][@SPEED][/SECONDS] …]

The default is 1, 100 and 1,000 machines. Each is deployed for ten simulated minutes by a region over HTTP. Simulated
time and all intervals are faster than real time by the same factor, so the requests per machine-minute are realistic.
Latencies are not: the time that HTTP takes is multiplied by the factor, and delays the events. With ``100@1`` latencies
are real as well, and the run takes twelve minutes.

``1000@1/300`` starts with 1,000 running deployments at different stages, as after a restart of the server. Further
deployments start as others end. Once all are resumed and read, it measures 300 simulated seconds. It has no comparison
and takes six or seven minutes.

``100x30`` starts 100 deployments of 30 s at once, and measures all requests: for the starts, the following and the
results. It has no comparison, and runs in real time unless a speed is given, as in ``100x600@8``.

The follower runs in its own process (benchmarks/followers.py), so that its CPU time and memory can be measured.
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
"""Simulated seconds per second, by the number of machines. A deployment takes 10.5 simulated minutes."""
STARTED_EVERY = 0.6
"""Simulated seconds between the starts of two deployments: 100 per minute."""
NAIVE = {100: (2.0, 60.0), 1000: (0.25, 20.0)}
"""The speed and the simulated seconds of the measurement for naive polling. The simulator cannot answer many naive
pollers at a higher speed."""

POWERED_ON = 70.0
"""Simulated seconds for which a new deployment has no events. The naive poller starts after them."""

DEPLOYMENT = 630.0
"""The duration of a deployment in simulated seconds."""
RESUME_LIMIT = 120.0
"""Simulated seconds within which running deployments are resumed."""
FIGURES = {
    "requests / machine-minute": "requests",
    "  starts and results": "other_requests",
    "  total": "total",
    "SQL queries / machine-minute": "queries",
    "CPU ms / machine-minute": "cpu",
    "memory (MiB)": "memory",
    "event delay p50 (simulated s)": "p50",
    "event delay p95 (simulated s)": "p95",
    "one request (ms)": "latency",
}


@dataclass
class Cost:
    """The cost of one way of following. A machine-minute is a simulated minute in which one machine is followed."""

    requests: float
    """Requests for each machine-minute, without those for starts and results."""
    queries: float
    """SQL queries in MAAS for each machine-minute, from the limits in MAAS's own tests."""
    other_requests: float
    """Requests for starts and results, for each machine-minute."""
    cpu: float
    """CPU milliseconds of the whole process, for each machine-minute."""
    memory: float
    """Peak memory in MiB, including Python and the libraries."""
    p50: float
    p95: float
    """Simulated seconds from the creation of an event until the follower has it."""
    latency: float
    """The median duration of a request in milliseconds."""

    @property
    def total(self) -> float:
        """Requests for each machine-minute, including those for starts and results."""
        return self.requests + self.other_requests


def main(runs: list[str]) -> None:
    """Measure each run, and print its costs."""
    print(f"{'':30}{'ours':>10}{'naive':>10}{'ratio':>10}")
    for run in runs:
        first, _, rest = run.partition("@")
        machines, _, duration = first.partition("x")
        speed_text, _, seconds = rest.partition("/")
        if duration:
            show_together(int(machines), float(duration), float(speed_text or 1))
            continue
        count, speed = int(machines), float(speed_text or SPEEDS.get(int(machines), 8.0))
        if seconds:
            show_midway(count, speed, float(seconds))
            continue
        naive_speed, window = NAIVE.get(count, (speed, 3600.0))
        began = time.monotonic()
        ours = measure("ours", count, speed, 3600.0)
        took = time.monotonic() - began
        naive = measure("naive", count, naive_speed, window)
        note = f"; naive: {window:g} s at {naive_speed:g} times" if count in NAIVE else ""
        print(f"{count} machine(s), {speed:g} times as fast as the clock, {took:.0f} s{note}")
        for label, figure in FIGURES.items():
            one, other = getattr(ours, figure), getattr(naive, figure)
            ratio = f"{other / one:10.1f}" if one else ""
            print(f"  {label:28}{one:10.3f}{other:10.3f}{ratio}", flush=True)


def show_midway(count: int, speed: float, seconds: float) -> None:
    """Measure our engine with running deployments at all stages, and print its costs."""
    began = time.monotonic()
    cost = midway(count, speed, seconds)
    print(f"{count} machines at all stages, {speed:g} times as fast as the clock, {time.monotonic() - began:.0f} s")
    for label, figure in FIGURES.items():
        print(f"  {label:28}{getattr(cost, figure):10.3f}", flush=True)


def show_together(count: int, duration: float, speed: float) -> None:
    """Measure our engine with deployments that all start at once, and print its costs."""
    began = time.monotonic()
    cost = together(count, duration, speed)
    took = time.monotonic() - began
    print(
        f"{count} deployments of {duration:g} s, started together, {speed:g} times as fast as the clock, {took:.0f} s"
    )
    for label, figure in FIGURES.items():
        print(f"  {label:28}{getattr(cost, figure):10.3f}", flush=True)


def measure(method: str, count: int, speed: float, window: float) -> Cost:
    """Deploy and follow ``count`` machines."""
    start = time.monotonic()
    region = generated_region(count, speed=speed, clock=lambda: time.monotonic() - start)
    region.debug_delay = 0.0  # exclude the delay of events inside MAAS
    if method == "naive":
        for machine in region.machines.values():
            region.deploy(machine.hostname, "admin")
        start -= POWERED_ON / speed
    reported = follow(
        region,
        {"method": method, "speed": speed, "window": window, "gap": STARTED_EVERY, "machines": list(region.machines)},
    )
    delays = (
        event_delays(region, start, reported["events"])
        if method == "ours"
        else poll_delays(region, start, reported["polls"])
    )
    return cost_of(reported, speed, delays)


def together(count: int, duration: float, speed: float) -> Cost:
    """Deploy and follow ``count`` machines that all start at once."""
    start = time.monotonic()
    quicker = DEPLOYMENT / duration
    region = generated_region(count, speed=speed * quicker, clock=lambda: time.monotonic() - start)
    region.debug_delay = 0.0  # exclude the delay of events inside MAAS
    reported = follow(region, {"method": "ours", "speed": speed, "gap": 0.0, "machines": list(region.machines)})
    return cost_of(reported, speed, [delay / quicker for delay in event_delays(region, start, reported["events"])])


def midway(count: int, speed: float, window: float) -> Cost:
    """Follow ``count`` machines at all stages of a deployment, and start new ones as others end."""
    gap = DEPLOYMENT / count
    region = generated_region(count + int((RESUME_LIMIT + window) / gap), speed=0)
    region.debug_delay = 0.0  # exclude the delay of events inside MAAS
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
            "method": "midway",
            "speed": speed,
            "window": window,
            "resume_limit": RESUME_LIMIT,
            "gap": gap,
            "machines": names[count:],
            "running": cursors,
        },
    )
    since = (reported["since"] - start) * speed + region.schedule.epoch
    first = region.log.events[0].id
    counted = [(number, at) for number, at in reported["events"] if region.log.events[number - first].created >= since]
    return cost_of(reported, speed, event_delays(region, start, counted))


def follow(region: SimulatedRegion, plan: dict[str, Any]) -> dict[str, Any]:
    """Run the follower process."""
    with serving(region) as url:
        command = [sys.executable, str(FOLLOWERS), json.dumps({**plan, "url": url, "key": region.api_key})]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    reported: dict[str, Any] = json.loads(done.stdout)
    return reported


def cost_of(reported: dict[str, Any], speed: float, delays: list[float]) -> Cost:
    """Convert measurements to costs for each machine-minute."""
    minutes, delays = reported["seconds"] * speed / 60, sorted(delays)
    return Cost(
        requests=reported["following"] / minutes,
        queries=reported["queries"] / minutes,
        other_requests=reported["other_requests"] / minutes,
        cpu=reported["cpu"] * 1000 / minutes,
        memory=reported["memory"] / 1024,
        p50=delays[len(delays) // 2],
        p95=delays[int(len(delays) * 0.95)],
        latency=reported["latency"] * 1000,
    )


def event_delays(region: SimulatedRegion, start: float, events: list[tuple[int, float]]) -> list[float]:
    """The simulated seconds from each event to its report. Both processes use the same clock."""
    first = region.log.events[0].id
    return [
        (reported_at - start) * region.schedule.speed
        - (region.log.events[number - first].created - region.schedule.epoch)
        for number, reported_at in events
    ]


def poll_delays(region: SimulatedRegion, start: float, polls: list[tuple[str, float, float]]) -> list[float]:
    """The same for a poller: the first response to a request sent after the event reports it."""
    requests: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for machine, sent_at, received_at in polls:
        requests[machine].append((sent_at, received_at))
    delays = []
    for event in region.log.events:
        moment = (event.created - region.schedule.epoch) / region.schedule.speed + start
        of_machine = requests[event.system_id]
        index = bisect_left(of_machine, (moment, 0.0))
        # Events before the first poll do not count.
        if 0 < index < len(of_machine) and event.level != "DEBUG":
            delays.append((of_machine[index][1] - moment) * region.schedule.speed)
    return delays or [float("nan")]


if __name__ == "__main__":
    main(sys.argv[1:] or ["1", "100", "1000"])
