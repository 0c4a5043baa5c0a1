"""A call answers with its operation's id before its client gives up."""

from typing import Any

import anyio
import pytest

from maas_mcp.calls.answer_time import DEFAULT_LIMIT, answer_time
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.errors import MaasUnavailableError
from maas_mcp.operations.progress import Progress
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from maas_simulator import Fault, Latency
from tests.own_plugins import own_tools

for plugin in ("maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

pytestmark = pytest.mark.anyio

PROMPT = DEFAULT_LIMIT + 5
"""Seconds within which a client that gives up after 60 seconds has its answer."""


async def _discard(_progress: Progress) -> None: ...


async def call(
    host: Host, name: str, *, setting: float | None = None, token: bool = False, **arguments: Any
) -> tuple[CallResult, float]:
    """Call a tool as the server does. Returns the result and the seconds that it took."""
    tools = own_tools()
    host.host.serve(tools)
    began = anyio.current_time()
    result = await run_call(
        host.host,
        tools[name],
        arguments,
        connection=host.host.connections.connect(),
        sender=lambda _token: _discard,
        answer_by=lambda _token: answer_time(setting, has_token=token),
    )
    return result, anyio.current_time() - began


def state(result: CallResult) -> str:
    return result.status.state if result.status else (result.content or {})["state"]


async def test_a_call_without_a_progress_token_answers_before_its_client_gives_up() -> None:
    region = MaasRegion()
    async with region.host() as host:
        result, took = await call(host, "maas_deploy_machine", system_id=region.machine("node01").system_id)

    assert (state(result), bool(result.operation_id)) == ("working", True)
    assert DEFAULT_LIMIT <= took <= PROMPT


async def test_a_call_with_a_progress_token_answers_at_the_end() -> None:
    region = MaasRegion()
    async with region.host() as host:
        system_id = region.machine("node01").system_id
        result, took = await call(host, "maas_deploy_machine", token=True, system_id=system_id, ephemeral_deploy=True)

    assert state(result) == "succeeded"
    assert took > PROMPT


@pytest.mark.parametrize(("setting", "token"), [(20.0, True), (20.0, False)])
async def test_the_setting_limits_every_call(setting: float, *, token: bool) -> None:
    region = MaasRegion()
    async with region.host() as host:
        result, took = await call(
            host, "maas_deploy_machine", setting=setting, token=token, system_id=region.machine("node01").system_id
        )

    assert state(result) == "working"
    assert setting <= took <= setting + 5


async def test_zero_sets_no_limit() -> None:
    region = MaasRegion()
    async with region.host() as host:
        system_id = region.machine("node01").system_id
        result, took = await call(host, "maas_deploy_machine", setting=0, system_id=system_id, ephemeral_deploy=True)

    assert state(result) == "succeeded"
    assert took > PROMPT


@pytest.mark.parametrize(("asked", "seconds"), [(10, 10), (3600, DEFAULT_LIMIT)])
async def test_the_shorter_of_both_limits_counts(asked: float, seconds: float) -> None:
    region = MaasRegion()
    async with region.host() as host:
        system_id = region.machine("node01").system_id
        result, took = await call(host, "maas_deploy_machine", system_id=system_id, wait_seconds=asked)
        assert (state(result), seconds <= took <= seconds + 5) == ("working", True)

        waited, took = await call(host, "maas_wait_operation", operation_id=result.operation_id, wait_seconds=asked)
        assert (state(waited), seconds <= took <= seconds + 5) == ("working", True)


async def test_a_batch_answers_in_time() -> None:
    async with MaasRegion().host() as host:
        result, took = await call(host, "maas_deploy_machines", count=2)

    assert (state(result), bool(result.operation_id)) == ("working", True)
    assert took <= PROMPT


async def test_an_operation_of_the_region_answers_in_time() -> None:
    async with MaasRegion().host() as host:
        result, took = await call(host, "maas_import_images", setting=1.0)

    assert (state(result), bool(result.operation_id)) == ("working", True)
    assert took <= 1.0 + 5


async def test_a_start_that_maas_answers_late_has_an_id_in_time() -> None:
    region = MaasRegion()
    region.faults.append(Fault(op="deploy", delay=Latency(120.0)))
    async with region.host() as host:
        result, took = await call(host, "maas_deploy_machine", system_id=region.machine("node01").system_id)

    assert (state(result), bool(result.operation_id)) == ("working", True)
    assert took <= PROMPT


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("maas_deploy_machine", {"system_id": "node01"}), ("maas_deploy_machines", {"count": 2})],
)
async def test_nothing_is_started_if_the_reads_before_the_start_take_too_long(
    tool: str, arguments: dict[str, Any]
) -> None:
    region = MaasRegion()
    region.faults.append(Fault(method="GET", delay=Latency(40.0), times=None))
    if "system_id" in arguments:
        arguments = {"system_id": region.machine("node01").system_id}
    async with region.host() as host:
        began = anyio.current_time()
        with pytest.raises(MaasUnavailableError, match="was not started") as refusal:
            await call(host, tool, setting=30, **arguments)
        assert anyio.current_time() - began <= 30 + 5

    assert refusal.value.retryable
    assert not [each for each in region.requests if each.method == "POST"]
