"""Each change that MAAS completes within one request is sent exactly once, wherever its connection ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from maas_simulator import SimulatedMachine, SimulatedRegion, Status, User
from tests.configuring import CHANGES, PASSWORD, Change
from tests.integration.driver import Driver, eventually
from tests.integration.faults.client import call_tool, error, report, serving_through, wait_for_results
from tests.integration.faults.positions import ACTED, NOTHING_ARRIVED, SHORT_TIMEOUT_SERVER
from tests.integration.faults.proxy import Behaviour, Proxy, behind_a_proxy, nginx_page, respond_with, stalls
from tests.integration.faults.tally import Row, Tally

REFUSED: dict[str, tuple[Behaviour, str]] = {
    "409 instead of the request": (respond_with(409, "Not possible now.", kind="text/plain"), "state_conflict"),
    "409 page": (respond_with(409, nginx_page(409), retry_after=5), "unavailable"),
    "503 with Retry-After": (respond_with(503, nginx_page(503), retry_after=1), "unavailable"),
    "429": (respond_with(429, "slow down", kind="text/plain"), "unavailable"),
}


@dataclass(frozen=True)
class Site:
    """A region with a machine for each change, and a server whose requests pass the proxy."""

    region: SimulatedRegion
    machines: dict[Change, SimulatedMachine]
    proxy: Proxy
    server: Driver

    def requests(self, change: Change) -> int:
        return change.requests(self.region, self.machines[change])

    def happened(self, change: Change) -> bool:
        with self.region.lock:
            return change.happened(self.region, self.machines[change])

    @contextmanager
    def failing(self, change: Change, behaviour: Behaviour) -> Iterator[None]:
        """Apply a fault to the request that makes the change, once."""
        path = f"/{change.path(self.machines[change])}"
        with self.proxy.applying(behaviour, method=change.method, op=change.op, path=path, times=1):
            yield


@contextmanager
def site(state: str, *, module: str = "") -> Iterator[Site]:
    region = SimulatedRegion([User("admin", is_superuser=True)])
    machines = {}
    for number, change in enumerate(CHANGES, start=1):
        machine = SimulatedMachine(f"m{number:03}xy", f"machine{number:03}", number, Status.READY)
        machines[change] = region.machines[machine.system_id] = machine
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state, module=module) as server:
        yield Site(region, machines, proxy, server)


@pytest.mark.parametrize("fault", ACTED)
def test_a_change_whose_answer_is_lost_is_recognized_and_not_repeated(fault: str, state: str, tally: Tally) -> None:
    with site(state) as here:
        for change in CHANGES:
            arguments = change.arguments_for(here.region, here.machines[change])
            with here.failing(change, ACTED[fault]):
                answer = call_tool(here.server, change.tool.name, **arguments)
            is_reported = report(answer)["sent"] if change.proves else error(answer)["code"] == "unavailable"
            tally.add(
                Row(
                    str(change),
                    fault,
                    lost=int(not (is_reported and here.happened(change))),
                    double_starts=int(here.requests(change) > 1),
                )
            )
            assert here.requests(change) == 1
            assert PASSWORD not in str(answer)


@pytest.mark.parametrize("fault", NOTHING_ARRIVED)
def test_a_change_that_never_arrived_is_reported_and_not_repeated(fault: str, state: str, tally: Tally) -> None:
    with site(state, module=SHORT_TIMEOUT_SERVER) as here:
        for change in CHANGES:
            if change.method == "DELETE" and fault == "cut in the request":
                continue  # without a body, the head is the whole request
            arguments = change.arguments_for(here.region, here.machines[change])
            with here.failing(change, NOTHING_ARRIVED[fault]):
                answer = error(call_tool(here.server, change.tool.name, **arguments))
            happened = int(here.happened(change))
            tally.add(Row(str(change), fault, lost=happened, double_starts=happened))
            assert (answer["code"], here.requests(change)) == ("unavailable", 0)
            again = report(call_tool(here.server, change.tool.name, **arguments))
            assert again["sent"]
            assert here.happened(change)
            assert here.requests(change) == 1


@pytest.mark.parametrize("fault", REFUSED)
def test_a_refusal_is_reported_and_not_repeated(fault: str, state: str, tally: Tally) -> None:
    behaviour, code = REFUSED[fault]
    with site(state, module=SHORT_TIMEOUT_SERVER) as here:
        for change in CHANGES:
            arguments = change.arguments_for(here.region, here.machines[change])
            with here.failing(change, behaviour):
                answer = error(call_tool(here.server, change.tool.name, **arguments))
            happened = int(here.happened(change))
            tally.add(Row(str(change), fault, lost=happened, double_starts=happened))
            assert (answer["code"], here.requests(change)) == (code, 0)


def test_nothing_is_sent_while_the_region_restarts(state: str, tally: Tally) -> None:
    with site(state) as here:
        arguments = {each: each.arguments_for(here.region, here.machines[each]) for each in CHANGES}
        with here.proxy.refusing():
            calls = [here.server.start_call(each.tool.name, **arguments[each]) for each in CHANGES]
            errors = [error(each) for each in wait_for_results(here.server, calls, here.server.prompt)]

        for change in CHANGES:
            tally.add(Row(str(change), "refused before the request", lost=int(here.happened(change))))
        assert {each["code"] for each in errors} == {"unavailable"}
        assert here.region.requests == []


def test_a_change_whose_call_is_cancelled_is_not_made_twice(state: str, tally: Tally) -> None:
    with site(state) as here:
        for change in CHANGES:
            arguments = change.arguments_for(here.region, here.machines[change])
            with here.failing(change, stalls(forwarded=True)):
                call = here.server.start_call(change.tool.name, str(change), **arguments)
                eventually(partial(here.requests, change), "the request")
                after = here.server.cancel(call)
            eventually(partial(here.happened, change), "the change")
            again = call_tool(here.server, change.tool.name, **arguments)
            late = here.server.messages_of(call, str(change), after)
            may_repeat = not change.is_stated and change.label != "delete"
            tally.add(
                Row(
                    str(change),
                    "cancelled during the request",
                    double_starts=int(here.requests(change) > (2 if may_repeat else 1)),
                    after_cancel=len(late),
                )
            )
            assert here.happened(change)
            assert bool(again.get("isError")) is (change.label == "delete"), "a deleted machine is unknown"
