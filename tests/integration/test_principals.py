"""Ids, tasks, caches, states and subscriptions never cross principals: one check for each method of the server."""

import json
from collections.abc import Callable, Iterator

import pytest

from maas_mcp.calls.connections import Connections
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.app import build
from maas_mcp.settings import Settings
from tests.integration.driver import Message, advance_to, eventually
from tests.integration.http_driver import HttpDriver
from tests.integration.principals import OWNERS, House, acknowledged, sharing_a_server

INVALID_PARAMS = -32602
LEGACY_NOT_FOUND = -32002

Check = Callable[[House], None]
"""Uses a method as Bob, and asserts that it neither shows nor changes anything of Alice."""
CHECKS: dict[str, Check] = {}


def checks(*methods: str) -> Callable[[Check], Check]:
    """Register the check of these methods."""

    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(methods, check))
        return check

    return register


@pytest.fixture(scope="module", params=list(OWNERS))
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with sharing_a_server(tmp_path_factory.mktemp("house"), OWNERS[request.param]) as made:
        yield made


def is_unharmed(house: House) -> None:
    """Alice's operation, task and question are as she left them."""
    for operation_id in (house.operation_id, house.task_id):
        report = house.alice.call("maas_get_operation", operation_id=operation_id)["structuredContent"]
        assert report["state"] == "working", report
    assert house.alice.request("tasks/get", {"taskId": house.task_id})["status"] == "working"
    assert "erase" not in [each.op for each in house.region.requests]
    assert house.region.machine("node03").status_name == "Deployed"


def shown(client: HttpDriver) -> str:
    return json.dumps(list(client.received))


def updates(client: HttpDriver) -> list[str]:
    method = "notifications/resources/updated"
    return [each["params"]["uri"] for each in list(client.received) if each.get("method") == method]


def operation_uri(house: House) -> str:
    return f"maas://operations/{house.operation_id}"


def texts(prompt: Message) -> list[str]:
    return [each["content"]["text"] for each in prompt["messages"]]


@checks("tools/call")
def _calls(house: House) -> None:
    tools = {each["name"]: each for each in house.bob.request("tools/list")["tools"]}
    taking = [name for name, each in tools.items() if "operation_id" in each["inputSchema"].get("properties", {})]
    assert len(taking) >= 3
    for name in taking:
        for operation_id in (house.operation_id, house.task_id):
            for client in (house.bob, house.early_bob):
                result = client.call(name, operation_id=operation_id)
                assert result["_meta"]["io.github.maas-mcp/error"]["code"] == "unknown_operation", result
    listed = [
        each["operation_id"] for each in house.bob.call("maas_list_operations")["structuredContent"]["operations"]
    ]
    assert len(listed) == (2 if len(set(house.users)) == 1 else 0)  # MAAS lists the machines of its user
    assert not set(listed) & set(house.secrets)

    (key,) = house.question["inputRequests"]
    yes = {"inputResponses": {key: {"action": "accept", "content": {"erase": True}}}}
    stolen = {**house.erasing, **yes, "requestState": house.question["requestState"]}
    assert house.bob.error("tools/call", stolen)["code"] == INVALID_PARAMS

    mine, theirs = (client.call("acme_show")["structuredContent"]["how"] for client in (house.alice, house.bob))
    assert mine != theirs


@checks("tasks/get", "tasks/update", "tasks/cancel")
def _tasks(house: House) -> None:
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        for task_id in (house.task_id, house.operation_id, f"{house.task_id}!abort"):
            error = house.bob.error(method, {"taskId": task_id, "inputResponses": {}})
            assert error["code"] == INVALID_PARAMS


@checks("subscriptions/listen")
def _streams(house: House) -> None:
    uri, machine = operation_uri(house), f"maas://machines/{house.region.machine('node01').system_id}"
    wanted = {"taskIds": [house.task_id], "resourceSubscriptions": [uri, machine]}
    assert acknowledged(house.bob, wanted)["taskIds"] == []
    assert acknowledged(house.alice, wanted)["taskIds"] == [house.task_id]
    house.alice.start_call("maas_wait_operation", operation_id=house.operation_id)
    advance_to(house.region, "node01", "Performing PXE boot")
    eventually(lambda: {uri, machine} <= set(updates(house.alice)), "both updates for Alice")
    house.alice.wait_for("notifications/tasks")
    assert updates(house.bob) == []
    assert "notifications/tasks" not in shown(house.bob)


@checks("resources/read")
def _reads(house: House) -> None:
    uri = operation_uri(house)
    assert house.bob.error("resources/read", {"uri": uri})["code"] == INVALID_PARAMS
    assert house.early_bob.error("resources/read", {"uri": uri})["code"] == LEGACY_NOT_FOUND
    mine, theirs = (
        client.request("resources/read", {"uri": "acme://state"})["contents"][0]["text"]
        for client in (house.alice, house.bob)
    )
    assert mine != theirs


@checks("resources/subscribe", "resources/unsubscribe")
def _subscriptions(house: House) -> None:
    uri = operation_uri(house)
    with house.early_alice.standing_stream(), house.early_bob.standing_stream():
        for client in (house.early_alice, house.early_bob):
            client.request("resources/subscribe", {"uri": uri})
        house.alice.start_call("maas_wait_operation", operation_id=house.operation_id)
        advance_to(house.region, "node01", "Loading ephemeral")
        eventually(lambda: updates(house.early_alice), "an update for Alice")
        assert updates(house.early_bob) == []
        house.early_bob.request("resources/unsubscribe", {"uri": uri})
        before = len(updates(house.early_alice))
        advance_to(house.region, "node01", "Installing OS")
        eventually(lambda: len(updates(house.early_alice)) > before, "one more update for Alice")


@checks("completion/complete")
def _completions(house: House) -> None:
    params = {"ref": {"type": "ref/prompt", "name": "any"}, "argument": {"name": "state", "value": ""}}
    mine, again, theirs = (
        client.request("completion/complete", params)["completion"]["values"]
        for client in (house.alice, house.early_alice, house.bob)
    )
    assert mine == again
    assert mine != theirs


@checks("prompts/get")
def _prompts(house: House) -> None:
    for client, user in zip((house.alice, house.bob), house.users, strict=True):
        assert texts(client.request("prompts/get", {"name": "acme-who"})) == [user]
    stolen = {"name": "acme-who", "requestState": house.question["requestState"]}
    assert house.bob.error("prompts/get", stolen)["code"] == INVALID_PARAMS


@checks("logging/setLevel")
def _log_levels(house: House) -> None:
    assert house.early_bob.request("logging/setLevel", {"level": "emergency"}) == {}


@checks(
    "ping",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "skills/list",
    "tools/list",
)
def _public(house: House) -> None:
    """The lists are the same for both principals, so they contain nothing of either."""
    for method in ("prompts/list", "resources/list", "resources/templates/list", "server/discover", "tools/list"):
        assert house.alice.request(method) == house.bob.request(method)
    assert house.alice.request("skills/list") == house.bob.request("skills/list")
    assert house.early_bob.request("ping") == {}


@checks("skills/get", "resources/directory/read")
def _skills(house: House) -> None:
    for method in ("skills/get", "resources/directory/read"):
        for uri in (operation_uri(house), f"skill://{house.operation_id}", "skill://../operations"):
            assert house.bob.error(method, {"uri": uri})["code"] == INVALID_PARAMS


@pytest.mark.parametrize("check", list(dict.fromkeys(CHECKS.values())), ids=lambda each: each.__name__.strip("_"))
def test_a_method_shows_and_changes_nothing_of_another_principal(house: House, check: Check) -> None:
    before = len(house.bob.received)

    check(house)

    is_unharmed(house)
    received = [each for each in house.bob.received[before:] if "error" not in each]
    acknowledgement = "notifications/subscriptions/acknowledged"  # repeats the client's own words
    text = json.dumps([each for each in received if each.get("method") != acknowledgement])
    assert not [each for each in house.secrets if each in text]


def test_every_method_of_the_server_has_a_check() -> None:
    settings = Settings(maas_url="http://127.0.0.1/MAAS", maas_api_key="a:b:c")
    server = build(load_registry(), settings, Connections())

    # The SDK has no public list of handlers.
    assert set(server._request_handlers) == set(CHECKS)
    assert not server._notification_handlers


def test_a_session_and_its_calls_belong_to_their_principal(house: House) -> None:
    call = house.early_alice.start_call("maas_wait_operation", "token", operation_id=house.operation_id)
    house.early_alice.wait_for_progress()
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": call}}
    thief = HttpDriver(
        house.bob.process, house.early_bob.revision, house.bob.errors, port=house.bob.port, headers=house.bob.headers
    )
    thief.session = house.early_alice.session

    for message in (cancelled, {"id": 5, "method": "tools/list"}):
        connection, response = thief.post(message)
        assert response.status == 404
        response.read()
        connection.close()
    house.early_bob.send(cancelled)

    assert house.early_alice.request("tools/list")["tools"]
    assert house.early_alice.response(call) is None
    is_unharmed(house)
