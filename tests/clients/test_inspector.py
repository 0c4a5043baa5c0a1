"""The Inspector's command line deploys a machine on the simulator in both eras, and checks what the server declares."""

import json
from collections.abc import Callable, Iterator

import pytest

from maas_simulator import SimulatedRegion
from tests.clients.npm import NpmPackages
from tests.clients.programs import run_client
from tests.integration.collector import Collector, collecting
from tests.integration.driver import MODERN, command, environment
from tests.integration.http_driver import serving_http

PATIENT = ("--connect-timeout", "120000")
"""Options for a busy machine."""


@pytest.fixture
def region(region: SimulatedRegion) -> SimulatedRegion:
    """A region that is fast, because nothing here is cancelled."""
    region.set_speed(400.0)
    return region


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def variables(url: str, region: SimulatedRegion, collector: Collector) -> dict[str, str]:
    """A server's environment."""
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    return environment(url, region.api_key, **traced)


@pytest.fixture
def stdio_target(variables: dict[str, str]) -> list[str]:
    """The options that start a server. It inherits nothing of the Inspector's environment."""
    given = {name: value for name, value in variables.items() if value and name.startswith(("MAAS_", "OTEL_"))}
    return [command()[0], "serve", *(word for each in given.items() for word in ("-e", "=".join(each)))]


@pytest.fixture(params=["stdio", "http"])
def target(
    request: pytest.FixtureRequest, url: str, region: SimulatedRegion, variables: dict[str, str]
) -> Iterator[list[str]]:
    """The options that name a server."""
    if request.param == "stdio":
        yield request.getfixturevalue("stdio_target")
        return
    traced = {name: value for name, value in variables.items() if name.startswith("OTEL_")}
    with serving_http(url, region.api_key, MODERN, **traced) as running:
        yield [f"http://127.0.0.1:{running.port}/mcp"]


@pytest.fixture
def inspect(npm: NpmPackages, variables: dict[str, str]) -> Callable[..., str]:
    """Runs the Inspector with options, and returns what it prints."""
    return lambda *options: run_client([npm.node, npm.inspector, "--cli", *options, *PATIENT], variables)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_it_deploys_and_in_the_modern_era_follows_a_task_to_its_end(
    inspect: Callable[..., str], target: list[str], collector: Collector, region: SimulatedRegion, era: str
) -> None:
    machine = region.machine("node01")
    options = [*target, "--protocol-era", era, "--method", "tools/call", "--tool-name", "maas_deploy_machine"]

    printed = json.loads(inspect(*options, "--tool-arg", f"system_id={machine.system_id}"))

    assert printed["structuredContent"]["state"] == "succeeded", printed
    assert machine.status_name == "Deployed"
    polled = [each for each in collector.spans if each.name.startswith("tasks/get")]
    assert bool(polled) == (era == "modern")


def test_it_finds_no_fault_in_the_schemas(inspect: Callable[..., str], stdio_target: list[str]) -> None:
    assert "maas_deploy_machine" in inspect(*stdio_target, "--method", "tools/list", "--strict")


def test_it_verifies_the_skills(inspect: Callable[..., str], stdio_target: list[str]) -> None:
    printed = inspect(*stdio_target, "--protocol-era", "modern", "--method", "skills/list", "--verify")

    assert "skill://" in printed
