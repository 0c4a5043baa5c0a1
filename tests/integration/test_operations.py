"""Operations that outlive a call, a connection and a process, as a client sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import Fault, SimulatedRegion, serving
from tests.integration.driver import LONG_WAIT, Driver, Message, advance_and_await, eventually, serving_stdio

SPEED = 100.0
"""Simulated seconds per second, for operations that are to end: a deployment takes about 6 s."""


@pytest.fixture
def region(still_region: SimulatedRegion) -> SimulatedRegion:
    """A region where operations keep running until the test lets time pass."""
    return still_region


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    with serving(region) as url:
        yield url


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state directory that servers share, as the servers of one user do."""
    return str(tmp_path / "state")


@pytest.fixture
def server(region: SimulatedRegion, url: str, state: str) -> Iterator[Driver]:
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as driver:
        yield driver


def content(result: Message) -> dict[str, Any]:
    assert not result.get("isError"), result
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def start(server: Driver, region: SimulatedRegion, host: str = "node01", **arguments: Any) -> str:
    """Start a deployment without waiting for it. Returns its operation id."""
    system_id = region.machine(host).system_id
    report = content(server.call("maas_deploy_machine", system_id=system_id, wait_seconds=0, **arguments))
    assert report["state"] == "working"
    assert report["result"] is None
    operation_id: str = report["operation_id"]
    return operation_id


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def test_an_operation_can_be_started_and_waited_for_in_short_calls(server: Driver, region: SimulatedRegion) -> None:
    operation_id = start(server, region)

    first = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=0.5))
    assert first["state"] == "working"
    region.set_speed(SPEED)
    last = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))

    assert last["state"] == "succeeded"
    assert last["progress"] == 1.0
    assert last["result"]["status_name"] == "Deployed"
    assert last["error"] is None
    assert posts(region) == ["deploy"]


def test_waiting_shows_progress(server: Driver, region: SimulatedRegion) -> None:
    operation_id = start(server, region)
    call = server.start_call("maas_wait_operation", "wait", operation_id=operation_id, wait_seconds=LONG_WAIT)
    advance_and_await(server, region, "node01", "Installing OS")
    region.set_speed(SPEED)
    server.wait(call)

    reported = server.progress("wait")
    values = [each["progress"] for each in reported]
    assert values == sorted(set(values))
    assert values[-1] == 1.0


def test_after_a_kill_a_new_process_returns_the_result(region: SimulatedRegion, url: str, state: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as server:
        operation_id = start(server, region)
        server.process.kill()
        server.process.wait()
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as server:
        asked = content(server.call("maas_get_operation", operation_id=operation_id))
        assert asked["state"] == "working"
        region.set_speed(SPEED)
        report = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))

    assert report["result"]["hostname"] == "node01"
    assert posts(region) == ["deploy"], "the deployment was restarted"


def test_the_reason_of_a_failure_can_be_read_later(server: Driver, region: SimulatedRegion) -> None:
    region.plan("node03", fail="Installing OS", reason="the disk is on fire")
    operation_id = start(server, region, "node03")
    region.set_speed(SPEED)
    content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))

    report = content(server.call("maas_get_operation", operation_id=operation_id))

    assert report["state"] == "failed"
    assert "the disk is on fire" in report["error"]["message"]
    assert 'Output of script "/tmp/install.log" on the machine, Failed' in report["error"]["maas_says"]


@pytest.mark.parametrize("how", ["forged", "foreign", "truncated"])
def test_an_invalid_id_is_rejected_without_a_reason(
    server: Driver, region: SimulatedRegion, url: str, state: str, how: str
) -> None:
    operation_id = start(server, region)
    if how == "forged":
        operation_id = operation_id.replace(region.machine("node01").system_id, region.machine("node07").system_id)
    if how == "truncated":
        operation_id = operation_id[:-2]
    key = region.api_key_of("bob") if how == "foreign" else region.api_key
    with serving_stdio(url, key, MAAS_MCP_STATE_DIR=state) as other:
        result = other.call("maas_cancel_operation", operation_id=operation_id, abort=True)

    assert result["isError"] is True
    assert result["content"][0]["text"].startswith("There is no operation with this id.")
    assert posts(region) == ["deploy"]


def test_a_second_call_for_the_same_machine_returns_the_running_operation(
    server: Driver, region: SimulatedRegion
) -> None:
    start(server, region)
    system_id = region.machine("node01").system_id

    report = content(server.call("maas_deploy_machine", system_id=system_id))

    assert report["state"] == "working"
    assert "not started again" in report["message"]
    region.set_speed(SPEED)
    done = content(server.call("maas_wait_operation", operation_id=report["operation_id"], wait_seconds=LONG_WAIT))
    assert done["state"] == "succeeded"
    assert posts(region) == ["deploy"]


def test_running_operations_are_listed_from_maas(server: Driver, region: SimulatedRegion) -> None:
    start(server, region)
    region.deploy("node02", "admin")
    region.deploy("node03", "bob")

    listed = content(server.call("maas_list_operations"))["operations"]

    assert [each["operation_id"].split(".")[1] for each in listed] == [
        region.machine("node01").system_id,
        region.machine("node02").system_id,
    ]
    assert {each["state"] for each in listed} == {"working"}


def test_the_list_of_operations_names_the_hosts_and_says_that_it_is_complete(
    url: str, region: SimulatedRegion, state: str
) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as server:
        region.deploy("node02", "admin")
        result = server.call("maas_list_operations")

    (listed,) = content(result)["operations"]
    assert (listed["operation"], listed["hostname"]) == ("maas_deploy_machine", "node02")
    assert content(result)["next_cursor"] is None
    assert result["content"][0]["text"].startswith("maas_deploy_machine on node02 (maas_deploy_machine.")


def test_cancelling_an_operation_ends_the_call_that_follows_it_while_maas_continues(
    server: Driver, region: SimulatedRegion
) -> None:
    system_id = region.machine("node01").system_id
    call = server.start_call("maas_deploy_machine", 1, system_id=system_id)
    advance_and_await(server, region, "node01", "Performing PXE boot")
    (listed,) = content(server.call("maas_list_operations"))["operations"]

    report = content(server.call("maas_cancel_operation", operation_id=listed["operation_id"]))

    assert report["state"] == "working"
    assert "Stopped following" in server.wait(call)["result"]["content"][0]["text"]
    assert region.machine("node01").status_name == "Deploying"


def test_cancelling_an_operation_ends_its_call_even_if_maas_is_unavailable(
    server: Driver, region: SimulatedRegion
) -> None:
    call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
    advance_and_await(server, region, "node01", "Performing PXE boot")
    (listed,) = content(server.call("maas_list_operations"))["operations"]
    region.faults.append(Fault(status=503, times=None))

    result = server.call("maas_cancel_operation", operation_id=listed["operation_id"])

    assert result["isError"]
    assert "Nothing was aborted, but the calls that followed it have ended." in result["content"][0]["text"]
    assert "Stopped following" in server.wait(call)["result"]["content"][0]["text"]


def test_an_operation_is_aborted_by_its_id(server: Driver, region: SimulatedRegion) -> None:
    operation_id = start(server, region)

    report = content(server.call("maas_cancel_operation", operation_id=operation_id, abort=True))

    assert report["state"] == "reverted"
    assert "User aborting deployment" in report["error"]["message"]
    assert region.machine("node01").status_name == "Allocated"
    assert posts(region) == ["deploy", "abort"]


def test_the_id_of_an_ended_run_does_not_cancel_a_later_run(server: Driver, region: SimulatedRegion) -> None:
    operation_id = start(server, region)
    region.set_speed(SPEED)
    content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))
    system_id = region.machine("node01").system_id
    content(server.call("maas_release_machine", system_id=system_id))
    region.set_speed(0)
    call = server.start_call("maas_deploy_machine", "new", system_id=system_id, on_cancel="abort")
    eventually(lambda: region.machine("node01").status_name == "Deploying", "the new deployment")

    for abort in (False, True):
        report = content(server.call("maas_cancel_operation", operation_id=operation_id, abort=abort))
        assert report["state"] == "succeeded"

    region.set_speed(SPEED)
    assert server.wait(call)["result"]["structuredContent"]["state"] == "succeeded"
    assert posts(region) == ["deploy", "release", "deploy"]


def test_an_operation_is_aborted_once_even_if_its_call_would_abort_it_as_well(
    server: Driver, region: SimulatedRegion
) -> None:
    system_id = region.machine("node01").system_id
    call = server.start_call("maas_deploy_machine", 1, system_id=system_id, on_cancel="abort")
    advance_and_await(server, region, "node01", "Performing PXE boot")
    (listed,) = content(server.call("maas_list_operations"))["operations"]

    report = content(server.call("maas_cancel_operation", operation_id=listed["operation_id"], abort=True))

    assert report["state"] == "reverted"
    assert posts(region) == ["deploy", "abort"]
    assert "Stopped following" in server.wait(call)["result"]["content"][0]["text"]


def test_a_cancelled_call_aborts_if_it_requested_that(server: Driver, region: SimulatedRegion) -> None:
    system_id = region.machine("node01").system_id
    call = server.start_call("maas_deploy_machine", 1, system_id=system_id, on_cancel="abort")
    server.wait_for_progress("Deploying")

    after = server.cancel(call)

    eventually(lambda: region.machine("node01").status_name == "Allocated", "the abort")
    assert server.received[after:] == []
    assert not server.call("maas_list_machines").get("isError")


@pytest.mark.parametrize("how", ["EOF", "SIGTERM", "SIGINT"])
def test_a_lost_connection_never_aborts(server: Driver, region: SimulatedRegion, how: str) -> None:
    system_id = region.machine("node01").system_id
    server.start_call("maas_deploy_machine", 1, system_id=system_id, on_cancel="abort")
    server.wait_for_progress("Deploying")

    code, seconds = server.stop(how)

    assert code == 0
    assert seconds < server.prompt
    assert posts(region) == ["deploy"]
    assert region.machine("node01").status_name == "Deploying"


def test_nothing_is_started_if_its_id_could_not_be_verified_later(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    not_a_directory = tmp_path / "state"
    not_a_directory.write_text("a file")
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=str(not_a_directory), MAAS_MCP_AUDIT="off") as server:
        result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id)

    assert result["isError"] is True
    assert "The secret for operation ids cannot be stored in" in result["content"][0]["text"]
    assert posts(region) == []


def test_a_start_that_maas_does_not_answer_delays_neither_calls_nor_the_end(
    server: Driver, region: SimulatedRegion
) -> None:
    region.hold(op="deploy", before=600)
    machines = [each.system_id for each in region.machines.values() if each.status_name == "Ready"]
    calls = [server.start_call("maas_deploy_machine", system_id=each, wait_seconds=0) for each in machines]
    reports = [content(server.wait(call)["result"]) for call in calls]
    asked = content(server.call("maas_get_operation", operation_id=reports[0]["operation_id"]))
    listed = content(server.call("maas_list_operations"))
    code, seconds = server.stop("EOF")

    assert len(reports) > 2
    assert {each["state"] for each in reports} == {"working"}
    known = {each["message"].split(":")[0] for each in reports}
    assert known == {"Not confirmed yet", "Waiting to be sent"}
    assert asked["message"].startswith(
        ("Not confirmed yet: the request was sent ", "Waiting to be sent: MAAS receives at most 2 ")
    )
    assert len(listed["operations"]) == len(reports)
    assert code == 0
    assert seconds < server.prompt


def test_a_rejection_that_arrives_after_the_call_is_reported_later(server: Driver, region: SimulatedRegion) -> None:
    region.hold(op="deploy", before=3)
    operation_id = start(server, region, distro_series="nosuch")
    report = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))

    assert report["state"] == "failed"
    assert report["error"]["code"] == "operation_refused"
    assert "'nosuch' is not a valid distro_series." in str(report["error"])
    assert content(server.call("maas_get_operation", operation_id=operation_id)) == report


def test_the_text_of_a_result_says_that_the_start_is_not_confirmed(server: Driver, region: SimulatedRegion) -> None:
    region.hold(op="deploy", before=600)
    result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id, wait_seconds=0)

    text = result["content"][0]["text"]
    operation_id = content(result)["operation_id"]
    assert text.endswith(f" (Ready) (0%). Wait for it: maas_wait_operation with operation_id {operation_id}.")
    assert "It is still running" not in text


def test_a_secret_can_be_changed_while_operations_run(region: SimulatedRegion, url: str) -> None:
    old, new = "the-old-secret-of-the-test", "the-new-secret-of-the-test"
    ids: list[str] = []
    for secret, host in ((old, "node01"), (f"{new} {old}", "node02")):
        with serving_stdio(url, region.api_key, MAAS_MCP_SECRET=secret) as server:
            ids.append(start(server, region, host))
            reports = [content(server.call("maas_get_operation", operation_id=each)) for each in ids]
        assert {report["state"] for report in reports} == {"working"}

    with serving_stdio(url, region.api_key, MAAS_MCP_SECRET=new) as server:
        rejected = server.call("maas_get_operation", operation_id=ids[0])
        known = content(server.call("maas_get_operation", operation_id=ids[1]))
        listed = content(server.call("maas_list_operations"))

    assert "each other's ids only if they share MAAS_MCP_SECRET." in rejected["content"][0]["text"]
    assert known["state"] == "working"
    assert len(listed["operations"]) == 2
