"""Switching machines on and off."""

from typing import Any

import anyio
import pytest

from maas_deploy.power import PowerCycle, PowerOff, PowerOn, QueryPowerState
from maas_mcp.api import (
    MaasError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
    Tool,
)
from maas_mcp.simulator import Fault
from tests.house import House

pytestmark = pytest.mark.anyio


def nothing_happens(op: str) -> Fault:
    """MAAS accepts the order, and the machine does not obey."""
    return Fault(op=op, status=200, body="{}")


def set_power(house: House, state: str, name: str = "node07") -> None:
    house.region.machine(name).power_state = state


async def test_a_machine_is_switched_off_and_on(house: House) -> None:
    off = await house.call(PowerOff, "node07", comment="maintenance", stop_mode="soft")
    on = await house.call(PowerOn, "node07")

    assert house.posted == [("power_off", {"comment": ["maintenance"], "stop_mode": ["soft"]}), ("power_on", {})]
    assert (off.power_state, on.power_state) == ("off", "on")


async def test_hard_is_how_it_is_switched_off_unless_told_otherwise(house: House) -> None:
    await house.call(PowerOff, "node07")

    assert house.posted == [("power_off", {"stop_mode": ["hard"]})]


async def test_it_is_waited_for_until_maas_shows_the_power_off(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))
    house.after(40, lambda: set_power(house, "off"))
    start = anyio.current_time()

    assert (await house.call(PowerOff, "node07", stop_mode="soft")).power_state == "off"
    assert 40 <= anyio.current_time() - start < 45
    assert "Waiting for power_off of node07: power on" in house.messages


async def test_after_two_minutes_it_is_told_that_nothing_happened(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))

    with pytest.raises(OperationTimedOutError, match="2 min 00 s later it is still Deployed, power on"):
        await house.call(PowerOff, "node07", stop_mode="soft")


async def test_waiting_for_power_can_be_cancelled(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))
    house.after(10, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await house.call(PowerOff, "node07")


async def test_a_power_cycle_goes_on_only_when_the_machine_is_off(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))
    house.after(30, lambda: set_power(house, "off"))

    assert (await house.call(PowerCycle, "node07")).power_state == "on"

    off, on = [each for each in house.region.requests if each.method == "POST"]
    assert (off.op, on.op) == ("power_off", "power_on")
    assert on.time - off.time >= 30


async def test_a_machine_that_stays_on_is_not_switched_on_again(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))

    with pytest.raises(OperationTimedOutError):
        await house.call(PowerCycle, "node07")

    assert [op for op, _ in house.posted] == ["power_off"]


@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_switching_on_never_deploys_an_allocated_machine(house: House, tool: type[Tool[Any, Any]]) -> None:
    with pytest.raises(OperationRefusedError, match="would deploy the region's default image") as refusal:
        await house.call(tool, "node06")

    assert "maas_deploy_machine" in (refusal.value.hint or "")
    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_switching_on_never_deploys_what_runs_in_memory_anew(house: House, tool: type[Tool[Any, Any]]) -> None:
    house.region.machine("node07").ephemeral_deploy = True

    with pytest.raises(OperationRefusedError, match="would deploy it anew"):
        await house.call(tool, "node07")

    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_what_is_nobodys_is_not_switched_on(house: House, tool: type[Tool[Any, Any]]) -> None:
    with pytest.raises(OperationRefusedError, match="is Ready and nobody's"):
        await house.call(tool, "node01")

    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOff, PowerCycle])
async def test_the_power_is_not_cut_under_a_deployment(house: House, tool: type[Tool[Any, Any]]) -> None:
    house.region.deploy("node01", "admin")

    with pytest.raises(OperationRefusedError, match="it would hang there") as refusal:
        await house.call(tool, "node01")

    assert "maas_abort_machine" in (refusal.value.hint or "")
    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOn, PowerOff, PowerCycle])
async def test_a_locked_machine_is_left_alone(house: House, tool: type[Tool[Any, Any]]) -> None:
    with pytest.raises(OperationRefusedError, match=r"node08 .* is locked"):
        await house.call(tool, "node08")

    assert house.posts == 0


async def test_null_says_that_maas_cannot_switch_it_off(house: House) -> None:
    house.region.machine("node07").power_type = "manual"

    with pytest.raises(OperationFailedError, match=r"cannot do power_off with node07 .*\(power type: manual\)"):
        await house.call(PowerOff, "node07")


async def test_what_is_switched_on_by_hand_is_not_waited_for(house: House) -> None:
    house.region.machine("node07").power_type = "manual"

    with pytest.raises(OperationRefusedError, match="its power type is manual"):
        await house.call(PowerOn, "node07")


@pytest.mark.parametrize("tool", [PowerOff, QueryPowerState])
async def test_a_bmc_that_fails_is_told_in_mass_words(house: House, tool: type[Tool[Any, Any]]) -> None:
    body = "Failed to complete power action: IPMI: connection timeout"
    op = "power_off" if tool is PowerOff else "query_power_state"
    house.region.faults.append(Fault(op=op, status=500, body=body))

    with pytest.raises(MaasError, match=body):
        await house.call(tool, "node07")


async def test_a_rack_that_is_down_is_told_in_mass_words(house: House) -> None:
    body = "Unable to connect to any rack controller bwdhs4; no connections available."
    house.region.faults.append(Fault(op="power_off", status=503, body=body, headers={"Retry-After": "10"}))

    with pytest.raises(MaasUnavailableError, match="no connections available") as failure:
        await house.call(PowerOff, "node07")

    assert failure.value.retryable
    assert house.posts == 1


async def test_the_bmc_is_asked_and_not_mass_record(house: House) -> None:
    result = await house.call(QueryPowerState, "node07")

    assert result.power_state == "on"
    assert house.region.requests[-1].op == "query_power_state"
    assert house.posts == 0


def test_what_interrupts_is_marked() -> None:
    assert (PowerOff.destructive, PowerCycle.destructive, PowerOn.destructive) == (True, True, False)
    assert QueryPowerState.read_only
