"""Batches: each machine allocated and started once, and none left allocated, wherever something ends."""

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
from tests.integration.driver import PATIENCE, Driver, Message, eventually
from tests.integration.faults.client import (
    answer,
    answers,
    error,
    messages,
    quickly,
    report,
    serving_through,
)
from tests.integration.faults.jobs import BATCH, IN_MEMORY, crowd, of, orders, starts
from tests.integration.faults.positions import ACTED, HASTY, NOTHING_ARRIVED, SPEED, Machines, meeting_all, runs_of
from tests.integration.faults.proxy import Exchange, Fate, behind_a_proxy, passes, stalls
from tests.integration.faults.tally import Row, Tally
from tests.integration.faults.test_cancelling import ABSENCE, is_past, listed

SIZE = 10
"""Machines in a batch of named ones."""


def in_batches(machines: Machines) -> list[Machines]:
    """Batches of neighbours that meet different faults, as neighbours in a list do not."""
    count = -(-len(machines) // SIZE)
    return [machines[nth::count] for nth in range(count)]


def deploy_named(server: Driver, batches: Iterable[Machines]) -> list[Message]:
    return answers(server, [server.start_call(BATCH.tool, **BATCH.arguments_for(*each)) for each in batches])


def deploy_any(server: Driver, count: int, token: str | None = None, **options: Any) -> int:
    return server.start_call(BATCH.tool, token, count=count, **IN_MEMORY, **options)


def allocations(region: SimulatedRegion, machine: SimulatedMachine) -> int:
    """How often it became someone's, by the region's own log."""
    with region.lock:
        events = [each for each in region.log.events if each.system_id == machine.system_id]
    return len([each for each in events if each.type == "User acquiring node"])


def idle(region: SimulatedRegion) -> set[str]:
    """Machines that are allocated without anything having begun on them; an abort leaves them so on purpose."""
    with region.lock:
        allocated = [each for each in region.machines.values() if each.status is Status.ALLOCATED]
        return {each.system_id for each in allocated if not starts(region, BATCH, each)}


def stays_idle(region: SimulatedRegion, patience: float = PATIENCE) -> int:
    """How many machines are left allocated for good."""
    try:
        eventually(lambda: not idle(region), "the giving back", patience)
    except AssertionError:
        return len(idle(region))
    return 0


def test_orders_of_a_batch_whose_answers_are_lost_are_found_to_be_carried_out(state: str, tally: Tally) -> None:
    region = crowd(BATCH, sum(map(runs_of, ACTED)), speed=SPEED)
    machines = list(region.machines.values())
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state) as server,
        meeting_all(proxy, region, ACTED) as groups,
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
                double_starts=len([each for each in group if starts(region, BATCH, each) > 1]),
            )
        )
    assert {each["state"] for each in reports} == {"succeeded"}
    assert all(starts(region, BATCH, each) == orders(region, BATCH, each) == 1 for each in machines)


def test_orders_of_a_batch_that_never_arrived_are_told_beside_what_the_others_came_to(state: str, tally: Tally) -> None:
    lost_orders = sum(map(runs_of, NOTHING_ARRIVED))
    region = crowd(BATCH, lost_orders * 3 // 2, speed=SPEED)
    machines = list(region.machines.values())
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, module=HASTY) as server,
        meeting_all(proxy, region, NOTHING_ARRIVED) as groups,
    ):
        reports = [report(each) for each in deploy_named(server, in_batches(machines))]

    reported = {each["system_id"]: each for every in reports for each in every["result"]["machines"]}
    for fault, group in groups.items():
        started = len([each for each in group if starts(region, BATCH, each)])
        silent = [each for each in group if "?op=deploy" not in reported[each.system_id]["message"]]
        tally.add(Row(BATCH.tool, f"{fault}, deploy", runs=len(group), lost=len(silent), double_starts=started))
    assert {each["state"] for each in reports} == {"partly_succeeded"}
    failed = {each.system_id for group in groups.values() for each in group}
    assert {system_id for system_id, each in reported.items() if each["state"] == "failed"} == failed
    assert all(of(region, each).status is Status.READY for each in machines if each.system_id in failed)
    others = [each for each in machines if each.system_id not in failed]
    assert all(starts(region, BATCH, each) == orders(region, BATCH, each) == 1 for each in others)
    assert all(of(region, each).status is Status.DEPLOYED for each in others)


def test_allocations_whose_answers_are_lost_are_found_and_never_ordered_again(state: str, tally: Tally) -> None:
    count = sum(map(runs_of, ACTED))
    region = crowd(BATCH, count + SIZE, speed=SPEED)
    machines = list(region.machines.values())
    met = {}
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, ExitStack() as stack:
        for fault, fate in ACTED.items():
            met[fault] = stack.enter_context(proxy.meeting(fate, op="allocate", times=runs_of(fault)))
        calls = [deploy_any(server, SIZE) for _ in range(count // SIZE)]
        reports = [report(each) for each in answers(server, calls)]
        counts = {fault: len(each()) for fault, each in met.items()}

    ended = {system_id for each in reports for system_id in BATCH.ended(each)}
    begun = [each for each in machines if allocations(region, each)]
    twice = [each for each in machines if max(allocations(region, each), starts(region, BATCH, each)) > 1]
    lost = len({each.system_id for each in begun} ^ ended)
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
    assert len(begun) == len([each for each in region.requests if each.op == "allocate"]) == count
    assert not idle(region)


def test_an_allocation_that_never_arrived_ends_its_batch_which_gives_back_what_it_has(state: str, tally: Tally) -> None:
    count = sum(map(runs_of, NOTHING_ARRIVED))
    region = crowd(BATCH, 2 * count, speed=SPEED)
    turns = cycle([fault for fault in NOTHING_ARRIVED for _ in range(runs_of(fault))])
    names: Counter[str] = Counter()
    faults: Counter[str] = Counter()

    def second_is_lost(exchange: Exchange) -> None:
        name = parse_qs(exchange.body.decode())["agent_name"][0]
        names[name] += 1
        if names[name] == 1:
            return passes(exchange)
        fault = next(turns)
        faults[fault] += 1
        return NOTHING_ARRIVED[fault](exchange)

    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state, module=HASTY) as server:
        with proxy.meeting(second_is_lost, op="allocate"):
            errors = [error(each) for each in answers(server, [deploy_any(server, 3) for _ in range(count)])]
        left = stays_idle(region)

    assert set(names.values()) == {2}, "an allocation was ordered again"
    assert faults == {fault: runs_of(fault) for fault in NOTHING_ARRIVED}
    for nth, fault in enumerate(NOTHING_ARRIVED):
        tally.add(Row(BATCH.tool, f"{fault}, allocate", runs=runs_of(fault), lost=0 if nth else left))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all("?op=allocate" in each["message"] for each in errors)
    assert not any(orders(region, BATCH, each) for each in region.machines.values())
    assert all(of(region, each).owner is None for each in list(region.machines.values()))


MOMENTS: Final = 16
LIFE: Final = 3.0
"""Seconds over which the moments spread."""
OUTAGE: Final = (1.0, 1.8)
"""The seconds within which the region is away."""
CHOSEN: Final = 2
"""Machines of each batch by constraints."""


@pytest.mark.parametrize("weather", ["calm", "restart"])
def test_a_cancel_at_any_moment_leaves_nothing_allocated_in_vain(weather: str, state: str, tally: Tally) -> None:
    region = crowd(BATCH, MOMENTS * CHOSEN, speed=50.0)
    region.hold(op="allocate", before=0.02, after=0.02)
    region.hold(op="deploy", before=0.05, after=0.05)
    dice = random.Random(weather)  # the same moments in every run
    received: dict[int, tuple[str, int]] = {}
    machines = list(region.machines.values())
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, module=HASTY) as server,
        ExitStack() as outage,
    ):
        began = time.monotonic()
        tokens = [f"batch {nth}" for nth in range(MOMENTS)]
        calls = [deploy_any(server, CHOSEN, token) for token in tokens]
        away = weather == "calm"
        for token, call in zip(tokens, calls, strict=True):
            moment = LIFE * len(received) / MOMENTS + dice.uniform(0.0, LIFE / MOMENTS)
            if not away and moment > OUTAGE[0]:
                away = bool(outage.enter_context(proxy.refusing()) is None)
            if moment > OUTAGE[1]:
                outage.close()
            eventually(partial(is_past, began + moment), "the moment")
            if (
                weather == "calm" and len(received) == MOMENTS * 3 // 4
            ):  # on a busy machine, too, some are deploying then
                eventually(lambda: any(starts(region, BATCH, each) for each in machines), "a start")
            received[call] = token, server.cancel(call)
        outage.close()
        time.sleep(ABSENCE)  # the absence of something can only be waited for
        late = [each for call, (token, after) in received.items() for each in server.said_of(call, token, after)]
        unanswered = [call for call in calls if not server.response(call)]
        left = stays_idle(region)
        before = under_way(region)
        found = listed(server)
        hangs = 0 if quickly(server) else 1
        code, seconds = server.stop("EOF")

    tally.add(
        Row(
            BATCH.tool,
            "cancelled, by constraints" if weather == "calm" else "cancelled, by constraints, region restarts",
            runs=MOMENTS,
            lost=left + len((before & under_way(region)) - found),
            double_starts=len([each for each in machines if starts(region, BATCH, each) > 1]),
            after_cancel=len(late),
            hangs=hangs + int(seconds > server.at_once),
        )
    )
    assert code == 0
    assert unanswered, "the moments lie before the end"
    assert any(allocations(region, each) and not starts(region, BATCH, each) for each in machines)
    # A restart may end all batches that are allocating: a refused connection is told at once.
    assert weather == "restart" or any(starts(region, BATCH, each) for each in machines)
    assert all(orders(region, BATCH, each) <= 1 for each in machines)


def under_way(region: SimulatedRegion) -> set[str]:
    with region.lock:
        return {each.system_id for each in region.machines.values() if each.status is Status.DEPLOYING}


STALLS: dict[str, tuple[str, Fate]] = {
    "the allocation": ("allocate", stalls()),
    "the allocation, MAAS acts": ("allocate", stalls(forwarded=True)),
    "the deploy": ("deploy", stalls()),
    "the deploy, MAAS acts": ("deploy", stalls(forwarded=True)),
}
PAIR: Final = 2


class Stalling:
    """A fate for the orders of batches of two machines: each batch stalls at another place.

    As many changes as there are such places for an order are sent at once.
    """

    def __init__(self, op: str) -> None:
        self.all = [place for place, (stalled, _) in STALLS.items() if stalled == op]
        self.places: dict[str, str] = {}
        """The place of each batch, by its name."""
        self.stalled: set[str] = set()
        self._seen: Counter[tuple[str, str | None]] = Counter()

    def __call__(self, exchange: Exchange) -> None:
        name = parse_qs(exchange.body.decode())["agent_name"][0]
        place = self.places.setdefault(name, self.all[len(self.places) % len(self.all)])
        op, fate = STALLS[place]
        self._seen[name, exchange.passage.op] += 1
        # Of two allocations the second, so that there is something to give back; of two deploys the first.
        if exchange.passage.op == op and self._seen[name, op] == (PAIR if op == "allocate" else 1):
            self.stalled.add(place)
            return fate(exchange)
        return passes(exchange)


@pytest.mark.parametrize("op", ["allocate", "deploy"])
@pytest.mark.parametrize("how", ["cancel", "EOF", "kill"])
def test_a_batch_that_ends_at_a_stalled_order_leaves_nothing_that_is_not_given_back_or_listed(
    how: str, op: str, state: str, tally: Tally
) -> None:
    stalling = Stalling(op)
    region = crowd(BATCH, PAIR * len(stalling.all), speed=20.0)
    machines = list(region.machines.values())
    late: list[Message] = []
    seconds = 0.0
    with behind_a_proxy(region) as proxy:
        with serving_through(proxy, region, state, module=HASTY) as server:
            with proxy.meeting(stalling, op="allocate"), proxy.meeting(stalling, op="deploy"):
                calls = {f"batch {nth}": deploy_any(server, PAIR, f"batch {nth}") for nth in range(len(stalling.all))}
                eventually(lambda: stalling.stalled == set(stalling.all), "the stalls")
                eventually(lambda: all(messages(server, each) for each in calls), "progress")
                if how == "cancel":
                    received = {token: server.cancel(call) for token, call in calls.items()}
                    time.sleep(ABSENCE)
                    late = [
                        each for token, call in calls.items() for each in server.said_of(call, token, received[token])
                    ]
                elif how == "kill":
                    server.process.kill()
                    server.process.wait()
                else:
                    code, seconds = server.stop("EOF")
                    assert code == 0
            left = stays_idle(region) if how == "cancel" else 0
        if how != "cancel":
            with serving_through(proxy, region, state) as server:
                give_back_what_is_listed(server)
                left = stays_idle(region)
                assert under_way(region) <= listed(server)

    twice = [each for each in machines if starts(region, BATCH, each) > 1 or orders(region, BATCH, each) > 1]
    for nth, place in enumerate(stalling.all):
        tally.add(
            Row(
                BATCH.tool,
                f"{how}, stalls at {place}",
                lost=0 if nth else left,
                double_starts=0 if nth else len(twice),
                after_cancel=0 if nth else len(late),
                hangs=int(seconds > server.at_once),
            )
        )


def give_back_what_is_listed(server: Driver) -> None:
    """What someone does who finds batches that somebody else has left behind."""
    for each in report(answer(server, "maas_list_operations"))["operations"]:
        if each["operation_id"].startswith(f"{BATCH.tool}."):
            report(answer(server, "maas_cancel_operation", operation_id=each["operation_id"], abort=True))


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_batch_that_is_called_again_is_found_and_not_begun_again(how: str, state: str, tally: Tally) -> None:
    region = crowd(BATCH, SIZE, speed=1.0)
    machines = list(region.machines.values())
    with behind_a_proxy(region) as proxy:
        with serving_through(proxy, region, state) as server:
            call = server.start_call(BATCH.tool, **BATCH.arguments_for(*machines))
            eventually(lambda: all(starts(region, BATCH, each) for each in machines), "the starts")
            if how == "cancel":
                server.cancel(call)
            else:
                server.process.kill()
                server.process.wait()
        with serving_through(proxy, region, state) as server:
            began = report(answer(server, BATCH.tool, wait_seconds=0, **BATCH.arguments_for(*machines)))
            region.advance(600)
            ended = report(answer(server, "maas_wait_operation", operation_id=began["operation_id"]))

    tally.add(
        Row(
            BATCH.tool,
            f"{how} amid a batch, called again",
            lost=len({each.system_id for each in machines} - BATCH.ended(ended).keys()),
            double_starts=len([each for each in machines if starts(region, BATCH, each) > 1]),
        )
    )
    assert began["state"] == "working"
    assert all(orders(region, BATCH, each) == 1 for each in machines)
