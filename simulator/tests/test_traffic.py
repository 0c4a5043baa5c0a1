"""Faults, holds, other clocks, and real servers."""

import json
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import trio
from trio.testing import MockClock

from maas_simulator import Fault, SimulatedRegion, create_app, demo_region, serving


def test_a_fault_replaces_one_response(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(op="deploy", status=503, body="no rack", headers={"Retry-After": "10"}))
    assert admin.read("node02")["status_name"] == "Ready"
    answer = admin.op("node02", "deploy")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, "no rack", "10")
    assert admin.read("node02")["status_name"] == "Ready"
    assert admin.op("node02", "deploy").status_code == 200


def test_a_fault_may_apply_after_maas_has_acted(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(op="deploy", status=504, body="<html>", acts=True))
    assert admin.op("node02", "deploy").status_code == 504
    assert admin.read("node02")["status_name"] == "Deploying"


def test_a_fault_may_apply_to_several_requests(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(path="events/", status=502, times=2))
    assert [admin.get("events/?op=query").status_code for _ in range(3)] == [502, 502, 200]


def test_a_dropped_connection_is_an_os_error_in_process(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(drop=True))
    with pytest.raises(ConnectionResetError):
        admin.get("version/")
    assert region.requests[-1].status is None


def test_it_runs_on_a_virtual_clock(admin: Any) -> None:
    async def deploy_and_wait() -> tuple[float, str]:
        region = demo_region(speed=1.0, clock=trio.current_time)
        region.hold(op="deploy", before=10, after=20)
        admin.key = region.api_key
        transport = httpx.ASGITransport(create_app(region))
        async with httpx.AsyncClient(transport=transport, base_url="http://maas/MAAS/api/2.0/") as client:
            start = trio.current_time()
            await client.post("machines/7xneda/?op=deploy", headers=admin.signed())
            took = trio.current_time() - start
            await trio.sleep(800)
            answer = await client.get("machines/7xneda/", headers=admin.signed())
        return took, answer.json()["status_name"]

    took, status = trio.run(deploy_and_wait, clock=MockClock(autojump_threshold=0))
    assert took == pytest.approx(30)
    assert status == "Deployed"


def test_a_client_that_goes_away_does_not_stop_the_deploy(admin: Any) -> None:
    async def leave() -> tuple[str, str]:
        region = demo_region(speed=1.0, clock=trio.current_time)
        region.hold(op="deploy", before=30)
        admin.key = region.api_key
        transport = httpx.ASGITransport(create_app(region))
        async with httpx.AsyncClient(transport=transport, base_url="http://maas/MAAS/api/2.0/") as client:
            with anyio.move_on_after(10):
                await client.post("machines/7xneda/?op=deploy", headers=admin.signed())
            before = region.machine("node01").status_name
            await trio.sleep(30)
        return before, region.machine("node01").status_name

    assert trio.run(leave, clock=MockClock(autojump_threshold=0)) == ("Ready", "Deploying")


def test_reads_can_be_held_by_name(admin: Any, region: SimulatedRegion) -> None:
    region.hold(op="events", before=0.05)
    start = time.monotonic()
    admin.get("events/?op=query")
    assert time.monotonic() - start >= 0.05
    region.hold(op="events")
    admin.get("events/?op=query")


def test_the_speed_turns_a_second_into_a_minute(admin: Any, clock: Any) -> None:
    fast = demo_region(speed=60.0, clock=clock)
    fast.deploy("node02", "admin")
    clock.pass_(13)
    assert fast.machine("node02").status_name == "Deployed"
    assert admin.region.machine("node02").status_name == "Ready"


def test_a_server_in_a_thread_answers_drops_and_stops_quickly(region: SimulatedRegion) -> None:
    with serving(region) as url, httpx.Client() as client:
        assert url.endswith("/MAAS")
        assert client.get(f"{url}/api/2.0/version/").json()["version"] == "3.7.3"
        region.faults.append(Fault(drop=True))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(f"{url}/api/2.0/version/")
        start = time.monotonic()
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_prints_two_lines_and_exits_without_a_traceback(number: signal.Signals) -> None:
    code = "from maas_simulator import demo_region, run; run(demo_region())"
    start = partial(subprocess.Popen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with start([sys.executable, "-c", code]) as process:
        assert process.stdout is not None
        lines = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
        assert set(lines) == {"MAAS_URL", "MAAS_API_KEY"}
        assert len(lines["MAAS_API_KEY"].split(":")) == 3
        version = httpx.get(f"{lines['MAAS_URL']}/api/2.0/version/").text
        assert json.loads(version)["version"] == "3.7.3"
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")
