"""``ctx.operations``: long-running operations for tools."""

from collections.abc import AsyncIterator

import anyio
import pytest
from pydantic import BaseModel

from maas_mcp.api import OperationList, SystemId, Tool, ToolContext
from maas_mcp.errors import (
    InvalidArgumentsError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    PluginError,
)
from maas_mcp.operations.declaring.operations import NOT_OFFERED
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from maas_simulator import SimulatedMachine, Status

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("plugins")]


@pytest.fixture
def plugins() -> None:
    pytest.importorskip("maas_deploy")
    pytest.importorskip("maas_inventory")


class Which(BaseModel):
    """A machine."""

    system_id: SystemId


class Reported(BaseModel):
    """The collected messages."""

    texts: list[str]


class Redeploy(Tool[Which, Reported]):
    """Deploy a machine and release it again, one after the other."""

    name = "acme_redeploy"

    async def run(self, ctx: ToolContext, args: Which) -> Reported:
        await ctx.operations.run("maas_deploy_machine", system_id=args.system_id)
        await ctx.operations.run("maas_release_machine", system_id=args.system_id)
        return Reported(texts=[(await ctx.maas.machine(args.system_id)).status_name])


class StartAndCancel(Tool[Which, Reported]):
    """Start a deployment, wait a minute for it, and abort it."""

    name = "acme_start_and_cancel"

    async def run(self, ctx: ToolContext, args: Which) -> Reported:
        started = await ctx.operations.start("maas_deploy_machine", system_id=args.system_id)
        later = await ctx.operations.wait(started.operation_id, 60)
        now = await ctx.operations.get(started.operation_id)
        ended = await ctx.operations.cancel(started.operation_id, abort=True)
        return Reported(texts=[started.state, later.state, now.state, ended.state])


class Misuse(Tool[Which, Reported]):
    """Call unknown tools, and tools that are not operations."""

    name = "acme_misuse"

    async def run(self, ctx: ToolContext, args: Which) -> Reported:
        texts = []
        for name, start in (("maas_nothing", False), ("maas_get_machine", True), ("maas_deploy_machine", False)):
            try:
                if start:
                    await ctx.operations.start(name, system_id=args.system_id)
                else:
                    await ctx.operations.run(name, system_id=args.system_id, nonsense=1)
            except InvalidArgumentsError as error:
                texts.append(error.message)
        return Reported(texts=texts)


class Nothing(BaseModel):
    """No arguments."""


class Listing(Tool[Nothing, OperationList]):
    """List running operations."""

    name = "acme_list"
    read_only = True

    async def run(self, ctx: ToolContext, _args: Nothing) -> OperationList:
        return await ctx.operations.list()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    with MaasRegion() as region:
        async with region.host() as host:
            yield host


async def test_a_tool_runs_operations_to_their_end_with_its_own_progress(host: Host) -> None:
    reported = await host.call(Redeploy, "node01")

    assert reported.texts == ["Ready"]
    assert {"Installing OS", "Releasing"} <= {each.message for each in host.progress}
    values = [each.value for each in host.progress]
    assert values == sorted(set(values))


async def test_a_tool_starts_waits_for_gets_and_cancels_an_operation(host: Host) -> None:
    reported = await host.call(StartAndCancel, "node01")

    assert reported.texts == ["working", "working", "working", "reverted"]
    assert host.region.machine("node01").status_name == "Allocated"


async def test_a_failed_operation_fails_the_tool(host: Host) -> None:
    host.region.plan("node01", fail="Installing OS")

    with pytest.raises(OperationFailedError):
        await host.call(Redeploy, "node01")


async def test_running_an_operation_that_is_already_running_is_refused(host: Host) -> None:
    host.region.deploy("node01", "admin")

    with pytest.raises(OperationRefusedError, match="not started, because it is already running"):
        await host.call(Redeploy, "node01")


async def test_unknown_tools_and_arguments_are_refused_before_anything_is_sent(host: Host) -> None:
    reported = await host.call(Misuse, "node01")

    assert reported.texts[0] == "There is no tool 'maas_nothing'."
    assert reported.texts[1].startswith("maas_get_machine is not a long-running operation.")
    assert "`nonsense` is not an argument" in reported.texts[2]
    assert [each for each in host.region.requests if each.method == "POST"] == []


async def test_cancelling_a_tool_stops_its_operation(host: Host) -> None:
    async with anyio.create_task_group() as tasks:

        async def call() -> None:
            with pytest.raises(OperationCancelledError):
                await host.call(Redeploy, "node01")

        tasks.start_soon(call)
        await anyio.sleep(60)
        host.cancel()
    assert anyio.current_time() < 70
    assert host.region.machine("node01").status_name == "Deploying"


async def test_listing_fifty_operations_costs_six_requests_at_most() -> None:
    with MaasRegion() as region:
        names = [f"rack{number}" for number in range(100, 150)]
        for number, name in enumerate(names, start=100):
            machine = SimulatedMachine(f"aaa{number}", name, number, Status.READY)
            region.machines[machine.system_id] = machine
            region.deploy(name, "admin")
        async with region.host() as host:
            await anyio.sleep(400)  # each has written most of its sixty events by now
            before = len(region.requests)
            listed = await host.call(Listing)

    assert len(region.requests) - before <= 6
    assert len(listed.operations) == 50
    assert {each.operation for each in listed.operations} == {"maas_deploy_machine"}
    assert {each.hostname for each in listed.operations} == set(names)
    assert all(each.progress and each.progress > 0.3 for each in listed.operations)
    assert not listed.unreadable


async def test_an_operation_cannot_start_others(host: Host) -> None:
    with pytest.raises(PluginError, match=r"`ctx.operations.run` is not available here"):
        await NOT_OFFERED.run("maas_deploy_machine")
    assert [each for each in host.region.requests if each.method == "POST"] == []
