"""All kinds of faults as a client sees them: in process, and over a real connection where bytes matter."""

import json
import math
import re
import statistics
import time
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
import trio
from trio.testing import MockClock

from maas_simulator import (
    Fault,
    Latency,
    RateLimit,
    RequestRecord,
    SimulatedRegion,
    count_requests,
    create_app,
    demo_region,
    serving,
)
from maas_simulator.http.endpoints import ENDPOINTS
from maas_simulator.model.faults import MAX_REQUESTS
from maas_simulator.model.ops import OPS


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    with serving(region) as served:
        yield f"{served}/api/2.0/"


def eventually(happens: Any) -> None:
    end = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("database conflict", (409, "5", "text/html; charset=utf-8")),
        ("rack down", (503, "10", "text/plain; charset=utf-8")),
        ("rate limit", (429, "1", "text/plain; charset=utf-8")),
        ("bad gateway", (502, None, "text/html; charset=utf-8")),
        ("gateway timeout", (504, None, "text/html; charset=utf-8")),
    ],
)
def test_named_answers_have_their_own_status_and_headers(
    admin: Any, region: SimulatedRegion, name: Any, expected: tuple[int, str | None, str]
) -> None:
    region.faults.append(Fault(answer=name))
    answer = admin.get("version/")
    assert (answer.status_code, answer.headers.get("retry-after"), answer.headers["content-type"]) == expected


def test_fields_of_a_fault_override_its_named_answer(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(answer="rack down", status=502, headers={"Retry-After": "99"}))
    answer = admin.get("version/")
    assert (answer.status_code, answer.headers["retry-after"]) == (502, "99")
    assert answer.text == "Unable to connect to any rack controller bwdhs4; no connections available."


def test_a_fault_may_apply_without_limit(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(status=502, times=None))
    assert [admin.get("version/").status_code for _ in range(5)] == [502] * 5
    region.faults.clear()
    assert admin.get("version/").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"times": 0}, "times"),
        ({"times": "two"}, "times"),
        ({"status": 99999}, "status"),
        ({"status": -5}, "status"),
        ({"drop": "befor"}, "drop"),
        ({"spoil": "x"}, "spoil"),
        ({"answer": "nope"}, "answer"),
        ({"op": "deply"}, "MAAS has no operation 'deply'"),
        ({"headers": {"X": "a\nb"}}, "HTTP does not allow the header 'X'"),
        ({"statu": 500}, "statu"),
    ],
)
def test_a_bad_fault_is_rejected(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=re.escape(field)):
        Fault(**wrong)


@pytest.mark.parametrize("path", ["version/", "/version/", "/MAAS/api/2.0/version/", "vers", ""])
@pytest.mark.parametrize("method", ["GET", "get", None])
def test_a_path_and_a_method_match_however_they_are_written(
    admin: Any, region: SimulatedRegion, path: str, method: Any
) -> None:
    region.faults.append(Fault(path=path, method=method, status=502))
    assert admin.get("version/").status_code == 502


def test_a_fault_can_be_limited_to_one_operation_of_one_path(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(method="GET", path="boot-resources/", op="is_importing", status=502, times=None))
    failing = [
        path
        for path in ("boot-resources/?op=is_importing", "boot-resources/", "machines/", "events/?op=query", "zones/")
        if admin.get(path).status_code == 502
    ]
    assert failing == ["boot-resources/?op=is_importing"]


def test_a_fault_can_be_limited_to_one_operation_of_one_machine(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(path="machines/fyc3ff/", op="deploy", status=502, times=None))
    assert [admin.op(name, "deploy").status_code for name in ("node01", "node02")] == [200, 502]
    assert admin.read("node02")["status_name"] == "Ready"


def test_a_status_without_a_body_is_sent_without_one(region: SimulatedRegion, url: str) -> None:
    region.faults += [Fault(status=204), Fault(status=304), Fault(status=200)]
    assert [httpx.get(f"{url}version/").status_code for _ in range(3)] == [204, 304, 200]


def test_faults_know_exactly_the_operations_of_maas() -> None:
    assert {op for endpoint in ENDPOINTS for _, op in endpoint.handlers if op} == OPS


@pytest.mark.parametrize(
    "wrong", [{"op": "deplyo"}, {"op": "deploy", "before": -1}, {"op": "deploy", "after": math.nan}]
)
def test_a_bad_hold_is_rejected(region: SimulatedRegion, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"deplyo|before|after"):
        region.hold(**wrong)
    assert region.holds == {}


def test_a_truncated_response_is_half_of_the_real_one(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(spoil="truncated"))
    cut, whole = admin.get("machines/7xneda/"), admin.get("machines/7xneda/")
    assert whole.content.startswith(cut.content)
    assert len(cut.content) == len(whole.content) // 2 == int(cut.headers["content-length"])
    assert cut.headers["content-type"] == whole.headers["content-type"]


def test_a_malformed_response_is_not_json(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(spoil="malformed", op="is_importing"))
    answer = admin.get("boot-resources/?op=is_importing")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_the_request_of_a_corrupted_response_is_carried_out(admin: Any, region: SimulatedRegion) -> None:
    region.faults.append(Fault(op="deploy", spoil="malformed"))
    admin.op("node02", "deploy")
    assert region.machine("node02").status_name == "Deploying"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(op="deploy", drop=True), "Ready"),
        (Fault(op="deploy", drop="before"), "Ready"),
        (Fault(op="deploy", drop="after"), "Deploying"),
        (Fault(op="deploy", drop=True, acts=True), "Deploying"),
        (Fault(op="deploy", drop="headers"), "Deploying"),
        (Fault(op="deploy", drop="body"), "Deploying"),
        (Fault(op="deploy", drop="body", status=500, body="half of it"), "Ready"),
    ],
)
def test_the_drop_point_decides_whether_maas_acts(
    admin: Any, region: SimulatedRegion, fault: Fault, status: str
) -> None:
    region.faults.append(fault)
    with pytest.raises(ConnectionResetError):
        admin.op("node02", "deploy")
    assert region.machine("node02").status_name == status


@pytest.mark.parametrize("point", ["before", "after", "headers", "body"])
def test_a_dropped_connection_is_a_broken_one_for_a_real_client(region: SimulatedRegion, url: str, point: Any) -> None:
    region.faults.append(Fault(drop=point))
    with httpx.Client() as client:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.get(f"{url}version/")
        assert client.get(f"{url}version/").status_code == 200


def test_a_cut_off_body_has_headers_and_half_of_its_bytes(region: SimulatedRegion, url: str) -> None:
    region.faults.append(Fault(drop="body", status=200, body="0123456789"))
    got: list[bytes] = []
    with httpx.Client() as client, client.stream("GET", f"{url}version/") as answer:
        assert answer.headers["content-length"] == "10"
        with pytest.raises(httpx.RemoteProtocolError):
            got.extend(answer.iter_bytes())
    assert b"".join(got) == b"01234"


def test_a_rate_limit_allows_some_requests_and_sets_retry_after(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.faults.append(Fault(path="version/", limit=RateLimit(requests=2, seconds=10), times=None))
    assert [admin.get("version/").status_code for _ in range(2)] == [200, 200]
    clock.pass_(4)
    refused = admin.get("version/")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
    assert admin.get("users/?op=whoami").status_code == 200
    clock.pass_(6)
    assert admin.get("version/").status_code == 200


def test_latency_delays_a_request_and_the_next_fault_still_applies() -> None:
    async def ask() -> tuple[float, int]:
        region = demo_region(speed=1.0, clock=trio.current_time)
        region.faults += [Fault(delay=Latency(7)), Fault(delay=Latency(5)), Fault(status=502)]
        transport = httpx.ASGITransport(create_app(region))
        async with httpx.AsyncClient(transport=transport, base_url="http://maas/MAAS/api/2.0/") as client:
            start = trio.current_time()
            answer = await client.get("version/")
            return trio.current_time() - start, answer.status_code

    took, status = trio.run(ask, clock=MockClock(autojump_threshold=0))
    assert took == pytest.approx(12)
    assert status == 502


def test_a_client_that_leaves_during_the_delay_does_not_stop_the_deploy(admin: Any) -> None:
    async def leave() -> str:
        region = demo_region(speed=1.0, clock=trio.current_time)
        region.faults.append(Fault(op="deploy", delay=Latency(30)))
        admin.key = region.api_key
        transport = httpx.ASGITransport(create_app(region))
        async with httpx.AsyncClient(transport=transport, base_url="http://maas/MAAS/api/2.0/") as client:
            with anyio.move_on_after(10):
                await client.post("machines/7xneda/?op=deploy", headers=admin.signed())
            await trio.sleep(30)
        return region.machine("node01").status_name

    assert trio.run(leave, clock=MockClock(autojump_threshold=0)) == "Deploying"


def test_latency_follows_its_distribution_and_repeats_with_a_seed() -> None:
    uniform = [Latency(0.5, "uniform", spread=0.2, seed=1).draw() for _ in range(3)]
    assert len(set(uniform)) == 1
    first, second = (Latency(0.2, "lognormal", spread=0.5, seed=7) for _ in range(2))
    drawn = [first.draw() for _ in range(501)]
    assert drawn == [second.draw() for _ in range(501)]
    assert statistics.median(drawn) == pytest.approx(0.2, rel=0.2)
    spread = Latency(0.5, "uniform", spread=0.2)
    assert all(0.3 <= spread.draw() <= 0.7 for _ in range(100))
    assert Latency(0.5).draw() == 0.5


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Latency, {"seconds": -1}),
        (Latency, {"seconds": float("inf")}),
        (Latency, {"seconds": 0, "distribution": "lognormal"}),
        (Latency, {"seconds": 1, "distribution": "normal"}),
        (Latency, {"seconds": 1, "spread": 1}),
        (RateLimit, {"requests": 0, "seconds": 1}),
        (RateLimit, {"requests": 1, "seconds": 0}),
    ],
)
def test_a_bad_latency_or_rate_limit_is_rejected(kind: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"validation error for {kind.__name__}"):
        kind(**arguments)


def test_requests_are_counted_by_kind(admin: Any, region: SimulatedRegion) -> None:
    for name in ("7xneda", "fyc3ff"):
        admin.get(f"machines/{name}/")
    admin.op("node02", "deploy")
    admin.get("nonsense/")
    counts = {(each.method, each.path, each.op): each.count for each in count_requests(region.requests)}
    assert counts == {
        ("GET", "machines/{system_id}/", None): 2,
        ("POST", "machines/{system_id}/", "deploy"): 1,
        ("GET", "/MAAS/api/2.0/nonsense/", None): 1,
    }


def test_only_the_newest_requests_are_remembered_and_all_are_counted(admin: Any, region: SimulatedRegion) -> None:
    for number in range(MAX_REQUESTS):
        region.requests.append(RequestRecord(0.0, "GET", f"/{number}", None, {}, {}))
    admin.get("version/")
    assert (len(region.requests), region.requests.total) == (MAX_REQUESTS, MAX_REQUESTS + 1)
    assert (region.requests[0].path, region.requests[-1].path) == ("/1", "/MAAS/api/2.0/version/")
    region.requests.clear()
    assert (region.requests, region.requests.total) == ([], 0)


def test_a_restarting_region_is_an_os_error_in_process(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node02", "deploy")
    region.restart(5)
    with pytest.raises(ConnectionResetError):
        admin.get("version/")
    clock.pass_(5)
    assert admin.read("node02")["status_name"] == "Deploying"


def test_a_restart_refuses_connections_and_keeps_all_state() -> None:
    region = demo_region(speed=600)
    with serving(region) as served, httpx.Client() as client:
        url = f"{served}/api/2.0/version/"
        assert client.get(url).status_code == 200
        region.deploy("node02", "admin")
        requests = len(region.requests)

        def outcome() -> str:
            try:
                return str(client.get(url).status_code)
            except httpx.TransportError as error:
                return type(error).__name__

        region.restart(1.5)
        eventually(lambda: outcome() == "ConnectError")
        eventually(lambda: outcome() == "200")
        assert region.machine("node02").status_name in ("Deploying", "Deployed")
        assert len(region.requests) == requests + 1


@pytest.mark.parametrize("seconds", [0, -1, float("inf")])
def test_a_bad_length_of_a_restart_is_rejected(region: SimulatedRegion, seconds: float) -> None:
    with pytest.raises(ValueError, match="must be more than 0 seconds"):
        region.restart(seconds)
