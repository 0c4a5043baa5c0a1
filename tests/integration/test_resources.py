"""Resources, their updates and completions over real transports, as clients of both eras use them."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, serving
from tests.integration.driver import MODERN, Driver, Message, advance_to, eventually, serving_stdio
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.team import Team

LEGACY = "2025-11-25"
TRANSPORTS: dict[str, Callable[..., AbstractContextManager[Driver]]] = {"stdio": serving_stdio, "http": serving_http}
NODE01 = "maas://machines/7xneda"


def error_of(server: Driver, method: str, params: Message) -> Message:
    response = server.wait(server.start_request(method, params))
    assert "error" in response, response
    error: Message = response["error"]
    return error


def read(server: Driver, uri: str) -> Any:
    (content,) = server.request("resources/read", {"uri": uri})["contents"]
    assert content["uri"] == uri
    assert content["mimeType"] == "application/json"
    return json.loads(content["text"])


def updates(server: Driver) -> list[str]:
    """The URIs of all notified updates so far."""
    return [
        each["params"]["uri"]
        for each in list(server.received)
        if each.get("method") == "notifications/resources/updated"
    ]


def follow(server: Driver, *uris: str) -> None:
    """Subscribe to resources as the revision of the client requires."""
    if server.revision != MODERN:
        for uri in uris:
            server.request("resources/subscribe", {"uri": uri})
        return
    before = count_acknowledged(server)
    server.start_request("subscriptions/listen", {"notifications": {"resourceSubscriptions": list(uris)}})
    eventually(lambda: count_acknowledged(server) > before, "the stream's start")


def count_acknowledged(server: Driver) -> int:
    return [each.get("method") for each in list(server.received)].count("notifications/subscriptions/acknowledged")


def deploy(server: Driver, system_id: str = "7xneda") -> str:
    """Start a deployment, and return its operation_id."""
    result = server.call("maas_deploy_machine", system_id=system_id, wait_seconds=0)
    operation_id: str = result["structuredContent"]["operation_id"]
    return operation_id


def test_resources_and_templates_are_listed(server: Driver) -> None:
    listed = server.request("resources/list")["resources"]
    resources = [each for each in listed if not each["uri"].startswith("skill:")]
    templates = server.request("resources/templates/list")["resourceTemplates"]

    assert [each["uri"] for each in resources] == ["maas-mcp://plugins"]
    assert [each["uriTemplate"] for each in templates] == [
        "maas://operations/{operation_id}",
        "maas://machines/{system_id}",
    ]
    assert all(each["name"] and each["description"] and each["mimeType"] for each in [*resources, *templates])


def test_a_machine_is_read_by_its_uri(server: Driver, region: SimulatedRegion) -> None:
    machine = read(server, NODE01)

    assert machine["hostname"] == "node01"
    assert machine["status_name"] == region.machine("node01").status_name


def test_an_operation_is_read_by_its_uri(still_region: SimulatedRegion) -> None:
    with serving(still_region) as url, serving_stdio(url, still_region.api_key, LEGACY) as server:
        operation_id = deploy(server)

        operation = read(server, f"maas://operations/{operation_id}")

        assert (operation["state"], operation["operation_id"]) == ("working", operation_id)


def test_the_plugins_are_read_without_a_request_to_maas(server: Driver, region: SimulatedRegion) -> None:
    plugins = {each["name"]: each for each in read(server, "maas-mcp://plugins")["plugins"]}

    assert plugins["inventory"]["state"] == "loaded"
    assert plugins["inventory"]["resources"] == ["maas://machines/{system_id}"]
    assert not region.requests


@pytest.mark.parametrize(
    "uri",
    ["maas://machines/zzzzzz", "maas://machines/node01.maas", "maas://operations/forged", "maas://racks/1", "nonsense"],
)
def test_an_unknown_resource_has_the_error_code_of_the_protocol(server: Driver, uri: str) -> None:
    error = error_of(server, "resources/read", {"uri": uri})

    assert error["code"] == (-32602 if server.revision == MODERN else -32002)
    assert error["data"] == {"uri": uri}
    assert uri in error["message"]


def test_a_read_that_maas_refuses_says_why(url: str, revision: str) -> None:
    with serving_stdio(url, "wrong:api:key", revision) as server:
        error = error_of(server, "resources/read", {"uri": NODE01})

    assert error["code"] == -32603
    assert error["data"]["code"] == "unauthorized"
    assert "API key" in error["message"]


@pytest.mark.parametrize("revision", [LEGACY, MODERN], indirect=True)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_followed_machine_and_its_operation_are_announced_as_updated(
    still_region: SimulatedRegion, transport: str, revision: str
) -> None:
    with serving(still_region) as url, TRANSPORTS[transport](url, still_region.api_key, revision) as server:
        with listening(server):
            follow(server, NODE01)
            operation_id = deploy(server)
            operation = f"maas://operations/{operation_id}"
            follow(server, operation)
            waiting = server.start_call("maas_wait_operation", operation_id=operation_id)
            advance_to(still_region, "node01", "Performing PXE boot")

            eventually(lambda: {NODE01, operation} <= set(updates(server)), "both updates")

        assert set(updates(server)) == {NODE01, operation}
        assert server.response(waiting) is None


@contextmanager
def listening(server: Driver) -> Iterator[None]:
    """Open the stream on which a session over HTTP before 2026-07-28 receives notifications."""
    if isinstance(server, HttpDriver) and server.revision != MODERN:
        with server.standing_stream():
            yield
    else:
        yield


@pytest.mark.parametrize("revision", [LEGACY])
def test_after_unsubscribing_there_are_no_updates(still_region: SimulatedRegion, revision: str) -> None:
    with serving(still_region) as url, serving_stdio(url, still_region.api_key, revision) as server:
        follow(server, NODE01, "maas://machines/fyc3ff")
        server.request("resources/unsubscribe", {"uri": NODE01})
        for system_id, host in (("7xneda", "node01"), ("fyc3ff", "node02")):
            operation_id = deploy(server, system_id)
            server.start_call("maas_wait_operation", operation_id=operation_id)
            advance_to(still_region, host, "Performing PXE boot")

        eventually(lambda: updates(server), "an update of the other machine")

        assert set(updates(server)) == {"maas://machines/fyc3ff"}


def test_subscribing_to_an_unknown_resource_is_refused(url: str, region: SimulatedRegion) -> None:
    with serving_stdio(url, region.api_key, LEGACY) as server:
        assert error_of(server, "resources/subscribe", {"uri": "maas://racks/1"})["code"] == -32002


def complete(server: Driver, argument: str, value: str, uri: str = "maas://machines/{system_id}") -> Message:
    params = {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": argument, "value": value}}
    completion: Message = server.request("completion/complete", params)["completion"]
    return completion


def test_a_system_id_is_completed_by_its_hostname_and_machines_are_listed_once(
    server: Driver, region: SimulatedRegion
) -> None:
    complete(server, "system_id", "n")
    lists = machine_lists(region)
    for typed in ("no", "NODE0", "node01", "7xn"):
        found = complete(server, "system_id", typed)

    assert found == {"values": ["7xneda"], "total": 1, "hasMore": False}
    assert complete(server, "system_id", "node0")["total"] == 9
    assert complete(server, "system_id", "unknown")["values"] == []
    assert lists
    assert machine_lists(region) == lists


def machine_lists(region: SimulatedRegion) -> list[object]:
    """The requests of the first list, which is read by status. Later ones only keep it up to date."""
    return [
        each.query
        for each in region.requests
        if each.template == "machines/" and {"status", "not_status"} & each.query.keys()
    ]


def test_completing_an_unknown_template_or_variable_is_refused(server: Driver) -> None:
    for uri, name in (("maas://racks/{rack}", "rack"), ("maas://machines/{system_id}", "rack")):
        params = {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": name, "value": ""}}
        assert error_of(server, "completion/complete", params)["code"] == -32602


@pytest.mark.parametrize(
    ("argument", "typed", "value"),
    [("distro_series", "nob", "ubuntu/noble"), ("zone", "def", "default"), ("pool", "def", "default")],
)
def test_arguments_of_prompts_are_completed_with_names_of_maas(
    url: str, region: SimulatedRegion, argument: str, typed: str, value: str
) -> None:
    with serving_stdio(url, region.api_key) as server:
        params = {"ref": {"type": "ref/prompt", "name": "any"}, "argument": {"name": argument, "value": typed}}
        assert value in server.request("completion/complete", params)["completion"]["values"]


def test_completing_without_maas_offers_nothing(url: str) -> None:
    with serving_stdio(url, "wrong:api:key") as server:
        assert complete(server, "system_id", "node")["values"] == []


def test_a_principal_sees_no_operation_and_no_update_of_another_one(
    still_region: SimulatedRegion, tmp_path: Path
) -> None:
    with serving(still_region) as url:
        team = Team(still_region, url, tmp_path)
        team.keys.write_text("".join(f'{name} = "{still_region.api_key}"\n' for name in ("alice", "bob")))
        alice, bob = (team.token("new", name, "--scopes", "maas:destroy") for name in ("alice", "bob"))
        with team.serving(alice) as server:
            other = team.client(server, bob)
            operation_id = deploy(server)
            operation = f"maas://operations/{operation_id}"
            for client in (server, other):
                follow(client, operation, NODE01)
            server.start_call("maas_wait_operation", operation_id=operation_id)
            advance_to(still_region, "node01", "Performing PXE boot")
            eventually(lambda: {NODE01, operation} <= set(updates(server)), "both updates for alice")

            assert error_of(other, "resources/read", {"uri": operation})["code"] == -32602
            assert updates(other) == []
