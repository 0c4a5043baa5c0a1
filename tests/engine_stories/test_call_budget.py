"""The cost of whole calls for MAAS: starts, following and results of many operations, on a virtual clock."""

import anyio
import pytest

from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.settings import Settings
from maas_simulator import SimulatedRegion, generated_region
from tests.house import client_of, engine_of
from tests.unit.core.operations.declared import Arguments, Deploy, MachineResult

pytestmark = pytest.mark.anyio

MACHINES = 100
DEPLOYMENT = 630.0
"""Seconds of a deployment at the simulator's own speed."""
INTERVAL = Settings.model_fields["poll_interval"].default
"""Seconds between polls in production."""


async def deploy_all(region: SimulatedRegion) -> float:
    """Deploy all machines, started together, and return the machine-minutes."""
    maas, began, minutes = client_of(region), anyio.current_time(), list[float]()

    async def deploy(system_id: str) -> None:
        operation: Operation[Arguments, MachineResult] = Deploy()
        status = await engine.run(
            operation, Arguments(system_id=system_id), ProgressReporter(discard_progress), CancellationToken()
        )
        assert status.result is not None
        assert status.result.status_name == "Deployed"
        minutes.append((anyio.current_time() - began) / 60)

    async with anyio.create_task_group() as server:
        engine, _ = engine_of(maas, server, interval=INTERVAL)
        async with anyio.create_task_group() as calls:
            for system_id in region.machines:
                calls.start_soon(deploy, system_id)
        server.cancel_scope.cancel()
    await maas.aclose()
    return sum(minutes)


@pytest.mark.parametrize(("lasting", "most"), [(30.0, 1.0), (DEPLOYMENT, 0.45)], ids=["short", "long"])
async def test_a_hundred_simultaneous_deployments_cost_few_reads(lasting: float, most: float) -> None:
    region = generated_region(MACHINES, speed=DEPLOYMENT / lasting, clock=anyio.current_time)

    minutes = await deploy_all(region)

    assert minutes == pytest.approx(MACHINES * lasting / 60, rel=0.1)
    assert sum(each.method == "GET" for each in region.requests) / minutes <= most
