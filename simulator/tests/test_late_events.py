"""Events of cloud-init, which MAAS queues and adds once a minute."""

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from maas_simulator import SimulatedRegion

LOCAL = "'cloudinit' searching for local datasources"


def kinds(region: SimulatedRegion) -> list[str]:
    """The types of the events of cloud-init."""
    return [event.type for event in region.log.events if event.description == LOCAL]


def test_a_late_event_has_a_late_id_and_an_early_date(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.debug_delay = 300.0
    admin.op("node02", "deploy")
    clock.pass_(900)
    url = f"events/?op=query&id={region.machine('node02').system_id}&level=DEBUG"
    events = admin.get(url).json()["events"][::-1]

    position = next(number for number, event in enumerate(events) if event["description"] == LOCAL)
    before, late = events[position - 1 : position + 1]

    assert before["id"] < late["id"]
    dates = [parsedate_to_datetime(event["created"].replace(".", "")) for event in (before, late)]
    assert dates[0] > dates[1]


@pytest.mark.parametrize(
    ("delay", "written_as"),
    [(0.0, ["Node installation", "Node status event"]), (3600.0, ["Node status event", "Node status event"])],
)
def test_the_type_of_a_late_event_depends_on_the_status_when_it_is_added(
    admin: Any, region: SimulatedRegion, clock: Any, delay: float, written_as: list[str]
) -> None:
    region.debug_delay = delay
    admin.op("node02", "deploy")
    clock.pass_(7200)
    region.play()

    assert kinds(region) == written_as


def test_an_event_of_one_run_may_be_added_during_the_next(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.debug_delay = 3600.0
    admin.op("node02", "deploy")
    clock.pass_(900)
    admin.op("node02", "release")
    clock.pass_(2650)
    admin.op("node02", "deploy")
    clock.pass_(60)
    region.play()

    assert kinds(region) == ["Node installation", "Node installation"]
    assert region.machine("node02").status_name == "Deploying"
