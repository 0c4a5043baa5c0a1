"""Who may call over HTTP, and with whose rights: tokens, scopes, and a MAAS API key for each principal."""

import json
from http.client import HTTPConnection
from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, TIMEOUT, Message, advance_to, command, environment
from tests.integration.http_driver import HttpDriver
from tests.integration.principals import STATE
from tests.integration.server_process import run_to_end
from tests.integration.team import Team
from tests.integration.test_plugins import install_plugin


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


@pytest.fixture
def team(region: SimulatedRegion, url: str, tmp_path: Path) -> Team:
    return Team(region, url, tmp_path)


def status_of(client: HttpDriver, message: Message) -> tuple[int, str, str]:
    """The status of a request, its challenge, and its text."""
    connection, response = client.post(message)
    found = response.status, response.getheader("WWW-Authenticate", ""), response.read().decode()
    connection.close()
    return found


def call(tool: str, **arguments: str) -> Message:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"id": 77, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": meta}}


def test_a_call_has_the_rights_of_the_callers_own_maas_user(team: Team) -> None:
    token = team.token("new", "bob", "--scopes", "maas:destroy")
    machine = team.region.machine("node01")
    with team.serving(token) as bob:
        result = bob.call("maas_deploy_machine", system_id=machine.system_id)

    assert not result.get("isError"), result
    assert machine.owner == "bob"


def test_without_a_token_that_is_accepted_there_is_a_challenge_and_nothing_else(team: Team) -> None:
    token = team.token("new", "bob")
    with team.serving(token) as bob:
        message = call("maas_list_machines")
        status, challenge, _ = status_of(team.client(bob, None), message)
        assert (status, challenge) == (401, "Bearer")

        status, challenge, text = status_of(team.client(bob, "maas-mcp_made-up"), message)
        assert (status, challenge) == (401, 'Bearer error="invalid_token"')
        assert "made-up" not in text

        assert bob.get("/healthz")[0] == 200
        team.token("revoke", "bob")
        assert status_of(bob, message)[0] == 401


@pytest.mark.parametrize("path", ["/mcp%0A", "/mcp/", "//mcp", "/MCP", "/mcp;x", "/%6dcp", "/"])
def test_no_other_form_of_the_path_avoids_the_check(team: Team, path: str) -> None:
    team.token("new", "bob")
    with team.serving(team.token("new", "admin")) as admin:
        nobody = team.client(admin, None)
        connection, response = nobody.post(call("maas_list_machines"), path)

        assert response.status in {401, 404}
        assert b"result" not in response.read()
        connection.close()


def test_a_scope_that_is_missing_is_named_before_anything_is_sent(team: Team) -> None:
    reader, operator = team.token("new", "bob"), team.token("new", "admin", "--scopes", "maas:operate")
    machine = team.region.machine("node01")
    team.region.deploy("node01", "admin")
    advance_to(team.region, "node01", "Deployed")
    with team.serving(reader) as bob:
        status, challenge, _ = status_of(bob, call("maas_power_on", system_id=machine.system_id))
        assert (status, challenge) == (403, 'Bearer error="insufficient_scope", scope="maas:operate"')
        admin = team.client(bob, operator)
        refused = admin.call("maas_release_machine", system_id=machine.system_id)
        assert refused["_meta"]["io.github.maas-mcp/error"]["code"] == "insufficient_scope"
        assert "requires the scope maas:destroy" in refused["content"][0]["text"]
        assert not bob.call("maas_list_machines").get("isError")
    assert posts(team.region) == []


@pytest.mark.parametrize("how", ["utf-16", "utf-32", "deep", "half an emoji", "NaN", "twice"])
def test_a_body_that_parsers_read_differently_does_not_avoid_the_scope(team: Team, how: str) -> None:
    reader = team.token("new", "bob")
    message = {"jsonrpc": "2.0", **call("maas_power_on", system_id=team.region.machine("node01").system_id)}
    odd = {"deep": "[" * 300 + "]" * 300, "half an emoji": '"\\ud83d"', "NaN": "NaN"}
    text = json.dumps({**message, "odd": None}).replace('"odd": null', f'"odd": {odd.get(how, "1")}')
    if how == "twice":
        text = text.replace('"method": "tools/call"', '"method": "tools/list", "method": "tools/call"')
    with team.serving(reader) as bob:
        connection = HTTPConnection("127.0.0.1", bob.port, timeout=TIMEOUT)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Mcp-Protocol-Version": MODERN,
            "Mcp-Method": "tools/call",
            "Mcp-Name": "maas_power_on",
        }
        body = text.encode(how if how.startswith("utf") else "utf-8")
        connection.request("POST", "/mcp", body, {**bob.headers, **headers})
        response = connection.getresponse()
        found = response.status, response.getheader("WWW-Authenticate")
        connection.close()

    assert found == (403, 'Bearer error="insufficient_scope", scope="maas:operate"')
    assert posts(team.region) == []


def test_another_principals_operation_is_unknown(team: Team) -> None:
    team.region.set_speed(0)
    tokens = {name: team.token("new", name, "--scopes", "maas:destroy") for name in ("admin", "bob")}
    machine = team.region.machine("node01")
    with team.serving(tokens["admin"]) as admin:
        started = admin.call("maas_deploy_machine", system_id=machine.system_id, wait_seconds=0)
        operation_id = started["structuredContent"]["operation_id"]
        bob = team.client(admin, tokens["bob"])

        for tool in ("maas_get_operation", "maas_wait_operation", "maas_cancel_operation"):
            result = bob.call(tool, operation_id=operation_id)
            assert result["isError"] is True
            assert result["_meta"]["io.github.maas-mcp/error"]["code"] == "unknown_operation", result
        assert bob.call("maas_list_operations")["structuredContent"]["operations"] == []
        assert admin.call("maas_get_operation", operation_id=operation_id)["structuredContent"]["state"] == "working"


@pytest.mark.parametrize("revision", ["2025-11-25"])
def test_another_principals_session_does_not_exist(team: Team, revision: str) -> None:
    tokens = {name: team.token("new", name, "--scopes", "maas:destroy") for name in ("admin", "bob")}
    with team.serving(tokens["admin"], revision) as admin:
        bob = team.client(admin, tokens["bob"])
        bob.session = admin.session

        assert status_of(bob, {"id": 5, "method": "tools/list"})[0] == 404
        assert status_of(admin, {"id": 5, "method": "tools/list"})[0] == 200


def test_a_principal_without_a_maas_key_is_refused_by_name(team: Team) -> None:
    token = team.token("new", "carol")
    admin = team.token("new", "admin")
    with team.serving(admin) as server:
        status, _, text = status_of(team.client(server, token), call("maas_list_machines"))

    assert status == 403
    assert "carol has no MAAS API key" in text


def test_a_token_file_that_others_can_read_stops_the_service_and_the_log_says_why(team: Team) -> None:
    token = team.token("new", "admin")
    with team.serving(token) as server:
        team.tokens.chmod(0o644)

        status, _, text = status_of(server, call("maas_list_machines"))

        assert status == 503
        assert str(team.tokens) not in text
        assert "others can read or change it" in server.log()


def refused(region: SimulatedRegion, url: str, address: str, **variables: str) -> str:
    """What a server says that does not start."""
    done = run_to_end(command("serve", "--http", address), environment(url, region.api_key, **variables))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_file_of_keys_that_others_can_read_prevents_the_start(team: Team, region: SimulatedRegion, url: str) -> None:
    team.token("new", "admin")
    team.keys.chmod(0o644)

    text = refused(region, url, "127.0.0.1:0", MAAS_MCP_HTTP_TOKENS=str(team.tokens), MAAS_MCP_HTTP_KEYS=str(team.keys))

    assert f"Run `chmod 600 {team.keys}`" in text


def test_other_hosts_are_served_only_with_authentication_and_tls(team: Team, region: SimulatedRegion, url: str) -> None:
    assert "Without tokens" in refused(region, url, "0.0.0.0:0")
    assert "Without TLS" in refused(region, url, "0.0.0.0:0", **team.variables)
    tokens, keys = team.variables["MAAS_MCP_HTTP_TOKENS"], team.variables["MAAS_MCP_HTTP_KEYS"]
    assert "need the MAAS API key of each" in refused(region, url, "127.0.0.1:0", MAAS_MCP_HTTP_TOKENS=tokens)
    assert "how they authenticate" in refused(region, url, "127.0.0.1:0", MAAS_MCP_HTTP_KEYS=keys)


def test_a_prompt_reads_maas_with_the_key_of_its_caller(team: Team, tmp_path: Path) -> None:
    team.variables["PYTHONPATH"] = install_plugin(tmp_path, STATE)
    tokens = {name: team.token("new", name, "--scopes", "maas:read") for name in ("admin", "bob")}

    with team.serving(tokens["admin"]) as server:
        for name, token in tokens.items():
            got = team.client(server, token).request("prompts/get", {"name": "acme-who"})
            assert [message["content"]["text"] for message in got["messages"]] == [name]
