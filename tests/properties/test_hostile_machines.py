"""No text from a machine poses as a sentence of maas-mcp, in whatever any tool returns, reports or asks."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from maas_deploy.release import Release
from maas_inventory.completions import COMPLETIONS
from maas_inventory.machines.reading import MachineResource
from maas_mcp.api import MaasMcpError, Question
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.operation_tools import OPERATION_TOOLS
from maas_mcp.server.tools import UNTRUSTED_META
from maas_mcp.testing import MaasRegion
from maas_simulator import Fault, OddMachine
from maas_simulator.model.statuses import Status
from tests.hostile import CANARY, ORDER, check_quoted, check_result, check_visible, hostile_region

READY, DEPLOYED = "7xneda", "ywtymp"
Set = Callable[[MaasRegion], object]


def status(status: Status, owner: str | None = "admin", system_id: str = READY) -> Set:
    """Set a machine's status."""

    def act(region: MaasRegion) -> None:
        machine = region.machines[system_id]
        region.set_status(machine, status)
        machine.owner = owner

    return act


def deploying(region: MaasRegion) -> None:
    """Start a deployment, from another client."""
    region.deploy(READY, "admin")
    region.advance(60)


def know_amd64(region: MaasRegion) -> None:
    """Make an image usable, because its architecture is also that of machines."""
    region.images.resources[0].architecture = "amd64"


SUCCESSES: Final[Mapping[str, tuple[dict[str, Any], Set | None]]] = {
    "maas_abort_machine": ({"system_id": READY}, deploying),
    "maas_add_machine": ({"mac_addresses": ["52:54:00:ee:00:01"], "power_type": "manual"}, know_amd64),
    "maas_allocate_machine": ({"system_id": READY}, None),
    "maas_cancel_operation": ({}, deploying),
    "maas_commission_machine": ({"system_id": READY}, None),
    "maas_create_interface": ({"system_id": READY, "type": "bond", "name": "bond0", "parents": ["eno1"]}, None),
    "maas_delete_interface": ({"system_id": READY, "interface": "eno1"}, None),
    "maas_delete_machine": ({"system_id": READY}, None),
    "maas_deploy_machine": ({"system_id": READY}, None),
    "maas_deploy_machines": ({"system_ids": [READY]}, None),
    "maas_enter_rescue_mode": ({"system_id": DEPLOYED}, None),
    "maas_exit_rescue_mode": ({"system_id": READY}, status(Status.RESCUE_MODE)),
    "maas_get_machine": ({"system_id": READY}, None),
    "maas_get_operation": ({}, deploying),
    "maas_import_images": ({}, None),
    "maas_find": ({"text": "node"}, None),
    "maas_get_events": ({}, None),
    "maas_get_script_results": ({"machine": "8pr8mk", "tail_lines": 5}, None),
    "maas_list_objects": ({"kind": "tag"}, None),
    "maas_what_changed": ({}, None),
    "maas_whoami": ({}, None),
    "maas_link_subnet": ({"system_id": READY, "interface": "eno1", "mode": "static", "subnet": "pxe"}, None),
    "maas_list_machines": ({}, None),
    "maas_list_operations": ({}, deploying),
    "maas_lock_machine": ({"system_id": DEPLOYED}, None),
    "maas_mark_broken": ({"system_id": READY}, status(Status.ALLOCATED)),
    "maas_mark_fixed": ({"system_id": READY}, status(Status.BROKEN, None)),
    "maas_override_failed_testing": ({"system_id": READY}, status(Status.FAILED_TESTING, None)),
    "maas_power_cycle": ({"system_id": DEPLOYED}, None),
    "maas_power_off": ({"system_id": DEPLOYED}, None),
    "maas_power_on": ({"system_id": DEPLOYED}, None),
    "maas_query_power_state": ({"system_id": DEPLOYED}, None),
    "maas_release_machine": ({"system_id": DEPLOYED}, None),
    "maas_set_power_parameters": ({"system_id": READY, "power_type": "manual"}, None),
    "maas_set_storage_layout": ({"system_id": READY, "storage_layout": "blank"}, None),
    "maas_tag_machines": ({"tag": "gpu", "add": [READY]}, None),
    "maas_test_machine": ({"system_id": READY}, None),
    "maas_unlink_subnet": ({"system_id": READY, "interface": "eno1", "link_id": 10}, None),
    "maas_unlock_machine": ({"system_id": DEPLOYED}, None),
    "maas_update_machine": ({"system_id": READY, "description": CANARY}, None),
    "maas_wait_operation": ({}, deploying),
}
CHANGING: Final = [
    name
    for name in SUCCESSES
    if not name.startswith(("maas_find", "maas_get", "maas_list", "maas_query", "maas_wait", "maas_whoami"))
]
STAGES: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "maas_commission_machine": ({"system_id": READY}, "20-maas-03-machine-resources"),
    "maas_deploy_machine": ({"system_id": READY}, "Installing OS"),
    "maas_deploy_machines": ({"system_ids": [READY]}, "Installing OS"),
    "maas_enter_rescue_mode": ({"system_id": DEPLOYED}, "Entering rescue mode"),
    "maas_release_machine": ({"system_id": DEPLOYED, "quick_erase": True}, "Erasing"),
    "maas_test_machine": ({"system_id": READY}, "smartctl-validate"),
}
REFUSALS: Final = (
    (400, "application/json", json.dumps({f"x\n\x1b {ORDER}": [CANARY]})),
    (403, "text/plain", CANARY),
    (409, "text/plain", CANARY),
    (500, "text/plain", CANARY),
    (503, "application/json", CANARY),
)
"""Answers of MAAS to a request that changes something."""


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with hostile_region() as hostile:
        yield hostile


def call(region: MaasRegion, tool: str, arguments: dict[str, Any]) -> Any:
    """Call a tool, and check its progress. Fills in the id of the operation that is running."""
    if "operation" in tool and "list" not in tool:
        listed = region.call_tool("maas_list_operations").structured_content
        assert listed
        arguments = {"operation_id": listed["operations"][0]["operation_id"]}
    result = region.call_tool(tool, **arguments)
    for message in region.messages:
        check_quoted(message)
    return result


def test_every_tool_is_called() -> None:
    assert SUCCESSES.keys() == {*load_registry(strict=True).tools, *(each.name for each in OPERATION_TOOLS)}


@pytest.mark.parametrize("tool", SUCCESSES)
def test_a_result_has_hostile_text_only_in_marked_fields_and_quoted(region: MaasRegion, tool: str) -> None:
    arguments, prepare = SUCCESSES[tool]
    if prepare is not None:
        prepare(region)

    result = call(region, tool, arguments)

    assert not result.is_error, result.content
    check_result(result)
    if tool not in {"maas_query_power_state", "maas_tag_machines"}:  # without text from machines
        assert result.meta
        assert result.meta[UNTRUSTED_META]


@pytest.mark.parametrize("tool", STAGES)
def test_a_failed_operation_quotes_the_machines_words(region: MaasRegion, tool: str) -> None:
    arguments, stage = STAGES[tool]
    system_id = arguments.get("system_id", READY)
    region.plan(system_id, fail=stage, reason=CANARY)

    result = call(region, tool, arguments)

    assert result.is_error
    assert ORDER in result.content[0].text
    check_result(result)
    check_result(region.call_tool("maas_list_operations"))


@pytest.mark.parametrize("tool", CHANGING)
@pytest.mark.parametrize(("code", "content_type", "body"), REFUSALS, ids=[str(code) for code, _, _ in REFUSALS])
def test_an_error_of_maas_is_quoted(region: MaasRegion, tool: str, code: int, content_type: str, body: str) -> None:
    arguments, prepare = SUCCESSES[tool]
    if prepare is not None:
        prepare(region)
    headers = {"Content-Type": content_type}
    region.faults.append(Fault(method="POST", status=code, body=body, headers=headers, times=None))

    check_result(call(region, tool, arguments))


@pytest.mark.parametrize("tool", SUCCESSES)
def test_a_read_that_maas_refuses_is_quoted(region: MaasRegion, tool: str) -> None:
    arguments, prepare = SUCCESSES[tool]
    if prepare is not None:
        prepare(region)
    region.faults.append(Fault(method="GET", path="machines/", status=400, body=CANARY, times=None))
    region.faults.append(Fault(method="GET", path="boot-resources/", status=400, body=CANARY, times=None))

    if "operation" in tool:
        check_result(region.call_tool("maas_list_operations"))
    else:
        check_result(call(region, tool, arguments))


@pytest.mark.parametrize("wrong", [Status.BROKEN, Status.FAILED_TESTING, Status.RESCUE_MODE, Status.COMMISSIONING])
@pytest.mark.parametrize("tool", [name for name, (given, _) in SUCCESSES.items() if "system_id" in given])
def test_a_refusal_and_its_advice_quote_the_machine(region: MaasRegion, tool: str, wrong: Status) -> None:
    given, _ = SUCCESSES[tool]
    status(wrong, "bob", str(given["system_id"]))(region)

    check_result(call(region, tool, given))


@pytest.mark.parametrize("tool", ["maas_release_machine", "maas_mark_broken"])
def test_a_plan_quotes_the_machine_and_its_disks(region: MaasRegion, tool: str) -> None:
    given, _ = SUCCESSES[tool]

    result = call(region, tool, {**given, "plan": True})

    assert not result.is_error, result.content
    check_result(result)
    assert "/structuredContent/plan/machines/*/hostname" in result.meta[UNTRUSTED_META]


def test_an_unreadable_machine_is_named_in_quotation_marks(region: MaasRegion) -> None:
    region.distort(OddMachine(machine=READY, show={"status": None}))
    region.distort(OddMachine(machine=DEPLOYED, show={"tag_names": 7}))

    result = region.call_tool("maas_list_machines", hostname=["x"])

    check_result(result)
    check_result(region.call_tool("maas_list_machines"))
    check_result(region.call_tool("maas_list_machines", hostname=[region.machines[DEPLOYED].hostname[:60]]))


def test_a_question_about_an_erase_quotes_the_machine_and_its_disks(region: MaasRegion) -> None:
    with pytest.raises(MaasMcpError):
        region.call(Release, DEPLOYED, answers={}, erase=True)

    (question,) = region.asked.values()
    assert isinstance(question, Question)
    assert question.text.count(ORDER) >= 4
    assert len(question.text) < 4_000
    check_quoted(question.text)


def test_a_resource_marks_its_fields(region: MaasRegion) -> None:
    text = region.read(MachineResource, READY)

    assert isinstance(text, str)
    check_visible(text)
    assert "A" * 3_000 not in text


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_a_completion_offers_no_invisible_characters(region: MaasRegion, completion: Any) -> None:
    for value in region.complete(completion):
        check_visible(value)
