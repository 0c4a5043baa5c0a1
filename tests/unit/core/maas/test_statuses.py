"""The statuses with the numbers and names of MAAS 3.3 to 3.8."""

import pytest

from maas_mcp.maas.statuses import MachineStatus

MAAS = [
    (0, "New", "new"),
    (1, "Commissioning", "commissioning"),
    (2, "Failed commissioning", "failed_commissioning"),
    (3, "Missing", "missing"),
    (4, "Ready", "ready"),
    (5, "Reserved", "reserved"),
    (6, "Deployed", "deployed"),
    (7, "Retired", "retired"),
    (8, "Broken", "broken"),
    (9, "Deploying", "deploying"),
    (10, "Allocated", "allocated"),
    (11, "Failed deployment", "failed_deployment"),
    (12, "Releasing", "releasing"),
    (13, "Releasing failed", "failed_releasing"),
    (14, "Disk erasing", "disk_erasing"),
    (15, "Failed disk erasing", "failed_disk_erasing"),
    (16, "Rescue mode", "rescue_mode"),
    (17, "Entering rescue mode", "entering_rescue_mode"),
    (18, "Failed to enter rescue mode", "failed_entering_rescue_mode"),
    (19, "Exiting rescue mode", "exiting_rescue_mode"),
    (20, "Failed to exit rescue mode", "failed_exiting_rescue_mode"),
    (21, "Testing", "testing"),
    (22, "Failed testing", "failed_testing"),
]


@pytest.mark.parametrize(("number", "display", "filter_value"), MAAS)
def test_a_status_has_maas_number_and_both_its_names(number: int, display: str, filter_value: str) -> None:
    status = MachineStatus(number)

    assert status.display == display
    assert status.filter_value == filter_value
    assert MachineStatus.from_display(display) is status


def test_all_statuses_are_in_the_table() -> None:
    assert {status.value for status in MachineStatus} == {number for number, _, _ in MAAS}


@pytest.mark.parametrize("name", ["DEPLOYING", "deployed", "FAILED_DEPLOYMENT", "", "Something new"])
def test_a_name_that_maas_never_sends_is_not_a_status(name: str) -> None:
    assert MachineStatus.from_display(name) is None
