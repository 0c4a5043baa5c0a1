"""Odd, huge and hostile requests get an error that says what is wrong, and the server goes on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, serving
from tests.integration.driver import MODERN, Driver, Message, advance_to, eventually, serving_stdio
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.team import Team
from tests.integration.test_asking import accept, only, posts, release
from tests.integration.test_http_access import call, status_of

LEGACY = "2025-11-25"
INVALID_PARAMS, NOT_FOUND, LEGACY_NOT_FOUND, HEADER_MISMATCH = -32602, -32601, -32002, -32020
TASKS: Message = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
HUGE = "x" * 1_000_000
TEXTS = (
    *("", " ", ".", "..", "../../machines", "%2e%2e%2f", "%00", "%", "%zz", "\x00", "a\nb", "\x1b[2J", "\u202e"),
    *(
        "7xneda/",
        "7xneda?op=release",
        "7xneda#x",
        "7xneda%2F..",
        "7xneda%3Fop=release",
        "7xneda\n",
        "\uff17xneda",
        "😀",
    ),
    *("null", "-1", "{system_id}", "*", "'; DROP TABLE", HUGE),
)
MACHINE: Message = {"type": "ref/resource", "uri": "maas://machines/{system_id}"}
URIS = (
    *(f"{scheme}{text}" for scheme in ("maas://machines/", "maas://operations/", "skill://") for text in TEXTS),
    *TEXTS,
    *("maas://machines/../plugins", "MAAS://machines/7xneda", "maas:machines/7xneda", "file:///etc/passwd"),
    *("maas-mcp://plugins/", "skill://../SKILL.md", "skill://%2e%2e/SKILL.md", "http://127.0.0.1/"),
)


def completing(ref: Message, name: str, value: Any) -> Message:
    return {"ref": ref, "argument": {"name": name, "value": value}}


def requests(prompt: str) -> Iterator[tuple[str, Message]]:
    """Requests that are refused or that find nothing."""
    for uri in URIS:
        for method in ("resources/read", "skills/get", "resources/directory/read"):
            yield method, {"uri": uri}
    for text in TEXTS:
        yield "prompts/get", {"name": text}
        yield "prompts/get", {"name": prompt, "arguments": {text or "empty": text}}
        yield "tools/call", {"name": text}
        yield "tasks/get", {"taskId": text}
        yield "tasks/cancel", {"taskId": f"maas_deploy_machine.{text}"}
        yield "tasks/update", {"taskId": f"maas_deploy_machine.7xneda.0-0.{text}!abort", "inputResponses": {text: 1}}
        yield "tools/call", {"name": "maas_get_operation", "arguments": {"operation_id": text}}
        yield "completion/complete", completing({"type": "ref/resource", "uri": text}, "system_id", "")
        yield "completion/complete", completing(MACHINE, text, "")
    odds: tuple[Any, ...] = (None, 5, [], {}, True, [HUGE])
    for odd in odds:
        yield "resources/read", {"uri": odd}
        yield "prompts/get", {"name": prompt, "arguments": {"x": odd}}
        yield "tasks/update", {"taskId": "x", "inputResponses": odd}
        yield "completion/complete", completing(MACHINE, "system_id", odd)


@pytest.fixture(params=[("stdio", MODERN), ("stdio", LEGACY), ("http", LEGACY), ("http", MODERN)], ids="-".join)
def odd_server(request: pytest.FixtureRequest, url: str, region: SimulatedRegion) -> Iterator[Driver]:
    transport, revision = request.param
    running = serving_http if transport == "http" else serving_stdio
    with running(url, region.api_key, revision, capabilities=TASKS, MAAS_MCP_HTTP_RATE="1000") as driver:
        yield driver


def test_no_odd_request_gets_anything_but_an_error_that_explains_itself(
    odd_server: Driver, region: SimulatedRegion
) -> None:
    prompt = odd_server.request("prompts/list")["prompts"][0]["name"]
    in_header = isinstance(odd_server, HttpDriver) and odd_server.revision == MODERN
    for method, params in requests(prompt):
        shown = f"{method} {str(params)[:200]}"
        if in_header and HUGE in str(params):
            continue  # no HTTP server reads such a header
        response = odd_server.wait(odd_server.start_request(method, params))
        if "result" in response:
            assert response["result"].get("isError") is True or method == "completion/complete", shown
            continue
        error = response["error"]
        assert error["code"] in {INVALID_PARAMS, NOT_FOUND, LEGACY_NOT_FOUND, HEADER_MISMATCH}, (
            shown,
            str(error)[:500],
        )
        assert error["message"], shown
        assert len(error["message"]) < 2000, shown
    assert "Traceback" not in odd_server.log()
    assert {each.method for each in region.requests} <= {"GET"}
    assert not [each.path for each in region.requests if ".." in each.path or "release" in each.path]
    assert odd_server.call("maas_list_machines")["structuredContent"]


def test_a_huge_text_is_completed_to_nothing(odd_server: Driver) -> None:
    completed = odd_server.request("completion/complete", completing(MACHINE, "system_id", HUGE))

    assert completed["completion"]["values"] == []


def test_subscriptions_are_bounded_in_number_and_length(odd_server: Driver) -> None:
    machine = "maas://machines/"
    if odd_server.revision == MODERN:
        for uris in ([f"{machine}{number}" for number in range(100_000)], [machine + HUGE]):
            error = odd_server.error("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}})
            assert error["code"] == INVALID_PARAMS
            assert "Expected" in error["message"]
    else:
        error = odd_server.error("resources/subscribe", {"uri": machine + HUGE})
        assert error["code"] == INVALID_PARAMS
        assert "at most 2048 characters" in error["message"]
    assert odd_server.call("maas_list_machines")["structuredContent"]


@pytest.fixture
def deployed(region: SimulatedRegion) -> SimulatedRegion:
    """A region where node01 can be erased."""
    region.deploy("node01", "admin")
    eventually(lambda: region.machine("node01").status_name == "Deployed", "the deployment")
    return region


Serving = AbstractContextManager[Driver]


def asking(region: SimulatedRegion, url: str, revision: str) -> Serving:
    return serving_stdio(url, region.api_key, revision, capabilities={"elicitation": {}}, MAAS_MCP_POLICY="{}")


def questions(server: Driver) -> list[Message]:
    return [each for each in list(server.received) if each.get("method") == "elicitation/create"]


def test_an_answer_counts_once_and_not_after_its_call(deployed: SimulatedRegion, url: str) -> None:
    with asking(deployed, url, LEGACY) as server:
        ended = server.start_request("tools/call", release(deployed))
        question = server.wait_for("elicitation/create")
        server.cancel(ended)
        server.send({"id": question["id"], "result": accept(typed="node01")})
        assert server.request("tools/list")["tools"]
        assert posts(deployed) == []

        again = server.start_request("tools/call", release(deployed))
        asked = eventually(lambda: questions(server)[1:], "the second question")[0]
        for _ in range(3):
            server.send({"id": asked["id"], "result": accept(typed="node01")})
        assert not server.wait(again)["result"].get("isError")
    assert posts(deployed) == ["release"]


def test_a_replayed_answer_does_not_erase_again(deployed: SimulatedRegion, url: str) -> None:
    with asking(deployed, url, MODERN) as server:
        asked = server.request("tools/call", release(deployed))
        key, _ = only(asked["inputRequests"])
        answered = {"inputResponses": {key: accept(typed="node01")}, "requestState": asked["requestState"]}
        first = server.request("tools/call", {**release(deployed), **answered})
        assert first["structuredContent"]["state"] == "succeeded"

        replayed = server.request("tools/call", {**release(deployed), **answered})

        assert replayed["isError"]  # by now the machine is Ready, and has no owner: it cannot be erased
    assert posts(deployed) == ["release"]


def test_the_keys_file_may_vanish_and_come_back(region: SimulatedRegion, url: str, tmp_path: Path) -> None:
    team = Team(region, url, tmp_path)
    with team.serving(team.token("new", "bob")) as bob:
        assert status_of(bob, call("maas_list_machines"))[0] == 200
        moved = team.keys.rename(tmp_path / "elsewhere.toml")
        status, _, text = status_of(bob, call("maas_list_machines"))
        assert status == 503
        assert str(tmp_path) not in text

        moved.rename(team.keys)
        assert status_of(bob, call("maas_list_machines"))[0] == 200


def test_a_call_outlives_its_revoked_token_and_no_other_request_does(
    still_region: SimulatedRegion, tmp_path: Path
) -> None:
    with serving(still_region) as url:
        team = Team(still_region, url, tmp_path)
        with team.serving(team.token("new", "bob", "--scopes", "maas:destroy")) as bob:
            running = bob.start_call("maas_deploy_machine", "token", system_id=still_region.machine("node01").system_id)
            advance_to(still_region, "node01", "Installing OS")
            team.token("revoke", "bob")

            assert status_of(bob, call("maas_list_machines"))[0] == 401
            still_region.set_speed(400)
            assert bob.wait(running)["result"]["structuredContent"]["state"] == "succeeded"
