"""Operations that outlive a call, a connection and a process, as a client sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import Fault, SimulatedRegion, serving
from tests.integration.driver import LONG, Driver, Message, eventually, lead, serving_stdio

SPEED = 100.0
"""Simulated seconds a second, for what is to come to its end: a deploy takes about six."""


@pytest.fixture
def region(still_region: SimulatedRegion) -> SimulatedRegion:
    """What a test has started is under way until the test lets time pass."""
    return still_region


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    with serving(region) as url:
        yield url


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state directory, which servers share as a user's do."""
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
    """Start a deploy and leave it; answers with its operation id."""
    system_id = region.machine(host).system_id
    report = content(server.call("maas_deploy_machine", system_id=system_id, wait_seconds=0, **arguments))
    assert report["state"] == "working"
    assert report["result"] is None
    operation_id: str = report["operation_id"]
    return operation_id


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def test_an_operation_is_started_and_waited_for_in_bounded_calls(server: Driver, region: SimulatedRegion) -> None:
    operation_id = start(server, region)

    first = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=0.5))
    assert first["state"] == "working"
    region.set_speed(SPEED)
    last = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG))

    assert last["state"] == "succeeded"
    assert last["progress"] == 1.0
    assert last["result"]["status_name"] == "Deployed"
    assert last["error"] is None
    assert posts(region) == ["deploy"]


def test_waiting_shows_progress(server: Driver, region: SimulatedRegion) -> None:
    operation_id = start(server, region)
    call = server.start_call("maas_wait_operation", "wait", operation_id=operation_id, wait_seconds=LONG)
    lead(server, region, "node01", "Installing OS")
    region.set_speed(SPEED)
    server.wait(call)

    reported = server.progress("wait")
    values = [each["progress"] for each in reported]
    assert values == sorted(set(values))
    assert values[-1] == 1.0


def test_after_a_kill_a_new_process_answers_with_the_result(region: SimulatedRegion, url: str, state: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as server:
        operation_id = start(server, region)
        server.process.kill()
        server.process.wait()
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as server:
        asked = content(server.call("maas_get_operation", operation_id=operation_id))
        assert asked["state"] == "working"
        region.set_speed(SPEED)
        report = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG))

    assert report["result"]["hostname"] == "node01"
    assert posts(region) == ["deploy"], "it was never started again"


def test_the_reason_of_a_failure_can_be_asked_for(server: Driver, region: SimulatedRegion) -> None:
    region.plan("node03", fail="Installing OS", reason="the disk is on fire")
    operation_id = start(server, region, "node03")
    region.set_speed(SPEED)
    content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG))

    report = content(server.call("maas_get_operation", operation_id=operation_id))

    assert report["state"] == "failed"
    assert "the disk is on fire" in report["error"]["message"]
    assert "/tmp/install.log (Failed):" in report["error"]["maas_says"]


@pytest.mark.parametrize("how", ["forged", "foreign", "truncated"])
def test_an_id_that_is_not_ours_is_refused_without_saying_why(
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


def test_a_second_call_for_the_same_machine_is_given_the_running_operation(
    server: Driver, region: SimulatedRegion
) -> None:
    start(server, region)
    system_id = region.machine("node01").system_id

    report = content(server.call("maas_deploy_machine", system_id=system_id))

    assert report["state"] == "working"
    assert "not started a second time" in report["message"]
    region.set_speed(SPEED)
    done = content(server.call("maas_wait_operation", operation_id=report["operation_id"], wait_seconds=LONG))
    assert done["state"] == "succeeded"
    assert posts(region) == ["deploy"]


def test_what_is_under_way_is_listed_from_maas(server: Driver, region: SimulatedRegion) -> None:
    start(server, region)
    region.deploy("node02", "admin")
    region.deploy("node03", "bob")

    listed = content(server.call("maas_list_operations"))["operations"]

    assert [each["operation_id"].split(".")[1] for each in listed] == [
        region.machine("node01").system_id,
        region.machine("node02").system_id,
    ]
    assert {each["state"] for each in listed} == {"working"}


def test_a_list_names_the_hosts_and_says_if_there_are_more(url: str, region: SimulatedRegion, state: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=state) as server:
        region.deploy("node02", "admin")
        result = server.call("maas_list_operations")

    (listed,) = content(result)["operations"]
    assert (listed["operation"], listed["hostname"]) == ("maas_deploy_machine", "node02")
    assert content(result)["more"] is False
    assert result["content"][0]["text"].startswith("maas_deploy_machine on node02 (maas_deploy_machine.")


def test_cancelling_an_operation_ends_the_call_that_follows_it_and_maas_goes_on(
    server: Driver, region: SimulatedRegion
) -> None:
    system_id = region.machine("node01").system_id
    call = server.start_call("maas_deploy_machine", 1, system_id=system_id)
    lead(server, region, "node01", "Performing PXE boot")
    (listed,) = content(server.call("maas_list_operations"))["operations"]

    report = content(server.call("maas_cancel_operation", operation_id=listed["operation_id"]))

    assert report["state"] == "working"
    assert "Stopped following" in server.wait(call)["result"]["content"][0]["text"]
    assert region.machine("node01").status_name == "Deploying"


def test_a_call_ends_when_it_is_told_to_though_maas_cannot_be_asked(server: Driver, region: SimulatedRegion) -> None:
    call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
    lead(server, region, "node01", "Performing PXE boot")
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


def test_the_id_of_a_run_that_is_over_cancels_nothing_that_came_after_it(
    server: Driver, region: SimulatedRegion
) -> None:
    operation_id = start(server, region)
    region.set_speed(SPEED)
    content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG))
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


def test_aborting_an_operation_whose_call_would_abort_it_too_aborts_it_once(
    server: Driver, region: SimulatedRegion
) -> None:
    system_id = region.machine("node01").system_id
    call = server.start_call("maas_deploy_machine", 1, system_id=system_id, on_cancel="abort")
    lead(server, region, "node01", "Performing PXE boot")
    (listed,) = content(server.call("maas_list_operations"))["operations"]

    report = content(server.call("maas_cancel_operation", operation_id=listed["operation_id"], abort=True))

    assert report["state"] == "reverted"
    assert posts(region) == ["deploy", "abort"]
    assert "Stopped following" in server.wait(call)["result"]["content"][0]["text"]


def test_a_cancelled_call_aborts_if_it_was_told_to(server: Driver, region: SimulatedRegion) -> None:
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
    assert seconds < server.at_once
    assert posts(region) == ["deploy"]
    assert region.machine("node01").status_name == "Deploying"


def test_nothing_is_started_that_nobody_could_ask_for_again(region: SimulatedRegion, url: str, tmp_path: Path) -> None:
    in_the_way = tmp_path / "state"
    in_the_way.write_text("a file, and no directory")
    with serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=str(in_the_way)) as server:
        result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id)

    assert result["isError"] is True
    assert "The secret for operation ids cannot be kept in" in result["content"][0]["text"]
    assert posts(region) == []


def test_an_order_that_maas_holds_holds_up_neither_calls_nor_the_end(server: Driver, region: SimulatedRegion) -> None:
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
        ("Not confirmed yet: MAAS has not answered ", "Waiting to be sent: MAAS receives ")
    )
    assert len(listed["operations"]) == len(reports)
    assert code == 0
    assert seconds < server.at_once


def test_a_refusal_that_comes_after_the_call_is_told_to_who_asks(server: Driver, region: SimulatedRegion) -> None:
    region.hold(op="deploy", before=3)
    operation_id = start(server, region, distro_series="nosuch")
    report = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG))

    assert report["state"] == "failed"
    assert report["error"]["code"] == "operation_refused"
    assert "'nosuch' is not a valid distro_series." in str(report["error"])
    assert content(server.call("maas_get_operation", operation_id=operation_id)) == report


def test_a_call_says_in_words_that_the_start_is_not_confirmed(server: Driver, region: SimulatedRegion) -> None:
    region.hold(op="deploy", before=600)
    result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id, wait_seconds=0)

    text = result["content"][0]["text"]
    operation_id = content(result)["operation_id"]
    assert text.endswith(f" (Ready) (0%). Wait for it: maas_wait_operation with operation_id {operation_id}.")
    assert "It is still running" not in text


def test_a_secret_is_changed_while_operations_run(region: SimulatedRegion, url: str) -> None:
    old, new = "words-that-sealed-so-far", "words-that-seal-from-now-on"
    ids: list[str] = []
    for secret, host in ((old, "node01"), (f"{new} {old}", "node02")):
        with serving_stdio(url, region.api_key, MAAS_MCP_SECRET=secret) as server:
            ids.append(start(server, region, host))
            reports = [content(server.call("maas_get_operation", operation_id=each)) for each in ids]
        assert {report["state"] for report in reports} == {"working"}

    with serving_stdio(url, region.api_key, MAAS_MCP_SECRET=new) as server:
        refused = server.call("maas_get_operation", operation_id=ids[0])
        known = content(server.call("maas_get_operation", operation_id=ids[1]))
        listed = content(server.call("maas_list_operations"))

    assert "Only servers that share MAAS_MCP_SECRET accept each other's ids." in refused["content"][0]["text"]
    assert known["state"] == "working"
    assert len(listed["operations"]) == 2
