"""Events that MAAS writes late, and with the date of when they happened, neither lower progress nor end anything."""

import pytest

from maas_simulator import Variant
from tests.house import House
from tests.unit.core.operations.declared import Commission, Release

pytestmark = pytest.mark.anyio


def milestones(house: House) -> list[str]:
    return [each for each in dict.fromkeys(house.messages) if "so far" not in each]


@pytest.mark.parametrize("local_boot_events", [True, False])
@pytest.mark.parametrize("delay", [60.0, 200.0, 600.0])
async def test_a_deploy_goes_on_as_ever_whenever_cloud_init_is_heard(
    house: House, delay: float, local_boot_events: bool
) -> None:
    house.region.debug_delay = delay
    house.region.variant = Variant(local_boot_events=local_boot_events)

    result = await house.run("node02")

    assert result.status_name == "Deployed"
    expected = [
        "Starting on node02",
        "Deploying",
        "Performing PXE boot",
        "Loading ephemeral",
        "Configuring storage",
        "Installing OS",
        "Configuring OS",
        "Rebooting",
        *(["Booting the installed system"] if local_boot_events else []),
        "Image Deployed",
        "Deployed",
    ]
    # The image comes right before the end: by the watcher's jitter, one poll may see both.
    assert milestones(house) in (expected, [each for each in expected if each != "Image Deployed"])
    values = [each.value for each in house.reported if each.value is not None]
    assert values == sorted(values)


async def test_the_words_of_a_deploy_that_come_during_the_next_operations_are_not_theirs(house: House) -> None:
    house.region.debug_delay = 800.0
    await house.run("node02")
    newest = house.region.log.next_id

    released = await house.run("node02", Release)
    commissioned = await house.run("node02", Commission)

    late = {event.type for event in house.region.log.events if event.id >= newest and "cloudinit" in event.description}
    assert late == {"Node commissioning"}, "what was said in the deploy is written while the machine is commissioned"
    assert (released.status_name, commissioned.status_name) == ("Ready", "Ready")
    assert house.reported[-1].value == 1.0
