"""The tools that a server serves: by its mode, its toolsets and lists, the headers of a request, and the MAAS user."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, Driver, Message, advance_to, command, environment, serving_stdio
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.server_process import run_to_end

ERROR_META = "io.github.maas-mcp/error"
LEGACY = "2025-11-25"
TASKS: Message = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
OWN = "commission,configure,deploy,inventory"


@pytest.fixture(
    params=[(serving_stdio, "2024-11-05"), (serving_stdio, MODERN), (serving_http, LEGACY)],
    ids=["stdio-2024-11-05", "stdio-modern", "http-legacy"],
)
def serve(request: pytest.FixtureRequest, url: str, region: SimulatedRegion) -> Any:
    """Start a server over each transport, with a client of each revision."""
    serving, revision = request.param

    def start(**variables: str) -> AbstractContextManager[Driver]:
        given = {"MAAS_MCP_PLUGINS_ALLOW": OWN, **variables}
        started: AbstractContextManager[Driver] = serving(url, region.api_key, revision, **given)
        return started

    return start


@pytest.fixture(params=[LEGACY, MODERN])
def client(request: pytest.FixtureRequest, url: str, region: SimulatedRegion) -> Iterator[HttpDriver]:
    """A server over HTTP that serves everything, with a client of both eras."""
    with serving_http(url, region.api_key, request.param, MAAS_MCP_PLUGINS_ALLOW=OWN) as driver:
        yield driver


def names(driver: Driver) -> set[str]:
    return {tool["name"] for tool in driver.request("tools/list")["tools"]}


def refusal(result: Message) -> str:
    """The text of a call that the policy refused."""
    assert result["isError"] is True
    assert result["_meta"][ERROR_META]["code"] == "refused_by_policy"
    return str(result["content"][0]["text"])


def sent(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method != "GET"]


def runbooks(driver: Driver) -> set[str]:
    return {each["name"] for each in driver.request("prompts/list")["prompts"]}


def test_in_the_mode_read_only_no_tool_that_changes_maas_is_served(serve: Any, region: SimulatedRegion) -> None:
    with serve(MAAS_MCP_MODE="read-only") as driver:
        listed = driver.request("tools/list")["tools"]
        called = driver.call("maas_deploy_machine", system_id=region.machine("node01").system_id)
        read = driver.call("maas_get_machine", system_id=region.machine("node01").system_id)
        skills = {each["frontmatter"]["name"] for each in driver.request("skills/list")["skills"]}
        prompts = runbooks(driver)

    assert {tool["name"] for tool in listed} >= {"maas_list_machines", "maas_wait_operation", "maas_list_operations"}
    assert all(tool["annotations"]["readOnlyHint"] for tool in listed)
    assert "read-only mode allows no changes" in refusal(called)
    assert "isError" not in read or not read["isError"]
    assert "bring-in-new-machines" not in skills | prompts
    assert sent(region) == []


def test_the_instructions_mention_only_what_is_served(serve: Any) -> None:
    with serve(MAAS_MCP_TOOLSETS="power") as driver:
        first = driver.received[0]["result"]["instructions"]

    assert "list, power on or off and reboot them" in first
    assert "maas_list_machines" not in first


def test_toolsets_and_lists_select_the_tools(serve: Any) -> None:
    with serve(MAAS_MCP_TOOLSETS="power,inventory", MAAS_MCP_TOOLS_BLOCK="@destructive,maas_get_*") as driver:
        inventory = {"maas_list_machines", "maas_find", "maas_list_objects", "maas_what_changed", "maas_whoami"}
        assert names(driver) == {*inventory, "maas_query_power_state", "maas_power_on"}
        assert "does not serve maas_power_off" in refusal(driver.call("maas_power_off", system_id="4y3h7n"))
        assert "toolset lifecycle" in refusal(driver.call("maas_lock_machine", system_id="4y3h7n"))
        assert "toolset lifecycle" in refusal(driver.call("maas_lock_machine", machine="node01"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MAAS_MCP_TOOLSETS": "powr"}, "names the toolset 'powr', which no loaded plugin has"),
        (
            {"MAAS_MCP_POLICY": '{"limits": {"deploys": {"per_call": 1}}}'},
            "MAAS_MCP_POLICY: limits names the limit 'deploys', which no loaded plugin has",
        ),
        (
            {"MAAS_MCP_POLICY": '{"second_person": ["erasing"]}'},
            "MAAS_MCP_POLICY: second_person names the kind 'erasing', which no loaded plugin has",
        ),
        ({"MAAS_MCP_TOOLS_ALLOW": "@readonly"}, "@readonly is not an annotation; expected one of: @read-only"),
        ({"MAAS_MCP_TOOLS_BLOCK": "maas power"}, "expected names, globs such as *_machine"),
    ],
)
def test_an_invalid_selection_is_explained_at_the_start(
    url: str, region: SimulatedRegion, variables: dict[str, str], expected: str
) -> None:
    given = environment(url, region.api_key, MAAS_MCP_PLUGINS_ALLOW=OWN, **variables)
    done = run_to_end(command("serve"), given)

    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    if "TOOLSETS" in str(variables):
        assert "images, inventory, lifecycle, machines, network, operations, power, storage" in done.stderr
        assert "Did you mean 'power'?" in done.stderr


def test_a_pattern_that_selects_no_tool_is_logged(url: str, region: SimulatedRegion) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_TOOLS_BLOCK="maas_power_of") as driver:
        assert "maas_power_off" in names(driver)
        assert "MAAS_MCP_TOOLS_BLOCK has maas_power_of, which selects no tool" in driver.log()


def test_a_misspelt_variable_is_logged(url: str, region: SimulatedRegion) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_READ_ONLY="true") as driver:
        names(driver)
        assert "MAAS_MCP_READ_ONLY is not a setting. Did you mean MAAS_MCP_MODE?" in driver.log()


def test_the_headers_of_each_request_narrow_it(client: HttpDriver, region: SimulatedRegion) -> None:
    every = names(client)
    node = region.machine("node01").system_id

    client.headers["X-MAAS-MCP-Read-Only"] = "true"
    assert names(client) == {name for name in every if name in names(client)} < every
    assert "maas_deploy_machine" not in names(client)
    assert "X-MAAS-MCP-Read-Only" in refusal(client.call("maas_deploy_machine", system_id=node))
    assert "bring-in-new-machines" not in runbooks(client)

    client.headers = {"X-MAAS-MCP-Toolsets": "inventory, power", "X-MAAS-MCP-Tools": "maas_power_*,maas_get_machine"}
    assert names(client) == {"maas_get_machine", "maas_power_on", "maas_power_off", "maas_power_cycle"}
    assert "X-MAAS-MCP-Tools" in refusal(client.call("maas_list_machines"))

    client.headers = {}
    assert names(client) == every
    assert sent(region) == []


def test_resources_that_show_the_same_as_a_hidden_tool_are_hidden(client: HttpDriver, region: SimulatedRegion) -> None:
    uri = f"maas://machines/{region.machine('node01').system_id}"
    assert client.request("resources/read", {"uri": uri})["contents"]

    client.headers["X-MAAS-MCP-Tools"] = "maas_list_machines"
    templates = client.request("resources/templates/list")["resourceTemplates"]
    assert templates == []
    assert "There is no resource" in client.error("resources/read", {"uri": uri})["message"]
    shown = json.loads(client.request("resources/read", {"uri": "maas-mcp://plugins"})["contents"][0]["text"])
    assert [each["tools"] for each in shown["plugins"] if each["name"] == "inventory"] == [["maas_list_machines"]]


def test_a_client_that_connects_with_headers_gets_instructions_that_fit(url: str, region: SimulatedRegion) -> None:
    for revision in (LEGACY, MODERN):
        headers = {"X-MAAS-MCP-Read-Only": "true"}
        with serving_http(url, region.api_key, revision, headers) as driver:
            assert "Changes nothing" in driver.received[0]["result"]["instructions"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("X-MAAS-MCP-Toolsets", "powr", "names the toolset 'powr', which does not exist. The toolsets are: images, "),
        ("X-MAAS-MCP-Toolsets", "", "names no toolsets"),
        ("X-MAAS-MCP-Tools", " , ", "names no tools"),
        ("X-MAAS-MCP-Tools", "@readonly", "@readonly is not an annotation; expected one of: @read-only"),
        ("X-MAAS-MCP-Read-Only", "yes", "is neither true nor false. Send true, or leave it out."),
        ("X-MAAS-MCP-Read-Only", "", "is neither true nor false"),
        ("x-maas-mcp-readonly", "true", "The header x-maas-mcp-readonly does not exist. The headers X-MAAS-MCP-… are:"),
    ],
)
def test_an_invalid_header_is_refused(client: HttpDriver, name: str, value: str, expected: str) -> None:
    connection, response = client.post({"id": 90, "method": "tools/list"}, **{name: value})
    body = json.loads(response.read())
    connection.close()

    assert response.status == 400
    assert name in body["error"]["message"]
    assert expected in body["error"]["message"]


def test_a_header_may_be_sent_only_once(client: HttpDriver) -> None:
    import http.client  # noqa: PLC0415 - only here

    connection = http.client.HTTPConnection("127.0.0.1", client.port)
    connection.putrequest("POST", "/mcp")
    for value in ("true", "false"):
        connection.putheader("X-MAAS-MCP-Read-Only", value)
    connection.putheader("Content-Length", "2")
    connection.endheaders(b"{}")
    response = connection.getresponse()
    assert (response.status, "sent more than once" in response.read().decode()) == (400, True)
    connection.close()


def test_a_task_is_hidden_with_its_tools_and_not_changed_by_a_request_that_only_reads(
    url: str, region: SimulatedRegion
) -> None:
    region.set_speed(0)
    with serving_http(url, region.api_key, MODERN, MAAS_MCP_PLUGINS_ALLOW=OWN, capabilities=TASKS) as driver:
        deploy = driver.call("maas_deploy_machine", system_id=region.machine("node01").system_id, on_cancel="abort")
        task = {"taskId": deploy["taskId"]}
        advance_to(region, "node01", "Installing OS")
        before = sent(region)

        driver.headers["X-MAAS-MCP-Read-Only"] = "true"
        assert driver.request("tasks/get", task)["status"] == "working"
        assert "X-MAAS-MCP-Read-Only" in driver.error("tasks/cancel", task)["message"]

        driver.headers = {"X-MAAS-MCP-Tools": "maas_list_machines"}
        assert "X-MAAS-MCP-Tools" in driver.error("tasks/get", task)["message"]
        assert "X-MAAS-MCP-Tools" in driver.error("tasks/cancel", task)["message"]
        assert sent(region) == before

        driver.headers = {"X-MAAS-MCP-Tools": "maas_deploy_machine"}
        assert driver.request("tasks/get", task)["status"] == "working"
        driver.request("tasks/cancel", task)
        assert "abort" in sent(region)


def test_tools_for_administrators_can_be_hidden_from_others(serve: Any, region: SimulatedRegion) -> None:
    bob = region.api_key_of("bob")
    with serve(MAAS_API_KEY=bob) as explaining:
        assert "maas_commission_machine" in names(explaining)
    with serve(MAAS_API_KEY=bob, MAAS_MCP_ADMIN_TOOLS="hide") as hiding:
        assert "maas_commission_machine" not in names(hiding)
        assert "maas_deploy_machine" in names(hiding)
        refused = refusal(hiding.call("maas_commission_machine", system_id=region.machine("node01").system_id))
        asked = [each.op for each in region.requests].count("whoami")
    assert "to administrators only, and bob is not one" in refused
    assert asked == 1
    with serve(MAAS_MCP_ADMIN_TOOLS="hide") as administrator:
        assert "maas_commission_machine" in names(administrator)


def test_without_an_answer_from_maas_the_tools_for_administrators_are_listed(region: SimulatedRegion) -> None:
    variables: Message = {"MAAS_MCP_ADMIN_TOOLS": "hide", "MAAS_MCP_PLUGINS_ALLOW": OWN}
    with serving_stdio("http://127.0.0.1:9/MAAS", region.api_key, **variables) as driver:
        assert "maas_commission_machine" in names(driver)
