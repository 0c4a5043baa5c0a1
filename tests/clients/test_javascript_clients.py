"""Real JavaScript clients deploy a machine on the simulator: the TypeScript SDK 1.x and 2.x, and the Inspector.

``CI`` requires npm; elsewhere the tests are skipped without it.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.clients.npm_packages import FOLDER, NpmMissingError, NpmPackages, install
from tests.integration.driver import MODERN, command, environment, eventually
from tests.integration.http_driver import serving_http

LIMIT = 240.0
"""Seconds for a client to do everything."""
TRANSPORTS = ("stdio", "http")
PATIENT = ("--connect-timeout", "120000")
"""Options of the Inspector for a busy machine."""
INSPECTOR_ERAS = ("legacy", "modern")
SDKS = (("v1", "legacy"), ("v2", "legacy"), ("v2", "modern"))


@pytest.fixture(scope="session")
def npm(request: pytest.FixtureRequest) -> NpmPackages:
    """The installed packages, in a folder that later runs find again."""
    try:
        return install(Path(os.environ.get("NPM_FOLDER", str(request.config.cache.mkdir("npm")))))
    except NpmMissingError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture
def region() -> SimulatedRegion:
    """Twelve machines. A deployment takes ten seconds, so that a client can cancel it."""
    return demo_region(speed=60.0)


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    with serving(region) as url:
        yield url


@pytest.fixture(params=TRANSPORTS)
def server(request: pytest.FixtureRequest, region: SimulatedRegion, url: str) -> Iterator[str]:
    """The command of a server, or the URL of one that runs."""
    if request.param == "stdio":
        yield command()[0]
        return
    with serving_http(url, region.api_key, MODERN) as running:
        yield f"http://127.0.0.1:{running.port}/mcp"


def run(words: list[str], url: str, region: SimulatedRegion) -> str:
    """Run a client. Its servers over stdio inherit the environment."""
    done = subprocess.run(
        words, env=environment(url, region.api_key), capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


@pytest.mark.parametrize("client", SDKS, ids="-".join)
def test_the_typescript_sdk_deploys_with_progress_and_cancels(
    npm: NpmPackages,
    server: str,
    url: str,
    region: SimulatedRegion,
    client: tuple[str, str],
) -> None:
    machines = [region.machine(name) for name in ("node01", "node02")]
    script = str(FOLDER / "deploy.mjs")
    ids = [each.system_id for each in machines]
    seen = json.loads(run([npm.node, script, str(npm.modules), *client, server, *ids], url, region))

    assert "maas_deploy_machine" in seen["tools"]
    assert seen["deployed"]["structuredContent"]["state"] == "succeeded"
    values = [each["progress"] for each in seen["progress"]]
    assert values == sorted(set(values))
    assert values[-1] > 0.9, "the SDK may drop the last message, which arrives with the response"
    assert "the user pressed stop" in seen["cancelled"]
    assert not seen["after"].get("isError"), "the connection serves on"
    if server.startswith("http") and client == ("v2", "modern"):  # closing the stream looks like a lost connection
        eventually(lambda: region.machine("node02").status_name == "Deployed", "the end of the deployment")
    else:
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
