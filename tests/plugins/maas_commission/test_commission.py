"""What the commission plugin asks of MAAS."""

from collections.abc import AsyncIterator

import pytest

from maas_commission.plugin import Commission
from maas_mcp.errors import OperationRefusedError
from maas_mcp.plugins.registry import load_registry
from tests.house import House, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened(Commission) as house:
        yield house


def test_the_plugin_is_found_with_its_tools() -> None:
    (record,) = [record for record in load_registry().records if record.name == "commission"]

    assert record.tools == ("maas_commission_machine",)


async def test_a_new_machine_becomes_ready_and_tells_what_it_is(house: House) -> None:
    result = await house.run("node10")

    assert result.status_name == "Ready"
    assert result.commissioning_status_name == "Passed"
    assert result.cpu_count > 0
    assert house.told[-1].value == 1.0


async def test_what_is_not_asked_for_is_not_sent(house: House) -> None:
    await house.run("node01", skip_bmc_config=True, enable_ssh=False, testing_scripts=["none"])

    (post,) = [each for each in house.region.requests if each.method == "POST"]
    assert post.form == {"skip_bmc_config": ["true"], "testing_scripts": ["none"]}, "to MAAS any value is true"


async def test_a_deployed_machine_is_not_commissioned(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="is Deployed"):
        await house.run("node07")

    assert house.posts == 0
