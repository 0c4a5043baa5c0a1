"""Each runbook works when its calls are replayed, as a model would make them, on a simulated region."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from maas_mcp.testing import MaasRegion
from tests.runbooks import VALUES, calls_of, runbooks


class Replay:
    """Follows a runbook in a region, as a model would: by its calls, with values for the placeholders."""

    def __init__(self, region: MaasRegion, name: str, **values: Any) -> None:
        self.region = region
        self.values = {**VALUES, **values}
        self._calls = calls_of(runbooks()[name])
        self._next = 0

    def call(self, tool: str, *, fails: bool = False) -> Mapping[str, Any]:
        """Make the next call of this tool. The calls in between are skipped, as branches that do not apply."""
        while self._calls[self._next].tool != tool:
            self._next += 1
        call = self._calls[self._next]
        self._next += 1
        answer = self.region.call_tool(tool, **call.filled(self.values))
        text = answer.content[0].model_dump()["text"]
        assert bool(answer.is_error) is fails, text
        return {"text": text} if fails else answer.structured_content or {}

    def wait(self) -> Mapping[str, Any]:
        """Repeat the next waiting call until the operation has ended, as the runbooks say."""
        for _ in range(100):
            at = self._next
            answer = self.call("maas_wait_operation")
            if answer["state"] != "working":
                return answer
            self._next = at
        raise AssertionError("the operation did not end")

    def follow(self, tools: Sequence[str]) -> Mapping[str, Any]:
        """Make the next call of each tool, and return the last answer."""
        answers = [self.call(tool) for tool in tools]
        return answers[-1]


def test_a_new_machine_becomes_ready_by_the_runbook(maas_region: MaasRegion) -> None:
    machine = maas_region.machine("node10")
    machine.power_state = "off"
    book = Replay(maas_region, "bring-in-new-machines", system_id=machine.system_id, next_system_id="m86kwc")

    assert [each["hostname"] for each in book.call("maas_list_machines")["machines"]] == ["node10"]
    assert book.call("maas_get_machine")["power_type"]
    assert book.call("maas_query_power_state")["power_state"] in {"on", "off"}
    assert book.call("maas_commission_machine")["result"]["status_name"] == "Ready"
    started = book.call("maas_commission_machine")
    assert (started["state"], maas_region.machine("node05").status_name) == ("working", "Commissioning")
    assert book.call("maas_get_machine")["memory"] > 0


def test_a_commissioning_that_was_only_started_is_followed_by_the_runbook(maas_region: MaasRegion) -> None:
    system_id = maas_region.machine("node10").system_id
    started = maas_region.call_tool("maas_commission_machine", system_id=system_id, wait_seconds=0)
    assert started.structured_content

    book = Replay(maas_region, "bring-in-new-machines", operation_id=started.structured_content["operation_id"])

    assert book.wait()["state"] == "succeeded"


def test_a_new_machine_whose_bmc_does_not_answer_is_found_before_it_is_commissioned(maas_region: MaasRegion) -> None:
    maas_region.bmc_down("node10")
    book = Replay(maas_region, "bring-in-new-machines", system_id=maas_region.machine("node10").system_id)

    assert "connection timeout" in book.call("maas_query_power_state", fails=True)["text"]
    assert maas_region.machine("node10").status_name == "New"


def test_a_group_is_deployed_and_protected_by_the_runbook(maas_region: MaasRegion) -> None:
    first, *others = (maas_region.machine(name).system_id for name in ("node02", "node03", "node04"))
    book = Replay(maas_region, "deploy-a-group", first_system_id=first, other_system_ids=others)

    assert "noble" in str(book.call("maas_list_objects")["items"])
    found = book.call("maas_list_machines")
    assert {each["system_id"] for each in found["machines"]} == {first, *others}
    assert book.call("maas_deploy_machine")["result"]["status_name"] == "Deployed"
    assert book.call("maas_deploy_machines")["result"]["succeeded"] == 2
    assert book.call("maas_lock_machine")["locked"]


def test_a_group_is_not_deployed_if_its_first_machine_fails(maas_region: MaasRegion) -> None:
    maas_region.plan("node02", fail="Installing OS")
    book = Replay(maas_region, "deploy-a-group", first_system_id=maas_region.machine("node02").system_id)

    assert "Failed deployment" in book.call("maas_deploy_machine", fails=True)["text"]
    assert maas_region.machine("node03").status_name == "Ready"


def test_a_started_group_is_followed_by_the_runbook(maas_region: MaasRegion) -> None:
    started = maas_region.call_tool("maas_deploy_machines", count=2, wait_seconds=0)
    assert started.structured_content

    book = Replay(maas_region, "deploy-a-group", operation_id=started.structured_content["operation_id"])

    assert book.wait()["result"]["succeeded"] == 2


@pytest.mark.parametrize(
    ("stage", "evidence"),
    [
        ("Deploying", "power action"),
        ("Performing PXE boot", "time-out"),
        ("Loading ephemeral", "time-out"),
        ("Configuring storage", "stage-partitioning"),
        ("Installing OS", "stage-extract"),
        ("Configuring OS", "stage-curthooks"),
        ("Rebooting", "time-out"),
    ],
)
def test_the_stage_of_a_failed_deployment_is_found_by_the_runbook(
    maas_region: MaasRegion, stage: str, evidence: str
) -> None:
    system_id = maas_region.machine("node01").system_id
    maas_region.plan("node01", fail=stage)
    started = maas_region.call_tool("maas_deploy_machine", system_id=system_id, wait_seconds=0)
    assert started.structured_content
    maas_region.advance(2 * 3600)
    operation_id = started.structured_content["operation_id"]
    book = Replay(maas_region, "find-out-why-it-failed", system_id=system_id, operation_id=operation_id)

    says = book.call("maas_get_operation")["error"]["maas_says"]
    assert evidence in says
    assert ("/tmp/install.log" in says) is (stage != "Rebooting")
    assert ("(no output)" in says) is (stage in {"Deploying", "Performing PXE boot", "Loading ephemeral"})
    assert book.call("maas_list_operations")["operations"] == []
    assert book.call("maas_get_machine")["status_name"] == "Failed deployment"
    assert _row(stage, evidence)


@pytest.mark.parametrize(
    ("fault", "status", "evidence"),
    [
        ("Commissioning", "New", "could not power it on and reverted the request"),
        ("Performing PXE boot", "Failed commissioning", "timed out after 30 minutes"),
        ("Gathering information", "Failed commissioning", "for the last 30 minutes"),
        ("50-maas-01-commissioning", "Failed commissioning", "exit status"),
        ("smartctl-validate", "Failed testing", "on sda"),
    ],
)
def test_the_cause_of_a_failed_commissioning_is_found_by_the_runbook(
    maas_region: MaasRegion, fault: str, status: str, evidence: str
) -> None:
    system_id = maas_region.machine("node10").system_id
    maas_region.plan("node10", fail=fault)
    failed = maas_region.call_tool("maas_commission_machine", system_id=system_id)
    assert failed.is_error
    book = Replay(maas_region, "find-out-why-it-failed", system_id=system_id)

    assert evidence in failed.content[0].model_dump()["text"]
    assert book.call("maas_get_machine")["status_name"] == status
    assert _row(status, "" if status == "Failed testing" else evidence)


def _row(first: str, evidence: str) -> bool:
    """Whether a table of the runbook has a row for a stage or status with this evidence, or that of the row above."""
    lines = runbooks()["find-out-why-it-failed"].text.splitlines()
    rows = [line for line in lines if line.startswith(f"| {first}")]
    same = [lines[lines.index(row) - 1] for row in rows if "| The same |" in row]
    return any(evidence in line for line in [*rows, *same])


def test_a_suspect_machine_is_tested_and_inspected_by_the_runbook(maas_region: MaasRegion) -> None:
    system_id = maas_region.machine("node11").system_id
    book = Replay(maas_region, "find-out-why-it-failed", system_id=system_id)

    assert book.call("maas_query_power_state")["power_state"] in {"on", "off"}
    assert book.call("maas_test_machine")["state"] == "succeeded"
    assert book.call("maas_enter_rescue_mode")["result"]["ip_addresses"]
    assert book.call("maas_exit_rescue_mode")["state"] == "succeeded"


def test_a_test_fails_for_the_disk_that_the_runbook_replaces(maas_region: MaasRegion) -> None:
    machine = maas_region.machine("node07")
    maas_region.plan("node07", fail="smartctl-validate")
    book = Replay(maas_region, "replace-a-disk", system_id=machine.system_id)

    assert book.call("maas_get_machine")["status_name"] == "Deployed"
    assert "smartctl-validate" in book.call("maas_test_machine", fails=True)["text"]
    assert maas_region.machine("node07").status_name == "Failed testing"
    book.follow(["maas_query_power_state", "maas_override_failed_testing"])
    assert maas_region.machine("node07").status_name == "Deployed"


def test_the_disk_of_a_deployed_machine_is_replaced_by_the_runbook(maas_region: MaasRegion) -> None:
    book = Replay(maas_region, "replace-a-disk", system_id=maas_region.machine("node07").system_id)

    assert book.call("maas_get_machine")["owner"] == "admin"
    assert book.call("maas_release_machine")["result"]["status_name"] == "Ready"
    assert book.call("maas_allocate_machine")["status_name"] == "Allocated"
    assert book.call("maas_mark_broken")["error_description"] == "Disk sda failed, to be replaced"
    assert book.call("maas_query_power_state")["power_state"] == "off"
    assert book.call("maas_commission_machine")["result"]["status_name"] == "Ready"
    after = book.call("maas_get_machine")
    assert (after["status_name"], after["owner"]) == ("Ready", None)


def test_a_machine_leaves_service_and_comes_back_by_the_runbook(maas_region: MaasRegion) -> None:
    book = Replay(maas_region, "take-out-of-service", system_id=maas_region.machine("node07").system_id)

    book.follow(["maas_get_machine", "maas_release_machine", "maas_allocate_machine"])
    broken = book.call("maas_mark_broken")
    assert (broken["status_name"], broken["error_description"]) == ("Broken", "BIOS update")
    assert book.call("maas_query_power_state")["power_state"] == "off"
    assert book.call("maas_mark_fixed")["status_name"] == "Ready"
    assert book.call("maas_test_machine")["state"] == "succeeded"
    after = book.call("maas_get_machine")
    assert (after["status_name"], after["owner"]) == ("Ready", None)


def test_a_broken_machine_that_is_still_on_is_switched_off_by_the_runbook(maas_region: MaasRegion) -> None:
    machine = maas_region.machine("node12")
    machine.power_state = "on"
    book = Replay(maas_region, "take-out-of-service", system_id=machine.system_id)

    assert book.call("maas_query_power_state")["power_state"] == "on"
    assert book.call("maas_power_off")["power_state"] == "off"


def test_a_machine_of_another_user_cannot_be_taken_out_of_service_by_the_runbook(maas_region: MaasRegion) -> None:
    book = Replay(maas_region, "take-out-of-service", system_id=maas_region.machine("node09").system_id)

    assert book.call("maas_get_machine")["owner"] == "bob"
    assert "No machine with system ID" in book.call("maas_allocate_machine", fails=True)["text"]
    assert maas_region.machine("node09").status_name == "Deployed"


def test_a_wave_is_installed_again_by_the_runbook(maas_region: MaasRegion) -> None:
    machine = maas_region.machine("node07")
    values = {"zone": "default", "system_id": machine.system_id, "system_ids": [machine.system_id]}
    book = Replay(maas_region, "re-image-a-rack", **values)

    statuses = {each["hostname"]: each["status_name"] for each in book.call("maas_list_machines")["machines"]}
    assert statuses["node07"] == "Deployed"
    assert book.call("maas_list_objects")["items"]
    assert book.call("maas_release_machine")["result"]["status_name"] == "Ready"
    assert book.call("maas_deploy_machines")["result"]["succeeded"] == 1
    shown = {each["hostname"]: each["status_name"] for each in book.call("maas_list_machines")["machines"]}
    assert shown["node07"] == "Deployed"


def test_a_started_wave_is_followed_by_the_runbook(maas_region: MaasRegion) -> None:
    started = maas_region.call_tool("maas_deploy_machines", count=1, wait_seconds=0)
    assert started.structured_content

    book = Replay(maas_region, "re-image-a-rack", operation_id=started.structured_content["operation_id"])

    assert book.wait()["result"]["succeeded"] == 1
