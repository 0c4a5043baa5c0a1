"""Operations survive outages, report them, and end with the right result."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from maas_simulator import SimulatedMachine, SimulatedRegion
from tests.integration.driver import Driver, advance_to, eventually
from tests.integration.faults.client import (
    error,
    install_code,
    is_monotone,
    messages,
    report,
    serving_through,
    wait_for_results,
)
from tests.integration.faults.jobs import Job, count_posts, count_starts, current_state, region_with_one_machine_each
from tests.integration.faults.proxy import (
    Proxy,
    behind_a_proxy,
    cut_before,
    cut_during_response,
    nginx_page,
    respond_with,
    stalls,
    trickle,
    truncated_json,
)
from tests.integration.faults.tally import Row, Tally

SPEED = 50.0
"""Simulated seconds per second once the clock runs: an operation takes 3 to 5 s. The clock is stopped until then."""
TWO_MINUTES = 120.0
OUTAGE = re.compile(r"(MAAS unreachable|No usable response from MAAS) for .* s; last seen: ")

LOGIN = "<!doctype html><html><title>Sign in</title><form method=post><input name=password></form></html>"


@dataclass(frozen=True)
class Outage:
    """A fault of every request for some time."""

    inject: Callable[[Proxy], AbstractContextManager[object]]
    is_reported: bool = True
    """Whether MAAS cannot be read during the outage, so that progress reports it."""


OUTAGES = {
    "region restarts": Outage(lambda proxy: proxy.refusing()),
    "cut before the request": Outage(lambda proxy: proxy.applying(cut_before)),
    "cut in the answer": Outage(lambda proxy: proxy.applying(cut_during_response(20))),
    "503 with Retry-After": Outage(lambda proxy: proxy.applying(respond_with(503, nginx_page(503), retry_after=1))),
    "503 with a date": Outage(
        lambda proxy: proxy.applying(respond_with(503, nginx_page(503), retry_after=1, as_date=True))
    ),
    "429": Outage(lambda proxy: proxy.applying(respond_with(429, "slow down", kind="text/plain"))),
    "502 page": Outage(lambda proxy: proxy.applying(respond_with(502, nginx_page(502)))),
    "504 page, MAAS acts": Outage(lambda proxy: proxy.applying(respond_with(504, nginx_page(504), forwarded=True))),
    "409 page": Outage(lambda proxy: proxy.applying(respond_with(409, nginx_page(409)))),
    "500 page": Outage(lambda proxy: proxy.applying(respond_with(500, nginx_page(500)))),
    "truncated JSON": Outage(lambda proxy: proxy.applying(truncated_json)),
    "login page": Outage(lambda proxy: proxy.applying(respond_with(200, LOGIN))),
    "slow bodies": Outage(lambda proxy: proxy.applying(trickle), is_reported=False),
}


@dataclass(frozen=True)
class Scene:
    """One running operation of each kind. Its progress token is the name of its tool."""

    server: Driver
    region: SimulatedRegion
    machines: Mapping[Job, SimulatedMachine]
    calls: Mapping[Job, int]

    def have_not_ended(self) -> bool:
        return not any(self.server.response(call) for call in self.calls.values())

    def all_report_the_outage(self) -> bool:
        return all(unreachable(self.server, job) for job in self.calls)

    def check(self, fault: str, tally: Tally) -> None:
        """Let time pass, and check that each operation succeeds, started once, and never lost progress."""
        self.region.set_speed(SPEED)
        hung = {job for job, call in self.calls.items() if not ended_in_time(self.server, call)}
        for job, machine in self.machines.items():
            result = (self.server.response(self.calls[job]) or {}).get("result", {})
            tally.add(
                Row(
                    job.tool,
                    fault,
                    lost=int((result.get("structuredContent") or {}).get("state") != "succeeded"),
                    double_starts=int(
                        max(count_starts(self.region, job, machine), count_posts(self.region, job, machine)) > 1
                    ),
                    hangs=int(job in hung),
                )
            )
            assert job.ended(report(result)) == {machine.system_id: job.final_status.display}
            assert current_state(self.region, machine).status is job.final_status
            assert is_monotone(self.server, job.tool)
            assert self.server.progress(job.tool)[-1]["progress"] == 1.0


def start_all(server: Driver, region: SimulatedRegion, machines: Mapping[Job, SimulatedMachine]) -> Scene:
    """Start every job, and wait until each machine has booted. The clock is stopped there."""
    calls = {job: server.start_call(job.tool, job.tool, **job.arguments_for(each)) for job, each in machines.items()}
    eventually(lambda: all(count_starts(region, job, each) for job, each in machines.items()), "the starts")
    for machine in machines.values():
        advance_to(region, machine.hostname, "Performing PXE boot")
    eventually(lambda: all(has_booted(server, job) for job in calls), "progress of the first boots")
    return Scene(server, region, machines, calls)


def has_booted(server: Driver, job: Job) -> bool:
    """Whether the machine's first boot, or a later milestone, was reported."""
    return any(each["progress"] >= 0.1 for each in server.progress(job.tool))


def ended_in_time(server: Driver, call: int) -> bool:
    try:
        wait_for_results(server, [call])
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("name", OUTAGES)
def test_an_operation_survives_an_outage_and_reports_it(name: str, state: str, tally: Tally) -> None:
    outage = OUTAGES[name]
    region, machines = region_with_one_machine_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        scene = start_all(server, region, machines)
        with outage.inject(proxy):
            region.advance(TWO_MINUTES)
            if outage.is_reported:
                eventually(scene.all_report_the_outage, "progress that reports the outage")
                assert scene.have_not_ended(), "an outage does not end an operation"
        scene.check(name, tally)


def unreachable(server: Driver, job: Job) -> list[str]:
    return [each for each in messages(server, job.tool) if OUTAGE.search(each)]


def test_an_operation_survives_a_failure_of_name_resolution(state: str, tmp_path: Path, tally: Tally) -> None:
    no_dns = tmp_path / "no-dns"
    variables = install_code(tmp_path, FAIL_NAME_RESOLUTION.format(no_dns=str(no_dns)))
    region, machines = region_with_one_machine_each(speed=0.0)
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, host="localhost", **variables) as server,
    ):
        scene = start_all(server, region, machines)
        no_dns.touch()
        proxy.disconnect()
        eventually(scene.all_report_the_outage, "progress that reports the outage")
        no_dns.unlink()
        scene.check("name not resolved", tally)


FAIL_NAME_RESOLUTION = """
    import pathlib, socket
    resolve = socket.getaddrinfo

    def fail_while_file_exists(*args, **options):
        if pathlib.Path({no_dns!r}).exists():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(*args, **options)

    socket.getaddrinfo = fail_while_file_exists
"""


def test_a_revoked_key_ends_the_operations_at_once_and_shows_no_secret(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=0.0)
    secret = region.api_key.split(":")[2]
    reported = f"Authorization Error: Invalid signature. Expected signature base string: &{secret}"
    revoked = respond_with(401, reported, headers={"WWW-Authenticate": 'OAuth realm="OAuth"'})
    with (
        behind_a_proxy(region) as proxy,
        serving_through(proxy, region, state, MAAS_MCP_LOG_LEVEL="DEBUG") as server,
    ):
        scene = start_all(server, region, machines)
        with proxy.applying(revoked) as affected:
            errors = [error(each) for each in wait_for_results(server, list(scene.calls.values()), server.prompt)]
            attempts = len(affected())
        server.stop("EOF")
        log = server.log()

    for job, machine in machines.items():
        tally.add(Row(job.tool, "401", double_starts=int(count_starts(region, job, machine) > 1)))
        assert count_starts(region, job, machine) == 1
    assert {each["code"] for each in errors} == {"unauthorized"}
    assert all("MAAS rejected the API key (401)." in each["message"] for each in errors)
    assert attempts < 6, "a rejected key is not retried"
    assert secret not in log
    assert secret not in str(server.received)


def test_a_stalled_region_neither_blocks_nor_ends_the_server(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        scene = start_all(server, region, machines)
        with proxy.applying(stalls()) as affected:
            eventually(affected, "a request that stalls")
            request_id = server.start_request("tools/list")
            server.wait(request_id, server.prompt)
            assert scene.have_not_ended()
        proxy.disconnect()
        scene.check("stall, then cut", tally)


def test_retry_after_is_respected(state: str) -> None:
    region, machines = region_with_one_machine_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        start_all(server, region, machines)
        with proxy.applying(respond_with(503, nginx_page(503), retry_after=1), op="query") as affected:
            eventually(lambda: len(affected()) >= 3, "three attempts")
        times = [each.time for each in affected()]

    assert all(after - before >= 1.0 for before, after in pairwise(times))


def test_an_operation_succeeds_even_if_single_machines_cannot_be_read_after_its_start(state: str, tally: Tally) -> None:
    region, machines = region_with_one_machine_each(speed=0.0)
    with behind_a_proxy(region) as proxy, serving_through(proxy, region, state) as server:
        scene = start_all(server, region, machines)
        # Events and lists stay readable. They show the end, and provide the result.
        region.set_speed(SPEED)
        with proxy.applying(respond_with(502, nginx_page(502)), method="GET", path="/machines/m"):
            scene.check("502 to reads of one machine", tally)
