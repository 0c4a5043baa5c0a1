"""The Python SDK's own client deploys a machine on the simulator over both transports."""

import asyncio
from collections.abc import Iterator
from typing import Literal

import pytest
from mcp import Client, StdioServerParameters

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import MODERN, command, environment, eventually
from tests.integration.http_driver import serving_http

ERAS: tuple[Literal["auto", "legacy"], ...] = ("auto", "legacy")


@pytest.fixture
def region() -> SimulatedRegion:
    """Twelve machines. A deployment takes ten seconds, so that a client can cancel it."""
    return demo_region(speed=60.0)


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest, region: SimulatedRegion) -> Iterator[StdioServerParameters | str]:
    """How to start a server, or the URL of one that runs."""
    with serving(region) as url:
        if request.param == "stdio":
            variables = environment(url, region.api_key)
            yield StdioServerParameters(command=command()[0], args=["serve"], env=variables)
            return
        with serving_http(url, region.api_key, MODERN) as running:
            yield f"http://127.0.0.1:{running.port}/mcp"


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

    assert len(reported) > 2
    if isinstance(server, str) and era == "auto":  # closing the stream looks like a lost connection
        eventually(lambda: region.machine("node02").status_name == "Deployed", "the end of the deployment")
    else:
        eventually(lambda: region.machine("node02").status_name == "Allocated", "the abort")
