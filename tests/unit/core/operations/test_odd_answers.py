"""Odd answers of MAAS do not end an operation: an unreadable machine is neither gone nor changed."""

from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maas_mcp.api import MachineStatus as S
from maas_mcp.errors import OperationRefusedError
from maas_mcp.maas.models import Event, Machine
from maas_mcp.maas.reading import JSON
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Observation
from maas_mcp.operations.judging.lifecycle import Verdict
from tests.house import House
from tests.odd import json_values, spoilt, with_odd_machine
from tests.unit.core.maas.test_client import MACHINE
from tests.unit.core.operations.declared import Deploy

pytestmark = pytest.mark.anyio

OPTIONAL = sorted(set(Machine.model_fields) - {"system_id", "status", "locked"})
LIFECYCLE = Deploy.lifecycle


def machine(status: S, run: JSON) -> Machine:
    return Machine.from_response({**MACHINE, "status": status, "current_installation_result_id": run})


def verdict(baseline: Machine, *seen: Machine, operation: type[Operation[Any, Any]] = Deploy) -> Verdict:
    evidence = Evidence(Baseline(baseline, 0, operation.lifecycle.runs(baseline)))
    for each in seen:
        assessment = operation.polling.assess(operation.lifecycle, evidence, Observation(each))
        evidence = assessment.evidence
    return assessment.verdict


@pytest.mark.parametrize("value", [None, "odd", {}, 0.5])
async def test_a_deployment_is_followed_to_its_end_with_odd_values_in_other_fields(house: House, value: JSON) -> None:
    system_id = house.region.machine("node01").system_id
    with spoilt(with_odd_machine(system_id, **dict.fromkeys(OPTIONAL, value))):
        result = await house.run("node01")
    assert result.system_id == system_id
    assert house.region.machine("node01").status_name == "Deployed"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(fields=st.dictionaries(st.sampled_from(OPTIONAL), json_values))
def test_no_odd_field_starts_or_ends_a_run(fields: dict[str, JSON]) -> None:
    odd = Machine.from_response({**MACHINE, "current_installation_result_id": 5, "status": S.DEPLOYING, **fields})
    if odd.current_installation_result_id in (None, 5):  # another number means another run
        assert verdict(machine(S.READY, 3), machine(S.DEPLOYING, 5), odd) is Verdict.PENDING
    odd = Machine.from_response({**MACHINE, "status": S.READY, "current_installation_result_id": 3, **fields})
    if odd.current_installation_result_id in (None, 3):
        assert verdict(machine(S.READY, 3), odd) is Verdict.PENDING


@pytest.mark.parametrize("run", [None, "five", {}, True])
def test_an_unreadable_run_number_is_not_a_new_run(run: JSON) -> None:
    assert verdict(machine(S.READY, 3), machine(S.DEPLOYING, 5), machine(S.DEPLOYING, run)) is Verdict.PENDING
    assert verdict(machine(S.READY, 3), machine(S.DEPLOYING, run), machine(S.DEPLOYED, 5)) is Verdict.SUCCEEDED
    assert (
        verdict(machine(S.READY, 3), machine(S.DEPLOYING, 5), machine(S.DEPLOYING, run), machine(S.DEPLOYING, 6))
        is Verdict.REVERTED
    )


def test_an_old_run_that_was_unreadable_before_is_no_sign_of_a_start() -> None:
    assert verdict(machine(S.READY, "three"), machine(S.READY, 3)) is Verdict.PENDING


async def test_a_machine_that_cannot_be_read_for_a_while_is_not_gone(house: House) -> None:
    system_id = house.region.machine("node01").system_id
    odd = with_odd_machine(system_id, status=None)

    def for_a_while(path: str, answer: JSON) -> JSON:
        return odd(path, answer) if 200 < anyio.current_time() < 400 else answer

    with spoilt(for_a_while):
        result = await house.run("node01")
    assert result.system_id == system_id
    assert any("No usable response from MAAS" in message for message in house.messages)


async def test_no_machine_is_gone_while_one_entry_of_the_list_is_unreadable(house: House) -> None:
    system_id = house.region.machine("node01").system_id
    nameless = with_odd_machine(system_id, system_id=None)

    def for_a_while(path: str, answer: JSON) -> JSON:
        return nameless(path, answer) if 200 < anyio.current_time() < 400 else answer

    with spoilt(for_a_while):
        result = await house.run("node01")
    assert result.system_id == system_id


async def test_odd_events_do_not_hide_progress(house: House) -> None:
    def with_odd_events(path: str, answer: JSON) -> JSON:
        if path == "events/":
            odd: list[JSON] = [None, {"id": None}, {"node": 5}, "event", {"id": 2**70, "node": None}]
            answer["events"] = [*odd, *answer["events"]]
        return answer

    with spoilt(with_odd_events):
        result = await house.run("node01")
    assert result.status_name == "Deployed"
    assert any("Installing OS" in message for message in house.messages)


async def test_an_operation_on_a_machine_with_an_unreadable_lock_is_refused_for_that_reason(house: House) -> None:
    system_id = house.region.machine("node01").system_id
    with (
        spoilt(with_odd_machine(system_id, locked=None)),
        pytest.raises(OperationRefusedError, match="is treated as locked, because MAAS's `locked` is unreadable"),
    ):
        await house.run("node01")
    assert house.posts == 0


def test_an_event_with_an_unreadable_type_is_no_user_action() -> None:
    event = Event.from_response({"id": 7, "node": None, "type": None, "level": None, "username": None})
    assert (event.node, event.type, event.username, event.status_change) == ("", "", "unknown", None)
