"""The host's own tools, through MCP, with a region in the same process."""

import json
from typing import Any

import pytest

from maas_mcp.next_step import NextStep
from maas_mcp.operations.declaring.operations import ErrorReport, OperationReport
from maas_mcp.server.operation_tools import GetOperation
from maas_mcp.testing import MaasRegion, SimulatedMachine, Status
from maas_simulator import Fault


def test_a_limited_list_of_operations_continues_with_its_cursor(maas_region: MaasRegion) -> None:
    for name in ("node01", "node02", "node03"):
        maas_region.deploy(name, "admin")

    first = listing(maas_region, limit=2)
    second = listing(maas_region, limit=2, cursor=first["next_cursor"])

    assert hostnames(first) == ["node01", "node02"]
    assert hostnames(second) == ["node03"]
    assert (first["total"], second["total"], second["next_cursor"]) == (3, 3, None)


def test_a_text_has_the_cursor_for_clients_that_show_the_text_only(maas_region: MaasRegion) -> None:
    for name in ("node01", "node02"):
        maas_region.deploy(name, "admin")

    answer = maas_region.call_tool("maas_list_operations", limit=1)

    assert answer.structured_content
    text = answer.content[0].model_dump()["text"]
    assert f"1 of 2 are shown. The next page has cursor={answer.structured_content['next_cursor']}" in text


def test_a_page_continues_after_an_operation_that_has_ended(maas_region: MaasRegion) -> None:
    for name in ("node01", "node02", "node03"):
        maas_region.deploy(name, "admin")

    first = listing(maas_region, limit=2)
    maas_region.abort("node02", "admin")

    assert hostnames(listing(maas_region, limit=2, cursor=first["next_cursor"])) == ["node03"]


def test_each_of_many_operations_is_on_one_small_page() -> None:
    names = [f"rack{number}" for number in range(100, 160)]
    with MaasRegion() as region:
        for number, name in enumerate(names, start=100):
            machine = SimulatedMachine(f"aaa{number}", name, number, Status.READY)
            region.machines[machine.system_id] = machine
            region.deploy(name, "admin")
        found: list[str] = []
        cursor = None
        while cursor is not None or not found:
            answer = region.call_tool("maas_list_operations", cursor=cursor)
            assert answer.structured_content
            assert len(json.dumps(answer.structured_content)) <= 10_000
            assert len(answer.content[0].model_dump()["text"]) <= 10_000
            found += hostnames(answer.structured_content)
            cursor = answer.structured_content["next_cursor"]

    assert found == names


@pytest.mark.parametrize("cursor", ["50", "e30.AAAA"])
def test_an_invented_cursor_is_refused_with_advice(maas_region: MaasRegion, cursor: str) -> None:
    answer = maas_region.call_tool("maas_list_operations", cursor=cursor)

    assert answer.is_error
    assert "Call again without `cursor`" in answer.content[0].model_dump()["text"]


def listing(region: MaasRegion, **arguments: Any) -> dict[str, Any]:
    answer = region.call_tool("maas_list_operations", **arguments)
    found: dict[str, Any] | None = answer.structured_content
    assert found
    return found


def hostnames(listed: dict[str, Any]) -> list[str]:
    return [each["hostname"] for each in listed["operations"]]


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
