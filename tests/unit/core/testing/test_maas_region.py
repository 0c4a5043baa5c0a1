"""The fixture ``maas_region`` as plugin authors use it."""

import time
from pathlib import Path

import anyio
import httpx
import pytest
from pydantic import BaseModel

from maas_mcp.api import (
    EventPolling,
    InvalidArgumentsError,
    Lifecycle,
    MaasPermissionError,
    MaasUnavailableError,
    MachineStatus,
    Operation,
    OperationCancelledError,
    OperationContext,
    OperationRevertedError,
    Phase,
    SystemId,
    Tool,
    ToolContext,
)
from maas_mcp.testing import Fault, MaasRegion, Progress
from maas_simulator import WorldFileError


class Which(BaseModel):
    system_id: SystemId


class Where(BaseModel):
    status_name: str


class Deploy(Operation[Which, Where]):
    """Deploy a machine."""

    name = "own_deploy"
    lifecycle = Lifecycle(
        start_from={MachineStatus.READY},
        pending={MachineStatus.DEPLOYING},
        success={MachineStatus.DEPLOYED},
        failure={MachineStatus.FAILED_DEPLOYMENT},
    )
    polling = EventPolling(phases=[Phase("Performing PXE boot", 0.2)])

    async def start(self, ctx: OperationContext, args: Which) -> None:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy")

    async def result(self, ctx: OperationContext) -> Where:
        return Where(status_name=ctx.machine.status_name)


class Look(Tool[Which, Where]):
    """Read a machine."""

    name = "own_look"
    read_only = True

    async def run(self, ctx: ToolContext, args: Which) -> Where:
        ctx.progress.report(0.5, "Reading")
        return Where(status_name=(await ctx.maas.machine(args.system_id)).status_name)


class Watch(Tool[Which, Where]):
    """Read a machine twice, a minute apart, while another client polls the region over HTTP."""

    name = "own_watch"
    read_only = True

    async def run(self, ctx: ToolContext, args: Which) -> Where:
        for _ in range(2):
            machine = await ctx.maas.machine(args.system_id)
            httpx.get(machine.description + "/api/2.0/version/").raise_for_status()  # noqa: ASYNC210 - virtual time would pass during an await
            await anyio.sleep(60)
        return Where(status_name=machine.status_name)


class Commission(Deploy):
    """Request an operation that needs an administrator."""

    name = "own_commission"

    async def start(self, ctx: OperationContext, args: Which) -> None:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "commission")


def minutes(region: MaasRegion, since: float) -> float:
    region.play()
    return (region.now() - since) / 60


def test_an_operation_takes_minutes_in_the_region_and_no_real_time(maas_region: MaasRegion) -> None:
    maas_region.call(Look, "node01")  # imports take real time
    began, at = maas_region.now(), time.monotonic()
    assert maas_region.call(Deploy, "node01") == Where(status_name="Deployed")
    assert 9 < minutes(maas_region, began) < 12
    assert time.monotonic() - at < (maas_region.now() - began) / 10


def test_a_short_tool_is_called_in_the_same_way(maas_region: MaasRegion) -> None:
    assert maas_region.call(Look, "node07").status_name == "Deployed"
    assert maas_region.progress == [Progress(0.5, 1.0, "Reading")]


def test_arguments_are_checked_as_the_server_does(maas_region: MaasRegion) -> None:
    with pytest.raises(InvalidArgumentsError, match="speed"):
        maas_region.call(Look, "node01", speed="high")
    with pytest.raises(InvalidArgumentsError, match="system_id"):
        maas_region.call(Look)
    assert maas_region.call(Look, system_id="7xneda").status_name == "Ready"


def test_progress_is_that_of_the_latest_call(maas_region: MaasRegion) -> None:
    maas_region.call(Deploy, "node01")
    assert maas_region.messages[0] == "Starting on node01"
    maas_region.call(Look, "node01")
    assert maas_region.messages == ["Reading"]


def test_time_passes_only_in_calls_and_advance(maas_region: MaasRegion) -> None:
    maas_region.deploy("node02", "bob")
    maas_region.call(Look, "node01")
    assert maas_region.machine("node02").status_name == "Deploying"
    maas_region.advance(3600)
    assert maas_region.machine("node02").status_name == "Deployed"


def test_an_event_can_be_scheduled_during_a_call(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.abort, "node01", "bob", comment="mine")
    with pytest.raises(OperationRevertedError, match="bob"):
        maas_region.call(Deploy, "node01")


def test_a_scheduled_event_happens_while_maas_holds_the_only_request(maas_region: MaasRegion) -> None:
    began = maas_region.now()
    maas_region.hold(op="deploy", before=600)
    maas_region.after(5, maas_region.cancel)
    with pytest.raises(OperationCancelledError):
        maas_region.call(Deploy, "node01")
    assert 5 <= minutes(maas_region, began) * 60 < 6


def test_an_exception_of_a_scheduled_event_is_raised(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.machine, "node99")
    with pytest.raises((KeyError, ExceptionGroup)):
        maas_region.call(Deploy, "node01")


def test_a_request_held_too_long_times_out(maas_region: MaasRegion) -> None:
    maas_region.hold(op="machines", after=3600)
    with pytest.raises(MaasUnavailableError, match="did not respond in time"):
        maas_region.call(Look, "node01")


@pytest.mark.parametrize("lost", ["before", "after", "body"])
def test_a_connection_can_break_in_process(maas_region: MaasRegion, lost: str) -> None:
    maas_region.faults.append(Fault(drop=lost, path="machines/", method="GET"))  # type: ignore[arg-type] # one of them
    assert maas_region.call(Look, "node01").status_name == "Ready"
    assert len(maas_region.requests) == 2


def test_calling_a_running_operation_raises_an_error(maas_region: MaasRegion) -> None:
    maas_region.deploy("node01", "admin")
    with pytest.raises(RuntimeError, match="own_deploy was not started"):
        maas_region.call(Deploy, "node01")


def test_another_user_has_fewer_permissions(maas_region: MaasRegion) -> None:
    with pytest.raises(MaasPermissionError):
        maas_region.call(Commission, "node01", username="bob")


def test_settings_of_this_machine_are_ignored(maas_region: MaasRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "URL": "https://maas.invalid",
        "API_KEY": "a:b:c",
        "MCP_POLLING": "none",
        "MCP_NO": "1",
    }.items():
        monkeypatch.setenv(f"MAAS_{name}", value)
    monkeypatch.setenv("MAAS_MCP_CONFIG", "/nowhere.toml")
    assert maas_region.call(Deploy, "node01").status_name == "Deployed"
    assert maas_region.environment["MAAS_URL"] == maas_region.url
    assert "MAAS_MCP_POLLING" not in maas_region.environment


def test_an_installed_tool_is_called_through_mcp(maas_region: MaasRegion) -> None:
    answer = maas_region.call_tool("maas_list_operations")
    assert answer.structured_content == {"operations": [], "total": 0, "next_cursor": None, "unreadable": []}
    wrong = maas_region.call_tool("maas_wait_operation", operation_id="none")
    assert wrong.is_error


@pytest.mark.maas_world("world.yaml")
def test_a_test_may_use_its_own_world(maas_region: MaasRegion) -> None:
    assert [machine.hostname for machine in maas_region.machines.values()] == ["database"]
    assert list(maas_region.users) == ["admin", "ann"]
    assert maas_region.call(Look, "database", username="ann").status_name == "Deployed"
    assert maas_region.schedule.speed == 1, "time is the test's"


def test_the_error_for_an_invalid_world_names_the_line(tmp_path: Path) -> None:
    (file := tmp_path / "world.yaml").write_text("machines:\n  - {hostname: a_b}\n")
    with pytest.raises(WorldFileError, match=r"line 2: .*'a_b'"):
        MaasRegion(file)
    (file := tmp_path / "world.py").write_text("")
    with pytest.raises(WorldFileError, match="a YAML world file is needed"):
        MaasRegion(file)


def test_time_is_fast_while_served_over_http_but_not_during_a_call(maas_region: MaasRegion) -> None:
    assert maas_region.url.startswith("http://127.0.0.1:")
    began = maas_region.now()
    time.sleep(0.1)
    assert minutes(maas_region, began) >= 1
    assert maas_region.call(Deploy, "node01").status_name == "Deployed"
    assert maas_region.schedule.speed == 600


def test_polling_over_http_during_a_call_does_not_advance_time(maas_region: MaasRegion) -> None:
    maas_region.machine("node01").description = maas_region.url
    maas_region.deploy("node01", "admin")
    maas_region.set_speed(0)
    began = maas_region.now()
    assert maas_region.call(Watch, "node01").status_name == "Deploying"
    assert minutes(maas_region, began) == pytest.approx(2, abs=0.1)


@pytest.mark.anyio
async def test_a_region_cannot_be_served_during_a_call(maas_region: MaasRegion) -> None:
    async with maas_region.host():
        with pytest.raises(RuntimeError, match="Read its url before"):
            _ = maas_region.url
    assert maas_region.url.startswith("http")


@pytest.mark.anyio
async def test_an_async_test_can_open_the_host(maas_region: MaasRegion) -> None:
    async with maas_region.host() as host:
        maas_region.after(60, host.cancel)
        with pytest.raises(OperationCancelledError):
            await host.call(Deploy, "node01")
        assert (await host.call(Look, "node01")).status_name == "Deploying"
    assert maas_region.machine("node01").status_name == "Deploying"
