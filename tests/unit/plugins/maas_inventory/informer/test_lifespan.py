"""The informer as the state of the plugin's tools: one for each caller, and none after the server has stopped."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.informer import Informer
from maas_inventory.lifespan import InventorySettings
from maas_inventory.machines.listing import ListMachines
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import installed_plugins

pytestmark = pytest.mark.anyio


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        yield region


async def test_tools_have_the_informer_as_their_state(region: MaasRegion) -> None:
    async with region.host() as host:
        host.host.plugins.use(installed_plugins().plugins)
        plugin = await host.tenant.plugins.open(ListMachines())
        informer = plugin.require_state()

        assert isinstance(informer, Informer)
        assert len((await informer.query(Filter())).rows) == 12
        assert (await host.tenant.plugins.open(ListMachines())).require_state() is informer


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, "much"])
def test_the_share_is_more_than_nothing_and_at_most_one_worker(share: object) -> None:
    with pytest.raises(ValidationError):
        InventorySettings.model_validate({"resync_share": share})
