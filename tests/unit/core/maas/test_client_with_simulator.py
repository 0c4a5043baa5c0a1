"""The client with a simulated region over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from maas_mcp.errors import MaasAuthError, MaasBadRequestError, MaasConflictError, MaasNotFoundError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.connection import connect
from maas_mcp.maas.models import ScriptSetName
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.settings import Settings
from maas_simulator import SimulatedRegion, demo_region, serving

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Use the real clock, because the region runs in a thread."""
    return str(request.param)


@asynccontextmanager
async def connected(region: SimulatedRegion, api_key: str | None = None) -> AsyncIterator[MaasClient]:
    with serving(region) as url:
        client = connect(Settings(maas_url=url, maas_api_key=api_key or region.api_key).require_region())
        try:
            yield client
        finally:
            await client.aclose()


async def test_the_region_knows_the_user_and_its_version() -> None:
    async with connected(demo_region()) as client:
        user = await client.whoami()
        assert user.is_superuser
        assert (await client.version()).startswith("3.")


async def test_machines_are_listed_filtered_and_read_one_by_one() -> None:
    async with connected(demo_region()) as client:
        machines = await client.machines()
        ready = await client.machines(status="ready")
        assert {machine.system_id for machine in ready} < {machine.system_id for machine in machines}
        assert await client.machine(ready[0].system_id) == ready[0]
        with pytest.raises(MaasNotFoundError, match="No Machine matches"):
            await client.machine("zzzzzz")
        with pytest.raises(MaasBadRequestError) as caught:
            await client.machines(colour="blue")
        assert caught.value.fields == {"colour": ["No such constraint."]}


async def test_a_deployment_starts_once_and_its_events_are_read_from_the_last_id() -> None:
    async with connected(demo_region()) as client:
        ready = (await client.machines(status="ready"))[0].system_id
        cursor = await client.newest_event_id()
        response = await client.post_op(f"machines/{ready}/", "deploy", distro_series="noble")
        assert response["status"] == MachineStatus.DEPLOYING
        with pytest.raises(MaasConflictError, match="Can't deploy a machine that is in the 'Deploying' state"):
            await client.post_op(f"machines/{ready}/", "deploy")
        events = await client.events(after=cursor, ids=[ready])
        assert [event.id for event in events] == sorted(event.id for event in events)
        assert all(event.id > cursor for event in events)
        assert "Deploying" in {event.type for event in events}
        assert await client.script_set(ready, ScriptSetName.INSTALLATION) is not None


async def test_a_key_with_a_wrong_secret_is_refused() -> None:
    region = demo_region()
    consumer, token, _ = region.api_key.split(":")
    async with connected(region, f"{consumer}:{token}:wrong") as client:
        with pytest.raises(MaasAuthError):
            await client.whoami()
