"""Exactly one start each: the connection of the POST that starts an operation ends at every position there is."""

from typing import Any

from tests.integration.driver import LONG, Driver, Message
from tests.integration.faults.client import answer, answers, error, report, serving_through
from tests.integration.faults.jobs import Job, crowd, of, one_of_each, orders, starts
from tests.integration.faults.positions import ACTED, HASTY, NOTHING_ARRIVED, SPEED, Machines, meeting_all, runs_of
from tests.integration.faults.proxy import behind_a_proxy
from tests.integration.faults.tally import Row, Tally


def call_all(server: Driver, job: Job, machines: Machines, **options: Any) -> list[Message]:
    return answers(server, [server.start_call(job.tool, **job.arguments_for(each), **options) for each in machines])


def wait_for_all(server: Driver, ids: list[str]) -> list[dict[str, Any]]:
    calls = [server.start_call("maas_wait_operation", operation_id=each, wait_seconds=LONG) for each in ids]
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

    found = {system_id for each in ended if each["state"] == "succeeded" for system_id in job.ended(each)}
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
    assert all(status == job.ends.display for each in ended for status in job.ended(each).values())


def test_an_order_that_never_arrived_is_not_given_again_and_its_call_says_so(
    job: Job, state: str, tally: Tally
) -> None:
    region = crowd(job, sum(map(runs_of, NOTHING_ARRIVED)), speed=SPEED)
    machines = list(region.machines.values())
    before = {each.system_id: (each.status, each.owner, each.power_state) for each in machines}
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state, module=HASTY) as server:
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
        errors = [error(each) for each in answers(server, calls, server.at_once)]

    for job in machines:
        tally.add(Row(job.tool, "refused before the start"))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all("refused the connection" in each["message"] and each["retryable"] for each in errors)
    assert region.requests == []
