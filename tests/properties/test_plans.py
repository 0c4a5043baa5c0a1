"""Each tool that changes something sends exactly what its plan says, and nothing after any other change."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maas_mcp.calls.plan import HIDDEN, PlannedRequest
from maas_mcp.errors import PlanRefusedError
from maas_mcp.redaction import is_secret_name
from maas_mcp.testing import MaasRegion
from maas_simulator.model.faults import RequestRecord
from maas_simulator.model.statuses import Status
from tests.own_plugins import own_tools
from tests.unit.core.calls.planned_calls import Caller, caller, changes, system_id


def nothing(_region: MaasRegion) -> None:
    """The machine is Ready."""


def allocate(region: MaasRegion) -> None:
    region.machine("node01").status, region.machine("node01").owner = Status.ALLOCATED, "admin"


def deploy(region: MaasRegion) -> None:
    region.deploy("node01", "admin")
    region.advance(3600)


def start_deployment(region: MaasRegion) -> None:
    region.deploy("node01", "admin")
    region.advance(60)


def switch_off(region: MaasRegion) -> None:
    deploy(region)
    region.set_power("node01", stored="off", real="off")


def lock(region: MaasRegion) -> None:
    deploy(region)
    region.machine("node01").locked = True


def in_status(status: Status) -> Callable[[MaasRegion], None]:
    def prepare(region: MaasRegion) -> None:
        region.machine("node01").status = status

    return prepare


@dataclass(frozen=True)
class Case:
    """A call that changes something."""

    prepare: Callable[[MaasRegion], None] = nothing
    arguments: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=lambda: {"comment": "other"})
    """Arguments of another call."""
    further: int = 0
    """Requests that follow the planned ones, because they depend on MAAS's answers."""
    on: str = "system_id"
    """The argument that names the machine."""


POWER: Final = {"power_type": "ipmi", "power_parameters": {"power_address": "10.20.0.77", "power_pass": "secret word"}}
NEW: Final = {"mac_addresses": ["52:54:00:ee:00:01"], "commission": False, **POWER}
CASES: Final = {
    "maas_abort_machine": Case(start_deployment),
    "maas_add_machine": Case(arguments=NEW, other={"commission": True}, on=""),
    "maas_allocate_machine": Case(arguments={"tags": []}),
    "maas_cancel_operation": Case(arguments={"abort": True}, on="operation_id", other={"abort": False}),
    "maas_commission_machine": Case(other={"enable_ssh": True}),
    "maas_create_interface": Case(
        arguments={"type": "bond", "name": "bond0", "parents": ["eno1"]}, other={"name": "bond1"}
    ),
    "maas_delete_interface": Case(arguments={"interface": "eno1"}, other={"interface": "eno2"}),
    "maas_delete_machine": Case(other={}),
    "maas_deploy_machine": Case(arguments={"user_data": "#cloud-config\n", "distro_series": "jammy"}),
    "maas_deploy_machines": Case(on="system_ids"),
    "maas_enter_rescue_mode": Case(other={"take_over": True}),
    "maas_exit_rescue_mode": Case(in_status(Status.FAILED_ENTERING_RESCUE_MODE), other={}),
    "maas_import_images": Case(on="", other={}),
    "maas_link_subnet": Case(
        arguments={"interface": "eno1", "mode": "static", "subnet": "pxe"}, other={"ip_address": "10.10.0.60"}
    ),
    "maas_lock_machine": Case(deploy),
    "maas_mark_broken": Case(allocate, {"comment": "a disk fails"}),
    "maas_mark_fixed": Case(in_status(Status.BROKEN)),
    "maas_override_failed_testing": Case(in_status(Status.FAILED_TESTING)),
    "maas_power_cycle": Case(deploy, further=1),
    "maas_power_off": Case(deploy, other={"stop_mode": "soft"}),
    "maas_power_on": Case(switch_off),
    "maas_release_machine": Case(deploy, {"quick_erase": True, "comment": "wiped"}),
    "maas_set_power_parameters": Case(arguments=POWER, other={"power_type": "redfish"}),
    "maas_set_storage_layout": Case(arguments={"storage_layout": "lvm"}, other={"storage_layout": "flat"}),
    "maas_tag_machines": Case(arguments={"tag": "rack-4", "create": True}, other={"tag": "gpu"}, on="add"),
    "maas_test_machine": Case(arguments={"parameters": {"runtime": "60"}}, other={"enable_ssh": True}),
    "maas_unlink_subnet": Case(arguments={"interface": "eno1", "link_id": 10}, other={"link_id": 11}),
    "maas_unlock_machine": Case(lock),
    "maas_update_machine": Case(arguments={"description": "rack 4"}, other={"description": "rack 5"}),
}
"""A call of each tool that may change something."""


async def arguments_of(user: Caller, region: MaasRegion, case: Case) -> dict[str, Any]:
    """The arguments of a case, with its machine or operation."""
    node = system_id(region)
    match case.on:
        case "operation_id":
            started = await user.call("maas_deploy_machine", system_id=node, wait_seconds=0)
            region.advance(60)
            return {"operation_id": started.operation_id, **case.arguments}
        case "system_ids":
            return {"system_ids": [node, system_id(region, "node02")], **case.arguments}
        case "add":
            return {"add": [node], **case.arguments}
        case "":
            return dict(case.arguments)
    return {"system_id": node, **case.arguments}


def as_planned(record: RequestRecord) -> PlannedRequest:
    """A received request in the form of a plan."""
    parameters = {**{name: values for name, values in record.query.items() if name != "op"}, **record.form}
    parameters |= {name: [HIDDEN] for name in parameters if is_secret_name(name)}
    path = record.path.partition("/api/2.0/")[2]
    return PlannedRequest(method=record.method, path=path, op=record.op, parameters=parameters)


def test_there_is_a_case_for_each_tool_that_may_change_something() -> None:
    assert set(CASES) == {name for name, tool in own_tools().items() if not tool.read_only}


@pytest.mark.anyio
@pytest.mark.parametrize("name", CASES)
async def test_the_requests_sent_are_the_planned_ones(name: str) -> None:
    region, case = MaasRegion(), CASES[name]
    case.prepare(region)
    async with caller(region) as user:
        arguments = await arguments_of(user, region, case)
        before = len(changes(region))
        plan = await user.plan(name, **arguments)
        assert len(changes(region)) == before
        assert plan.requests
        await user.call(name, **arguments, plan_id=plan.plan_id)
    sent = [as_planned(each) for each in changes(region)[before:]]

    assert sorted(sent[: len(plan.requests)], key=str) == sorted(plan.requests, key=str)
    assert len(sent) == len(plan.requests) + case.further


def own_by_another(region: MaasRegion) -> None:
    machine = region.machine("node01")
    machine.owner = "bob" if machine.owner != "bob" else "admin"


def change_status(region: MaasRegion) -> None:
    machine = region.machine("node01")
    machine.status = Status.BROKEN if machine.status != Status.BROKEN else Status.NEW


def toggle_lock(region: MaasRegion) -> None:
    region.machine("node01").locked = not region.machine("node01").locked


def move_to_pool(region: MaasRegion) -> None:
    machine = region.machine("node01")
    machine.pool = next(each for each in region.tables["ResourcePool"].names if each != machine.pool)


def move_to_zone(region: MaasRegion) -> None:
    machine = region.machine("node01")
    machine.zone = next(each for each in region.tables["Zone"].names if each != machine.zone)


MACHINE_CHANGES: Final = (own_by_another, change_status, toggle_lock, move_to_pool, move_to_zone)
ON_A_MACHINE: Final = sorted(name for name, case in CASES.items() if case.on)


@pytest.mark.anyio
@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(ON_A_MACHINE), change=st.sampled_from(MACHINE_CHANGES))
async def test_a_plan_is_refused_after_any_change_of_its_machine(
    name: str, change: Callable[[MaasRegion], None]
) -> None:
    region, case = MaasRegion(), CASES[name]
    case.prepare(region)
    async with caller(region) as user:
        arguments = await arguments_of(user, region, case)
        plan = await user.plan(name, **arguments)
        change(region)
        before = len(changes(region))
        with pytest.raises(PlanRefusedError, match="node01 was"):
            await user.call(name, **arguments, plan_id=plan.plan_id)

    assert len(changes(region)) == before


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(name for name, case in CASES.items() if case.other))
async def test_a_plan_is_refused_for_other_arguments(name: str) -> None:
    region, case = MaasRegion(), CASES[name]
    case.prepare(region)
    async with caller(region) as user:
        arguments = await arguments_of(user, region, case)
        plan = await user.plan(name, **arguments)
        before = len(changes(region))
        with pytest.raises(PlanRefusedError, match="differ from those of the plan"):
            await user.call(name, **{**arguments, **case.other}, plan_id=plan.plan_id)

    assert len(changes(region)) == before
