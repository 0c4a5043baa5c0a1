"""The audit's records of calls: one line before a change is sent, and one with the outcome."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus
from pydantic import BaseModel, SecretStr

from maas_mcp.api import SystemId, Tool, ToolContext
from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import (
    AuditUnavailableError,
    InsufficientScopeError,
    MaasMcpError,
    NotAnsweredError,
    PlanRefusedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import RecordedAudit
from tests.unit.core.operations.declared import Deploy

pytestmark = pytest.mark.anyio

DESTROY = frozenset({Scope.DESTROY})


class Note(BaseModel):
    system_id: SystemId
    text: str = "rack 4"
    password: str | None = None
    phrase: SecretStr | None = None
    power_parameters: dict[str, str] | None = None
    count: int = 1


class Done(BaseModel):
    done: bool = True


class Describe(Tool[Note, Done]):
    """Describe a machine."""

    name = "maas_describe"

    async def run(self, ctx: ToolContext, args: Note) -> Done:
        for _ in range(args.count):
            await ctx.maas.put(f"machines/{args.system_id}/", description=args.text)
        return Done()


class DescribeFromWithin(Tool[Note, Done]):
    """Describe a machine by another tool."""

    name = "maas_describe_from_within"

    async def run(self, ctx: ToolContext, args: Note) -> Done:
        await ctx.operations.run("maas_describe", system_id=args.system_id)
        return Done()


class Look(Tool[Note, Done]):
    """Look at a machine."""

    name = "maas_look"
    read_only = True

    async def run(self, ctx: ToolContext, args: Note) -> Done:
        await ctx.maas.machine(args.system_id)
        return Done()


class Liar(Look):
    """Claim to read, but change."""

    name = "maas_lie"

    async def run(self, ctx: ToolContext, args: Note) -> Done:
        await ctx.maas.put(f"machines/{args.system_id}/", description="changed")
        return Done()


class Broken(Describe):
    """Fail after a change."""

    name = "maas_break"

    async def run(self, ctx: ToolContext, args: Note) -> Done:
        await super().run(ctx, args)
        raise ZeroDivisionError


class Sleeper(Describe):
    """Change something, and never end."""

    name = "maas_sleep"

    async def run(self, ctx: ToolContext, args: Note) -> Done:
        await super().run(ctx, args)
        await anyio.sleep_forever()
        return Done()


class Declined(Describe):
    """End because the user declines."""

    name = "maas_decline"

    async def run(self, ctx: ToolContext, args: Note) -> Done:  # noqa: ARG002 - it changes nothing
        raise NotAnsweredError("No.")


TOOLS: Mapping[str, AnyTool] = {
    tool.name: tool
    for tool in (Describe(), DescribeFromWithin(), Look(), Liar(), Broken(), Sleeper(), Declined(), Deploy())
}


class FullAudit(RecordedAudit):
    """An audit that becomes full after a number of lines."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    async def write(self, fields: Mapping[str, Any], /) -> None:
        if len(self.lines) >= self.room:
            raise AuditUnavailableError("The audit is full.", hint="Free space.")
        await super().write(fields)


@pytest.fixture
def room() -> int:
    """The lines for which the audit has room."""
    return 1000


@pytest.fixture
def audit(room: int) -> RecordedAudit:
    return FullAudit(room)


@pytest.fixture
def region() -> MaasRegion:
    return MaasRegion()


@pytest.fixture
async def host(region: MaasRegion, audit: RecordedAudit) -> AsyncIterator[Host]:
    with region:
        async with region.host() as opened:
            opened.host.serve(TOOLS)
            opened.host.audit = audit
            yield opened.host


async def call(
    host: Host, region: MaasRegion, name: str, *, scope: Scope = Scope.DESTROY, **arguments: Any
) -> CallResult:
    """Call a tool for node01 as the principal alice."""
    return await run_call(
        host,
        TOOLS[name],
        {"system_id": region.machine("node01").system_id, **arguments},
        connection=host.connections.connect(Principal("alice", frozenset({scope}))),
        sender=lambda _token: discard_progress,
        client=ClientFeatures(name="claude-code"),
    )


def changes(region: MaasRegion) -> int:
    return sum(each.method != "GET" for each in region.requests)


async def test_a_change_is_recorded_before_it_is_sent_and_at_its_end(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    await call(host, region, "maas_describe")
    admitted, ended = audit.lines
    system_id = region.machine("node01").system_id
    caller = {"principal": "alice", "username": None, "client": "claude-code", "tool": "maas_describe"}
    assert admitted == {
        "event": "admitted",
        "call": ended["call"],
        **caller,
        "parent": None,
        "plan": None,
        "arguments": {"system_id": system_id, "text": "rack 4", "count": 1},
    }
    assert ended == {
        "event": "ended",
        "call": admitted["call"],
        **caller,
        "outcome": "succeeded",
        "seconds": ended["seconds"],
        "requests": [
            {
                "method": "PUT",
                "path": f"machines/{system_id}/",
                "op": None,
                "parameters": {"description": "rack 4"},
            }
        ],
    }


async def test_a_read_is_not_recorded(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    await call(host, region, "maas_look")
    assert audit.lines == []


async def test_a_change_by_a_tool_that_claims_to_be_read_only_is_recorded(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    await call(host, region, "maas_lie")
    (line,) = audit.lines
    assert (line["event"], line["call"], line["principal"], line["request"]["method"]) == ("sent", None, "alice", "PUT")


async def test_a_refused_call_gets_one_line_with_the_rule(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    with pytest.raises(InsufficientScopeError):
        await call(host, region, "maas_describe", scope=Scope.READ)
    (line,) = audit.lines
    assert (line["event"], line["outcome"], line["rule"]) == ("refused", "refused", "insufficient_scope")
    assert line["arguments"]["text"] == "rack 4"


async def test_a_long_plan_id_makes_no_long_line(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    with pytest.raises(PlanRefusedError):
        await call(host, region, "maas_describe", plan_id="x" * 500_000)
    (line,) = audit.lines
    assert len(json.dumps(line)) < 1_000


async def test_a_user_who_declines_refuses_an_admitted_call(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    with pytest.raises(NotAnsweredError):
        await call(host, region, "maas_decline")
    assert [(each["event"], each.get("outcome"), each.get("rule")) for each in audit.lines] == [
        ("admitted", None, None),
        ("ended", "refused", "not_answered"),
    ]


async def test_a_failed_call_has_the_code_of_its_error_and_what_it_sent(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    with pytest.raises(MaasMcpError):
        await call(host, region, "maas_break", count=2)
    ended = audit.lines[1]
    assert (ended["outcome"], ended["code"], len(ended["requests"])) == ("failed", "unexpected", 2)


async def test_a_cancelled_call_is_recorded(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    with anyio.move_on_after(5):
        await call(host, region, "maas_sleep")
    ended = audit.lines[1]
    assert (ended["outcome"], len(ended["requests"])) == ("cancelled", 1)
    assert ended["seconds"] == pytest.approx(5, abs=0.5)


async def test_a_call_of_another_tool_has_records_of_its_own_with_the_outer_call(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    await call(host, region, "maas_describe_from_within")
    outer, inner, inner_end, outer_end = audit.lines
    assert (inner["tool"], inner["parent"], outer["parent"]) == ("maas_describe", outer["call"], None)
    assert (inner_end["call"], outer_end["call"]) == (inner["call"], outer["call"])
    assert (len(inner_end["requests"]), outer_end["requests"]) == (1, [])


async def test_secrets_are_not_recorded(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    secrets: dict[str, Any] = {
        "password": "hush1",
        "phrase": "hush3",
        "power_parameters": {"power_pass": "hush2"},
        "text": f"key {region.api_key}",
    }
    await call(host, region, "maas_describe", **secrets)
    arguments = audit.lines[0]["arguments"]
    assert [arguments[name] for name in ("password", "phrase", "power_parameters")] == ["***", "**********", "***"]
    assert "hush" not in str(audit.lines)
    assert region.api_key not in str(audit.lines)


async def test_an_operation_is_recorded_with_its_id_and_its_start_request(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    answer = await call(host, region, "maas_deploy_machine", wait_seconds=0)
    assert [each["event"] for each in audit.lines] in (["admitted", "ended"], ["admitted", "ended", "sent"])
    ended = audit.lines[1]
    assert (ended["outcome"], ended["operation_id"]) == ("running", answer.operation_id)
    sent = [*ended["requests"], *(each["request"] for each in audit.lines[2:])]
    assert [each["op"] for each in sent] == ["deploy"]


async def hold_turn(maas: MaasClient, *, task_status: TaskStatus[None]) -> None:
    async with maas.turn():
        task_status.started()
        await anyio.sleep_forever()


async def test_a_request_after_the_end_of_its_call_has_a_line_of_its_own(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    async with host.tenant(Principal("alice", DESTROY)) as tenant, anyio.create_task_group() as others:
        for _ in range(2):
            await others.start(hold_turn, tenant.maas)
        await call(host, region, "maas_deploy_machine", wait_seconds=0)  # its start waits for its turn
        assert audit.lines[1]["requests"] == []
        others.cancel_scope.cancel()
    await anyio.sleep(60)
    sent = audit.lines[2]
    assert (sent["event"], sent["call"], sent["request"]["op"]) == ("sent", audit.lines[0]["call"], "deploy")


async def test_a_failed_operation_is_recorded_with_its_id(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    region.plan("node01", fail="Installing OS")
    with pytest.raises(MaasMcpError):
        await call(host, region, "maas_deploy_machine")
    ended = audit.lines[1]
    assert (ended["outcome"], ended["code"]) == ("failed", "operation_failed")
    async with host.tenant(Principal("alice", DESTROY)) as tenant:
        assert tenant.handle_signer.verify(ended["operation_id"]).operation == "maas_deploy_machine"


async def test_the_maas_user_is_recorded_once_it_is_known(host: Host, region: MaasRegion, audit: RecordedAudit) -> None:
    await call(host, region, "maas_describe")
    async with host.tenant(Principal("alice", DESTROY)) as tenant:
        assert await tenant.engine._shared.caller.name() == "admin"  # noted by the engine, when it needs the name
    await call(host, region, "maas_describe")
    assert [audit.lines[0]["username"], audit.lines[2]["username"]] == [None, "admin"]


@pytest.mark.parametrize("room", [0])
async def test_a_change_that_cannot_be_recorded_is_not_sent_and_reads_go_on(
    host: Host, region: MaasRegion, audit: RecordedAudit
) -> None:
    for name in ("maas_describe", "maas_deploy_machine", "maas_describe_from_within"):
        with pytest.raises(AuditUnavailableError):
            await call(host, region, name)
    await call(host, region, "maas_look")
    assert (changes(region), audit.lines) == (0, [])


@pytest.mark.parametrize("room", [0])
async def test_a_refusal_is_reported_even_if_it_cannot_be_recorded(host: Host, region: MaasRegion) -> None:
    with pytest.raises(InsufficientScopeError):
        await call(host, region, "maas_describe", scope=Scope.READ)


@pytest.mark.parametrize("room", [1])
async def test_an_outcome_that_cannot_be_recorded_is_logged_and_the_result_is_kept(
    host: Host, region: MaasRegion, audit: RecordedAudit, caplog: pytest.LogCaptureFixture
) -> None:
    await call(host, region, "maas_describe")
    assert changes(region) == 1
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert f"The outcome of call {audit.lines[0]['call']} is missing from the audit" in record.getMessage()


def test_the_region_of_a_plugins_test_has_the_audit_of_the_latest_call(region: MaasRegion) -> None:
    with region:
        region.call(Describe, "node02", password="hush")
        assert [each["event"] for each in region.audit] == ["admitted", "ended"]
        region.call(Look, "node02")
        assert region.audit == []
        region.call_tool("maas_lock_machine", system_id=region.machine("node02").system_id)
        assert [each["tool"] for each in region.audit] == ["maas_lock_machine"] * 2
