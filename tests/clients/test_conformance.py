"""The official conformance suite passes against ``maas-mcp serve --http``, without expected failures."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maas_simulator import generated_region, serving
from tests.clients.conformance_suite import run
from tests.clients.npm import NpmPackages
from tests.integration.http_driver import serving_http

PACK = Path(__file__).parents[1] / "third_party/maas_mcp_conformance"
MACHINES = 97
"""Enough for each job of the suite to have a machine of its own."""
SPEED = 250.0
"""Simulated seconds per second: a commissioning takes about two seconds, which is the suite's slow job."""


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which pip has installed the fixtures of the suite, built as any plugin."""
    folder = tmp_path_factory.mktemp("pack")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", folder, PACK], check=True, timeout=120)
    return folder


@pytest.fixture
def url(pack: Path) -> Iterator[str]:
    """The URL of a server with the fixtures."""
    region = generated_region(MACHINES, speed=SPEED)
    port = free_port()
    variables = {
        "PYTHONPATH": str(pack),
        "MAAS_MCP_CONFORMANCE_MACHINES": " ".join(region.machines),
        # The suite is one caller that sends everything at once, also from a page of the server's own origin.
        "MAAS_MCP_HTTP_RATE": "10000",
        "MAAS_MCP_HTTP_ORIGINS": f"http://127.0.0.1:{port}",
    }
    with serving(region) as maas, serving_http(maas, region.api_key, address=f"127.0.0.1:{port}", **variables):
        yield f"http://127.0.0.1:{port}/mcp"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


RUNS = {
    "--requirements 2026-07-28": (50, 194),
    "--requirements 2025-11-25": (33, 81),
    "--suite all": (65, 271),
}
"""The arguments of each run, and how many scenarios and checks it has.

The last one has every scenario of all revisions and of the extensions tasks and skills. With ``--spec-version`` it has
nothing that the first two do not have.
"""


@pytest.mark.parametrize("arguments", RUNS)
def test_every_scenario_passes(npm: NpmPackages, url: str, tmp_path: Path, arguments: str) -> None:
    outcome = run(npm, url, tmp_path, arguments.split())

    assert not outcome.failing, outcome.output
    assert (len(outcome.scenarios), outcome.checks) == RUNS[arguments], outcome.output
    assert outcome.code == 0, outcome.output
