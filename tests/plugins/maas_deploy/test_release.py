"""Releasing a machine, with and without erasing it."""

import json
from typing import Any

import pytest

from maas_deploy.release import Release
from maas_mcp.api import InvalidArgumentsError, MaasBadRequestError, OperationFailedError, OperationRefusedError
from maas_mcp.simulator import Fault
from tests.house import House

pytestmark = pytest.mark.anyio


async def test_a_release_never_mentions_erasing(house: House) -> None:
    result = await house.run("node07", Release, comment="done", erase=False, force=False)

    assert house.posted == [("release", {"comment": ["done"]})], "to MAAS every value of erase is true"
    assert result.status_name == "Ready"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"erase": True}, {"erase": ["true"]}),
        ({"quick_erase": True}, {"quick_erase": ["true"], "erase": ["true"]}),
        ({"secure_erase": True}, {"secure_erase": ["true"], "erase": ["true"]}),
        (
            {"erase": True, "quick_erase": True, "secure_erase": True, "force": True},
            {"erase": ["true"], "quick_erase": ["true"], "secure_erase": ["true"], "force": ["true"]},
        ),
    ],
)
async def test_erase_is_sent_with_every_kind_of_it(house: House, asked: dict[str, bool], sent: Any) -> None:
    result = await house.run("node07", Release, **asked)

    assert house.posted == [("release", sent)], "MAAS up to 3.4 does not erase without it"
    assert result.status_name == "Ready"


async def test_an_erase_is_followed_through_all_its_statuses(house: House) -> None:
    await house.run("node07", Release, erase=True)

    milestones = [each for each in dict.fromkeys(house.messages) if "so far" not in each]
    assert milestones == [
        "Starting on node07",
        "Disk erasing",
        "Performing PXE boot",
        "Erasing disks or running release scripts",
        "Disks erased",
        "Ready",
    ]
    assert house.told[-1].value == 1.0


async def test_a_failed_erase_is_told(house: House) -> None:
    house.region.plan("node07", fail="Erasing")

    with pytest.raises(OperationFailedError, match="Failed disk erasing: Failed to erase disks"):
        await house.run("node07", Release, quick_erase=True)


@pytest.mark.parametrize("name", ["node01", "node10"])
async def test_what_is_nobodys_cannot_be_released(house: House, name: str) -> None:
    with pytest.raises(OperationRefusedError, match="maas_release_machine starts from"):
        await house.run(name, Release)

    assert house.posts == 0, "MAAS would answer 200 for a Ready machine and do nothing"


async def test_release_scripts_are_named_with_commas(house: House) -> None:
    house.region.faults.append(Fault(op="release", status=400, body='{"scripts": ["no such script"]}'))

    with pytest.raises(MaasBadRequestError, match="no such script"):
        await house.run("node07", Release, scripts=["wipe-bmc", "notify"])

    assert house.posted == [("release", {"scripts": ["wipe-bmc,notify"]})]


async def test_release_scripts_are_refused_for_a_region_that_has_none(house: House) -> None:
    body = json.dumps({"capabilities": [], "version": "3.4.10", "subversion": ""})
    house.region.faults.append(Fault(path="version/", status=200, body=body))

    with pytest.raises(InvalidArgumentsError, match=r"`scripts` \(MAAS since 3\.5 only\)"):
        await house.run("node07", Release, scripts=["wipe-bmc"])

    assert house.posts == 0


def test_the_description_says_what_is_destroyed() -> None:
    assert "With erase the data on its disks is destroyed" in Release.description()
    assert Release.destructive
