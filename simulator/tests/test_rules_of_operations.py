"""Rules of operations that the second recording shows: marking broken, tests, script sets and power requests."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from maas_simulator.model.power import BmcMode

HOUR = 3600.0
MARKED = ("DEBUG", "User marking node broken", "(admin) - smoke")
RELEASING = [("DEBUG", "Node changed status", "From 'Deployed' to 'Releasing'"), ("INFO", "Releasing", "")]


def sets(admin: Any, name: str, kind: str) -> list[Any]:
    """The machine's script sets, newest first."""
    listed: list[Any] = admin.get(f"nodes/{admin.read(name)['system_id']}/results/?type={kind}").json()
    return listed


def test_a_machine_marked_broken_while_it_is_on_keeps_its_owner(admin: Any, clock: Any) -> None:
    cursor = admin.cursor()
    answer = admin.op("node07", "mark_broken", comment="smoke").json()
    assert (answer["status_name"], answer["owner"], answer["power_state"]) == ("Broken", "admin", "on")
    assert admin.said("node07", cursor) == [
        MARKED,
        *RELEASING,
        ("DEBUG", "Node changed status", "From 'Releasing' to 'Broken'"),
    ]
    clock.pass_(60)
    broken = admin.read("node07")
    assert (broken["power_state"], broken["owner"], broken["osystem"]) == ("off", "admin", "")
    assert broken["ip_addresses"] != answer["ip_addresses"]
    fixed = admin.op("node07", "mark_fixed").json()
    assert (fixed["status_name"], fixed["owner"], fixed["current_installation_result_id"]) == (
        "Deployed",
        "admin",
        None,
    )


def test_a_machine_marked_broken_while_it_is_off_is_released_first(admin: Any) -> None:
    admin.op("node07", "power_off")
    cursor = admin.cursor()
    answer = admin.op("node07", "mark_broken", comment="smoke").json()
    assert (answer["status_name"], answer["owner"], answer["error_description"]) == ("Broken", None, "smoke")
    assert admin.said("node07", cursor) == [
        MARKED,
        *RELEASING,
        ("DEBUG", "Node changed status", "From 'Releasing' to 'Ready'"),
        ("INFO", "Released", ""),
        ("DEBUG", "Node changed status", "From 'Ready' to 'Broken'"),
    ]


@pytest.mark.parametrize("mode", ["down", "no off", "stays on", "unroutable"])
def test_a_failed_power_request_leaves_its_event_and_the_stored_state(
    admin: Any, region: SimulatedRegion, mode: BmcMode
) -> None:
    region.bmc_down("node07", mode=mode)
    cursor = admin.cursor()
    answer = admin.op("node07", "power_off", comment="night")
    assert (answer.status_code, answer.headers["transfer-encoding"]) == (500, "chunked")
    assert admin.said("node07", cursor) == [("DEBUG", "User powering down node", "(admin) - night")]
    assert admin.read("node07")["power_state"] == "on"


def test_a_machine_whose_power_is_unknown_is_released_once_it_is_known_to_be_off(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.set_power("node07", stored="unknown", real="off")
    assert admin.op("node07", "release").json()["status_name"] == "Releasing"
    clock.pass_(60)
    assert admin.read("node07")["status_name"] == "Ready"


def test_a_new_script_set_ends_older_ones_and_three_installations_are_kept(admin: Any) -> None:
    for _ in range(5):
        admin.op("node02", "deploy")
        admin.op("node02", "release")
    assert [each["status_name"] for each in sets(admin, "node02", "installation")] == ["Pending", "Aborted", "Aborted"]


@pytest.mark.parametrize(
    ("form", "tests"),
    [
        ({"testing_scripts": "none,memtester"}, ["memtester"]),
        ({"testing_scripts": "cpu"}, ["7z", "stress-ng-cpu-long", "stress-ng-cpu-short"]),
        ({"testing_scripts": "smartctl-validate", "smartctl-validate_storage": "sda"}, ["smartctl-validate"]),
        ({"testing_scripts": "smartctl-validate", "storage": "all"}, ["smartctl-validate"] * 2),
    ],
)
def test_tests_are_chosen_by_name_tag_and_disk(admin: Any, form: dict[str, str], tests: list[str]) -> None:
    assert admin.op("node05", "test", **form).status_code == 200
    assert sorted(each["name"] for each in sets(admin, "node05", "testing")[0]["results"]) == tests


@pytest.mark.parametrize(
    ("op", "form", "field", "value"),
    [
        ("test", {"testing_scripts": ""}, "testing_scripts", ""),
        ("test", {"testing_scripts": "memtester,nosuch"}, "testing_scripts", "nosuch"),
        ("commission", {"commissioning_scripts": "none"}, "commissioning_scripts", "none"),
        ("commission", {"smartctl-validate_storage": "nodisk"}, "smartctl-validate_storage", "nodisk"),
        ("commission", {"storage": "sda,nodisk"}, "storage", "nodisk"),
    ],
)
def test_unknown_scripts_and_disks_are_rejected_before_anything_happens(
    admin: Any, op: str, form: dict[str, str], field: str, value: str
) -> None:
    cursor = admin.cursor()
    answer = admin.op("node02", op, **form)
    message = f"Select a valid choice. {value} is not one of the available choices."
    assert (answer.status_code, answer.json()) == (400, {field: [message]})
    assert admin.said("node02", cursor) == []


def test_a_machine_shows_the_latest_status_of_each_kind_of_test(admin: Any, clock: Any) -> None:
    def shown() -> dict[str, str]:
        machine = admin.read("node02")
        return {
            kind: machine[f"{kind}_test_status_name"] for kind in ("cpu", "memory", "storage", "network", "interface")
        }

    before = shown()
    admin.op("node02", "test", testing_scripts="gateway-connectivity")
    assert shown() == before | {"network": "Pending", "interface": "Pending"}
    clock.pass_(HOUR)
    admin.op("node02", "test", testing_scripts="7z")
    assert shown() == before | {"network": "Passed", "interface": "Passed", "cpu": "Pending"}
    admin.op("node02", "abort")
    assert shown() == before | {"network": "Passed", "interface": "Passed"}


def test_a_test_of_the_network_has_an_address_until_the_machine_is_off(admin: Any, clock: Any) -> None:
    before = admin.read("node02")["ip_addresses"]
    admin.op("node02", "test", testing_scripts="gateway-connectivity", enable_ssh="true")
    clock.pass_(HOUR)
    tested = admin.read("node02")
    assert (tested["status_name"], tested["power_state"]) == ("Ready", "on")
    assert tested["ip_addresses"] != before
    admin.op("node02", "test", testing_scripts="7z")
    clock.pass_(HOUR)
    assert admin.read("node02")["ip_addresses"] == before


def test_a_skipped_script_has_its_event(admin: Any) -> None:
    cursor = admin.cursor()
    admin.op("node02", "commission", skip_bmc_config="true")
    skipped = "30-maas-01-bmc-config changed status from 'Pending' to 'Skipped'"
    assert ("DEBUG", "Script result", skipped) in admin.said("node02", cursor)


def test_a_test_that_runs_when_it_is_aborted_still_ends(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node02", "test", testing_scripts="7z,ntp")
    while not str(region.machine("node02").status_message).startswith("Running test"):
        clock.pass_(1)
    cursor = admin.cursor()
    admin.op("node02", "abort")
    said = [kind if kind != "Script result" else text for _, kind, text in admin.said("node02", cursor)]
    assert said[:3] == [
        "User aborting node testing",
        "Aborted testing",
        "7z changed status from 'Running' to 'Passed'",
    ]
    assert [each["status_name"] for each in sets(admin, "node02", "testing")[0]["results"]] == ["Passed", "Aborted"]


def test_an_abort_shows_its_own_message_although_the_machine_still_boots(admin: Any, clock: Any) -> None:
    admin.op("node02", "test")
    clock.pass_(15)
    assert admin.op("node02", "abort").json()["status_message"] == "Aborted testing"
    assert admin.read("node02")["status_message"] == "Performing PXE boot"


@pytest.mark.parametrize(
    ("form", "on"),
    [({}, ["eno1"]), ({"interface": "all"}, ["eno1"]), ({"internet-connectivity_interface": "eno1"}, ["eno1"])],
)
def test_a_script_with_an_interface_runs_on_each_that_has_a_subnet(
    admin: Any, form: dict[str, str], on: list[str]
) -> None:
    admin.op("node02", "test", testing_scripts="internet-connectivity", **form)
    results = sets(admin, "node02", "testing")[0]["results"]
    assert [each["parameters"]["interface"]["value"]["name"] for each in results] == on


def test_a_script_does_not_run_on_an_unknown_interface(admin: Any) -> None:
    refused = admin.op("node02", "test", testing_scripts="internet-connectivity", interface="eno9")
    message = "Select a valid choice. eno9 is not one of the available choices."
    assert (refused.status_code, refused.json()) == (400, {"interface": [message]})


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("type=test", 200, {"Testing"}),
        ("type=2", 200, {"Testing"}),
        ("type=commission&type=testing", 200, {"Commissioning", "Testing"}),
        ("type=", 400, "Invalid result type name"),
        ("type=commissioning,testing", 400, "Invalid result type name"),
        ("type=9", 400, "Invalid result type numeric value."),
    ],
)
def test_results_have_types_by_name_or_number(admin: Any, query: str, status: int, expected: Any) -> None:
    system_id = admin.read("node02")["system_id"]
    admin.op("node02", "commission")
    answer = admin.get(f"nodes/{system_id}/results/?{query}")
    found = {each["type_name"] for each in answer.json()} if status == 200 else answer.text
    assert (answer.status_code, found) == (status, expected)


def test_a_failed_rescue_mode_is_marked_as_failed(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node02", fail="Starting")
    admin.op("node02", "rescue_mode")
    clock.pass_(HOUR)
    machine = admin.read("node02")
    words = "Failed to enter rescue mode."
    assert (machine["status_name"], machine["status_action"]) == ("Failed to enter rescue mode", "mark_failed")
    assert (machine["status_message"], machine["error_description"]) == (f"Marking node failed - {words}", words)
