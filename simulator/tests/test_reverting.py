"""Operations that MAAS reverts because the machine cannot be switched on or off, as recorded from MAAS 3.7.3."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from maas_simulator.model.statuses import FAILURE_OF, Status

DRIVER = "Failed to complete power action: IPMI: connection timeout"
AGENT = "ExitError: exit status 1"
RACK = "Unable to connect to any rack controller bwdhs4; no connections available."

HOUR = 3600.0

FAILURES: dict[str, tuple[dict[str, Any] | None, int, str]] = {
    "the words of the driver": ({}, 500, DRIVER),
    "the words of the agent": ({"errors": "agent"}, 500, AGENT),
    "words of its own": ({"reason": "no route to host"}, 500, "no route to host"),
    "no rack controller": (None, 503, RACK),
}
"""Power failures: the BMC's setting, and the status and body of the response."""


def fail(region: SimulatedRegion, name: str, failure: str) -> tuple[int, str]:
    """Make a machine's power fail; returns the status and body of MAAS's response."""
    bmc, status, body = FAILURES[failure]
    if bmc is None:
        region.rack_down()
    else:
        region.bmc_down(name, **bmc)
    return status, body


def in_rescue_mode(admin: Any, clock: Any, name: str) -> None:
    admin.op(name, "rescue_mode")
    clock.pass_(HOUR)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_release_is_reverted_and_only_its_response_gives_the_reason(
    admin: Any, region: SimulatedRegion, failure: str
) -> None:
    before = admin.read("node07")
    status, words = fail(region, "node07", failure)
    cursor = admin.cursor()

    answer = admin.op("node07", "release", comment="done")

    assert (answer.status_code, answer.text) == (status, words)
    assert answer.headers.get("Retry-After") == ("10" if status == 503 else None)
    assert admin.said("node07", cursor) == [
        ("DEBUG", "User releasing node", "(admin) - done"),
        ("DEBUG", "Node changed status", "From 'Deployed' to 'Releasing'"),
        ("INFO", "Releasing", ""),
        ("DEBUG", "Node changed status", "From 'Releasing' to 'Deployed'"),
    ]
    after = admin.read("node07")
    lost = {"status_message": "Releasing", "netboot": True, "osystem": "", "distro_series": "", "hwe_kernel": None}
    assert {name: after[name] for name in after if "disk" not in name and "blockdevice" not in name} == {
        name: value for name, value in (before | lost).items() if "disk" not in name and "blockdevice" not in name
    }
    assert after["boot_disk"]["partitions"][0]["filesystem"] is None, "its user's file systems are gone"


RESCUE = {
    "rescue_mode": [
        ("DEBUG", "User starting rescue mode", "(admin)"),
        ("DEBUG", "Node changed status", "From 'Ready' to 'Entering rescue mode'"),
        ("INFO", "Entering rescue mode", ""),
        ("DEBUG", "Node changed status", "From 'Entering rescue mode' to 'Ready'"),
    ],
    "exit_rescue_mode": [
        ("DEBUG", "User stopping rescue mode", "(admin)"),
        ("DEBUG", "Node changed status", "From 'Rescue mode' to 'Exiting rescue mode'"),
        ("DEBUG", "Node changed status", "From 'Exiting rescue mode' to 'Rescue mode'"),
    ],
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("op", RESCUE)
def test_entering_and_leaving_rescue_mode_are_reverted(
    admin: Any, region: SimulatedRegion, clock: Any, failure: str, op: str
) -> None:
    if op == "exit_rescue_mode":
        in_rescue_mode(admin, clock, "node02")
    before = admin.read("node02")
    status, words = fail(region, "node02", failure)
    cursor = admin.cursor()

    answer = admin.op("node02", op)

    assert (answer.status_code, answer.text) == (status, words)
    assert admin.said("node02", cursor) == RESCUE[op]
    clock.pass_(HOUR)
    after = admin.read("node02")
    assert (after["status_name"], after["power_state"]) == (before["status_name"], before["power_state"])
    assert after["owner"] == "admin"
    region.clear_plans()
    assert admin.op("node02", op).status_code == 200


def test_a_deployed_machine_switched_off_in_rescue_mode_needs_its_bmc_to_leave_it(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    in_rescue_mode(admin, clock, "node07")
    admin.op("node07", "power_off")
    region.bmc_down("node07")
    assert admin.op("node07", "exit_rescue_mode").status_code == 500
    assert admin.read("node07")["status_name"] == "Rescue mode"


@pytest.mark.parametrize("failure", FAILURES)
def test_an_erase_cannot_be_reverted_and_fails_a_moment_later(
    admin: Any, region: SimulatedRegion, clock: Any, failure: str
) -> None:
    fail(region, "node07", failure)
    cursor = admin.cursor()

    answer = admin.op("node07", "release", erase="true")

    assert (answer.status_code, answer.text) == (409, "Invalid transition: Disk erasing -> Deployed.")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "Retry-After" not in answer.headers
    assert admin.read("node07")["status_name"] == "Disk erasing"
    clock.pass_(2)
    assert admin.read("node07")["status_name"] == "Failed disk erasing"
    assert admin.said("node07", cursor) == [
        ("DEBUG", "User erasing disk", "(admin)"),
        ("DEBUG", "Node changed status", "From 'Deployed' to 'Disk erasing'"),
        ("DEBUG", "Node changed status", "From 'Disk erasing' to 'Failed disk erasing'"),
    ]
    region.clear_plans()
    admin.op("node07", "release", erase="true")
    clock.pass_(HOUR)
    assert admin.read("node07")["status_name"] == "Ready"


S = Status
TAKEN = {
    "release": {S.ALLOCATED, S.BROKEN, S.DEPLOYING, S.DEPLOYED, S.FAILED_DEPLOYMENT, S.FAILED_DISK_ERASING},
    "release&erase=true": {S.ALLOCATED, S.BROKEN, S.DEPLOYING, S.DEPLOYED, S.FAILED_DISK_ERASING},
    "rescue_mode": {S.NEW, S.READY, S.BROKEN, S.ALLOCATED, S.DEPLOYED, S.FAILED_DEPLOYMENT},
    "exit_rescue_mode": {S.RESCUE_MODE, S.ENTERING_RESCUE_MODE, S.FAILED_ENTERING_RESCUE_MODE},
    "commission": {S.NEW, S.READY, S.BROKEN, S.FAILED_COMMISSIONING},
    "test": {S.NEW, S.READY, S.BROKEN, S.DEPLOYED, S.RESCUE_MODE},
}


@pytest.mark.parametrize(("request_", "status"), [(op, status) for op, taken in TAKEN.items() for status in taken])
def test_no_operation_stays_in_progress_without_a_bmc(
    admin: Any, region: SimulatedRegion, clock: Any, request_: str, status: Status
) -> None:
    op, _, erase = request_.partition("&")
    machine = region.machine("node02")
    machine.status, machine.owner, machine.power_state = status, "admin", "on"
    region.bmc_down("node02")

    answer = admin.op("node02", op, **({"erase": "true"} if erase else {}))

    clock.pass_(2)
    after = region.machine("node02")
    assert after.status not in FAILURE_OF
    assert after.owner == "admin"
    if answer.status_code == 500:
        assert (answer.text, after.status) == (DRIVER, status)
    else:
        assert answer.status_code == 409
        assert answer.text.endswith(f" -> {status.display}.")
        assert after.status in FAILURE_OF.values()


def test_the_failure_of_an_erase_does_not_undo_a_later_operation(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.bmc_down("node07")
    admin.op("node07", "release", erase="true")
    region.clear_plans()
    assert admin.op("node07", "abort").status_code == 200
    region.release("node07", "admin")
    clock.pass_(HOUR)
    assert admin.read("node07")["status_name"] == "Ready"


@pytest.mark.parametrize("op", ["commission", "test"])
def test_reverted_commissioning_and_testing_warn_and_keep_owner_and_old_error(
    admin: Any, region: SimulatedRegion, op: str
) -> None:
    region.machine("node02").error_description = "an old reason"
    region.bmc_down("node02", errors="agent")
    cursor = admin.cursor()

    answer = admin.op("node02", op)

    assert (answer.status_code, answer.text) == (500, AGENT)
    doing = {"commission": "COMMISSIONING", "test": "TESTING"}[op]
    warning = (
        f"(admin) - Aborting {doing} and reverting to READY. Unable to power control the node. "
        "Please check power credentials."
    )
    assert ("WARNING", "Failed to query node's BMC", warning) in admin.said("node02", cursor)
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"]) == ("Ready", "admin")
    assert machine["error_description"] == "an old reason"


def test_a_machine_whose_tests_cannot_start_keeps_its_power_state(admin: Any, region: SimulatedRegion) -> None:
    region.bmc_down("node07")
    assert admin.op("node07", "test").status_code == 500
    machine = admin.read("node07")
    assert (machine["status_name"], machine["power_state"]) == ("Deployed", "on")


@pytest.mark.parametrize(("op", "stage"), [("commission", "Commissioning"), ("rescue_mode", "Entering rescue mode")])
def test_a_planned_bmc_failure_is_like_a_bmc_that_is_down(
    admin: Any, region: SimulatedRegion, op: str, stage: str
) -> None:
    region.plan("node02", fail=stage, reason=AGENT)
    answer = admin.op("node02", op)
    assert (answer.status_code, answer.text) == (500, AGENT)
    machine = admin.read("node02")
    assert (machine["status_name"], machine["power_state"], machine["owner"]) == ("Ready", "off", "admin")
    assert admin.op("node02", op).status_code == 200


@pytest.mark.parametrize("skipped", [False, True])
def test_a_reverted_commissioning_removes_the_network_unless_it_skips_it(
    admin: Any, region: SimulatedRegion, skipped: bool
) -> None:
    region.bmc_down("node02")
    admin.op("node02", "commission", **({"skip_networking": "true", "skip_storage": "true"} if skipped else {}))
    region.bmc_down("node02", down=False)

    answer = admin.op("node02", "deploy")

    if skipped:
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert answer.json() == {"network": ["Node has no address family in common with the server"]}
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"]) == ("Ready", "admin")


@pytest.mark.parametrize(("name", "op"), [("node02", "deploy"), ("node08", "deploy"), ("node08", "power_on")])
def test_no_deployment_starts_without_a_rack(admin: Any, region: SimulatedRegion, name: str, op: str) -> None:
    if name == "node08":
        region.change_owner(name, "admin")
    before = admin.read(name)
    region.rack_down()
    cursor = admin.cursor()

    answer = admin.op(name, op)

    assert (answer.status_code, answer.text) == (
        500,
        f"Error determining BMC task queue for machine {before['system_id']}",
    )
    assert "Retry-After" not in answer.headers
    assert admin.said(name, cursor) == []
    assert admin.read(name) == before


@pytest.mark.parametrize(("errors", "reason"), [("driver", DRIVER), ("agent", "Activity task failed")])
def test_a_deployment_without_a_bmc_is_accepted_and_then_fails(
    admin: Any, region: SimulatedRegion, clock: Any, errors: Any, reason: str
) -> None:
    region.bmc_down("node02", errors=errors)
    cursor = admin.cursor()

    assert admin.op("node02", "deploy").status_code == 200

    clock.pass_(60)
    assert admin.read("node02")["error_description"] == reason
    assert admin.said("node02", cursor)[-3:] == [
        ("INFO", "Deploying", ""),
        ("ERROR", "Marking node failed", reason),
        ("DEBUG", "Node changed status", "From 'Deploying' to 'Failed deployment'"),
    ]
