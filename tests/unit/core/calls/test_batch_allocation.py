"""Calls about a batch whose machines are still being allocated."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from maas_mcp.calls.answer_time import DEFAULT_LIMIT, answer_time
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.host import IDLE_LIMIT, Host, open_host
from maas_mcp.calls.principal import ANONYMOUS, LOCAL
from maas_mcp.maas.limits import CHANGE_TIMEOUT
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress
from maas_mcp.operations.timing import Timing
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import connector, settings_for
from tests.own_plugins import own_tools

deploy_machines = pytest.importorskip("maas_deploy.deploy_machines")
pytest.importorskip("maas_inventory")

pytestmark = pytest.mark.anyio

EACH = 20.0
"""Seconds that MAAS takes to allocate a machine."""
READY = 5
"""The machines that are Ready."""


async def _discard(_progress: Progress) -> None: ...


@pytest.fixture
def region() -> MaasRegion:
    region = MaasRegion()
    region.hold(op="allocate", before=EACH)
    return region


@pytest.fixture
async def host(region: MaasRegion) -> AsyncIterator[Host]:
    async with region.host() as host:
        host.host.serve(own_tools())
        yield host.host


async def call(host: Host, name: str, **arguments: Any) -> CallResult:
    """Call a tool as a client does that sends no progress token."""
    return await run_call(
        host,
        host.tools[name],
        arguments,
        connection=host.connections.connect(),
        sender=lambda _token: _discard,
        answer_by=lambda _token: answer_time(None, has_token=False),
    )


async def report(host: Host, name: str, operation_id: str, **arguments: Any) -> dict[str, Any]:
    """The operation's report from a tool for operations."""
    content = (await call(host, name, operation_id=operation_id, **arguments)).content
    assert content is not None
    return content


def with_status(region: MaasRegion, status: str) -> int:
    region.play()
    return len([each for each in region.machines.values() if each.status_name == status])


async def test_the_call_answers_with_an_id_and_the_wait_tool_follows_to_the_end(host: Host) -> None:
    began = anyio.current_time()

    answered = await call(host, "maas_deploy_machines", count=READY)

    assert anyio.current_time() - began <= DEFAULT_LIMIT + 1
    assert answered.status is not None
    assert answered.status.message == "Allocating machine 3 of 5"
    shown = await report(host, "maas_get_operation", answered.operation_id)
    assert (shown["state"], shown["message"]) == ("working", "Allocating machine 3 of 5")
    while shown["state"] == "working":
        shown = await report(host, "maas_wait_operation", answered.operation_id, wait_seconds=3600)
    assert (shown["state"], shown["result"]["succeeded"]) == ("succeeded", READY)


async def test_a_refused_allocation_is_the_error_in_the_report(host: Host) -> None:
    answered = await call(host, "maas_deploy_machines", count=READY + 1)
    await anyio.sleep(READY * EACH)

    shown = await report(host, "maas_get_operation", answered.operation_id)

    assert (shown["state"], shown["error"]["code"]) == ("failed", "operation_refused")
    assert "only 5 matching machines were free" in shown["error"]["message"]


@pytest.mark.parametrize("abort", [True, False])
async def test_the_cancel_tool_stops_the_allocation_and_releases_the_machines(
    host: Host, region: MaasRegion, *, abort: bool
) -> None:
    ready = with_status(region, "Ready")
    answered = await call(host, "maas_deploy_machines", count=READY)

    await report(host, "maas_cancel_operation", answered.operation_id, abort=abort)
    await anyio.sleep(Timing().allocation_uncertain + 1)

    shown = await report(host, "maas_get_operation", answered.operation_id)
    assert shown["state"] == "reverted"
    assert with_status(region, "Ready") == ready
    assert not [each for each in region.requests if each.op == "deploy"]


async def test_a_stopping_server_has_the_time_of_a_running_call_to_release_the_machines(
    host: Host, region: MaasRegion
) -> None:
    ready = with_status(region, "Ready")
    region.hold(op="release", before=5)
    await call(host, "maas_deploy_machines", count=READY)

    host.connections.shut_down()
    await anyio.sleep(Timing().allocation_uncertain + 6)

    assert with_status(region, "Ready") == ready


async def test_the_end_of_the_server_releases_the_machines(region: MaasRegion) -> None:
    ready = with_status(region, "Ready")
    async with region.host() as opened:
        opened.host.serve(own_tools())
        await call(opened.host, "maas_deploy_machines", count=READY)
        assert with_status(region, "Ready") < ready

    assert with_status(region, "Ready") == ready


async def test_the_tenant_is_kept_open_until_the_machines_are_started(region: MaasRegion) -> None:
    region.hold(op="allocate", before=IDLE_LIMIT)
    async with region.host():  # its clock
        tools = own_tools()
        settings = settings_for(region, "admin")
        async with open_host(settings, tools, connect=connector(region)) as host:
            answered = await call(host, "maas_deploy_machines", count=2)
            await anyio.sleep(1.5 * IDLE_LIMIT)
            async with host.tenant(ANONYMOUS):  # closes idle tenants
                pass
            await anyio.sleep(IDLE_LIMIT)

            shown = await report(host, "maas_get_operation", answered.operation_id)
            assert shown["state"] == "working"
            assert with_status(region, "Deploying") >= 2


async def test_what_a_killed_server_left_allocated_is_released_by_its_id(host: Host, region: MaasRegion) -> None:
    region.hold(op="allocate")
    ready = with_status(region, "Ready")
    batch = deploy_machines.DeployMany()
    name = "b3x0123456789"
    async with host.tenant(LOCAL) as tenant:
        cursor = await tenant.maas.newest_event_id()
        operation_id = tenant.handle_signer.sign(Handle(batch.name, name, int(tenant.handle_signer.now()), cursor, ()))
        for _ in range(2):
            await tenant.maas.post_op("machines/", "allocate", agent_name=name, comment=batch.label(name))
    await anyio.sleep(2 * CHANGE_TIMEOUT)

    shown = await report(host, "maas_get_operation", operation_id)
    (step,) = shown["error"]["next_steps"]

    assert shown["state"] == "failed"
    assert "2 of 3 machines are allocated" in shown["message"]
    assert (step["tool"], step["arguments"]) == (
        "maas_cancel_operation",
        {"operation_id": operation_id, "abort": True},
    )
    released = (await call(host, step["tool"], **step["arguments"])).content
    assert released is not None
    assert released["state"] == "reverted"
    assert with_status(region, "Ready") == ready
