"""Real JavaScript clients deploy a machine on the simulator: the TypeScript SDK 1.x and 2.x, and ext-tasks."""

import json
from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from tests.clients.npm import FOLDER, NpmPackages
from tests.clients.programs import run_client
from tests.integration.driver import command, environment, eventually

SDKS = (("v1", "legacy"), ("v2", "legacy"), ("v2", "modern"))


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest) -> str:
    """The command of a server, or the URL of one that runs."""
    if request.param == "stdio":
        return command()[0]
    url: str = request.getfixturevalue("http_server")
    return url


def run_script(npm: NpmPackages, name: str, arguments: list[str], url: str, region: SimulatedRegion) -> Any:
    """Run a script of ours, and return what it prints."""
    words = [npm.node, str(FOLDER / name), str(npm.modules), *arguments]
    return json.loads(run_client(words, environment(url, region.api_key)))


@pytest.mark.parametrize("client", SDKS, ids="-".join)
def test_the_typescript_sdk_deploys_with_progress_and_cancels(
    npm: NpmPackages,
    server: str,
    url: str,
    region: SimulatedRegion,
    client: tuple[str, str],
) -> None:
    machines = [region.machine(name) for name in ("node01", "node02")]
    ids = [each.system_id for each in machines]
    seen = run_script(npm, "deploy.mjs", [*client, server, *ids], url, region)

    assert "maas_deploy_machine" in seen["tools"]
    assert seen["deployed"]["structuredContent"]["state"] == "succeeded"
    sent, reported = (seen["progress"][key] for key in ("sent", "reported"))
    assert sent == sorted(set(sent))
    assert sent[-1] == 1.0
    # The SDK handles a response before a notification of the same chunk, and then drops the notification.
    assert reported in (sent, sent[:-1])
    assert "the user pressed stop" in seen["cancelled"]
    assert not seen["after"].get("isError"), "the connection serves on"
    if server.startswith("http") and client == ("v2", "modern"):  # closing the stream looks like a lost connection
        eventually(lambda: region.machine("node02").status_name == "Deployed", "the end of the deployment")
    else:
        eventually(lambda: region.machine("node02").status_name == "Allocated", "the abort")


def test_ext_tasks_deploys_as_a_task_and_cancels_one(
    npm: NpmPackages, http_server: str, url: str, region: SimulatedRegion
) -> None:
    ids = [region.machine(name).system_id for name in ("node01", "node02")]
    seen = run_script(npm, "tasks.mjs", [http_server, *ids], url, region)

    deployed, cancelled = seen["deployed"], seen["cancelled"]
    assert deployed["kind"] == cancelled["kind"] == "task"
    states = [each["status"] for each in deployed["views"]]
    assert states == ["working"] * (len(states) - 1) + ["completed"]
    assert len({each["statusMessage"] for each in deployed["views"]}) > 2, "the client sees the milestones"
    assert deployed["outcome"]["status"] == "completed"
    assert deployed["outcome"]["result"]["structuredContent"]["state"] == "succeeded"
    assert region.machine("node01").status_name == "Deployed"
    assert cancelled["outcome"]["status"] == "cancelled"
    eventually(lambda: region.machine("node02").status_name == "Allocated", "the abort")
