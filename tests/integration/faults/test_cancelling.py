"""A cancel at any moment: silence, nothing that hangs, nothing lost, nothing started twice."""

import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import pytest

from maas_mcp.maas.limits import MAX_CHANGES, MAX_REQUESTS
from maas_simulator import SimulatedMachine, SimulatedRegion
from tests.integration.driver import Driver, Message, eventually
from tests.integration.faults.client import answer, answers, messages, quickly, report, serving_through
from tests.integration.faults.jobs import JOBS, Job, crowd, of, one_of_each, orders, starts
from tests.integration.faults.proxy import Fate, behind_a_proxy, page, says, stalls
from tests.integration.faults.tally import Row, Tally

SPEED = 50.0
"""Simulated seconds a second: an operation takes three to five."""
MOMENTS: Final = 16
LIFE: Final = 3.0
"""Seconds over which the moments spread."""
OUTAGE: Final = (1.0, 1.8)
"""The seconds within which the region is away."""
ABSENCE: Final = 0.5
"""Seconds that the absence of messages is watched for: two progress messages would fit in."""


def under_way(region: SimulatedRegion, job: Job, machines: list[SimulatedMachine]) -> set[str]:
    """The machines that have come into the operation, and not yet to its end."""
    pending = {each.value for each in job.of_each.lifecycle.pending}
    return {each.system_id for each in machines if of(region, each).status.value in pending}


def listed(server: Driver) -> set[str]:
    operations = report(answer(server, "maas_list_operations"))["operations"]
    return {each["operation_id"].split(".")[1] for each in operations}


def is_past(moment: float) -> bool:
    return time.monotonic() >= moment


@pytest.mark.parametrize("weather", ["calm", "restart"])
def test_nothing_follows_a_cancel_at_any_moment(job: Job, weather: str, state: str, tally: Tally) -> None:
    region = crowd(job, MOMENTS, speed=0.0)  # until the first cancel, so that one lies before the end on any machine
    machines = list(region.machines.values())
    dice = random.Random(job.tool)  # the same moments in every run
    moments = sorted(dice.uniform(0.0, LIFE) for _ in machines)
    received: dict[int, tuple[str, int]] = {}
    begun = False
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, ExitStack() as outage:
        began = time.monotonic()
        calls = [server.start_call(job.tool, each.hostname, **job.arguments_for(each)) for each in machines]
        away = weather == "calm"
        for machine, call, moment in zip(machines, calls, moments, strict=True):
            if moment > OUTAGE[0] and not begun:  # on a busy machine, too, some are under way by then
                begun = bool(eventually(lambda: any(starts(region, job, each) for each in machines), "a start"))
            if not away and moment > OUTAGE[0]:
                away = bool(outage.enter_context(proxy.refusing()) is None)
            if moment > OUTAGE[1]:
                outage.close()
            eventually(partial(is_past, began + moment), "the moment")
            received[call] = machine.hostname, server.cancel(call)
            region.set_speed(SPEED)
        outage.close()
        before = under_way(region, job, machines)
        found = listed(server)
        lost = (before & under_way(region, job, machines)) - found
        time.sleep(ABSENCE)  # the absence of something can only be waited for
        late = [each for call, (token, after) in received.items() for each in server.said_of(call, token, after)]
        answered = [call for call in calls if server.response(call)]
        hangs = 0 if quickly(server) else 1
        code, seconds = server.stop("EOF")

    tally.add(
        Row(
            job.tool,
            "cancelled" if weather == "calm" else "cancelled, region restarts",
            runs=MOMENTS,
            lost=len(lost),
            double_starts=len([each for each in machines if starts(region, job, each) > 1]),
            after_cancel=len(late),
            hangs=hangs + int(seconds > server.at_once),
        )
    )
    assert code == 0
    assert len(answered) < MOMENTS, "the moments lie before the end"
    assert any(starts(region, job, each) for each in machines), "and after the beginning"
    assert all(orders(region, job, each) <= 1 for each in machines)


@dataclass(frozen=True)
class Stall:
    """What stalls, and how many requests do when everything waits for it."""

    fate: Fate
    requests: int
    only: Mapping[str, Any] = field(default_factory=dict)


STALLS = {
    "the look": Stall(stalls(), 1),  # calls that start together share it
    "the order": Stall(stalls(), MAX_CHANGES, {"method": "POST"}),
    "the order, MAAS acts": Stall(stalls(forwarded=True), MAX_CHANGES, {"method": "POST"}),
    "a poll": Stall(stalls(), 1, {"path": "/events/", "after": len(JOBS)}),
}


@pytest.mark.parametrize("how", ["cancel", "EOF"])
@pytest.mark.parametrize("where", STALLS)
def test_a_stalled_region_holds_up_neither_a_cancel_nor_the_end(where: str, how: str, state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=SPEED)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, ExitStack() as stack:
        met = stack.enter_context(proxy.meeting(STALLS[where].fate, **STALLS[where].only))
        calls = {
            job: server.start_call(job.tool, job.tool, **job.arguments_for(each)) for job, each in machines.items()
        }
        eventually(lambda: len(met()) >= STALLS[where].requests, "the stall")
        late: list[Message] = []
        if how == "cancel":
            received = {job: server.cancel(call) for job, call in calls.items()}
            time.sleep(ABSENCE)
            late = [each for job, call in calls.items() for each in server.said_of(call, job.tool, received[job])]
        code, seconds = server.stop("EOF")

    for job, machine in machines.items():
        tally.add(
            Row(
                job.tool,
                f"{how}, stalls at {where}",
                double_starts=int(starts(region, job, machine) > 1 or orders(region, job, machine) > 1),
                after_cancel=len([each for each in late if each.get("params", {}).get("progressToken") == job.tool]),
                hangs=int(seconds > server.at_once),
            )
        )
    assert late == []
    assert code == 0


def test_a_cancelled_order_of_which_no_answer_came_is_found_again_and_not_given_twice(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        with proxy.meeting(stalls(forwarded=True), method="POST"):
            for job, machine in machines.items():
                call = server.start_call(job.tool, job.tool, **job.arguments_for(machine))
                eventually(partial(starts, region, job, machine), "the start")
                server.cancel(call)
        found = listed(server)
        again = [
            server.start_call(job.tool, wait_seconds=0, **job.arguments_for(each)) for job, each in machines.items()
        ]
        reports = [report(each) for each in answers(server, again)]

    for job, machine in machines.items():
        tally.add(
            Row(
                job.tool,
                "cancelled at the order, called again",
                lost=int(machine.system_id not in found),
                double_starts=int(starts(region, job, machine) > 1),
            )
        )
        assert orders(region, job, machine) == 1
    assert {each["state"] for each in reports} == {"working"}


def test_an_abort_that_maas_does_not_answer_does_not_hold_up_the_end(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=1.0)
    abortable = {job: each for job, each in machines.items() if job.operation().can_abort}
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        calls = {
            job: server.start_call(job.tool, job.tool, **job.arguments_for(each), on_cancel="abort")
            for job, each in abortable.items()
        }
        eventually(lambda: all(messages(server, job.tool)[1:] for job in calls), "two messages of each")
        with proxy.meeting(stalls(), op="abort") as met:
            received = {job: server.cancel(call) for job, call in calls.items()}
            # Beside the events' there are places for so many at a time; the others wait for theirs.
            eventually(lambda: len(met()) >= min(len(calls), MAX_REQUESTS - 1), "the orders to abort")
            late = [each for job, call in calls.items() for each in server.said_of(call, job.tool, received[job])]
            code, seconds = server.stop("EOF")

    for job, machine in abortable.items():
        assert starts(region, job, machine) == 1
        row = Row(job.tool, "EOF, stalls at the abort", hangs=int(seconds > server.at_once))
        row.after_cancel = len([each for each in late if each.get("params", {}).get("progressToken") == job.tool])
        tally.add(row)
    assert late == []
    assert code == 0


def test_a_lost_connection_amid_an_outage_ends_the_server_and_leaves_maas_at_work(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=1.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        calls = {
            job: server.start_call(
                job.tool,
                job.tool,
                **job.arguments_for(each),
                **({"on_cancel": "abort"} if job.operation().can_abort else {}),
            )
            for job, each in machines.items()
        }
        eventually(lambda: all(messages(server, job.tool)[1:] for job in calls), "two messages of each")
        with proxy.meeting(says(503, page(503), retry_after=20)) as met:
            eventually(met, "a request that is refused")
            code, seconds = server.stop("EOF")

    for job, machine in machines.items():
        tally.add(Row(job.tool, "EOF amid an outage", hangs=int(seconds > server.at_once)))
        assert starts(region, job, machine) == 1
    assert code == 0
    assert [each.op for each in region.requests if each.op == "abort"] == []
