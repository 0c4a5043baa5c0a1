"""Outages in the middle of an operation: it survives them, says so, and ends with the right result."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from maas_simulator import SimulatedMachine, SimulatedRegion
from tests.integration.driver import Driver, bring, eventually
from tests.integration.faults.client import (
    answers,
    error,
    is_monotone,
    messages,
    report,
    serving_through,
    shaken,
)
from tests.integration.faults.jobs import Job, of, one_of_each, orders, starts
from tests.integration.faults.proxy import (
    Proxy,
    behind_a_proxy,
    cut_amid_answer,
    cut_before,
    page,
    says,
    stalls,
    trickles,
    truncated_json,
)
from tests.integration.faults.tally import Row, Tally

SPEED = 50.0
"""Simulated seconds a second once the clock runs: an operation takes three to five. Until then it stands still."""
TWO_MINUTES = 120.0
OUTAGE = re.compile(r"(MAAS unreachable|No usable answer from MAAS) for .* s; last seen: ")

LOGIN = "<!doctype html><html><title>Sign in</title><form method=post><input name=password></form></html>"


@dataclass(frozen=True)
class Outage:
    """What is wrong with every request for a while."""

    begins: Callable[[Proxy], AbstractContextManager[object]]
    is_reported: bool = True
    """Whether nothing can be seen meanwhile, so that progress says so."""


OUTAGES = {
    "region restarts": Outage(lambda proxy: proxy.refusing()),
    "cut before the request": Outage(lambda proxy: proxy.meeting(cut_before)),
    "cut in the answer": Outage(lambda proxy: proxy.meeting(cut_amid_answer(20))),
    "503 with Retry-After": Outage(lambda proxy: proxy.meeting(says(503, page(503), retry_after=1))),
    "503 with a date": Outage(lambda proxy: proxy.meeting(says(503, page(503), retry_after=1, as_date=True))),
    "429": Outage(lambda proxy: proxy.meeting(says(429, "slow down", kind="text/plain"))),
    "502 page": Outage(lambda proxy: proxy.meeting(says(502, page(502)))),
    "504 page, MAAS acts": Outage(lambda proxy: proxy.meeting(says(504, page(504), forwarded=True))),
    "409 page": Outage(lambda proxy: proxy.meeting(says(409, page(409)))),
    "500 page": Outage(lambda proxy: proxy.meeting(says(500, page(500)))),
    "truncated JSON": Outage(lambda proxy: proxy.meeting(truncated_json)),
    "login page": Outage(lambda proxy: proxy.meeting(says(200, LOGIN))),
    "slow bodies": Outage(lambda proxy: proxy.meeting(trickles), is_reported=False),
}


@dataclass(frozen=True)
class Scene:
    """One operation of each kind under way; its tool's name is its progress token."""

    server: Driver
    region: SimulatedRegion
    machines: Mapping[Job, SimulatedMachine]
    calls: Mapping[Job, int]

    def have_not_ended(self) -> bool:
        return not any(self.server.response(call) for call in self.calls.values())

    def all_tell_of_the_outage(self) -> bool:
        return all(unreachable(self.server, job) for job in self.calls)

    def check(self, fault: str, tally: Tally) -> None:
        """Time passes, and every operation ends well, was started once, and never went backwards."""
        self.region.set_speed(SPEED)
        hung = {job for job, call in self.calls.items() if not ended_in_time(self.server, call)}
        for job, machine in self.machines.items():
            result = (self.server.response(self.calls[job]) or {}).get("result", {})
            tally.add(
                Row(
                    job.tool,
                    fault,
                    lost=int((result.get("structuredContent") or {}).get("state") != "succeeded"),
                    double_starts=int(max(starts(self.region, job, machine), orders(self.region, job, machine)) > 1),
                    hangs=int(job in hung),
                )
            )
            assert job.ended(report(result)) == {machine.system_id: job.ends.display}
            assert of(self.region, machine).status is job.ends
            assert is_monotone(self.server, job.tool)
            assert self.server.progress(job.tool)[-1]["progress"] == 1.0


def start_all(server: Driver, region: SimulatedRegion, machines: Mapping[Job, SimulatedMachine]) -> Scene:
    """Start every job, and wait until each machine has booted. There the clock stands still."""
    calls = {job: server.start_call(job.tool, job.tool, **job.arguments_for(each)) for job, each in machines.items()}
    eventually(lambda: all(starts(region, job, each) for job, each in machines.items()), "the starts")
    for machine in machines.values():
        bring(region, machine.hostname, "Performing PXE boot")
    eventually(lambda: all(has_booted(server, job) for job in calls), "news of the first boots")
    return Scene(server, region, machines, calls)


def has_booted(server: Driver, job: Job) -> bool:
    """Whether the machine's first boot was told, or what comes after it."""
    return any(each["progress"] >= 0.1 for each in server.progress(job.tool))


def ended_in_time(server: Driver, call: int) -> bool:
    try:
        answers(server, [call])
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_is_survived_and_told(name: str, state: str, tally: Tally) -> None:
    outage = OUTAGES[name]
    region, machines = one_of_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        scene = start_all(server, region, machines)
        with outage.begins(proxy):
            region.advance(TWO_MINUTES)
            if outage.is_reported:
                eventually(scene.all_tell_of_the_outage, "news of the outage")
                assert scene.have_not_ended(), "an outage is no verdict"
        scene.check(name, tally)


def unreachable(server: Driver, job: Job) -> list[str]:
    return [each for each in messages(server, job.tool) if OUTAGE.search(each)]


def test_a_name_that_cannot_be_looked_up_for_a_while_is_survived(state: str, tmp_path: Path, tally: Tally) -> None:
    missing = tmp_path / "no-dns"
    blind = shaken(tmp_path, FORGETFUL.format(missing=str(missing)))
    region, machines = one_of_each(speed=0.0)
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, host="localhost", **blind) as server,
    ):
        scene = start_all(server, region, machines)
        missing.touch()
        proxy.hang_up()
        eventually(scene.all_tell_of_the_outage, "news of the outage")
        missing.unlink()
        scene.check("name not known", tally)


FORGETFUL = """
    import pathlib, socket
    look_up = socket.getaddrinfo

    def forgetful(*args, **options):
        if pathlib.Path({missing!r}).exists():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(*args, **options)

    socket.getaddrinfo = forgetful
"""


def test_a_key_that_is_revoked_ends_the_operations_at_once_and_shows_no_secret(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=0.0)
    secret = region.api_key.split(":")[2]
    reported = f"Authorization Error: Invalid signature. Expected signature base string: &{secret}"
    revoked = says(401, reported, headers={"WWW-Authenticate": 'OAuth realm="OAuth"'})
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, MAAS_MCP_LOG_LEVEL="DEBUG") as server,
    ):
        scene = start_all(server, region, machines)
        with proxy.meeting(revoked) as met:
            errors = [error(each) for each in answers(server, list(scene.calls.values()), server.at_once)]
            asked = len(met())
        server.stop("EOF")
        log = server.log()

    for job, machine in machines.items():
        tally.add(Row(job.tool, "401", double_starts=int(starts(region, job, machine) > 1)))
        assert starts(region, job, machine) == 1
    assert {each["code"] for each in errors} == {"unauthorized"}
    assert all("MAAS rejected the API key (401)." in each["message"] for each in errors)
    assert asked < 6, "a key that is refused is not tried again and again"
    assert secret not in log
    assert secret not in str(server.received)


def test_a_region_that_stalls_for_ever_neither_hangs_nor_ends_the_server(state: str, tally: Tally) -> None:
    region, machines = one_of_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        scene = start_all(server, region, machines)
        with proxy.meeting(stalls()) as met:
            eventually(met, "a request that stalls")
            began = server.start_request("tools/list")
            server.wait(began, server.at_once)
            assert scene.have_not_ended()
        proxy.hang_up()
        scene.check("stalls, then cut", tally)


def test_retry_after_is_honoured(state: str) -> None:
    region, machines = one_of_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        start_all(server, region, machines)
        with proxy.meeting(says(503, page(503), retry_after=1), op="query") as met:
            eventually(lambda: len(met()) >= 3, "three attempts")
        times = [each.time for each in met()]

    assert all(after - before >= 1.0 for before, after in pairwise(times))


def test_an_operation_succeeds_although_no_single_machine_can_be_read_once_it_has_begun(
    state: str, tally: Tally
) -> None:
    region, machines = one_of_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        scene = start_all(server, region, machines)
        # Events and lists, by which the end is seen, are read; the result is made of what they showed.
        region.set_speed(SPEED)
        with proxy.meeting(says(502, page(502)), method="GET", path="/machines/m"):
            scene.check("502 to reads of one machine", tally)
