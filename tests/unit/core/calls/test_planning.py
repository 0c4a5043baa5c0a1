"""A plan changes nothing and shows everything; it is applied exactly, or refused with what has changed."""

import re
from dataclasses import replace

import anyio
import pytest

from maas_mcp.calls.principal import LOCAL, Principal, Scope
from maas_mcp.errors import (
    InsufficientScopeError,
    InvalidArgumentsError,
    MaasNotFoundError,
    OperationRefusedError,
    PlanNeededError,
    PlanRefusedError,
    RefusedByPolicyError,
)
from maas_mcp.policy.configuration import Mode, Protection
from maas_mcp.testing import MaasRegion
from maas_simulator.model.statuses import Status
from tests.docs.snippets import ROOT
from tests.unit.core.calls.planned_calls import caller, changes, deployed, system_id

for plugin in ("maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

pytestmark = pytest.mark.anyio

ADA = Principal("ada", frozenset(Scope))
BOB = Principal("bob", frozenset(Scope))
RELEASE = "maas_release_machine"


async def test_a_plan_changes_nothing_and_shows_what_the_call_would_do() -> None:
    region = MaasRegion()
    node = deployed(region)
    sent = len(changes(region))
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node, comment="no longer needed", erase=True)

    (machine,), (request,) = plan.machines, plan.requests
    assert len(changes(region)) == sent
    assert (machine.hostname, machine.status_name, machine.owner) == ("node01", "Deployed", "admin")
    assert "sda" in str(machine.disks)
    assert (request.method, request.path, request.op) == ("POST", f"machines/{node}/", "release")
    assert request.parameters == {"comment": ["no longer needed"], "erase": ["true"]}
    assert any("modes.standard.destroy" in each for each in plan.policy)
    assert f"plan_id={plan.plan_id}" in plan.text()


async def test_a_plan_is_applied_with_its_plan_id() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node)
        await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)

    assert changes(region)[-1].op == "release"


async def test_a_call_that_needs_a_plan_says_how_to_make_one() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        sent = len(changes(region))
        with pytest.raises(PlanNeededError) as needed:
            await user.call(RELEASE, system_id=node)

    (step,) = needed.value.next_steps
    assert len(changes(region)) == sent
    assert "plan=true" in str(needed.value.hint)
    assert (step.tool, step.arguments) == (RELEASE, {"system_id": node, "plan": True})


async def test_secrets_are_neither_in_the_plan_nor_in_its_id() -> None:
    region = MaasRegion()
    async with caller(region) as user:
        plan = await user.plan("maas_deploy_machine", system_id=system_id(region), user_data="#cloud-config\nhunter2")

    assert plan.requests[0].parameters["user_data"] == ["***"]
    assert "hunter2" not in plan.model_dump_json()


async def test_a_refusal_of_the_tool_is_the_error_of_the_plan() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        with pytest.raises(OperationRefusedError, match=r"node01 .* is Deployed"):
            await user.plan("maas_deploy_machine", system_id=node)


async def test_the_audit_has_the_plan_of_the_call_that_made_it_and_of_the_one_that_applied_it() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node)
        await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)

    planned, admitted, _ended = user.host.audit.lines
    assert (planned["event"], planned["outcome"], planned["requests"]) == ("ended", "planned", [])
    assert planned["plan_id"] == admitted["plan"] == plan.plan_id
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs/reference/audit.md").read_text()))
    assert {*planned, planned["outcome"]} <= documented


async def test_a_call_that_would_send_nothing_has_no_plan_id() -> None:
    region = MaasRegion()
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=system_id(region))

    assert plan.plan_id is None
    assert plan.requests == []
    assert "Ready" in plan.warnings[0]


async def test_a_refused_call_cannot_be_planned_either() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, protect=Protection(hostnames=("node01",))) as user:
        with pytest.raises(RefusedByPolicyError, match="protected"):
            await user.plan(RELEASE, system_id=node)


@pytest.mark.parametrize("response", ["allow", "confirm", "plan"])
async def test_the_plan_is_the_same_for_each_response_of_the_policy(response: str) -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, modes={"standard": {"destroy": response}}) as user:
        plan = await user.plan(RELEASE, system_id=node)
        await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)

    assert [each.op for each in plan.requests] == ["release"]


async def test_defaults_may_be_passed_or_left_out() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node)
        await user.call(RELEASE, system_id=node, erase=False, comment=None, plan_id=plan.plan_id)

    assert changes(region)[-1].op == "release"


async def test_what_has_changed_is_named() -> None:
    region = MaasRegion()
    node = system_id(region)
    async with caller(region) as user:
        plan = await user.plan("maas_deploy_machine", system_id=node)
        region.deploy("node01", "bob")
        region.advance(3600)
        sent = len(changes(region))
        with pytest.raises(PlanRefusedError) as refused:
            await user.call("maas_deploy_machine", system_id=node, plan_id=plan.plan_id)

    assert "node01 was Ready, and is now Deployed, owned by bob" in refused.value.message
    assert len(changes(region)) == sent


async def test_other_arguments_are_refused() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node)
        with pytest.raises(PlanRefusedError, match="arguments differ from those of the plan"):
            await user.call(RELEASE, system_id=node, erase=True, plan_id=plan.plan_id)


async def test_a_plan_of_another_tool_is_refused() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan("maas_power_off", system_id=node)
        with pytest.raises(PlanRefusedError, match="is for maas_power_off, not for maas_release_machine"):
            await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)


async def test_a_plan_expires_after_ten_minutes() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node)
        await anyio.sleep(601)  # of the virtual clock
        with pytest.raises(PlanRefusedError, match="expired: plans are valid for 10 minutes"):
            await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)


async def test_a_plan_of_another_principal_is_as_unknown_as_a_forged_one() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await replace(user, principal=ADA).plan(RELEASE, system_id=node)
        messages = []
        for who, plan_id in (
            (BOB, plan.plan_id),
            (ADA, f"A{plan.plan_id}"),
            (ADA, "x.y"),
            (ADA, "x"),
            (LOCAL, plan.plan_id),
        ):
            with pytest.raises(PlanRefusedError) as refused:
                await replace(user, principal=who).call(RELEASE, system_id=node, plan_id=plan_id)
            messages.append((refused.value.message, refused.value.hint))

    assert set(messages) == {messages[0]}
    assert "There is no plan with this id" in messages[0][0]


async def test_a_plan_is_applied_once() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan("maas_power_off", system_id=node)
        await user.call("maas_power_off", system_id=node, plan_id=plan.plan_id)
        region.set_power("node01", stored="on", real="on")
        with pytest.raises(PlanRefusedError, match="already applied"):
            await user.call("maas_power_off", system_id=node, plan_id=plan.plan_id)

    assert [each.op for each in changes(region)].count("power_off") == 1


async def test_a_plan_does_not_widen_a_policy_that_has_changed() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node)
        host = user.host.host
        host.policy.use(host.settings.model_copy(update={"mode": "read-only"}))
        with pytest.raises(RefusedByPolicyError):
            await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)


async def test_a_plan_needs_the_scope_of_its_call() -> None:
    region = MaasRegion()
    node = deployed(region)
    operator = replace(LOCAL, scopes=frozenset({Scope.OPERATE}))
    async with caller(region) as user:
        with pytest.raises(InsufficientScopeError):
            await replace(user, principal=operator).plan(RELEASE, system_id=node)


async def test_a_call_either_makes_a_plan_or_applies_one() -> None:
    region = MaasRegion()
    async with caller(region) as user:
        with pytest.raises(InvalidArgumentsError, match="either `plan`"):
            await user.call(RELEASE, system_id=system_id(region), plan=True, plan_id="x.y")
        with pytest.raises(InvalidArgumentsError, match="`plan` is not an argument"):
            await user.call("maas_get_machine", system_id=system_id(region), plan=True)


async def test_an_unknown_machine_cannot_be_planned() -> None:
    async with caller(MaasRegion()) as user:
        with pytest.raises(MaasNotFoundError):
            await user.plan(RELEASE, system_id="zzzzzz")


async def test_a_planned_batch_starts_under_the_planned_name_and_once_for_all_processes() -> None:
    region = MaasRegion()
    async with caller(region) as user:
        plan = await user.plan("maas_deploy_machines", count=2)
        done = await user.call("maas_deploy_machines", count=2, plan_id=plan.plan_id, wait_seconds=0)
        user.host.host.applied_plans = type(user.host.host.applied_plans)()  # as in another process
        with pytest.raises(PlanRefusedError, match="already applied"):
            await user.call("maas_deploy_machines", count=2, plan_id=plan.plan_id)

    assert plan.requests[0].parameters["agent_name"] == [changes(region)[0].form["agent_name"][0]]
    assert done.operation_id


async def test_a_batch_plan_names_the_machines_that_would_not_start() -> None:
    region = MaasRegion()
    taken = deployed(region, "node02", "bob")
    async with caller(region) as user:
        plan = await user.plan("maas_deploy_machines", system_ids=[system_id(region), taken])

    assert [each.op for each in plan.requests] == ["deploy"]
    assert any(taken in each and "Deployed" in each for each in plan.warnings)


async def test_the_plan_of_an_abort_stops_nothing() -> None:
    region = MaasRegion()
    node = system_id(region)
    async with caller(region) as user:
        started = await user.call("maas_deploy_machine", system_id=node, wait_seconds=0)
        region.advance(60)
        plan = await user.plan("maas_cancel_operation", operation_id=started.operation_id, abort=True)
        assert region.machine("node01").status is Status.DEPLOYING
        await user.call("maas_cancel_operation", operation_id=started.operation_id, abort=True, plan_id=plan.plan_id)

    assert [each.op for each in plan.requests] == ["abort"]
    assert changes(region)[-1].op == "abort"


async def test_erasing_can_need_a_second_person() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, second_person=("erase",)) as user:
        ada, bob = replace(user, principal=ADA), replace(user, principal=BOB)
        plan = await ada.plan(RELEASE, system_id=node, quick_erase=True)
        with pytest.raises(PlanRefusedError, match="Another person must apply this plan"):
            await ada.call(RELEASE, system_id=node, quick_erase=True, plan_id=plan.plan_id)
        with pytest.raises(PlanRefusedError, match="cannot distinguish persons"):
            await user.call(RELEASE, system_id=node, quick_erase=True, plan_id=plan.plan_id)
        with pytest.raises(PlanRefusedError, match="arguments differ from those"):
            await bob.call(RELEASE, system_id=node, erase=True, plan_id=plan.plan_id)
        await bob.call(RELEASE, system_id=node, quick_erase=True, plan_id=plan.plan_id)

    assert changes(region)[-1].op == "release"


async def test_who_applies_a_plan_is_said_before_and_in_it() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, second_person=("erase",)) as user:
        ada = replace(user, principal=ADA)
        plan = await ada.plan(RELEASE, system_id=node, quick_erase=True)
        with pytest.raises(PlanNeededError) as needed:
            await ada.call(RELEASE, system_id=node, quick_erase=True)
        with pytest.raises(PlanNeededError) as impossible:
            await user.call(RELEASE, system_id=node, quick_erase=True)

    assert plan.warnings == ["Another person must apply this plan. The person who made it cannot."]
    assert str(needed.value.hint).endswith("Another person then makes the same call with the plan_id instead of plan.")
    assert "Nobody can apply the plan, because this server cannot distinguish persons." in str(impossible.value.hint)


async def test_the_local_user_is_neither_of_two_persons() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, second_person=("erase",)) as user:
        plan = await user.plan(RELEASE, system_id=node, quick_erase=True)
        for one in (user, replace(user, principal=ADA)):
            with pytest.raises(PlanRefusedError):
                await one.call(RELEASE, system_id=node, quick_erase=True, plan_id=plan.plan_id)

    assert changes(region) == []


async def test_a_second_person_is_not_needed_for_other_calls() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, second_person=("erase",)) as user:
        plan = await user.plan(RELEASE, system_id=node)
        await user.call(RELEASE, system_id=node, plan_id=plan.plan_id)


async def test_a_plan_from_before_the_rule_does_not_do_without_the_second_person() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, modes={"standard": Mode(destroy="plan")}) as user:
        ada, bob = replace(user, principal=ADA), replace(user, principal=BOB)
        plan = await ada.plan(RELEASE, system_id=node)
        host = user.host.host
        policy = host.policy.rules.model_copy(update={"second_person": ("release",)})
        host.policy.use(host.settings.model_copy(update={"policy": policy}))
        with pytest.raises(PlanRefusedError, match="before the policy required a second person"):
            await ada.call(RELEASE, system_id=node, plan_id=plan.plan_id)
        with pytest.raises(PlanRefusedError, match="no plan with this id"):
            await bob.call(RELEASE, system_id=node, plan_id=plan.plan_id)
