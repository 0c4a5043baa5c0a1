"""The user confirms what a call destroys, where the client can ask and the site trusts it."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from maas_mcp.api import Effects, SystemId, Tool, ToolContext
from maas_mcp.calls import stakes
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.confirmation import Consent, ErasingConsent
from maas_mcp.errors import NotAnsweredError, OperationRefusedError, PlanNeededError, PlanRefusedError
from maas_mcp.operations.declaring.questions import Question
from maas_mcp.testing import MaasRegion
from tests.unit.core.calls.planned_calls import Caller, caller, changes, deployed, system_id

pytest.importorskip("maas_deploy")

pytestmark = pytest.mark.anyio

RELEASE = "maas_release_machine"


class Which(BaseModel):
    system_id: SystemId
    other: SystemId | None = None
    erase: bool = False


class Done(BaseModel):
    text: str


class Retire(Tool[Which, Done]):
    """Release a machine, or another one than the call names."""

    name = "own_retire"
    destructive = True

    def effects(self, args: Which) -> Effects:
        return Effects((args.system_id,), destroys=True)

    async def run(self, ctx: ToolContext, args: Which) -> Done:
        await ctx.operations.run(RELEASE, system_id=args.other or args.system_id, quick_erase=args.erase)
        return Done(text="released")


async def asked(user: Caller, name: str, /, **arguments: Any) -> tuple[str, Question[Any]]:
    """The question of a call whose user declines, and its key."""
    declining = user.answering({})
    with pytest.raises(NotAnsweredError):
        await declining.call(name, **arguments)
    assert declining.answers is not None
    ((key, question),) = declining.answers.asked.items()
    assert isinstance(question, Question)
    return key, question


async def test_every_call_that_destroys_something_is_confirmed() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        key, question = await asked(user, "maas_power_off", system_id=node)
        before = len(changes(region))
        with pytest.raises(NotAnsweredError, match="declined maas_power_off"):
            await user.answering({key: Consent(proceed=False)}).call("maas_power_off", system_id=node)
        assert len(changes(region)) == before
        await user.answering({key: Consent(proceed=True)}).call("maas_power_off", system_id=node)

    assert f"node01 ({node}), Deployed, owned by admin" in question.text
    assert "Running workloads are interrupted" in question.text
    assert changes(region)[-1].op == "power_off"


async def test_nothing_runs_instead_of_the_tool_before_the_user_has_answered() -> None:
    region = MaasRegion()
    node = deployed(region)
    ran: list[ToolCall] = []

    async def run(call: ToolCall) -> CallResult:
        ran.append(call)
        return CallResult(result=None, content=None)

    async with caller(region) as user:
        user.run = run
        key, _ = await asked(user, "maas_power_off", system_id=node)
        assert ran == []
        await user.answering({key: Consent(proceed=True)}).call("maas_power_off", system_id=node)

    assert [each.rehearsal for each in ran] == [None]


async def test_a_call_that_loses_nothing_is_not_confirmed() -> None:
    region = MaasRegion()
    async with caller(region) as user:
        await user.answering({}).call("maas_deploy_machine", system_id=system_id(region), wait_seconds=0)

    assert changes(region)[-1].op == "deploy"


async def test_the_user_types_the_hostname_before_its_disks_are_erased() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        key, question = await asked(user, RELEASE, system_id=node, erase=True)
        with pytest.raises(NotAnsweredError, match="did not type `node01`"):
            await user.answering({key: ErasingConsent(typed="node02")}).call(RELEASE, system_id=node, erase=True)
        await user.answering({key: ErasingConsent(typed=" node01 ")}).call(RELEASE, system_id=node, quick_erase=True)

    assert "sda" in question.text
    assert "All data on the disks is erased" in question.text
    assert question.text.endswith("To confirm, type: node01")


@pytest.mark.parametrize("policy", [{"trust_prompts": False}, {"untrusted_clients": ("Agent-*",)}])
async def test_a_client_whose_answers_do_not_count_needs_a_plan(policy: dict[str, Any]) -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, **policy) as user:
        agent = replace(user.answering({}), client_name="agent-7")
        with pytest.raises(PlanNeededError):
            await agent.call(RELEASE, system_id=node)
        assert agent.answers is not None
        assert agent.answers.asked == {}
        plan = await agent.plan(RELEASE, system_id=node)
        await agent.call(RELEASE, system_id=node, plan_id=plan.plan_id)


async def test_unattended_asks_nothing_and_needs_a_plan() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region, mode="unattended") as user:
        answering = user.answering({})
        with pytest.raises(PlanNeededError):
            await answering.call(RELEASE, system_id=node)
        assert answering.answers is not None
        assert answering.answers.asked == {}


async def test_a_planned_call_is_not_asked_about_again() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        plan = await user.plan(RELEASE, system_id=node, erase=True)
        answering = user.answering({})
        await answering.call(RELEASE, system_id=node, erase=True, plan_id=plan.plan_id)
        assert answering.answers is not None
        assert answering.answers.asked == {}


async def test_the_approval_of_a_call_covers_the_calls_that_its_tool_makes_on_the_same_machines() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        user.host.host.serve({**user.host.host.tools, Retire.name: Retire()})
        plan = await user.plan(Retire.name, system_id=node)
        await user.call(Retire.name, system_id=node, plan_id=plan.plan_id)

    assert [each.op for each in plan.requests] == ["release"]
    assert changes(region)[-1].op == "release"


@pytest.mark.parametrize("beyond", [{"other": "node02"}, {"erase": True}])
async def test_the_approval_of_a_call_covers_no_other_machine_and_no_erasing(beyond: dict[str, Any]) -> None:
    region = MaasRegion()
    node, other = deployed(region), deployed(region, "node02")
    arguments = {"system_id": node, **({"other": other} if "other" in beyond else beyond)}
    async with caller(region) as user:
        user.host.host.serve({**user.host.host.tools, Retire.name: Retire()})
        plan = await user.plan(Retire.name, **arguments)
        before = len(changes(region))
        with pytest.raises(PlanNeededError):
            await user.call(Retire.name, **arguments, plan_id=plan.plan_id)
        with pytest.raises(PlanRefusedError, match="differ from those of the plan"):
            await user.call(Retire.name, system_id=node, other=node, plan_id=plan.plan_id)

    assert len(changes(region)) == before


async def test_a_call_that_its_tool_refuses_is_refused_before_anybody_is_asked() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        with pytest.raises(OperationRefusedError, match=r"node01 .* is Deployed"):
            await user.call("maas_deploy_machine", system_id=node)


async def test_a_call_that_would_send_nothing_needs_no_confirmation() -> None:
    region = MaasRegion()
    node = deployed(region)
    region.set_power("node01", stored="off", real="off")
    async with caller(region) as user:
        before = len(changes(region))
        done = await user.call("maas_power_off", system_id=node)

    assert done.content is not None
    assert done.content["sent"] is False
    assert len(changes(region)) == before


class Careless(Retire):
    """Release a machine, and ignore every error."""

    name = "own_careless"

    async def run(self, ctx: ToolContext, args: Which) -> Done:
        with suppress(Exception):
            await super().run(ctx, args)
        return Done(text="released")


async def test_a_tool_that_ignores_the_end_of_its_rehearsal_needs_a_confirmation_all_the_same() -> None:
    region = MaasRegion()
    node = deployed(region)
    async with caller(region) as user:
        user.host.host.serve({**user.host.host.tools, Careless.name: Careless()})
        before = len(changes(region))
        with pytest.raises(PlanNeededError):
            await user.call(Careless.name, system_id=node)

    assert len(changes(region)) == before


class Machines(BaseModel):
    system_ids: list[SystemId]


class Stop(Tool[Machines, Done]):
    """Stop machines."""

    name = "own_stop"
    destructive = True

    async def run(self, ctx: ToolContext, args: Machines) -> Done:
        for each in args.system_ids:
            await ctx.maas.post_op(f"machines/{each}/", "power_off")
        return Done(text="stopped")


async def test_an_answer_does_not_count_if_a_machine_has_changed_that_the_question_only_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stakes, "MAX_NAMED", 2)
    region = MaasRegion()
    nodes = [deployed(region, hostname) for hostname in ("node01", "node02", "node03")]
    async with caller(region) as user:
        user.host.host.serve({**user.host.host.tools, Stop.name: Stop()})
        first, question = await asked(user, Stop.name, system_ids=nodes)
        region.machine("node03").owner = "bob"
        second, again = await asked(user, Stop.name, system_ids=nodes)

    assert "and 1 more machine" in question.text
    assert question.text == again.text
    assert first != second
