"""Batches allocate and start each machine once and leave none allocated needlessly, under any fault."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from typing import Any, Final
from urllib.parse import parse_qs

import pytest

from maas_simulator import SimulatedMachine, SimulatedRegion, Status
from tests.integration.driver import TIMEOUT, Driver, Message, eventually
from tests.integration.faults.client import (
    call_tool,
    error,
    is_responsive,
    list_operations,
    messages,
    report,
    serving_through,
    wait_for_results,
)
from tests.integration.faults.jobs import BATCH, IN_MEMORY, count_posts, count_starts, current_state, region_for
from tests.integration.faults.positions import (
    ACTED,
    NOTHING_ARRIVED,
    SHORT_TIMEOUT_SERVER,
    SPEED,
    Machines,
    applying_to_all,
    runs_of,
)
from tests.integration.faults.proxy import Behaviour, Exchange, behind_a_proxy, pass_through, stalls
from tests.integration.faults.tally import Row, Tally
from tests.integration.faults.test_cancelling import SILENCE, is_past, listed

SIZE = 10
"""Machines in a batch of named machines."""


def in_batches(machines: Machines) -> list[Machines]:
    """Batches that mix machines with different faults, unlike neighbours in the list."""
    count = -(-len(machines) // SIZE)
    return [machines[nth::count] for nth in range(count)]


def deploy_named(server: Driver, batches: Iterable[Machines]) -> list[Message]:
    return wait_for_results(server, [server.start_call(BATCH.tool, **BATCH.arguments_for(*each)) for each in batches])


def deploy_any(server: Driver, count: int, token: str | None = None, **options: Any) -> int:
    return server.start_call(BATCH.tool, token, count=count, **IN_MEMORY, **options)


def allocations(region: SimulatedRegion, machine: SimulatedMachine) -> int:
    """The number of times the machine was allocated, from the region's log."""
    with region.lock:
        events = [each for each in region.log.events if each.system_id == machine.system_id]
    return len([each for each in events if each.type == "User acquiring node"])


def unused_allocations(region: SimulatedRegion) -> set[str]:
    """Allocated machines without a start. An abort leaves machines allocated on purpose, but those have a start."""
    with region.lock:
        allocated = [each for each in region.machines.values() if each.status is Status.ALLOCATED]
        return {each.system_id for each in allocated if not count_starts(region, BATCH, each)}


def count_unused_allocations(region: SimulatedRegion, timeout: float = TIMEOUT) -> int:
    """The number of machines that stay allocated without a start."""
    try:
        eventually(lambda: not unused_allocations(region), "the release of unused machines", timeout)
    except AssertionError:
        return len(unused_allocations(region))
    return 0


def test_starts_of_a_batch_whose_responses_are_lost_are_recognised(state: str, tally: Tally) -> None:
    region = region_for(BATCH, sum(map(runs_of, ACTED)), speed=SPEED)
    machines = list(region.machines.values())
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state) as server,
        applying_to_all(proxy, region, ACTED) as groups,
    ):
        reports = [report(each) for each in deploy_named(server, in_batches(machines))]

    ended = {system_id for each in reports for system_id in BATCH.ended(each)}
    for fault, group in groups.items():
        tally.add(
            Row(
                BATCH.tool,
                f"{fault}, deploy",
                runs=len(group),
                lost=len([each for each in group if each.system_id not in ended]),
                double_starts=len([each for each in group if count_starts(region, BATCH, each) > 1]),
            )
        )
    assert {each["state"] for each in reports} == {"succeeded"}
    assert all(count_starts(region, BATCH, each) == count_posts(region, BATCH, each) == 1 for each in machines)


def test_starts_of_a_batch_that_never_arrived_are_reported_with_the_other_results(state: str, tally: Tally) -> None:
    lost_posts = sum(map(runs_of, NOTHING_ARRIVED))
    region = region_for(BATCH, lost_posts * 3 // 2, speed=SPEED)
    machines = list(region.machines.values())
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, module=SHORT_TIMEOUT_SERVER) as server,
        applying_to_all(proxy, region, NOTHING_ARRIVED) as groups,
    ):
        reports = [report(each) for each in deploy_named(server, in_batches(machines))]

    reported = {each["system_id"]: each for every in reports for each in every["result"]["machines"]}
    for fault, group in groups.items():
        started = len([each for each in group if count_starts(region, BATCH, each)])
        silent = [each for each in group if "?op=deploy" not in reported[each.system_id]["message"]]
        tally.add(Row(BATCH.tool, f"{fault}, deploy", runs=len(group), lost=len(silent), double_starts=started))
    assert {each["state"] for each in reports} == {"partly_succeeded"}
    failed = {each.system_id for group in groups.values() for each in group}
    assert {system_id for system_id, each in reported.items() if each["state"] == "failed"} == failed
    assert all(current_state(region, each).status is Status.READY for each in machines if each.system_id in failed)
    others = [each for each in machines if each.system_id not in failed]
    assert all(count_starts(region, BATCH, each) == count_posts(region, BATCH, each) == 1 for each in others)
    assert all(current_state(region, each).status is Status.DEPLOYED for each in others)


def test_allocations_whose_responses_are_lost_are_recognised_and_not_repeated(state: str, tally: Tally) -> None:
    count = sum(map(runs_of, ACTED))
    region = region_for(BATCH, count + SIZE, speed=SPEED)
    machines = list(region.machines.values())
    affected = {}
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, ExitStack() as stack:
        for fault, behaviour in ACTED.items():
            affected[fault] = stack.enter_context(proxy.applying(behaviour, op="allocate", times=runs_of(fault)))
        calls = [deploy_any(server, SIZE) for _ in range(count // SIZE)]
        reports = [report(each) for each in wait_for_results(server, calls)]
        counts = {fault: len(each()) for fault, each in affected.items()}

    ended = {system_id for each in reports for system_id in BATCH.ended(each)}
    allocated = [each for each in machines if allocations(region, each)]
    twice = [each for each in machines if max(allocations(region, each), count_starts(region, BATCH, each)) > 1]
    lost = len({each.system_id for each in allocated} ^ ended)
    for nth, (fault, runs) in enumerate(counts.items()):
        assert runs == runs_of(fault)
        tally.add(
            Row(
                BATCH.tool,
                f"{fault}, allocate",
                runs=runs,
                lost=0 if nth else lost,
                double_starts=0 if nth else len(twice),
            )
        )
    assert {each["state"] for each in reports} == {"succeeded"}
    assert len(allocated) == len([each for each in region.requests if each.op == "allocate"]) == count
    assert not unused_allocations(region)


def test_an_allocation_that_never_arrived_ends_its_batch_which_releases_its_machines(state: str, tally: Tally) -> None:
    count = sum(map(runs_of, NOTHING_ARRIVED))
    region = region_for(BATCH, 2 * count, speed=SPEED)
    turns = cycle([fault for fault in NOTHING_ARRIVED for _ in range(runs_of(fault))])
    names: Counter[str] = Counter()
    faults: Counter[str] = Counter()

    def second_is_lost(exchange: Exchange) -> None:
        name = parse_qs(exchange.body.decode())["agent_name"][0]
        names[name] += 1
        if names[name] == 1:
            return pass_through(exchange)
        fault = next(turns)
        faults[fault] += 1
        return NOTHING_ARRIVED[fault](exchange)

    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state, module=SHORT_TIMEOUT_SERVER) as server:
        with proxy.applying(second_is_lost, op="allocate"):
            errors = [error(each) for each in wait_for_results(server, [deploy_any(server, 3) for _ in range(count)])]
        left = count_unused_allocations(region)

    assert set(names.values()) == {2}, "an allocation was repeated"
    assert faults == {fault: runs_of(fault) for fault in NOTHING_ARRIVED}
    for nth, fault in enumerate(NOTHING_ARRIVED):
        tally.add(Row(BATCH.tool, f"{fault}, allocate", runs=runs_of(fault), lost=0 if nth else left))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all("?op=allocate" in each["message"] for each in errors)
    assert not any(count_posts(region, BATCH, each) for each in region.machines.values())
    assert all(current_state(region, each).owner is None for each in list(region.machines.values()))


MOMENTS: Final = 16
SPREAD: Final = 3.0
"""Seconds over which the moments are spread."""
OUTAGE: Final = (1.0, 1.8)
"""Start and end of the region's restart, in seconds."""
BATCH_SIZE: Final = 2
"""Machines in each batch by constraints."""


@pytest.mark.parametrize("condition", ["calm", "restart"])
def test_a_cancellation_at_any_moment_leaves_no_machine_allocated_needlessly(
    condition: str, state: str, tally: Tally
) -> None:
    region = region_for(BATCH, MOMENTS * BATCH_SIZE, speed=50.0)
    region.hold(op="allocate", before=0.02, after=0.02)
    region.hold(op="deploy", before=0.2, after=0.05)
    rng = random.Random(condition)  # the same moments in every run
    received: dict[int, tuple[str, int]] = {}
    machines = list(region.machines.values())
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, module=SHORT_TIMEOUT_SERVER) as server,
        ExitStack() as outage,
    ):
        tokens = [f"batch {nth}" for nth in range(MOMENTS)]
        calls = [deploy_any(server, BATCH_SIZE, token) for token in tokens]
        # The seconds count from here, so that a busy machine has something to release, too.
        eventually(lambda: any(allocations(region, each) for each in machines), "an allocation")
        began = time.monotonic()
        is_restarting = condition == "calm"
        for token, call in zip(tokens, calls, strict=True):
            moment = SPREAD * len(received) / MOMENTS + rng.uniform(0.0, SPREAD / MOMENTS)
            if not is_restarting and moment > OUTAGE[0]:
                is_restarting = bool(outage.enter_context(proxy.refusing()) is None)
            if moment > OUTAGE[1]:
                outage.close()
            eventually(partial(is_past, began + moment), "the moment")
            # Some machines must be deploying by then, even on a busy machine.
            if condition == "calm" and len(received) == MOMENTS * 3 // 4:
                eventually(lambda: any(count_starts(region, BATCH, each) for each in machines), "a start")
            received[call] = token, server.cancel(call)
        outage.close()
        time.sleep(SILENCE)  # no event marks the absence of messages
        late = [each for call, (token, after) in received.items() for each in server.messages_of(call, token, after)]
        unfinished = [call for call in calls if not server.response(call)]
        left = count_unused_allocations(region)
        before = in_progress(region)
        found = listed(server)
        hangs = 0 if is_responsive(server) else 1
        code, seconds = server.stop("EOF")

    tally.add(
        Row(
            BATCH.tool,
            "cancelled, by constraints" if condition == "calm" else "cancelled, by constraints, region restarts",
            runs=MOMENTS,
            lost=left + len((before & in_progress(region)) - found),
            double_starts=len([each for each in machines if count_starts(region, BATCH, each) > 1]),
            after_cancel=len(late),
            hangs=hangs + int(seconds > server.prompt),
        )
    )
    assert code == 0
    assert unfinished, "some cancellations must come before the end"
    assert any(allocations(region, each) and not count_starts(region, BATCH, each) for each in machines)
    # A restart may end all batches that are allocating, because a refused connection is reported at once.
    assert condition == "restart" or any(count_starts(region, BATCH, each) for each in machines)
    assert all(count_posts(region, BATCH, each) <= 1 for each in machines)


def in_progress(region: SimulatedRegion) -> set[str]:
    with region.lock:
        return {each.system_id for each in region.machines.values() if each.status is Status.DEPLOYING}


STALLS: dict[str, tuple[str, Behaviour]] = {
    "the allocation": ("allocate", stalls()),
    "the allocation, MAAS acts": ("allocate", stalls(forwarded=True)),
    "the deploy": ("deploy", stalls()),
    "the deploy, MAAS acts": ("deploy", stalls(forwarded=True)),
}
PAIR: Final = 2


class StallingBehaviour:
    """Stalls the POSTs of batches of two machines, each batch at another place.

    The batches send as many changes at once as there are places.
    """

    def __init__(self, op: str) -> None:
        self.all = [place for place, (stalled, _) in STALLS.items() if stalled == op]
        self.places: dict[str, str] = {}
        """The place of each batch, by the name of the batch."""
        self.stalled: set[str] = set()
        self._seen: Counter[tuple[str, str | None]] = Counter()

    def __call__(self, exchange: Exchange) -> None:
        name = parse_qs(exchange.body.decode())["agent_name"][0]
        place = self.places.setdefault(name, self.all[len(self.places) % len(self.all)])
        op, behaviour = STALLS[place]
        self._seen[name, exchange.record.op] += 1
        # Stall the second allocation, so that there is a machine to release, or the first deploy.
        if exchange.record.op == op and self._seen[name, op] == (PAIR if op == "allocate" else 1):
            self.stalled.add(place)
            return behaviour(exchange)
        return pass_through(exchange)


@pytest.mark.parametrize("op", ["allocate", "deploy"])
@pytest.mark.parametrize("how", ["cancel", "EOF", "kill"])
def test_machines_of_a_batch_that_ends_during_a_stalled_request_are_released_or_listed(
    how: str, op: str, state: str, tally: Tally
) -> None:
    stalling = StallingBehaviour(op)
    region = region_for(BATCH, PAIR * len(stalling.all), speed=20.0)
    machines = list(region.machines.values())
    late: list[Message] = []
    seconds = 0.0
    with behind_a_proxy(region) as proxy:
        with serving_through(proxy, region, state, module=SHORT_TIMEOUT_SERVER) as server:
            with proxy.applying(stalling, op="allocate"), proxy.applying(stalling, op="deploy"):
                calls = {f"batch {nth}": deploy_any(server, PAIR, f"batch {nth}") for nth in range(len(stalling.all))}
                eventually(lambda: stalling.stalled == set(stalling.all), "the stalls")
                eventually(lambda: all(messages(server, each) for each in calls), "progress")
                if how == "cancel":
                    received = {token: server.cancel(call) for token, call in calls.items()}
                    time.sleep(SILENCE)
                    late = [
                        each
                        for token, call in calls.items()
                        for each in server.messages_of(call, token, received[token])
                    ]
                elif how == "kill":
                    server.process.kill()
                    server.process.wait()
                else:
                    code, seconds = server.stop("EOF")
                    assert code == 0
            left = count_unused_allocations(region) if how == "cancel" else 0
        if how != "cancel":
            with serving_through(proxy, region, state) as server:
                abort_listed_batches(server)
                left = count_unused_allocations(region)
                assert in_progress(region) <= listed(server)

    twice = [each for each in machines if count_starts(region, BATCH, each) > 1 or count_posts(region, BATCH, each) > 1]
    for nth, place in enumerate(stalling.all):
        tally.add(
            Row(
                BATCH.tool,
                f"{how}, stall at {place}",
                lost=0 if nth else left,
                double_starts=0 if nth else len(twice),
                after_cancel=0 if nth else len(late),
                hangs=int(seconds > server.prompt),
            )
        )


def abort_listed_batches(server: Driver) -> None:
    """Abort the batches that a former server has left running, as a user would."""
    for each in list_operations(server):
        if each["operation_id"].startswith(f"{BATCH.tool}."):
            report(call_tool(server, "maas_cancel_operation", operation_id=each["operation_id"], abort=True))


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_repeated_call_for_a_batch_finds_the_running_batch(how: str, state: str, tally: Tally) -> None:
    region = region_for(BATCH, SIZE, speed=1.0)
    machines = list(region.machines.values())
    with behind_a_proxy(region) as proxy:
        with serving_through(proxy, region, state) as server:
            call = server.start_call(BATCH.tool, **BATCH.arguments_for(*machines))
            eventually(lambda: all(count_starts(region, BATCH, each) for each in machines), "the starts")
            if how == "cancel":
                server.cancel(call)
            else:
                server.process.kill()
                server.process.wait()
        with serving_through(proxy, region, state) as server:
            started = report(call_tool(server, BATCH.tool, wait_seconds=0, **BATCH.arguments_for(*machines)))
            region.advance(600)
            ended = report(call_tool(server, "maas_wait_operation", operation_id=started["operation_id"]))

    tally.add(
        Row(
            BATCH.tool,
            f"{how} during a batch, called again",
            lost=len({each.system_id for each in machines} - BATCH.ended(ended).keys()),
            double_starts=len([each for each in machines if count_starts(region, BATCH, each) > 1]),
        )
    )
    assert started["state"] == "working"
    assert all(count_posts(region, BATCH, each) == 1 for each in machines)
