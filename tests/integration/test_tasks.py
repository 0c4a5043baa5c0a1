"""Tasks over stdio and HTTP: a client starts an operation, and polls it, cancels it or is notified of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import Fault, SimulatedRegion, serving
from tests.integration.driver import TIMEOUT, Driver, Message, advance_to, eventually
from tests.integration.http_driver import HttpDriver
from tests.integration.team import Team
from tests.integration.transports import Serve, starter

TASKS = "io.modelcontextprotocol/tasks"
CAPABILITIES: Message = {"extensions": {TASKS: {}}}
INVALID_PARAMS, HEADER_MISMATCH, MISSING_CAPABILITY, NOT_FOUND = -32602, -32020, -32021, -32601
SPEED = 400.0


@pytest.fixture
def region(still_region: SimulatedRegion) -> SimulatedRegion:
    """A region where operations keep running until the test lets time pass."""
    return still_region


@pytest.fixture(params=["stdio", "http"])
def serve(request: pytest.FixtureRequest, region: SimulatedRegion, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server of this transport. All of them share a secret, as replicas do."""
    with serving(region) as url:
        yield starter(request.param, region, url, tmp_path, CAPABILITIES)


@pytest.fixture
def server(serve: Serve) -> Iterator[Driver]:
    with serve() as driver:
        yield driver


def deploy(server: Driver, region: SimulatedRegion, host: str = "node01", **arguments: Any) -> Message:
    """Start a deployment as a task."""
    task = server.call("maas_deploy_machine", system_id=region.machine(host).system_id, **arguments)
    assert task["resultType"] == "task", task
    assert "task" not in task
    return task


def get(server: Driver, task: Message) -> Message:
    return server.request("tasks/get", {"taskId": task["taskId"]})


def ended(server: Driver, task: Message) -> Message:
    """The task after its end."""

    def poll() -> Message | None:
        seen = get(server, task)
        return None if seen["status"] == "working" else seen

    found: Message = eventually(poll, "the end of the task")
    return found


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def test_a_deployment_is_a_task_until_it_ends_with_the_result_of_the_call(
    server: Driver, region: SimulatedRegion
) -> None:
    task = deploy(server, region)
    assert task["status"] == "working"
    assert task["ttlMs"] == 7 * 24 * 3600 * 1000
    assert not {"result", "error", "inputRequests", "requestState", "ttl"} & task.keys()
    assert posts(region) == ["deploy"]

    advance_to(region, "node01", "Installing OS")
    seen = eventually(lambda: "Installing OS" in get(server, task)["statusMessage"] and get(server, task), "the news")
    assert (seen["resultType"], seen["status"], seen["taskId"]) == ("complete", "working", task["taskId"])
    assert seen["createdAt"] == task["createdAt"]

    region.set_speed(SPEED)
    done = ended(server, task)
    assert done["status"] == "completed"
    assert "node01 is deployed with ubuntu/noble at 10." in done["result"]["content"][0]["text"]
    assert done["result"]["structuredContent"]["result"]["status_name"] == "Deployed"
    assert posts(region) == ["deploy"]


def test_a_task_returns_what_a_call_without_tasks_returns(serve: Serve, region: SimulatedRegion) -> None:
    region.set_speed(SPEED)
    with serve() as server:
        task = deploy(server, region)
        result = ended(server, task)["result"]
        server.capabilities = {}
        # The machine is deployed, so that only the deployment itself can be read again.
        read = server.call("maas_get_operation", operation_id=task["taskId"])["structuredContent"]
        plain = server.call("maas_deploy_machine", system_id=region.machine("node02").system_id)

    assert result["structuredContent"].keys() == plain["structuredContent"].keys()
    assert result["structuredContent"]["result"] == read["result"]
    assert result["content"][0]["text"].replace("node01", "node02").split(" at ")[0] in plain["content"][0]["text"]


def test_a_failed_operation_is_a_completed_task_with_the_error_of_the_tool(
    server: Driver, region: SimulatedRegion
) -> None:
    region.plan("node01", fail="Installing OS")
    task = deploy(server, region)
    region.set_speed(SPEED)

    done = ended(server, task)

    assert done["status"] == "completed"
    assert done["result"]["isError"] is True
    assert done["result"]["_meta"]["io.github.maas-mcp/error"]["code"] == "operation_failed"


def test_a_refused_start_is_answered_at_once_without_a_task(server: Driver) -> None:
    result = server.call("maas_deploy_machine", system_id="abcdef")

    assert result["resultType"] == "complete"
    assert result["isError"] is True


def test_short_tools_never_become_tasks(server: Driver) -> None:
    assert server.call("maas_list_machines", limit=1)["resultType"] == "complete"


def test_a_call_with_wait_seconds_is_answered_in_that_time(server: Driver, region: SimulatedRegion) -> None:
    result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id, wait_seconds=0)

    assert result["resultType"] == "complete"
    assert result["structuredContent"]["state"] == "working"


def test_a_task_outlives_the_server_that_started_it(serve: Serve, region: SimulatedRegion) -> None:
    with serve() as first:
        task = deploy(first, region)
    with serve() as second:
        assert get(second, task)["status"] == "working"
        region.set_speed(SPEED)
        assert ended(second, task)["result"]["structuredContent"]["state"] == "succeeded"
    with serve() as third:
        assert get(third, task)["status"] == "completed"
    assert posts(region) == ["deploy"]


def test_during_an_outage_a_task_keeps_working_and_says_that_maas_is_unreachable(
    server: Driver, region: SimulatedRegion
) -> None:
    task = deploy(server, region)
    fault = Fault(status=503, body="upstream is down", times=None)
    region.faults.append(fault)

    seen = get(server, task)

    assert seen["status"] == "working"
    assert "503" in seen["statusMessage"]
    region.faults.remove(fault)
    region.set_speed(SPEED)
    assert ended(server, task)["status"] == "completed"


def test_cancelling_detaches_by_default_and_the_task_shows_that_maas_continues(
    server: Driver, region: SimulatedRegion
) -> None:
    task = deploy(server, region)

    answer = server.request("tasks/cancel", {"taskId": task["taskId"]})

    assert answer.keys() <= {"resultType", "_meta"}
    assert get(server, task)["status"] == "working"
    assert posts(region) == ["deploy"]


def test_cancelling_aborts_where_the_call_asked_for_it_even_after_a_restart(
    serve: Serve, region: SimulatedRegion
) -> None:
    with serve() as first:
        task = deploy(first, region, on_cancel="abort")
    region.set_speed(1.0)
    with serve() as second:
        assert second.request("tasks/cancel", {"taskId": task["taskId"]})["resultType"] == "complete"
        seen = ended(second, task)
        assert seen["status"] == "cancelled"
        assert not {"result", "error"} & seen.keys()
        assert posts(region) == ["deploy", "abort"]
        assert second.request("tasks/cancel", {"taskId": task["taskId"]})["resultType"] == "complete"
    assert posts(region) == ["deploy", "abort"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
def test_a_foreign_or_damaged_id_is_unknown(server: Driver, region: SimulatedRegion, method: str) -> None:
    task_id = deploy(server, region)["taskId"]
    for bad in (
        "nonsense",
        task_id[:-1],
        f"{task_id}!delete",
        f"maas_none.{task_id.partition('.')[2]}",
        "",
        "x" * 5000,
    ):
        params: Message = {"taskId": bad, "inputResponses": {}}
        if isinstance(server, HttpDriver) and not bad:
            continue  # there is no such header
        assert server.error(method, params)["code"] == INVALID_PARAMS


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
def test_a_request_that_does_not_declare_tasks_is_refused_with_the_missing_capability(
    server: Driver, region: SimulatedRegion, method: str
) -> None:
    task = deploy(server, region)
    server.capabilities = {"extensions": {"io.example/other": {}}}

    error = server.error(method, {"taskId": task["taskId"], "inputResponses": {}})

    assert error["code"] == MISSING_CAPABILITY
    assert error["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25"])
def test_an_early_client_gets_no_tasks_even_if_it_declares_them(
    serve: Serve, region: SimulatedRegion, revision: str
) -> None:
    region.set_speed(SPEED)
    with serve(revision=revision) as server:
        result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id)
        assert "taskId" not in result
        assert result["structuredContent"]["state"] == "succeeded"
        assert server.error("tasks/get", {"taskId": result["structuredContent"]["operation_id"]})["code"] == NOT_FOUND


def test_removed_methods_do_not_exist(server: Driver) -> None:
    for method in ("tasks/list", "tasks/result"):
        assert server.error(method, {"taskId": "x"})["code"] == NOT_FOUND


def test_answers_to_questions_that_were_never_asked_are_acknowledged(server: Driver, region: SimulatedRegion) -> None:
    task = deploy(server, region)

    answer = server.request("tasks/update", {"taskId": task["taskId"], "inputResponses": {"x": {"action": "accept"}}})

    assert answer.keys() <= {"resultType", "_meta"}
    assert get(server, task)["status"] == "working"


def listen(server: Driver, notifications: Message) -> tuple[int, Message]:
    """Open a stream. Returns the request's id and the acknowledged filter."""
    before = len(server.received)
    request_id = server.start_request("subscriptions/listen", {"notifications": notifications})
    method = "notifications/subscriptions/acknowledged"
    at = server._find(lambda each: each.get("method") == method, TIMEOUT, before)
    return request_id, server.received[at]["params"]["notifications"]


def test_a_stream_shows_each_step_of_its_tasks_and_their_ends(server: Driver, region: SimulatedRegion) -> None:
    task = deploy(server, region)
    _, acknowledged = listen(server, {"taskIds": [task["taskId"], "nonsense"], "toolsListChanged": True})
    assert acknowledged == {"taskIds": [task["taskId"]], "toolsListChanged": True}

    first = server.wait_for("notifications/tasks")["params"]
    assert (first["taskId"], first["status"]) == (task["taskId"], "working")
    advance_to(region, "node01", "Installing OS")
    server.wait_for("notifications/tasks", lambda seen: "Installing OS" in seen["statusMessage"])
    region.set_speed(SPEED)
    last = server.wait_for("notifications/tasks", lambda seen: seen["status"] != "working")["params"]

    assert last["status"] == "completed"
    assert last["_meta"]["io.modelcontextprotocol/subscriptionId"]
    polled = get(server, task)
    assert last["result"] == polled["result"]


def test_a_stream_shows_a_task_that_has_ended_already(server: Driver, region: SimulatedRegion) -> None:
    region.set_speed(SPEED)
    task = deploy(server, region)
    ended(server, task)
    listen(server, {"taskIds": [task["taskId"]]})

    assert server.wait_for("notifications/tasks")["params"]["status"] == "completed"


def test_a_stream_needs_the_capability_and_takes_a_bounded_number_of_tasks(
    server: Driver, region: SimulatedRegion
) -> None:
    task_id = deploy(server, region)["taskId"]
    too_many = server.error("subscriptions/listen", {"notifications": {"taskIds": ["x"] * 65}})
    no_list = server.error("subscriptions/listen", {"notifications": {"taskIds": task_id}})
    server.capabilities = {}
    undeclared = server.error("subscriptions/listen", {"notifications": {"taskIds": [task_id]}})

    assert (too_many["code"], no_list["code"]) == (INVALID_PARAMS, INVALID_PARAMS)
    assert undeclared["code"] == MISSING_CAPABILITY


@pytest.mark.parametrize("serve", ["http"], indirect=True)
@pytest.mark.parametrize("name", ["another", ""])
def test_the_routing_header_must_name_the_task(serve: Serve, region: SimulatedRegion, name: str) -> None:
    with serve() as server:
        assert isinstance(server, HttpDriver)
        task = deploy(server, region)
        meta = {
            "io.modelcontextprotocol/protocolVersion": server.revision,
            "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": CAPABILITIES,
        }
        message = {"id": 900, "method": "tasks/get", "params": {"_meta": meta, "taskId": task["taskId"]}}
        connection, response = server.post(message, "/mcp", **{"Mcp-Name": name})
        body = json.loads(response.read())
        connection.close()

    assert (response.status, body["error"]["code"]) == (400, HEADER_MISMATCH)


def test_another_principals_task_is_unknown_and_not_in_a_stream(region: SimulatedRegion, tmp_path: Path) -> None:
    with serving(region) as url:
        team = Team(region, url, tmp_path)
        tokens = [team.token("new", name, "--scopes", "maas:destroy") for name in ("admin", "bob")]
        with team.serving(tokens[0]) as admin:
            admin.capabilities = CAPABILITIES
            task = deploy(admin, region)
            bob = team.client(admin, tokens[1])
            bob.capabilities = CAPABILITIES
            for method in ("tasks/get", "tasks/cancel", "tasks/update"):
                error = bob.error(method, {"taskId": task["taskId"], "inputResponses": {}})
                assert error["code"] == INVALID_PARAMS
            _, acknowledged = listen(bob, {"taskIds": [task["taskId"]]})

            assert acknowledged == {"taskIds": []}
            assert get(admin, task)["status"] == "working"
    assert posts(region) == ["deploy"]


@pytest.mark.parametrize("serve", ["http"], indirect=True)
def test_any_replica_serves_a_task(serve: Serve, region: SimulatedRegion) -> None:
    with serve() as first, serve() as second:
        task = deploy(first, region)
        assert get(second, task)["status"] == "working"
        listen(second, {"taskIds": [task["taskId"]]})
        region.set_speed(SPEED)
        last = second.wait_for("notifications/tasks", lambda seen: seen["status"] != "working")["params"]
        assert last["status"] == "completed"
        assert get(first, task)["result"] == last["result"]
