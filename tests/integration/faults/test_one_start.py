"""Each operation starts exactly once, wherever the connection of its POST ends."""

from typing import Any

from tests.integration.driver import LONG_WAIT, Driver, Message
from tests.integration.faults.client import error, list_operations, report, serving_through, wait_for_results
from tests.integration.faults.jobs import (
    Job,
    count_posts,
    count_starts,
    current_state,
    region_for,
    region_with_one_machine_each,
)
from tests.integration.faults.positions import (
    ACTED,
    NOTHING_ARRIVED,
    SHORT_TIMEOUT_SERVER,
    SPEED,
    Machines,
    applying_to_all,
    runs_of,
)
from tests.integration.faults.proxy import behind_a_proxy
from tests.integration.faults.tally import Row, Tally


def call_all(server: Driver, job: Job, machines: Machines, **options: Any) -> list[Message]:
    return wait_for_results(
        server, [server.start_call(job.tool, **job.arguments_for(each), **options) for each in machines]
    )


def wait_for_all(server: Driver, ids: list[str]) -> list[dict[str, Any]]:
    calls = [server.start_call("maas_wait_operation", operation_id=each, wait_seconds=LONG_WAIT) for each in ids]
    return [report(each) for each in wait_for_results(server, calls)]


def test_a_start_whose_response_is_lost_is_recognised_and_not_repeated(job: Job, state: str, tally: Tally) -> None:
    region = region_for(job, sum(map(runs_of, ACTED)), speed=SPEED)
    machines = list(region.machines.values())
    followed, detached = machines[::2], machines[1::2]
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        with applying_to_all(proxy, region, ACTED) as groups:
            ended = [report(each) for each in call_all(server, job, followed)]
            started = [report(each) for each in call_all(server, job, detached, wait_seconds=0)]
        ended += wait_for_all(server, [each["operation_id"] for each in started])

    found = {system_id for each in ended if each["state"] == "succeeded" for system_id in job.ended(each)}
    for fault, group in groups.items():
        tally.add(
            Row(
                job.tool,
                fault,
                runs=len(group),
                lost=len([each for each in group if each.system_id not in found]),
                double_starts=len([each for each in group if count_starts(region, job, each) > 1]),
            )
        )
    assert all(count_starts(region, job, each) == count_posts(region, job, each) == 1 for each in machines)
    assert all(current_state(region, each).status is job.final_status for each in machines)
    assert all(status == job.final_status.display for each in ended for status in job.ended(each).values())


def test_a_start_that_never_arrived_is_reported_and_not_repeated(job: Job, state: str, tally: Tally) -> None:
    region = region_for(job, sum(map(runs_of, NOTHING_ARRIVED)), speed=SPEED)
    machines = list(region.machines.values())
    before = {each.system_id: (each.status, each.owner, each.power_state) for each in machines}
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state, module=SHORT_TIMEOUT_SERVER) as server:
        with applying_to_all(proxy, region, NOTHING_ARRIVED) as groups:
            errors = [error(each) for each in call_all(server, job, machines)]
        listed = list_operations(server)

    for fault, group in groups.items():
        started = len([each for each in group if count_starts(region, job, each)])
        tally.add(Row(job.tool, fault, runs=len(group), lost=started, double_starts=started))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all(f"?op={job.op}" in each["message"] for each in errors)
    assert not any(count_posts(region, job, each) for each in machines)
    assert {each.system_id: (each.status, each.owner, each.power_state) for each in machines} == before
    assert listed == []


def test_refused_connections_are_reported_at_once(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=SPEED)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server, proxy.refusing():
        calls = [server.start_call(job.tool, **job.arguments_for(machine)) for job, machine in machines.items()]
        errors = [error(each) for each in wait_for_results(server, calls, server.prompt)]

    for job in machines:
        tally.add(Row(job.tool, "refused before the start"))
    assert {each["code"] for each in errors} == {"unavailable"}
    assert all("refused the connection" in each["message"] and each["retryable"] for each in errors)
    assert region.requests == []
