"""SIGHUP reloads the lists of plugins while the server runs, and announces it to clients of every revision."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, TIMEOUT, Driver, Message, advance_to, eventually, serving_stdio
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.test_plugins import install_plugin

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGHUP")

LEGACY = "2025-11-25"
CHANGED = "notifications/tools/list_changed"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('plugins_allow = ["inventory", "deploy"]\n')
    return path


@pytest.fixture(
    params=[("stdio", LEGACY), ("stdio", MODERN), ("http", LEGACY), ("http", MODERN)],
    ids="-".join,
)
def client(request: pytest.FixtureRequest, url: str, region: SimulatedRegion, config: Path) -> Iterator[Driver]:
    """A client that receives changes of the tool list, as its revision and transport provide."""
    transport, revision = request.param
    serving = serving_http if transport == "http" else serving_stdio
    with serving(url, region.api_key, revision, **read_from(config)) as driver:
        listen(driver)
        yield driver


def read_from(config: Path) -> Message:
    """The variables of a server that reads its policy from a file."""
    return {"MAAS_MCP_CONFIG": str(config), "MAAS_MCP_POLICY": ""}


def listen(driver: Driver) -> None:
    if driver.revision == MODERN:
        driver.start_request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        acknowledged = "notifications/subscriptions/acknowledged"
        eventually(lambda: any(each.get("method") == acknowledged for each in list(driver.received)), "the stream")
        return
    names(driver)
    if isinstance(driver, HttpDriver):
        threading.Thread(target=read_standalone_stream, args=(driver,), daemon=True).start()


def read_standalone_stream(driver: HttpDriver) -> None:
    """Read the stream of a session, which has the messages that belong to no request."""
    connection = HTTPConnection("127.0.0.1", driver.port, timeout=TIMEOUT)
    headers = {
        "Accept": "text/event-stream",
        "Mcp-Session-Id": driver.session or "",
        "Mcp-Protocol-Version": driver.revision,
    }
    with closing(connection), suppress(OSError, HTTPException):  # the stream ends when the test kills the server
        connection.request("GET", "/mcp", headers=headers)
        with connection.getresponse() as response:
            driver._note({"opened": response.status})
            for line in response:
                if line.startswith(b"data: {"):
                    driver._note(json.loads(line.removeprefix(b"data: ")))


def names(driver: Driver) -> list[str]:
    return [tool["name"] for tool in driver.request("tools/list")["tools"]]


def announced(driver: Driver) -> list[Message]:
    return [each for each in list(driver.received) if each.get("method") == CHANGED]


def hang_up(driver: Driver) -> None:
    if isinstance(driver, HttpDriver) and driver.revision != MODERN:
        eventually(lambda: {"opened": 200} in driver.received, "the stream of the session")
    driver.process.send_signal(signal.SIGHUP)


def test_a_changed_configuration_is_served_and_announced(client: Driver, config: Path) -> None:
    assert "maas_deploy_machine" in names(client)
    config.write_text('plugins_allow = ["inventory"]\n')
    hang_up(client)

    eventually(lambda: announced(client), "the announcement")
    assert "maas_deploy_machine" not in names(client)
    assert "maas_list_machines" in names(client)
    gone = client.wait(client.start_call("maas_deploy_machine", system_id="4y3h7n"))
    assert gone["error"]["message"] == "Unknown tool: maas_deploy_machine"

    config.write_text("")
    hang_up(client)
    eventually(lambda: len(announced(client)) == 2, "the second announcement")
    assert {"maas_deploy_machine", "maas_commission_machine"} <= set(names(client))


def instructions(driver: Driver) -> str:
    """The server's instructions for a client that connects now."""
    if driver.revision == MODERN:
        return str(driver.request("server/discover")["instructions"])
    info = {"protocolVersion": driver.revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    if isinstance(driver, HttpDriver):
        driver = HttpDriver(driver.process, driver.revision, driver.errors, port=driver.port)
    return str(driver.request("initialize", info)["instructions"])


def test_the_instructions_name_only_tools_that_are_still_there(client: Driver, config: Path) -> None:
    assert "maas_list_machines" in instructions(client)
    config.write_text('plugins_allow = ["deploy"]\n')
    hang_up(client)
    eventually(lambda: announced(client), "the announcement")

    if isinstance(client, HttpDriver) or client.revision == MODERN:  # else the only client has its instructions
        assert "maas_list_machines" not in instructions(client)


HANGING_UP = """
import os, pathlib, signal
pathlib.Path(os.environ["MAAS_MCP_CONFIG"]).write_text('plugins_allow = ["inventory"]')
os.kill(os.getpid(), signal.SIGHUP)
"""


@pytest.mark.parametrize("serving", [serving_stdio, serving_http], ids=["stdio", "http"])
def test_a_signal_during_the_start_is_held_back_and_then_reloads(
    serving: Callable[..., AbstractContextManager[Driver]],
    url: str,
    region: SimulatedRegion,
    config: Path,
    tmp_path: Path,
) -> None:
    config.write_text("")
    path = install_plugin(tmp_path, HANGING_UP)
    with serving(url, region.api_key, MODERN, MAAS_MCP_CONFIG=str(config), PYTHONPATH=path) as driver:
        eventually(lambda: "was reloaded" in driver.log(), "the reload")

        assert "maas_deploy_machine" not in names(driver)


def test_an_invalid_configuration_changes_nothing(client: Driver, config: Path) -> None:
    before = names(client)
    config.write_text('plugins_allows = ["inventory"]\n')
    hang_up(client)

    eventually(lambda: "Nothing was reloaded" in client.log(), "the message in the log")
    assert "plugins_allows" in client.log()
    assert "Traceback" not in client.log()
    assert names(client) == before
    assert announced(client) == []


def test_a_new_policy_is_followed_and_its_lists_are_announced(
    client: Driver, config: Path, region: SimulatedRegion
) -> None:
    node = region.machine("node01").system_id
    config.write_text(config.read_text() + '[policy.protect]\nhostnames = ["node01"]\n')
    hang_up(client)
    eventually(lambda: "was reloaded" in client.log(), "the reload")
    refused = client.call("maas_deploy_machine", system_id=node)
    assert "its hostname matches node01" in refused["content"][0]["text"]
    assert announced(client) == []

    config.write_text('mode = "read-only"\n' + config.read_text())
    hang_up(client)
    eventually(lambda: announced(client), "the announcement")
    assert "maas_deploy_machine" not in names(client)
    assert "maas_list_machines" in names(client)
    refused = client.call("maas_deploy_machine", system_id=node)
    assert refused["_meta"]["io.github.maas-mcp/error"]["code"] == "refused_by_policy"
    assert "read-only mode allows no changes" in refused["content"][0]["text"]


@pytest.mark.parametrize("line", ['mode = "readonly"', 'toolsets = ["powr"]', '[policy.protect]\ntagz = ["x"]'])
def test_an_invalid_policy_keeps_the_old_one(url: str, region: SimulatedRegion, config: Path, line: str) -> None:
    config.write_text('mode = "read-only"\n')
    with serving_stdio(url, region.api_key, MODERN, **read_from(config)) as client:
        before = names(client)
        config.write_text(f"{line}\n")
        client.process.send_signal(signal.SIGHUP)
        eventually(lambda: "Nothing was reloaded" in client.log(), "the message in the log")

        assert "Traceback" not in client.log()
        assert names(client) == before
        assert client.call("maas_deploy_machine", system_id=region.machine("node01").system_id)["isError"]


def test_a_running_call_goes_on(client: Driver, region: SimulatedRegion, config: Path) -> None:
    region.set_speed(0)
    machine = region.machine("node01")
    call = client.start_call("maas_deploy_machine", "token", system_id=machine.system_id)
    advance_to(region, "node01", "Installing OS")
    config.write_text('plugins_allow = ["inventory"]\n')
    hang_up(client)
    eventually(lambda: announced(client), "the announcement")
    region.set_speed(600)

    result = client.wait(call)["result"]
    assert result["structuredContent"]["state"] == "succeeded"


def test_the_change_of_lists_is_advertised_before_it_happens(url: str, region: SimulatedRegion) -> None:
    with serving_stdio(url, region.api_key, LEGACY, handshake=False) as driver:
        info = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        capabilities = driver.request("initialize", info)["capabilities"]

    assert capabilities["tools"] == {"listChanged": True}
