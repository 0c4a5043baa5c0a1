"""Events and statuses over time; `simulator/tests/contract` compares them with recordings."""

import base64
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, Variant

HOUR = 3600.0


def messages(admin: Any, clock: Any, hostname: str, seconds: int = 900) -> list[str]:
    """Every ``status_message`` in order, read once a second."""
    seen: list[str] = []
    for _ in range(seconds):
        clock.pass_(1)
        message = admin.region.machine(hostname).status_message
        if seen[-1:] != [message]:
            seen.append(message)
    return seen


@pytest.mark.parametrize("twice", [True, False])
def test_a_deployment_takes_ten_minutes_and_may_show_two_boots(admin: Any, clock: Any, twice: bool) -> None:
    admin.region.variant = Variant(local_boot_events=twice)
    admin.op("node02", "deploy")
    assert messages(admin, clock, "node02") == [
        "Deploying",
        "Performing PXE boot",
        "Loading ephemeral",
        "Configuring storage",
        "Installing OS",
        "Configuring OS",
        "Rebooting",
        *(["Performing PXE boot"] if twice else []),
        "Deployed",
    ]
    pxe = [description for _, kind, description in admin.said("node02") if kind == "PXE Request"]
    assert pxe == ["installation", *(["local boot"] if twice else [])]
    began, ended = (
        next(e for e in admin.region.log.events if e.type == said) for said in ("Deploying", "Image Deployed")
    )
    assert 9 * 60 < ended.created - began.created < 12 * 60


def test_deploying_a_ready_machine_makes_it_the_callers(bob: Any, clock: Any) -> None:
    answer = bob.op("node02", "deploy").json()
    assert (answer["status_name"], answer["owner"], answer["power_state"]) == ("Deploying", "bob", "off")
    clock.pass_(HOUR)
    machine = bob.read("node02")
    assert (machine["status_name"], machine["owner"], machine["power_state"]) == ("Deployed", "bob", "on")
    assert (machine["osystem"], machine["distro_series"], machine["hwe_kernel"]) == ("ubuntu", "noble", "ga-24.04")
    assert machine["netboot"] is False
    assert machine["ip_addresses"] == ["10.10.0.202"]


def test_every_deployment_has_its_own_run_id(admin: Any, clock: Any) -> None:
    first = admin.op("node02", "deploy").json()["current_installation_result_id"]
    clock.pass_(HOUR)
    admin.op("node02", "release")
    clock.pass_(HOUR)
    assert admin.op("node02", "deploy").json()["current_installation_result_id"] > first


def test_a_machine_with_hardware_sync_adds_events_until_it_is_released(admin: Any, clock: Any) -> None:
    for seconds, message in ((0.5 * HOUR, "Node Interface hardware sync state change"), (0.2 * HOUR, "Deployed")):
        admin.op("node02", "deploy", enable_hw_sync="true")
        clock.pass_(seconds)
        assert admin.read("node02")["status_message"] == message
        admin.op("node02", "release")
        clock.pass_(HOUR)
        assert admin.read("node02")["status_message"] == "Released"


def test_only_the_newest_ten_runs_of_each_kind_are_kept(admin: Any, clock: Any) -> None:
    current = []
    for _ in range(12):
        answer = admin.op("node02", "commission", testing_scripts="none").json()
        current.append(answer["current_commissioning_result_id"])
        clock.pass_(HOUR)
    kept = admin.get("nodes/fyc3ff/results/?type=commissioning").json()
    assert [scripts["id"] for scripts in kept] == current[:-11:-1]
    tested = admin.get("nodes/fyc3ff/results/?type=testing").json()
    assert {len(scripts["results"]) for scripts in tested} == {0, 1}, "a run without tests is stored"
    assert admin.get("nodes/fyc3ff/results/current-testing/").json()["status_name"] == "Passed"


def test_an_ephemeral_deployment_has_no_script_set(admin: Any, clock: Any) -> None:
    admin.op("node02", "deploy", ephemeral_deploy="true")
    clock.pass_(HOUR)
    missing = admin.get(f"nodes/{admin.region.machine('node02').system_id}/results/current-installation/")
    assert (missing.status_code, missing.text) == (400, "No current installation script set exists for this node.")


def test_a_deployment_that_fails_in_curtin_leaves_its_reason(admin: Any, clock: Any) -> None:
    admin.region.plan("node02", fail="Configuring OS")
    admin.op("node02", "deploy")
    clock.pass_(HOUR)
    machine = admin.read("node02")
    assert (machine["status"], machine["status_action"], machine["power_state"]) == (11, "mark_failed", "on")
    reason = "Installation failed (refer to the installation log for more information)."
    assert machine["error_description"] == reason
    assert machine["status_message"] == f"Marking node failed - {reason}"


def test_a_planned_reason_is_in_the_log_and_in_the_error(admin: Any, clock: Any) -> None:
    admin.region.plan("node05", fail="Installing OS", reason="No space left on device")
    admin.op("node05", "deploy")
    clock.pass_(HOUR)
    machine = admin.read("node05")
    assert machine["error_description"] == "No space left on device"
    url = f"nodes/{machine['system_id']}/results/current-installation/"
    result = admin.get(f"{url}?include_output=0").json()["results"][0]
    assert (result["name"], result["status_name"], result["exit_status"]) == ("/tmp/install.log", "Failed", 1)
    assert "No space left on device" in base64.b64decode(result["output"]).decode()
    assert "output" not in admin.get(url).json()["results"][0]


def test_a_bmc_that_fails_is_noticed_after_the_deploy_was_accepted(admin: Any, clock: Any) -> None:
    admin.region.plan("node05", fail="Deploying")
    assert admin.op("node05", "deploy").status_code == 200
    clock.pass_(60)
    machine = admin.read("node05")
    assert machine["status_name"] == "Failed deployment"
    assert machine["error_description"] == "Failed to complete power action: IPMI: connection timeout"


def test_a_machine_planned_not_to_boot_times_out(admin: Any, clock: Any) -> None:
    admin.region.plan("node05", fail="Local boot")
    admin.op("node05", "deploy")
    clock.pass_(HOUR)
    assert admin.read("node05")["status_message"] == "Marking node failed - time-out during deployment"


def test_the_reason_of_an_earlier_failure_stays_through_a_good_run(admin: Any, clock: Any) -> None:
    admin.region.plan("node02", fail="Installing OS", reason="bad disk")
    admin.op("node02", "deploy")
    clock.pass_(HOUR)
    admin.op("node02", "release")
    clock.pass_(HOUR)
    admin.op("node02", "deploy")
    clock.pass_(HOUR)
    machine = admin.read("node02")
    assert (machine["status_name"], machine["error_description"]) == ("Deployed", "bad disk")


def test_an_aborted_deployment_is_allocated_though_the_answer_still_says_deploying(admin: Any, clock: Any) -> None:
    admin.op("node02", "deploy")
    clock.pass_(100)
    cursor = admin.cursor()
    answer = admin.op("node02", "abort", comment="changed my mind").json()
    assert (answer["status_name"], answer["power_state"]) == ("Deploying", "on")
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"], machine["power_state"]) == ("Allocated", "admin", "off")
    assert machine["status_message"] == "Aborted deployment"
    assert admin.said("node02", cursor) == [
        ("DEBUG", "User aborting deployment", "(admin) - changed my mind"),
        ("INFO", "Aborted deployment", ""),
        ("DEBUG", "Node changed status", "From 'Deploying' to 'Allocated' (to admin)"),
    ]


def test_an_aborted_machine_continues_until_it_is_off(admin: Any, clock: Any) -> None:
    admin.op("node03", "test")
    clock.pass_(85)
    cursor = admin.cursor()
    admin.op("node03", "abort")
    said = admin.said("node03", cursor)
    assert [kind for _, kind, _ in said] == [
        "User aborting node testing",
        "Aborted testing",
        "Running test",
        "Script result",
        "Node changed status",
    ]
    machine = admin.read("node03")
    assert (machine["status_name"], machine["status_message"]) == (
        "Ready",
        "Running test - smartctl-validate on nvme0n1",
    )
    tests = admin.get(f"nodes/{machine['system_id']}/results/current-testing/").json()
    assert {r["status_name"] for r in tests["results"]} == {"Aborted"}


def test_a_machine_is_new_and_unowned_after_an_aborted_commissioning(admin: Any, clock: Any) -> None:
    admin.op("node02", "commission")
    clock.pass_(120)
    assert admin.op("node02", "abort").json()["status_name"] == "Commissioning"
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"]) == ("New", None)
    assert machine["status_message"] == "Aborted commissioning"


def test_a_commissioned_machine_is_ready_and_unowned(admin: Any, clock: Any) -> None:
    answer = admin.op("node03", "commission", testing_scripts="smartctl-validate").json()
    assert (answer["status_name"], answer["owner"]) == ("Commissioning", "admin")
    clock.pass_(HOUR)
    machine = admin.read("node03")
    assert (machine["status_name"], machine["owner"], machine["power_state"]) == ("Ready", None, "off")


def test_commissioning_has_thirteen_scripts_and_a_test_for_each_disk(admin: Any, clock: Any) -> None:
    answer = admin.op("node03", "commission").json()
    url = f"nodes/{answer['system_id']}/results"
    clock.pass_(160)
    scripts = admin.get(f"{url}/current-commissioning/").json()
    assert scripts["id"] == answer["current_commissioning_result_id"]
    assert [r["name"] for r in scripts["results"]][:2] == [
        "20-maas-01-install-lldpd",
        "20-maas-02-dhcp-unconfigured-ifaces",
    ]
    assert len(scripts["results"]) == 13
    assert {r["status_name"] for r in scripts["results"]} == {"Passed", "Running", "Pending"}
    tests = admin.get(f"{url}/current-testing/").json()
    assert [r["parameters"]["storage"]["value"]["name"] for r in tests["results"]] == ["nvme0n1", "sda"]
    assert {r["status_name"] for r in tests["results"]} == {"Pending"}
    assert {r["estimated_runtime"] for r in tests["results"]} != {"Unknown"}


def test_a_failing_commissioning_script_prevents_the_tests(admin: Any, clock: Any) -> None:
    admin.region.plan("node03", fail="40-maas-01-machine-config-hints", reason="no hints")
    admin.op("node03", "commission")
    clock.pass_(HOUR)
    machine = admin.read("node03")
    assert (machine["status_name"], machine["owner"]) == ("Failed commissioning", None)
    assert (machine["commissioning_status_name"], machine["testing_status_name"]) == ("Failed", "Unknown")
    tests = admin.get(f"nodes/{machine['system_id']}/results/current-testing/").json()
    assert {r["status_name"] for r in tests["results"]} == {"Aborted"}


def test_a_failing_test_leaves_failed_testing_and_the_owner(admin: Any, clock: Any) -> None:
    cursor = admin.cursor()
    admin.region.plan("node03", fail="smartctl-validate")
    admin.op("node03", "commission")
    clock.pass_(HOUR)
    assert admin.said("node03", cursor, "INFO")[-5:] == [
        ("INFO", "Running test", "smartctl-validate on nvme0n1"),
        ("INFO", "Script", "smartctl-validate on nvme0n1 failed"),
        ("INFO", "Running test", "smartctl-validate on sda"),
        ("INFO", "Script", "smartctl-validate on sda failed"),
        ("INFO", "Failed testing", ""),
    ]
    machine = admin.read("node03")
    assert (machine["status_name"], machine["owner"], machine["testing_status_name"]) == (
        "Failed testing",
        "admin",
        "Failed",
    )
    assert admin.op("node03", "override_failed_testing").json()["status_name"] == "Ready"


def test_commissioning_without_tests_never_has_the_status_testing(admin: Any, clock: Any) -> None:
    cursor = admin.cursor()
    admin.op("node02", "commission", testing_scripts="none")
    clock.pass_(HOUR)
    assert admin.said("node02", cursor)[-2:] == [
        ("INFO", "Ready", ""),
        ("DEBUG", "Node changed status", "From 'Commissioning' to 'Ready'"),
    ]


@pytest.mark.parametrize(
    ("form", "links", "partitions"),
    [({}, 0, 0), ({"skip_networking": "true"}, 1, 0), ({"skip_storage": "true"}, 0, 1)],
)
def test_commissioning_removes_layouts_unless_it_skips_them(
    admin: Any, form: dict[str, str], links: int, partitions: int
) -> None:
    admin.op("node02", "commission", **form)
    machine = admin.read("node02")
    assert (len(machine["boot_interface"]["links"]), len(machine["boot_disk"]["partitions"])) == (links, partitions)


@pytest.mark.parametrize(
    ("form", "links", "partitions"),
    [
        ({}, 1, 1),
        ({"skip_networking": "true"}, 0, 1),
        ({"skip_storage": "true"}, 1, 0),
    ],
)
def test_commissioning_does_not_restore_what_it_skips(
    admin: Any, clock: Any, form: dict[str, str], links: int, partitions: int
) -> None:
    admin.op("node02", "commission")
    admin.op("node02", "abort")
    admin.op("node02", "commission", **form)
    clock.pass_(HOUR)
    machine = admin.read("node02")
    assert machine["status_name"] == "Ready"
    assert (len(machine["boot_interface"]["links"]), len(machine["boot_disk"]["partitions"])) == (links, partitions)


@pytest.mark.parametrize("op", ["commission", "test"])
@pytest.mark.parametrize(("form", "power"), [({}, "off"), ({"enable_ssh": "true"}, "on")])
def test_a_machine_with_ssh_stays_on_after_its_scripts(
    admin: Any, clock: Any, op: str, form: dict[str, str], power: str
) -> None:
    admin.op("node02", op, **form)
    clock.pass_(HOUR)
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"], machine["power_state"]) == ("Ready", None, power)


def test_a_new_machine_shows_its_hardware_once_commissioned(admin: Any, clock: Any) -> None:
    assert admin.read("node10")["cpu_count"] == 0
    admin.op("node10", "commission")
    clock.pass_(HOUR)
    machine = admin.read("node10")
    assert (machine["status_name"], machine["cpu_count"], machine["storage"]) == ("Ready", 8, 480000.0)


def test_a_bmc_that_fails_makes_commissioning_answer_500_and_changes_nothing_for_long(admin: Any) -> None:
    admin.region.plan("node02", fail="Commissioning")
    answer = admin.op("node02", "commission")
    assert answer.status_code == 500
    assert answer.text == "Failed to complete power action: IPMI: connection timeout"
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"]) == ("Ready", "admin")
    assert machine["status_message"] == (
        "Failed to query node's BMC - (admin) - Aborting COMMISSIONING and reverting to READY. "
        "Unable to power control the node. Please check power credentials."
    )


def test_a_machine_under_test_belongs_to_the_requesting_user(admin: Any, clock: Any) -> None:
    assert admin.op("node02", "test").json()["owner"] == "admin"
    clock.pass_(HOUR)
    assert admin.read("node02")["owner"] is None


def test_a_release_takes_a_while_when_the_machine_is_on(admin: Any, clock: Any) -> None:
    answer = admin.op("node07", "release", comment="done").json()
    assert (answer["status_name"], answer["owner"]) == ("Releasing", "admin")
    clock.pass_(HOUR)
    machine = admin.read("node07")
    assert (machine["status_name"], machine["owner"], machine["osystem"]) == ("Ready", None, "")


def test_the_release_of_a_machine_that_is_off_completes_before_the_response(admin: Any) -> None:
    assert admin.op("node06", "release").json()["status_name"] == "Ready"


@pytest.mark.parametrize("value", ["true", "0", "no", "off", "perhaps"])
def test_any_erase_value_but_false_erases(admin: Any, clock: Any, value: str) -> None:
    cursor = admin.cursor()
    answer = admin.op("node07", "release", erase=value).json()
    assert (answer["status_name"], answer["status_message"]) == ("Disk erasing", "Deployed")
    clock.pass_(HOUR)
    assert admin.said("node07", cursor) == [
        ("DEBUG", "User erasing disk", "(admin)"),
        ("DEBUG", "Node changed status", "From 'Deployed' to 'Disk erasing'"),
        ("DEBUG", "PXE Request", "commissioning"),
        ("INFO", "Performing PXE boot", ""),
        ("INFO", "Loading ephemeral", ""),
        ("INFO", "Disks erased", ""),
        ("DEBUG", "User releasing node", ""),
        ("DEBUG", "Node changed status", "From 'Disk erasing' to 'Releasing'"),
        ("INFO", "Releasing", ""),
        ("DEBUG", "Node changed status", "From 'Releasing' to 'Ready'"),
        ("INFO", "Released", ""),
    ]
    erased = admin.get(f"nodes/{answer['system_id']}/results/?type=release").json()
    assert erased[0]["results"][0]["status_name"] == "Pending"


def test_false_does_not_erase(admin: Any) -> None:
    assert admin.op("node07", "release", erase="false").json()["status_name"] == "Releasing"


def test_events_name_other_users_and_their_actions(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node02", "deploy")
    clock.pass_(200)
    cursor = admin.cursor()
    region.change_owner("node02", "bob")
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"]) == ("Allocated", "bob")
    users = [event.username for event in region.log.events if event.id > cursor and event.level == "DEBUG"]
    assert users == ["bob", "unknown", "unknown", "bob", "unknown"]
    region.release("node02", "admin")
    assert ("DEBUG", "User releasing node", "(admin)") in admin.said("node02", cursor)
    region.delete("node02")
    assert admin.get(f"machines/{machine['system_id']}/").status_code == 404


def test_a_plan_for_an_unknown_stage_is_rejected(region: SimulatedRegion) -> None:
    with pytest.raises(
        ValueError, match=r"no operation has a stage 'Instaling OS'; the stages and scripts are: .*Installing OS"
    ):
        region.plan("node02", fail="Instaling OS")
    with pytest.raises(KeyError, match="there is no machine 'node99'; the machines are: node01, "):
        region.plan("node99", fail="Installing OS")
