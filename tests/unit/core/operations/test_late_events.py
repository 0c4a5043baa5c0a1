"""Events that MAAS writes late, with their original date, neither lower progress nor end an operation."""

import pytest

from maas_simulator import Variant
from tests.house import House
from tests.unit.core.operations.declared import Commission, Release

pytestmark = pytest.mark.anyio


def milestones(house: House) -> list[str]:
    return [each for each in dict.fromkeys(house.messages) if "so far" not in each]


@pytest.mark.parametrize("local_boot_events", [True, False])
@pytest.mark.parametrize("delay", [60.0, 200.0, 600.0])
async def test_late_cloud_init_events_do_not_affect_a_deployment(
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
    # The image is deployed right before the end. Depending on the watcher's jitter, one poll may see both.
    assert milestones(house) in (expected, [each for each in expected if each != "Image Deployed"])
    values = [each.value for each in house.reported if each.value is not None]
    assert values == sorted(values)


async def test_late_events_of_a_deployment_are_not_attributed_to_the_next_operations(house: House) -> None:
    house.region.debug_delay = 800.0
    await house.run("node02")
    newest = house.region.log.next_id

    released = await house.run("node02", Release)
    commissioned = await house.run("node02", Commission)

    late = {event.type for event in house.region.log.events if event.id >= newest and "cloudinit" in event.description}
    assert late == {"Node commissioning"}, "events of the deployment are written during the commissioning"
    assert (released.status_name, commissioned.status_name) == ("Ready", "Ready")
    assert house.reported[-1].value == 1.0
