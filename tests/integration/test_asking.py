"""The user is asked before something is destroyed, over stdio and HTTP, by clients of both eras that can ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, serving
from tests.integration.driver import MODERN, Driver, Message, advance_to
from tests.integration.transports import Serve, starter

CAPABILITIES: Message = {"elicitation": {}}
INVALID_PARAMS = -32602
LEGACY = "2025-11-25"


@pytest.fixture(params=["stdio", "http"])
def serve(request: pytest.FixtureRequest, region: SimulatedRegion, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server of this transport. All of them share a secret, as replicas do."""
    region.deploy("node01", "admin")
    advance_to(region, "node01", "Deployed")
    with serving(region) as url:
        yield starter(request.param, region, url, tmp_path, CAPABILITIES, MAAS_MCP_POLICY="{}")


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def release(region: SimulatedRegion, **arguments: Any) -> Message:
    """The parameters of a release with an erase option."""
    arguments = {"system_id": region.machine("node01").system_id, "quick_erase": True, **arguments}
    return {"name": "maas_release_machine", "arguments": arguments}


def only(requests: Message) -> tuple[str, Message]:
    ((key, request),) = requests.items()
    return key, request


def accept(**content: Any) -> Message:
    return {"action": "accept", "content": content}


def answer(server: Driver, reply: Message) -> Message:
    """Answer the server's next question, and return it."""
    question = server.wait_for("elicitation/create")
    server.send({"id": question["id"], "result": reply})
    params: Message = question["params"]
    return params


def check_question(region: SimulatedRegion, params: Message) -> None:
    text = params["message"]
    assert "node01" in text
    assert region.machine("node01").system_id in text
    assert "owned by admin" in text
    assert "sda" in text
    assert params["requestedSchema"]["properties"]["typed"]["type"] == "string"
    assert params["requestedSchema"]["required"] == ["typed"]


def test_an_early_client_is_asked_in_the_open_call(serve: Serve, region: SimulatedRegion) -> None:
    with serve(revision=LEGACY) as server:
        call = server.start_request("tools/call", release(region))
        check_question(region, answer(server, accept(typed="node01")))

        result = server.wait(call)["result"]

    assert not result.get("isError"), result
    assert posts(region) == ["release"]


@pytest.mark.parametrize(
    "reply",
    [
        {"action": "decline"},
        {"action": "cancel"},
        accept(typed="node02"),
        accept(typed="yes"),
        accept(),
        accept(typed=True),
        accept(proceed=True),
    ],
    ids=["decline", "cancel", "another machine", "yes", "empty", "a click", "another form"],
)
def test_any_other_answer_than_the_hostname_sends_nothing(
    serve: Serve, region: SimulatedRegion, reply: Message
) -> None:
    with serve(revision=LEGACY) as server:
        call = server.start_request("tools/call", release(region))
        answer(server, reply)
        early = server.wait(call)["result"]
    with serve() as server:
        asked = server.request("tools/call", release(region))
        key, _ = only(asked["inputRequests"])
        state = {"inputResponses": {key: reply}, "requestState": asked["requestState"]}
        modern = server.request("tools/call", {**release(region), **state})

    assert early["_meta"]["io.github.maas-mcp/error"]["code"] == "not_answered"
    if reply["action"] == "accept" and not isinstance(reply["content"].get("typed"), str):
        assert modern["resultType"] == "input_required"  # the form is shown again
    else:
        assert modern["_meta"]["io.github.maas-mcp/error"]["code"] == "not_answered"
    assert posts(region) == []


def test_a_new_client_gets_the_question_as_the_result_and_any_replica_takes_the_answer(
    serve: Serve, region: SimulatedRegion
) -> None:
    with serve() as first:
        asked = first.request("tools/call", release(region))
    assert asked["resultType"] == "input_required"
    key, question = only(asked["inputRequests"])
    assert question["method"] == "elicitation/create"
    check_question(region, question["params"])
    assert posts(region) == []

    with serve() as second:
        state = {"inputResponses": {key: accept(typed="node01")}, "requestState": asked["requestState"]}
        result = second.request("tools/call", {**release(region), **state})

    assert result["structuredContent"]["state"] == "succeeded", result
    assert posts(region) == ["release"]


def test_a_client_with_tasks_is_asked_before_the_task_exists(serve: Serve, region: SimulatedRegion) -> None:
    with serve({**CAPABILITIES, "extensions": {"io.modelcontextprotocol/tasks": {}}}) as server:
        asked = server.request("tools/call", release(region))
        assert "taskId" not in asked
        key, _ = only(asked["inputRequests"])
        state = {"inputResponses": {key: accept(typed="node01")}, "requestState": asked["requestState"]}
        task = server.request("tools/call", {**release(region), **state})

    assert task["resultType"] == "task"
    assert not {"requestState", "inputRequests"} & task.keys()
    assert posts(region) == ["release"]


def test_an_answer_about_another_owner_does_not_count(serve: Serve, region: SimulatedRegion) -> None:
    with serve() as server:
        asked = server.request("tools/call", release(region))
        key, _ = only(asked["inputRequests"])
        with region.lock:
            region.machine("node01").owner = "bob"
        state = {"inputResponses": {key: accept(typed="node01")}, "requestState": asked["requestState"]}
        again = server.request("tools/call", {**release(region), **state})

    assert again["resultType"] == "input_required"
    assert "owned by bob" in only(again["inputRequests"])[1]["params"]["message"]
    assert posts(region) == []


@pytest.mark.parametrize("how", ["altered", "other arguments", "made up"])
def test_a_state_that_the_server_did_not_seal_for_this_call_is_rejected(
    serve: Serve, region: SimulatedRegion, how: str
) -> None:
    with serve() as server:
        asked = server.request("tools/call", release(region))
        key, _ = only(asked["inputRequests"])
        state = {"altered": asked["requestState"] + "A", "made up": "{}"}.get(how, asked["requestState"])
        params = release(region, **({"force": True} if how == "other arguments" else {}))
        error = server.error(
            "tools/call", {**params, "requestState": state, "inputResponses": {key: accept(typed="node01")}}
        )

    assert error["code"] == INVALID_PARAMS
    assert posts(region) == []


@pytest.mark.parametrize("revision", ["2024-11-05", LEGACY, MODERN])
def test_a_client_that_cannot_ask_makes_a_plan(serve: Serve, region: SimulatedRegion, revision: str) -> None:
    planned = release(region, plan=True)
    with serve({}, revision=revision) as server:
        refused = server.request("tools/call", release(region))
        plan = server.request("tools/call", planned)["structuredContent"]["plan"]
        assert posts(region) == []
        result = server.request("tools/call", release(region, plan_id=plan["plan_id"]))

    assert refused["_meta"]["io.github.maas-mcp/error"]["code"] == "plan_needed"
    assert "plan=true" in refused["content"][0]["text"]
    assert [each["op"] for each in plan["requests"]] == ["release"]
    assert not result.get("isError"), result
    assert posts(region) == ["release"]


def test_a_plan_of_one_server_is_applied_by_another(serve: Serve, region: SimulatedRegion) -> None:
    with serve({}) as first:
        plan = first.request("tools/call", release(region, plan=True))["structuredContent"]["plan"]
    with serve({}) as second:
        result = second.request("tools/call", release(region, plan_id=plan["plan_id"]))

    assert result["structuredContent"]["state"] == "succeeded", result
    assert posts(region) == ["release"]


def test_a_release_without_an_erase_option_needs_no_typing(serve: Serve, region: SimulatedRegion) -> None:
    with serve() as server:
        asked = server.request("tools/call", release(region, quick_erase=False))
        key, question = only(asked["inputRequests"])
        state = {"inputResponses": {key: accept(proceed=True)}, "requestState": asked["requestState"]}
        result = server.request("tools/call", {**release(region, quick_erase=False), **state})

    assert "Running workloads are interrupted" in question["params"]["message"]
    assert result["structuredContent"]["state"] == "succeeded", result
    assert posts(region) == ["release"]


def test_the_answers_of_an_untrusted_client_do_not_count(
    region: SimulatedRegion, tmp_path: Path, revision: str
) -> None:
    region.deploy("node01", "admin")
    advance_to(region, "node01", "Deployed")
    policy = '{"untrusted_clients": ["driv*"]}'
    with serving(region) as url:
        serve = starter("stdio", region, url, tmp_path, CAPABILITIES, MAAS_MCP_POLICY=policy)
        with serve(revision=revision) as server:
            refused = server.request("tools/call", release(region))

    assert refused["_meta"]["io.github.maas-mcp/error"]["code"] == "plan_needed"
    assert posts(region) == []
