"""Each change can be planned, and its audit and plan contain no secret."""

import json

import pytest

from maas_mcp.testing import MaasRegion
from tests.configuring import CHANGES, PASSWORD, Change
from tests.unit.core.calls.planned_calls import Caller, changes

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("change", CHANGES, ids=str)]


async def test_a_plan_shows_the_requests_and_sends_none(change: Change) -> None:
    region = MaasRegion()
    async with region.host() as host:
        host.host.serve({change.tool.name: change.tool()})
        plan = await Caller(host).plan(change.tool.name, **change.arguments_for(region, region.machine("node01")))

    kinds = [(each.method, each.op) for each in plan.requests]
    assert changes(region) == []
    assert kinds[0] == (change.method, change.op)
    assert kinds[1:] == ([("POST", "update_nodes")] if change.label == "create a tag" else [])
    assert PASSWORD not in plan.text() + plan.model_dump_json()
    assert (f"node01 ({region.machine('node01').system_id})" in plan.text()) is (change.label != "add")


async def test_the_planned_call_is_made_and_recorded_without_secrets(change: Change) -> None:
    region = MaasRegion()
    node01 = region.machine("node01")
    async with region.host() as host:
        host.host.serve({change.tool.name: change.tool()})
        user, arguments = Caller(host), change.arguments_for(region, node01)
        plan = await user.plan(change.tool.name, **arguments)
        answer = await user.call(change.tool.name, plan_id=plan.plan_id, **arguments)
        lines = json.dumps(list(host.audit.lines), default=str)

    assert change.happened(region, node01)
    assert change.requests(region, node01) == 1
    assert answer.result is not None
    assert PASSWORD not in lines + answer.result.model_dump_json()
