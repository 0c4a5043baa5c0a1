"""After a server is killed, the next server knows the operations that it started."""

from functools import partial

import pytest

from maas_mcp.maas.limits import MAX_CHANGES
from tests.integration.driver import LONG_WAIT, eventually
from tests.integration.faults.client import (
    call_tool,
    error,
    is_responsive,
    list_operations,
    report,
    serving_through,
    wait_for_results,
)
from tests.integration.faults.jobs import (
    count_posts,
    count_starts,
    current_state,
    region_with_machines,
    region_with_one_machine_each,
)
from tests.integration.faults.proxy import behind_a_proxy, stalls
from tests.integration.faults.tally import Row, Tally

SPEED = 50.0
MACHINES = 4


@pytest.mark.parametrize("ended", [False, True], ids=["still running", "ended meanwhile"])
def test_after_a_kill_during_an_outage_a_new_server_knows_every_operation_id(
    ended: bool, state: str, tally: Tally
) -> None:
    region, machines = region_with_machines(MACHINES, speed=SPEED * (8 if ended else 1))
    runs = [(job, machine) for job, group in machines.items() for machine in group]
    with behind_a_proxy(region) as proxy:
        with serving_through(proxy, region, state) as server:
            calls = [server.start_call(job.tool, wait_seconds=0, **job.arguments_for(each)) for job, each in runs]
            ids = [report(each)["operation_id"] for each in wait_for_results(server, calls)]
            with proxy.refusing():
                server.start_call("maas_wait_operation", 1, operation_id=ids[0], wait_seconds=LONG_WAIT)
                server.process.kill()
                server.process.wait()
        with serving_through(proxy, region, state) as server:
            with proxy.refusing():
                reported = error(call_tool(server, "maas_get_operation", server.prompt, operation_id=ids[0]))
                assert (reported["code"], reported["retryable"]) == ("unavailable", True)
                if ended:
                    eventually(
                        lambda: all(current_state(region, each).status is job.final_status for job, each in runs),
                        "the ends",
                    )
            reads = [server.start_call("maas_get_operation", operation_id=each) for each in ids]
            reports = [report(each) for each in wait_for_results(server, reads)]
            assert {each["state"] for each in reports} <= ({"succeeded"} if ended else {"working", "succeeded"})
            waits = [
                server.start_call("maas_wait_operation", operation_id=each, wait_seconds=LONG_WAIT) for each in ids
            ]
            results = [report(each) for each in wait_for_results(server, waits)]
            responsive = is_responsive(server)

    for nth, (job, machine) in enumerate(runs):
        tally.add(
            Row(
                job.tool,
                "killed during an outage",
                lost=int(results[nth]["state"] != "succeeded"),
                double_starts=int(count_starts(region, job, machine) > 1),
                hangs=int(not responsive),
            )
        )
        assert count_posts(region, job, machine) == 1


def test_operations_of_a_server_killed_during_their_start_are_listed_by_the_next_server(
    state: str, tally: Tally
) -> None:
    region, machines = region_with_one_machine_each(speed=0.0)
    jobs = list(machines.items())
    with behind_a_proxy(region) as proxy:
        for first in range(0, len(jobs), MAX_CHANGES):
            with serving_through(proxy, region, state) as server, proxy.applying(stalls(forwarded=True), method="POST"):
                for job, machine in jobs[first : first + MAX_CHANGES]:
                    server.start_call(job.tool, machine.hostname, **job.arguments_for(machine))
                    eventually(partial(count_starts, region, job, machine), "the start")
                server.process.kill()
                server.process.wait()
        with serving_through(proxy, region, state) as server:
            listed = list_operations(server)

    found = {tuple(each["operation_id"].split(".")[:2]) for each in listed}
    for job, machine in machines.items():
        tally.add(
            Row(
                job.tool,
                "killed at the start",
                lost=int((job.member_operation.name, machine.system_id) not in found),
                double_starts=int(count_starts(region, job, machine) > 1),
            )
        )
