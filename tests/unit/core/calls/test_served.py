"""A tool that is not served cannot be called by another tool either, and its operations can still be followed."""

from typing import Any

import pytest
from pydantic import BaseModel

from maas_mcp.api import SystemId, Tool, ToolContext
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.served import Serving
from maas_mcp.errors import RefusedByPolicyError
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.selection import RequestSelection, SiteSelection
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from tests.own_plugins import own_tools

pytest.importorskip("maas_deploy")

pytestmark = pytest.mark.anyio


class Which(BaseModel):
    system_id: SystemId


class Locked(BaseModel):
    locked: bool


class LockByAnother(Tool[Which, Locked]):
    """Lock a machine by another tool."""

    name = "acme_lock"
    read_only = True

    async def run(self, ctx: ToolContext, args: Which) -> Locked:
        await ctx.operations.run("maas_lock_machine", system_id=args.system_id)
        return Locked(locked=True)


TOOLS: dict[str, AnyTool] = {
    **own_tools(),
    "acme_lock": LockByAnother(),
}


async def call(host: Host, name: str, site: SiteSelection, *requests: RequestSelection, **given: Any) -> CallResult:
    serving = Serving(TOOLS, site=[site])
    host.host.serve(TOOLS, serving)
    return await run_call(
        host.host,
        TOOLS[name],
        given,
        connection=host.host.connections.connect(),
        sender=lambda _token: discard_progress,
        served=serving.select(*requests),
    )


@pytest.mark.parametrize(
    ("site", "requests", "rule"),
    [
        (SiteSelection("standard", read_only=False, block=("maas_lock_machine",)), [], "tools_block"),
        (SiteSelection("read-only", read_only=True), [], "modes.read-only"),
        (SiteSelection("standard", read_only=False), [RequestSelection(read_only=True)], "X-MAAS-MCP-Read-Only"),
    ],
)
async def test_a_tool_cannot_call_a_tool_that_the_request_cannot_use(
    site: SiteSelection, requests: list[RequestSelection], rule: str
) -> None:
    region = MaasRegion()
    node = region.machine("node07").system_id
    async with region.host() as host:
        with pytest.raises(RefusedByPolicyError) as refused:
            await call(host, "acme_lock", site, *requests, system_id=node)

    assert refused.value.rule == rule
    assert len(region.requests) == 0


async def test_an_operation_of_a_tool_that_is_not_served_can_be_followed() -> None:
    region = MaasRegion()
    async with region.host() as host:
        started = await call(
            host,
            "maas_deploy_machine",
            SiteSelection("standard", read_only=False),
            system_id=region.machine("node01").system_id,
            ephemeral_deploy=True,
            wait_seconds=0,
        )
        read_only = SiteSelection("read-only", read_only=True)
        answer = await call(
            host, "maas_wait_operation", read_only, operation_id=started.operation_id, wait_seconds=3600
        )

    assert answer.content is not None
    assert answer.content["state"] == "succeeded"
