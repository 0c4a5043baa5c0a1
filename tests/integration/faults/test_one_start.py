"""Exactly one start each: the connection of the POST that starts an operation ends at every position there is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from maas_mcp.simulator import Region, SimulatedMachine
from tests.integration.driver import Driver, Message
from tests.integration.faults.client import HANG, answer, answers, error, report, serving_through, shaken
from tests.integration.faults.jobs import Job, crowd, of, one_of_each, orders, starts
from tests.integration.faults.proxy import (
    Fate,
    Proxy,
    behind_a_proxy,
    cut_after_request,
    cut_amid_answer,
    cut_amid_request,
    cut_before,
    page,
    says,
)
from tests.integration.faults.tally import Row, Tally

RUNS = 50
"""Of each operation at each position: 200 with the four of them."""
SPEED = 400.0
"""Simulated seconds a second: an operation takes about half a second."""

HASTY = """
    from maas_mcp.operations import engine
    engine.START_GRACE = 2.0
"""
"""What an order that never arrived is waited for, which is a minute: the tests on the virtual clock take all of it."""

ACTED: dict[str, Fate] = {
    "cut after the request": cut_after_request,
    "cut in the answer": cut_amid_answer(RUNS),
    "504 after the request": says(504, page(504), forwarded=True),
}
NOTHING_ARRIVED: dict[str, Fate] = {
    "cut before the request": cut_before,
    "cut in the request": cut_amid_request,
    "502 instead of the request": says(502, page(502)),
}


Machines = list[SimulatedMachine]


@contextmanager
def meeting_all(proxy: Proxy, region: Region, fates: dict[str, Fate]) -> Iterator[dict[str, Machines]]:
    """Give every machine's order its fate; yields the machines by the name of the fault.

    Afterwards each order was given exactly once.
    """
    machines = iter(list(region.machines.values()))
    groups = {fault: [next(machines) for _ in range(runs_of(fault))] for fault in fates}
    with ExitStack() as stack:
        met = [
            stack.enter_context(proxy.meeting(fates[fault], method="POST", path=f"/{machine.system_id}/"))
            for fault, group in groups.items()
            for machine in group
        ]
        yield groups
    assert [len(each()) for each in met] == [1] * len(met)


def runs_of(fault: str) -> int:
    """All runs at the positions that a connection can end at, a few with a proxy that speaks for itself."""
    return RUNS if fault.startswith("cut") else 10


def call_all(server: Driver, job: Job, machines: Machines, **options: Any) -> list[Message]:
    return answers(server, [server.start_call(job.tool, **job.arguments_for(each), **options) for each in machines])


def wait_for_all(server: Driver, ids: list[str]) -> list[dict[str, Any]]:
    calls = [server.start_call("maas_wait_operation", operation_id=each, wait_seconds=20) for each in ids]
    return [report(each) for each in answers(server, calls)]


def test_an_order_whose_answer_is_lost_is_found_to_be_carried_out_and_never_sent_again(
    job: Job, state: str, tally: Tally
) -> None:
    region = crowd(job, sum(map(runs_of, ACTED)), speed=SPEED)
    machines = list(region.machines.values())
    followed, left = machines[::2], machines[1::2]
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        with meeting_all(proxy, region, ACTED) as groups:
            ended = [report(each) for each in call_all(server, job, followed)]
            begun = [report(each) for each in call_all(server, job, left, wait_seconds=0)]
        ended += wait_for_all(server, [each["operation_id"] for each in begun])

    found = {each["operation_id"].split(".")[1] for each in ended if each["state"] == "succeeded"}
    for fault, group in groups.items():
        tally.add(
            Row(
                job.tool,
                fault,
                runs=len(group),
                lost=len([each for each in group if each.system_id not in found]),
                double_starts=len([each for each in group if starts(region, job, each) > 1]),
            )
        )
    assert all(starts(region, job, each) == orders(region, job, each) == 1 for each in machines)
    assert all(of(region, each).status is job.ends for each in machines)
    assert all(each["result"]["status_name"] == job.ends.display for each in ended)


def test_an_order_that_never_arrived_is_not_given_again_and_its_call_says_so(
    job: Job, state: str, tmp_path: Path, tally: Tally
) -> None:
    region = crowd(job, sum(map(runs_of, NOTHING_ARRIVED)), speed=SPEED)
    machines = list(region.machines.values())
    before = {each.system_id: (each.status, each.owner, each.power_state) for each in machines}
    hasty = shaken(tmp_path, HASTY)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state, **hasty) as server:
        with meeting_all(proxy, region, NOTHING_ARRIVED) as groups:
            errors = [error(each) for each in call_all(server, job, machines)]
        listed = report(answer(server, "maas_list_operations"))

    for fault, group in groups.items():
        started = len([each for each in group if starts(region, job, each)])
        tally.add(Row(job.tool, fault, runs=len(group), lost=started, double_starts=started))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all(f"?op={job.op}" in each["message"] for each in errors)
    assert not any(orders(region, job, each) for each in machines)
    assert {each.system_id: (each.status, each.owner, each.power_state) for each in machines} == before
    assert listed["operations"] == []


def test_a_region_that_refuses_connections_is_told_at_once(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=SPEED)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, proxy.refusing():
        calls = [server.start_call(job.tool, **job.arguments_for(machine)) for job, machine in machines.items()]
        errors = [error(each) for each in answers(server, calls, HANG)]

    for job in machines:
        tally.add(Row(job.tool, "refused before the start"))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all("refused the connection" in each["message"] and each["retryable"] for each in errors)
    assert region.requests == []
