"""A server that is killed amid an outage: the next one answers for what it had started."""

from functools import partial

import pytest

from maas_mcp.maas.limits import MAX_CHANGES
from tests.integration.driver import LONG, eventually
from tests.integration.faults.client import answer, answers, error, quickly, report, serving_through
from tests.integration.faults.jobs import of, one_of_each, orders, some_of_each, starts
from tests.integration.faults.proxy import behind_a_proxy, stalls
from tests.integration.faults.tally import Row, Tally

SPEED = 50.0
MACHINES = 4


@pytest.mark.parametrize("ended", [False, True], ids=["under way", "ended meanwhile"])
def test_after_a_kill_amid_an_outage_a_new_server_answers_for_every_handle(
    ended: bool, state: str, tally: Tally
) -> None:
    region, machines = some_of_each(MACHINES, speed=SPEED * (8 if ended else 1))
    runs = [(job, machine) for job, group in machines.items() for machine in group]
    with behind_a_proxy(region) as proxy:
        with serving_through(proxy, region, state) as server:
            calls = [server.start_call(job.tool, wait_seconds=0, **job.arguments_for(each)) for job, each in runs]
            ids = [report(each)["operation_id"] for each in answers(server, calls)]
            with proxy.refusing():
                server.start_call("maas_wait_operation", 1, operation_id=ids[0], wait_seconds=LONG)
                server.process.kill()
                server.process.wait()
        with serving_through(proxy, region, state) as server:
            with proxy.refusing():
                reported = error(answer(server, "maas_get_operation", server.at_once, operation_id=ids[0]))
                assert (reported["code"], reported["retryable"]) == ("unavailable", True)
                if ended:
                    eventually(lambda: all(of(region, each).status is job.ends for job, each in runs), "the ends")
            asked = [server.start_call("maas_get_operation", operation_id=each) for each in ids]
            reports = [report(each) for each in answers(server, asked)]
            assert {each["state"] for each in reports} <= ({"succeeded"} if ended else {"working", "succeeded"})
            waits = [server.start_call("maas_wait_operation", operation_id=each, wait_seconds=LONG) for each in ids]
            results = [report(each) for each in answers(server, waits)]
            alive = quickly(server)

    for nth, (job, machine) in enumerate(runs):
        tally.add(
            Row(
                job.tool,
                "killed amid an outage",
                lost=int(results[nth]["state"] != "succeeded"),
                double_starts=int(starts(region, job, machine) > 1),
                hangs=int(not alive),
            )
        )
        assert orders(region, job, machine) == 1


def test_a_server_that_is_killed_at_the_order_leaves_what_the_next_one_lists(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=0.0)
    jobs = list(machines.items())
    with behind_a_proxy(region) as proxy:
        for first in range(0, len(jobs), MAX_CHANGES):
            with serving_through(proxy, region, state) as server, proxy.meeting(stalls(forwarded=True), method="POST"):
                for job, machine in jobs[first : first + MAX_CHANGES]:
                    server.start_call(job.tool, machine.hostname, **job.arguments_for(machine))
                    eventually(partial(starts, region, job, machine), "the start")
                server.process.kill()
                server.process.wait()
        with serving_through(proxy, region, state) as server:
            listed = report(answer(server, "maas_list_operations"))["operations"]

    found = {tuple(each["operation_id"].split(".")[:2]) for each in listed}
    for job, machine in machines.items():
        tally.add(
            Row(
                job.tool,
                "killed at the order",
                lost=int((job.of_each.name, machine.system_id) not in found),
                double_starts=int(starts(region, job, machine) > 1),
            )
        )
