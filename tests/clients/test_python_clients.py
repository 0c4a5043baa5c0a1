"""Real Python clients deploy a machine on the simulator over both transports: those of the SDK and of FastMCP."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Literal

import pytest
from mcp import Client, StdioServerParameters

from maas_simulator import SimulatedRegion
from tests.clients.programs import run_client
from tests.integration.driver import command, environment, eventually

ERAS: tuple[Literal["auto", "legacy"], ...] = ("auto", "legacy")


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest, url: str, region: SimulatedRegion) -> StdioServerParameters | str:
    """How to start a server, or the URL of one that runs."""
    if request.param == "stdio":
        return StdioServerParameters(command=command()[0], args=["serve"], env=environment(url, region.api_key))
    running: str = request.getfixturevalue("http_server")
    return running


@pytest.mark.parametrize("era", ERAS)
def test_the_python_sdk_deploys_with_progress_and_cancels(
    server: StdioServerParameters | str, region: SimulatedRegion, era: Literal["auto", "legacy"]
) -> None:
    reported: list[float] = []
    first, second = (region.machine(name).system_id for name in ("node01", "node02"))
    polled = asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress / (total or 1.0))
        if message != "Starting on node02":
            polled.set()

    async def drive() -> None:
        async with Client(server, mode=era) as client:
            done = await client.call_tool("maas_deploy_machine", {"system_id": first}, progress_callback=note)
            assert done.structured_content is not None
            assert done.structured_content["state"] == "succeeded"
            polled.clear()
            given = {"system_id": second, "on_cancel": "abort"}
            call = asyncio.ensure_future(client.call_tool("maas_deploy_machine", given, progress_callback=note))
            await polled.wait()
            call.cancel()
            listed = await client.call_tool("maas_list_machines", {})
            assert not listed.is_error

    asyncio.run(drive())

    check_progress(reported)
    if isinstance(server, str) and era == "auto":  # closing the stream looks like a lost connection
        eventually(lambda: region.machine("node02").status_name == "Deployed", "the end of the deployment")
    else:
        eventually(lambda: region.machine("node02").status_name == "Allocated", "the abort")


@pytest.mark.parametrize("era", ERAS)
def test_fastmcps_client_deploys_with_progress(
    server: StdioServerParameters | str, url: str, region: SimulatedRegion, era: Literal["auto", "legacy"]
) -> None:
    region.set_speed(400.0)  # nothing is cancelled
    machine = region.machine("node01")
    target = server if isinstance(server, str) else server.command
    words = [sys.executable, str(Path(__file__).with_name("fastmcp_client.py")), era, target, machine.system_id]

    seen = json.loads(run_client(words, environment(url, region.api_key)))

    assert "maas_deploy_machine" in seen["tools"]
    assert seen["result"]["state"] == "succeeded"
    check_progress(seen["progress"])
    assert machine.status_name == "Deployed"


def check_progress(reported: list[float]) -> None:
    """Check the progress of a deployment. A callback may run after the response, in tasks of its own."""
    assert len(reported) > 2
    assert all(0.0 <= each <= 1.0 for each in reported)
