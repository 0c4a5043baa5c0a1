"""Properties of the policy over all tools, so that a new tool cannot forget it.

The arguments are random values that the tools' schemas allow, with real system ids and operation ids in them. The
client agrees to every question.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from maas_mcp.calls.arguments import ClientFeatures, published_arguments
from maas_mcp.calls.chain import run_call
from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.declaring.questions import ClientRequest, Question
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.configuration import MODES, Mode, Policy, Protection
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from maas_simulator import Status
from tests.own_plugins import own_tools

pytestmark = pytest.mark.anyio

TOOLS: Final = own_tools()
CHANGING: Final = sorted(name for name, tool in TOOLS.items() if not tool.read_only)
ON_MACHINES: Final = [name for name in CHANGING if name != "maas_import_images"]
MACHINE: Final = "a machine"
OPERATION: Final = "an operation"
WIDEST: Final = {"everything": Mode(operate="allow", destroy="allow")}


class Agrees:
    """A client that agrees to every question, with the answer that its form suggests."""

    def can_ask(self, kind: type[Any] = Question) -> bool:  # noqa: ARG002 - all kinds are alike here
        return True

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        return {key: _agreement(each.answer) for key, each in requests.items()}

    async def log(self, text: str, level: str) -> None: ...


def _agreement(form: type[BaseModel]) -> BaseModel:
    values: dict[str, object] = {bool: True, str: "node01", int: 1}  # type: ignore[dict-item] # by type
    return form.model_construct(**{name: values.get(field.annotation) for name, field in form.model_fields.items()})  # type: ignore[call-overload] # by type


def values_of(name: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows."""
    if name in {"system_id", "system_ids", "add", "remove"}:
        one = st.just(MACHINE)
        return one if schema.get("type") == "string" else st.lists(one, min_size=1, max_size=1)
    if name == "operation_id":
        return st.just(OPERATION)
    if schema.get("type") == "array":
        return st.lists(values_of("", schema.get("items", {})), min_size=1, max_size=2)
    least = schema.get("minimum", 0)
    small = st.integers(least, least + 5)
    by_type: dict[str | None, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": small,
        "number": small,
        "object": st.just({}),
    }
    texts = st.sampled_from(schema.get("enum", ["node01", "ssd", "default", "ubuntu/jammy", "x"]))
    return by_type.get(schema.get("type"), texts)


@st.composite
def calls(draw: st.DrawFn, names: list[str]) -> tuple[str, dict[str, Any]]:
    """A tool and arguments for it."""
    name = draw(st.sampled_from(names))
    schema = published_arguments(TOOLS[name], ClientFeatures())
    required = schema.get("required", [])
    given: dict[str, Any] = {}
    for key, of_key in schema["properties"].items():
        if key not in {"plan", "plan_id", "on_cancel", "wait_seconds"} and (key in required or draw(st.booleans())):
            given[key] = draw(values_of(key, of_key))
    return name, given


def filled(value: Any, machine: str, operation: str) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, machine, operation) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, machine, operation) for each in value]
    return {MACHINE: machine, OPERATION: operation}.get(value, value) if isinstance(value, str) else value


async def attempt(host: Host, name: str, arguments: Mapping[str, Any]) -> str:
    """Call a tool, agreeing to everything. Returns the code of the error, or an empty text."""
    tool: AnyTool = TOOLS[name]
    connection = host.host.connections.connect()
    try:
        with anyio.move_on_after(600):
            await run_call(
                host.host,
                tool,
                arguments,
                connection=connection,
                sender=lambda _token: discard_progress,
                user=Agrees(),
                answer_by=lambda _token: math.inf,
            )
    except MaasMcpError as error:
        return error.code
    return ""


def changing_requests(region: MaasRegion) -> list[str]:
    """The requests that may have changed a machine: not a dry run, which changes nothing."""
    return [
        f"{each.method} {each.path} {each.op}"
        for each in region.requests
        if each.method != "GET" and not (each.op == "allocate" and each.form.get("dry_run"))
    ]


async def started(host: Host, region: MaasRegion) -> str:
    """The id of a deployment that is running."""
    host.host.serve(TOOLS)
    tool = TOOLS["maas_deploy_machine"]
    result = await run_call(
        host.host,
        tool,
        {"system_id": region.machine("node03").system_id, "wait_seconds": 0},
        connection=host.host.connections.connect(),
        sender=lambda _token: discard_progress,
    )
    return result.operation_id


def use(host: Host, policy: Policy, mode: str) -> None:
    host.host.policy.use(host.host.settings.model_copy(update={"policy": policy, "mode": mode}))


async def outcome(
    call: tuple[str, dict[str, Any]], policy: Policy, mode: str, region: MaasRegion
) -> tuple[str, list[str]]:
    """The code of a call's error and the changing requests that it sent. Another operation of the caller is running."""
    name, arguments = call
    async with region.host() as host:
        operation = await started(host, region)
        before = changing_requests(region)
        use(host, policy, mode)
        machine = region.machine("node01").system_id
        code = await attempt(host, name, filled(arguments, machine, operation))
    return code, changing_requests(region)[len(before) :]


@given(calls(ON_MACHINES), st.sampled_from(["standard", "unattended", "everything"]))
@settings(max_examples=150)
async def test_protected_machines_survive_every_tool_in_every_mode(call: tuple[str, dict[str, Any]], mode: str) -> None:
    policy = Policy(protect=Protection(hostnames=("*",)), modes=WIDEST)

    _code, sent = await outcome(call, policy, mode, MaasRegion())

    assert sent == []


@given(calls(sorted(TOOLS)))
@settings(max_examples=150)
async def test_read_only_changes_nothing(call: tuple[str, dict[str, Any]]) -> None:
    _code, sent = await outcome(call, Policy(), "read-only", MaasRegion())

    assert sent == []


@given(calls(ON_MACHINES), st.sampled_from(sorted(MODES)))
@settings(max_examples=150)
async def test_neither_arguments_nor_answers_widen_a_mode_that_needs_a_plan(
    call: tuple[str, dict[str, Any]], mode: str
) -> None:
    region = MaasRegion()
    for machine in region.machines.values():
        if machine.hostname != "node03":
            machine.status, machine.owner, machine.power_state = Status.DEPLOYED, "admin", "on"
    policy = Policy(modes={each: Mode(destroy="plan") for each in MODES if each != "read-only"})

    await outcome(call, policy, mode, region)

    assert all(
        (each.status, each.power_state) == (Status.DEPLOYED, "on")
        for each in region.machines.values()
        if each.hostname != "node03"
    )


def test_every_changing_tool_names_its_toolset_and_its_effects() -> None:
    for name in CHANGING:
        tool = TOOLS[name]
        assert tool.toolset, name
        fields = tool.arguments.model_fields
        if "system_id" in fields and fields["system_id"].is_required():
            effects = tool.effects(tool.arguments.model_construct(system_id="4y3h7n"))
            assert effects.machines == ("4y3h7n",), name
