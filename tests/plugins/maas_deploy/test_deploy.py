"""What the deploy plugin asks of MAAS."""

from collections.abc import AsyncIterator

import pytest

from maas_deploy.plugin import Deploy, DeployMachine, Release
from maas_mcp.plugins.registry import load_registry
from tests.house import House, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened(Deploy) as house:
        yield house


def test_the_plugin_is_found_with_its_tools() -> None:
    (record,) = [record for record in load_registry().records if record.name == "deploy"]

    assert record.tools == ("maas_deploy_machine", "maas_release_machine")
    assert record.distribution == "maas-mcp-deploy"


async def test_only_what_was_asked_for_is_sent(house: House) -> None:
    await house.run("node01", distro_series="jammy", ephemeral_deploy=False)

    (post,) = [each for each in house.region.requests if each.method == "POST"]
    assert post.form == {"distro_series": ["jammy"]}


async def test_everything_that_was_asked_for_is_sent(house: House) -> None:
    await house.run(
        "node01",
        distro_series="ubuntu/noble",
        hwe_kernel="ga-24.04",
        user_data="#cloud-config",
        ephemeral_deploy=True,
        comment="for a test",
    )

    (post,) = [each for each in house.region.requests if each.method == "POST"]
    assert post.form == {
        "distro_series": ["ubuntu/noble"],
        "hwe_kernel": ["ga-24.04"],
        "user_data": ["#cloud-config"],
        "ephemeral_deploy": ["true"],
        "comment": ["for a test"],
    }


def test_user_data_is_not_shown_by_the_arguments() -> None:
    arguments = DeployMachine.model_validate({"system_id": "4y3h7n", "user_data": "s3cret"})

    assert "s3cret" not in repr(arguments)
    assert "s3cret" not in arguments.model_dump_json()


async def test_a_release_never_mentions_erasing(house: House) -> None:
    await house.run("node07", Release, comment="done")

    (post,) = [each for each in house.region.requests if each.method == "POST"]
    assert post.form == {"comment": ["done"]}, "to MAAS every value of erase is true, so that none may be sent"


async def test_the_summary_says_where_the_machine_is(house: House) -> None:
    result = await house.run("node01", distro_series="noble")

    assert Deploy().summary(result).startswith("node01 is deployed with ubuntu/noble at 10.")
