"""Real JavaScript clients deploy a machine on the simulator: the TypeScript SDKs, ext-tasks and the Inspector."""

import json
import subprocess
from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from tests.clients.npm import FOLDER, NpmPackages
from tests.integration.driver import command, environment, eventually

LIMIT = 240.0
"""Seconds for a client to do everything."""
TRANSPORTS = ("stdio", "http")
PATIENT = ("--connect-timeout", "120000")
"""Options of the Inspector for a busy machine."""
INSPECTOR_ERAS = ("legacy", "modern")
SDKS = (("v1", "legacy"), ("v2", "legacy"), ("v2", "modern"))


@pytest.fixture(params=TRANSPORTS)
def server(request: pytest.FixtureRequest) -> str:
    """The command of a server, or the URL of one that runs."""
    if request.param == "stdio":
        return command()[0]
    url: str = request.getfixturevalue("http_server")
    return url


def run(words: list[str], url: str, region: SimulatedRegion) -> str:
    """Run a client. Its servers over stdio inherit the environment."""
    done = subprocess.run(
        words, env=environment(url, region.api_key), capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def run_script(npm: NpmPackages, name: str, arguments: list[str], url: str, region: SimulatedRegion) -> Any:
    """Run a script of ours, and return what it prints."""
    return json.loads(run([npm.node, str(FOLDER / name), str(npm.modules), *arguments], url, region))


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


@pytest.mark.parametrize("era", INSPECTOR_ERAS)
def test_the_inspector_deploys(
    npm: NpmPackages,
    server: str,
    url: str,
    region: SimulatedRegion,
    era: str,
) -> None:
    target = [server] if server.startswith("http") else [server, "serve", *inspector_variables(url, region)]
    machine = region.machine("node01")
    words = [npm.node, npm.inspector, "--cli", *target, "--protocol-era", era, *PATIENT, "--method", "tools/call"]
    words += ["--tool-name", "maas_deploy_machine", "--tool-arg", f"system_id={machine.system_id}"]

    printed = json.loads(run(words, url, region))

    assert printed["structuredContent"]["state"] == "succeeded", printed
    assert machine.status_name == "Deployed"


def inspector_variables(url: str, region: SimulatedRegion) -> list[str]:
    """The options that pass the settings: the Inspector's servers inherit no environment."""
    given = environment(url, region.api_key)
    return [
        word
        for name, value in given.items()
        if value and name.startswith("MAAS_")
        for word in ("-e", f"{name}={value}")
    ]


def test_the_inspector_finds_no_fault_in_the_schemas(
    npm: NpmPackages,
    url: str,
    region: SimulatedRegion,
) -> None:
    target = [command()[0], "serve", *inspector_variables(url, region)]
    listed = run(
        [npm.node, npm.inspector, "--cli", *target, *PATIENT, "--method", "tools/list", "--strict"], url, region
    )
    assert "maas_deploy_machine" in listed
