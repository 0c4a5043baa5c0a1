"""The host's own tools, through MCP, with a region in the same process."""

import pytest

from maas_mcp.next_step import NextStep
from maas_mcp.operations.declaring.operations import ErrorReport, OperationReport
from maas_mcp.server.operation_tools import GetOperation
from maas_mcp.testing import MaasRegion
from maas_simulator import Fault


def test_a_limited_list_of_operations_says_that_there_are_more(maas_region: MaasRegion) -> None:
    for name in ("node01", "node02"):
        maas_region.deploy(name, "admin")

    answer = maas_region.call_tool("maas_list_operations", limit=1)

    assert answer.structured_content
    (listed,) = answer.structured_content["operations"]
    assert (listed["hostname"], answer.structured_content["more"]) == ("node01", True)
    assert "There are more than these 1" in answer.content[0].model_dump()["text"]


def test_a_failed_request_does_not_hide_other_operations(maas_region: MaasRegion) -> None:
    maas_region.deploy("node01", "admin")
    maas_region.faults.append(Fault(path="boot-resources/", op="is_importing", status=500, body="database is locked"))

    answer = maas_region.call_tool("maas_list_operations")

    assert answer.structured_content
    (listed,) = answer.structured_content["operations"]
    assert listed["hostname"] == "node01"
    (unreadable,) = answer.structured_content["unreadable"]
    assert unreadable.startswith("maas_import_images: ")
    assert "database is locked" in unreadable
    assert "Could not be read: maas_import_images" in answer.content[0].model_dump()["text"]


@pytest.mark.parametrize("error", [KeyError("boom"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_a_failing_plugin_does_not_hide_other_operations(
    maas_region: MaasRegion, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def fail(*_: object) -> bool:
        raise error

    monkeypatch.setattr("maas_inventory.images.ImportImages.is_running", fail)
    maas_region.deploy("node01", "admin")

    answer = maas_region.call_tool("maas_list_operations")

    assert answer.structured_content
    (listed,) = answer.structured_content["operations"]
    assert listed["hostname"] == "node01"
    (unreadable,) = answer.structured_content["unreadable"]
    assert unreadable.startswith("maas_import_images: maas_import_images failed inside its plugin")


def test_the_list_is_an_error_if_all_requests_fail(maas_region: MaasRegion) -> None:
    maas_region.faults.append(Fault(status=500, body="database is locked", times=None))

    answer = maas_region.call_tool("maas_list_operations")

    assert answer.is_error
    assert "database is locked" in answer.content[0].model_dump()["text"]


def test_a_batch_is_listed_with_its_own_id_and_with_its_machines(maas_region: MaasRegion) -> None:
    started = maas_region.call_tool("maas_deploy_machines", count=3, wait_seconds=0)
    assert started.structured_content

    answer = maas_region.call_tool("maas_list_operations")

    assert answer.structured_content
    listed, *parts = answer.structured_content["operations"]
    assert (listed["operation"], listed["message"]) == ("maas_deploy_machines", "3 of 3 working")
    assert len(parts) == 3
    assert {each["part_of"] for each in parts} == {listed["operation_id"]}
    assert listed["part_of"] is None
    again = maas_region.call_tool("maas_wait_operation", operation_id=listed["operation_id"], wait_seconds=3600)
    assert again.structured_content
    assert again.structured_content["result"]["succeeded"] == 3


def test_maass_words_are_in_a_summary_only_once() -> None:
    says = "the disk is on fire"
    error = ErrorReport(
        code="operation_failed",
        message=f'node01 failed: "{says}"',
        hint="Release it.",
        next_steps=[NextStep("acme_read", {"system_id": "4y3h7n"}, why="Read it")],
        maas_says=says,
    )
    report = OperationReport(
        operation_id="x", state="failed", progress=None, message=error.message, result=None, error=error
    )

    assert (
        GetOperation().summary(report)
        == f'failed: node01 failed: "{says}"\nRelease it.\nRead it: acme_read (system_id: 4y3h7n).'
    )
