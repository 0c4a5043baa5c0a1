"""A cancellation at any moment: no further messages, no hang, no lost operation, no second start."""

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
from tests.integration.faults.client import (
    is_responsive,
    list_operations,
    messages,
    report,
    serving_through,
    wait_for_results,
)
from tests.integration.faults.jobs import (
    JOBS,
    Job,
    count_posts,
    count_starts,
    current_state,
    region_for,
    region_with_one_machine_each,
)
from tests.integration.faults.proxy import Behaviour, behind_a_proxy, nginx_page, respond_with, stalls
from tests.integration.faults.tally import Row, Tally

SPEED = 50.0
"""Simulated seconds per second: an operation takes 3 to 5 s."""
MOMENTS: Final = 16
SPREAD: Final = 3.0
"""Seconds over which the moments are spread."""
OUTAGE: Final = (1.0, 1.8)
"""Start and end of the region's restart, in seconds."""
SILENCE: Final = 0.5
"""Seconds to watch for unwanted messages: long enough for two progress messages."""


def in_progress(region: SimulatedRegion, job: Job, machines: list[SimulatedMachine]) -> set[str]:
    """The ids of the machines on which the operation is running."""
    pending = {each.value for each in job.member_operation.lifecycle.pending}
    return {each.system_id for each in machines if current_state(region, each).status.value in pending}


def listed(server: Driver) -> set[str]:
    return {each["operation_id"].split(".")[1] for each in list_operations(server)}


def is_past(moment: float) -> bool:
    return time.monotonic() >= moment


@pytest.mark.parametrize("condition", ["calm", "restart"])
def test_no_message_follows_a_cancellation_at_any_moment(job: Job, condition: str, state: str, tally: Tally) -> None:
    # The clock is stopped until the first cancellation, which therefore comes before the end.
    region = region_for(job, MOMENTS, speed=0.0)
    machines = list(region.machines.values())
    rng = random.Random(job.tool)  # the same moments in every run
    moments = sorted(rng.uniform(0.0, SPREAD) for _ in machines)
    received: dict[int, tuple[str, int]] = {}
    has_started = False
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, ExitStack() as outage:
        began = time.monotonic()
        calls = [server.start_call(job.tool, each.hostname, **job.arguments_for(each)) for each in machines]
        is_restarting = condition == "calm"
        for machine, call, moment in zip(machines, calls, moments, strict=True):
            if (
                moment > OUTAGE[0] and not has_started
            ):  # some operations must be running by then, even on a busy machine
                has_started = bool(
                    eventually(lambda: any(count_starts(region, job, each) for each in machines), "a start")
                )
            if not is_restarting and moment > OUTAGE[0]:
                is_restarting = bool(outage.enter_context(proxy.refusing()) is None)
            if moment > OUTAGE[1]:
                outage.close()
            eventually(partial(is_past, began + moment), "the moment")
            received[call] = machine.hostname, server.cancel(call)
            region.set_speed(SPEED)
        outage.close()
        before = in_progress(region, job, machines)
        found = listed(server)
        lost = (before & in_progress(region, job, machines)) - found
        time.sleep(SILENCE)  # no event marks the absence of messages
        late = [each for call, (token, after) in received.items() for each in server.messages_of(call, token, after)]
        finished = [call for call in calls if server.response(call)]
        hangs = 0 if is_responsive(server) else 1
        code, seconds = server.stop("EOF")

    tally.add(
        Row(
            job.tool,
            "cancelled" if condition == "calm" else "cancelled, region restarts",
            runs=MOMENTS,
            lost=len(lost),
            double_starts=len([each for each in machines if count_starts(region, job, each) > 1]),
            after_cancel=len(late),
            hangs=hangs + int(seconds > server.prompt),
        )
    )
    assert code == 0
    assert len(finished) < MOMENTS, "some cancellations must come before the end"
    assert any(count_starts(region, job, each) for each in machines), "and some after the start"
    assert all(count_posts(region, job, each) <= 1 for each in machines)


@dataclass(frozen=True)
class Stall:
    """A stall, and the number of requests that it holds up."""

    behaviour: Behaviour
    requests: int
    only: Mapping[str, Any] = field(default_factory=dict)


STALLS = {
    "the first read": Stall(stalls(), 1),  # calls that start together share it
    "the start": Stall(stalls(), MAX_CHANGES, {"method": "POST"}),
    "the start, MAAS acts": Stall(stalls(forwarded=True), MAX_CHANGES, {"method": "POST"}),
    "a poll": Stall(stalls(), 1, {"path": "/events/", "after": len(JOBS)}),
}


@pytest.mark.parametrize("how", ["cancel", "EOF"])
@pytest.mark.parametrize("where", STALLS)
def test_a_stalled_region_delays_neither_a_cancellation_nor_the_end(
    where: str, how: str, state: str, tally: Tally
) -> None:
    region, machines = region_with_one_machine_each(speed=SPEED)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, ExitStack() as stack:
        affected = stack.enter_context(proxy.applying(STALLS[where].behaviour, **STALLS[where].only))
        calls = {
            job: server.start_call(job.tool, job.tool, **job.arguments_for(each)) for job, each in machines.items()
        }
        eventually(lambda: len(affected()) >= STALLS[where].requests, "the stall")
        late: list[Message] = []
        if how == "cancel":
            received = {job: server.cancel(call) for job, call in calls.items()}
            time.sleep(SILENCE)
            late = [each for job, call in calls.items() for each in server.messages_of(call, job.tool, received[job])]
        code, seconds = server.stop("EOF")

    for job, machine in machines.items():
        tally.add(
            Row(
                job.tool,
                f"{how}, stall at {where}",
                double_starts=int(count_starts(region, job, machine) > 1 or count_posts(region, job, machine) > 1),
                after_cancel=len([each for each in late if each.get("params", {}).get("progressToken") == job.tool]),
                hangs=int(seconds > server.prompt),
            )
        )
    assert late == []
    assert code == 0


def test_a_start_that_was_cancelled_without_a_response_is_found_and_not_repeated(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        with proxy.applying(stalls(forwarded=True), method="POST"):
            for job, machine in machines.items():
                call = server.start_call(job.tool, job.tool, **job.arguments_for(machine))
                eventually(partial(count_starts, region, job, machine), "the start")
                server.cancel(call)
        found = listed(server)
        again = [
            server.start_call(job.tool, wait_seconds=0, **job.arguments_for(each)) for job, each in machines.items()
        ]
        reports = [report(each) for each in wait_for_results(server, again)]

    for job, machine in machines.items():
        tally.add(
            Row(
                job.tool,
                "cancelled at the start, called again",
                lost=int(machine.system_id not in found),
                double_starts=int(count_starts(region, job, machine) > 1),
            )
        )
        assert count_posts(region, job, machine) == 1
    assert {each["state"] for each in reports} == {"working"}


def test_an_abort_without_a_response_does_not_delay_the_end(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=1.0)
    abortable = {job: each for job, each in machines.items() if job.operation().can_abort}
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        calls = {
            job: server.start_call(job.tool, job.tool, **job.arguments_for(each), on_cancel="abort")
            for job, each in abortable.items()
        }
        eventually(lambda: all(messages(server, job.tool)[1:] for job in calls), "two messages of each")
        with proxy.applying(stalls(), op="abort") as affected:
            received = {job: server.cancel(call) for job, call in calls.items()}
            # One slot is kept for polling events. Further aborts wait for a slot.
            eventually(lambda: len(affected()) >= min(len(calls), MAX_REQUESTS - 1), "the abort requests")
            late = [each for job, call in calls.items() for each in server.messages_of(call, job.tool, received[job])]
            code, seconds = server.stop("EOF")

    for job, machine in abortable.items():
        assert count_starts(region, job, machine) == 1
        row = Row(job.tool, "EOF, stall at the abort", hangs=int(seconds > server.prompt))
        row.after_cancel = len([each for each in late if each.get("params", {}).get("progressToken") == job.tool])
        tally.add(row)
    assert late == []
    assert code == 0


def test_a_lost_connection_during_an_outage_ends_the_server_and_aborts_nothing(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=1.0)
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
        with proxy.applying(respond_with(503, nginx_page(503), retry_after=20)) as affected:
            eventually(affected, "a rejected request")
            code, seconds = server.stop("EOF")

    for job, machine in machines.items():
        tally.add(Row(job.tool, "EOF during an outage", hangs=int(seconds > server.prompt)))
        assert count_starts(region, job, machine) == 1
    assert code == 0
    assert [each.op for each in region.requests if each.op == "abort"] == []
