"""MAAS's time limits for machines that do not report, because they hang or are off."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion

MINUTE = 60.0
HOUR = 60 * MINUTE
SCRIPT = "40-maas-01-machine-config-hints"
BMC = "Failed to complete power action: IPMI: connection timeout"
DEPLOYS_TOO_LONG = "time-out during deployment"
TOO_LONG = "Node operation '{}' timed out after {} minutes."
# MAAS's own words:
NO_REPORT = "Node has not been heard from for the last 30 minutes"  # codespell:ignore heard


@pytest.mark.parametrize(
    ("hangs", "given_up"),
    [
        (("node02", "deploy", "Deploying"), (60, "Failed deployment", DEPLOYS_TOO_LONG)),
        (("node02", "deploy", "Installing OS"), (60, "Failed deployment", DEPLOYS_TOO_LONG)),
        (
            ("node02", "commission", "Performing PXE boot"),
            (30, "Failed commissioning", TOO_LONG.format("Commissioning", 30)),
        ),
        (("node02", "commission", SCRIPT), (33, "Failed commissioning", NO_REPORT)),
        (("node02", "test", "smartctl-validate"), (32, "Failed testing", NO_REPORT)),
        (
            ("node02", "rescue_mode", "Loading ephemeral"),
            (30, "Failed to enter rescue mode", TOO_LONG.format("Entering rescue mode", 30)),
        ),
        (("node07", "release", "Releasing"), (5, "Releasing failed", TOO_LONG.format("Releasing", 5))),
    ],
)
def test_maas_times_out_a_machine_that_hangs(
    admin: Any, region: SimulatedRegion, clock: Any, hangs: tuple[str, str, str], given_up: tuple[float, str, str]
) -> None:
    (name, op, stage), (minutes, status, reason) = hangs, given_up
    region.plan(name, hang=stage)
    began = admin.op(name, op).json()["status_name"]
    clock.pass_((minutes - 2) * MINUTE)
    assert region.machine(name).status_name == began
    clock.pass_(2 * MINUTE + 1)
    machine = admin.read(name)
    assert (machine["status_name"], machine["error_description"]) == (status, reason)
    assert machine["status_message"] == f"Marking node failed - {reason}"


def test_a_hanging_erase_hangs_until_it_is_aborted(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node07", hang="Erasing")
    admin.op("node07", "release", erase="true")
    clock.pass_(48 * HOUR)
    assert region.machine("node07").status_name == "Disk erasing"
    assert admin.op("node07", "abort").status_code == 200
    assert region.machine("node07").status_name == "Failed disk erasing"


def test_an_aborted_operation_does_not_time_out_later(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node02", hang="Installing OS")
    admin.op("node02", "deploy")
    clock.pass_(HOUR / 2)
    admin.op("node02", "abort")
    cursor = admin.cursor()
    admin.op("node02", "deploy")
    clock.pass_(HOUR)
    assert region.machine("node02").status_name == "Deployed"
    assert not [event for event in admin.said("node02", cursor) if event[0] == "ERROR"]


def test_a_failed_abort_removes_the_time_limit_of_a_deployment(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node02", hang="Installing OS")
    admin.op("node02", "deploy")
    region.bmc_down("node02")
    assert admin.op("node02", "abort").status_code == 500
    clock.pass_(48 * HOUR)
    assert region.machine("node02").status_name == "Deploying"
    region.bmc_down("node02", down=False)
    assert admin.op("node02", "abort").status_code == 200


@pytest.mark.parametrize(
    ("url", "statuses"),
    [
        ("machines/fyc3ff/?op=deploy", ("Deploying", "Failed deployment")),
        ("machines/fyc3ff/?op=commission", ("Commissioning", "Failed commissioning")),
        ("machines/fyc3ff/?op=rescue_mode", ("Entering rescue mode", "Failed to enter rescue mode")),
        ("machines/fyc3ff/?op=release", ("Disk erasing", "Disk erasing")),
    ],
)
def test_an_operation_stops_when_its_machine_is_switched_off(
    admin: Any, region: SimulatedRegion, clock: Any, url: str, statuses: tuple[str, str]
) -> None:
    if "release" in url:
        admin.post("machines/?op=allocate", name="node02")
    admin.post(url, erase="true")
    clock.pass_(100)
    cursor = admin.cursor()
    assert admin.op("node02", "power_off").status_code == 200
    clock.pass_(20 * MINUTE)
    machine = admin.read("node02")
    assert (machine["status_name"], machine["power_state"]) == (statuses[0], "off")
    own = [event for event in admin.said("node02", cursor) if "cloudinit" not in event[2]]
    assert own == [("DEBUG", "User powering down node", "(admin)")]
    assert admin.op("node02", "power_on").status_code == 501
    clock.pass_(2 * HOUR)
    assert region.machine("node02").status_name == statuses[1]


def test_a_deployed_machine_switched_on_and_off_does_not_boot(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node07", "power_off")
    admin.op("node07", "power_on")
    cursor = admin.cursor()
    admin.op("node07", "power_off")
    clock.pass_(HOUR)
    machine = region.machine("node07")
    assert (machine.status_name, machine.power_state) == ("Deployed", "off")
    assert admin.said("node07", cursor) == [("DEBUG", "User powering down node", "(admin)")]


def test_a_release_waiting_for_power_off_ends_when_the_machine_is_switched_off(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.plan("node07", hang="Releasing")
    admin.op("node07", "release")
    clock.pass_(4 * MINUTE)
    assert region.machine("node07").status_name == "Releasing"
    admin.op("node07", "power_off")
    assert region.machine("node07").status_name == "Ready"


def test_an_erased_machine_whose_bmc_is_down_is_not_released(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node07", "release", erase="true")
    clock.pass_(MINUTE)
    region.bmc_down("node07")
    clock.pass_(10 * MINUTE)
    assert region.machine("node07").status_name == "Releasing failed"


def test_a_machine_that_hangs_does_not_leave_rescue_mode(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node02", "rescue_mode")
    clock.pass_(10 * MINUTE)
    region.plan("node02", hang="Exiting rescue mode")
    assert admin.op("node02", "exit_rescue_mode").status_code == 200
    clock.pass_(4 * MINUTE)
    assert region.machine("node02").status_name == "Exiting rescue mode"
    clock.pass_(MINUTE)
    machine = admin.read("node02")
    assert machine["status_name"] == "Failed to exit rescue mode"
    assert machine["status_message"] == "Failed exiting rescue mode"
    admin.op("node02", "exit_rescue_mode")
    clock.pass_(MINUTE)
    assert region.machine("node02").status_name == "Ready"


def test_a_machine_in_use_is_marked_broken_even_if_it_cannot_be_switched_off(
    admin: Any, region: SimulatedRegion
) -> None:
    region.bmc_down("node07")
    answer = admin.op("node07", "mark_broken", comment="burnt")
    assert (answer.status_code, answer.text) == (500, BMC)
    machine = admin.read("node07")
    assert (machine["status_name"], machine["error_description"], machine["power_state"]) == ("Broken", "burnt", "on")


def test_a_machine_that_maas_cannot_switch_off_is_released_at_once(admin: Any, region: SimulatedRegion) -> None:
    """Recorded from MAAS 3.7.3."""
    machine = region.machine("node07")
    machine.power_type = "manual"
    assert admin.op("node07", "power_on").status_code == 501
    assert admin.op("node07", "release").json()["status_name"] == "Ready"
