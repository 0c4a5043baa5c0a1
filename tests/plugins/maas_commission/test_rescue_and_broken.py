"""Rescue mode, and marking machines broken and fixed."""

import pytest

from maas_commission.broken import MarkBroken, MarkFixed
from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_mcp.api import MaasPermissionError, OperationFailedError, OperationRefusedError
from maas_mcp.simulator import Status
from tests.house import House

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "back"), [("node01", "Ready"), ("node07", "Deployed"), ("node10", "New"), ("node11", "Failed deployment")]
)
async def test_a_machine_enters_rescue_mode_and_returns_to_where_it_was(house: House, name: str, back: str) -> None:
    inside = await house.run(name, EnterRescueMode)
    assert house.told[-1].value == 1.0
    house.told.clear()
    outside = await house.run(name, ExitRescueMode)

    assert house.posted == [("rescue_mode", {}), ("exit_rescue_mode", {})]
    assert inside.status_name == "Rescue mode"
    assert outside.status_name == back
    assert outside.power_state == ("on" if back == "Deployed" else "off")
    assert house.told[-1].value == 1.0


async def test_the_way_into_rescue_mode_is_told(house: House) -> None:
    await house.run("node01", EnterRescueMode)

    told = [message for message in dict.fromkeys(house.messages) if "so far" not in message]
    assert told == [
        "Starting on node01",
        "Entering rescue mode",
        "Performing PXE boot",
        "Loading ephemeral",
        "Rescue mode",
    ]


async def test_a_machine_that_does_not_come_up_is_told(house: House) -> None:
    house.region.plan("node01", fail="Loading ephemeral")

    with pytest.raises(OperationFailedError, match=r"Failed to enter rescue mode: .*timed out after 30 minutes"):
        await house.run("node01", EnterRescueMode)


async def test_a_machine_that_is_in_neither_is_told_how_to_get_there(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="maas_exit_rescue_mode starts from: Rescue mode"):
        await house.run("node01", ExitRescueMode)

    house.region.machine("node01").status = Status.RESCUE_MODE
    with pytest.raises(OperationRefusedError) as refusal:
        await house.run("node01", EnterRescueMode)

    assert refusal.value.hint == "Leave rescue mode first, with maas_exit_rescue_mode."
    assert house.posts == 0


def test_neither_can_be_aborted() -> None:
    assert not EnterRescueMode().can_abort
    assert not ExitRescueMode().can_abort


async def test_the_owner_marks_a_machine_broken_and_it_is_released(house: House) -> None:
    result = await house.call(MarkBroken, "node07", comment="bad DIMM")

    assert house.posted == [("mark_broken", {"comment": ["bad DIMM"]})]
    assert (result.status_name, result.error_description, result.owner) == ("Broken", "bad DIMM", None)


@pytest.mark.parametrize(
    ("name", "whose"), [("node09", "node09 is bob's."), ("node01", "node01 is nobody's: allocate it first.")]
)
async def test_an_administrator_who_is_not_the_owner_is_told_why(house: House, name: str, whose: str) -> None:
    with pytest.raises(MaasPermissionError) as refusal:
        await house.call(MarkBroken, name)

    assert (refusal.value.hint or "").endswith(whose)
    assert "not even an administrator" in (refusal.value.hint or "")


async def test_what_is_broken_is_not_marked_again(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="is Broken") as refusal:
        await house.call(MarkBroken, "node12")

    assert "maas_mark_fixed" in (refusal.value.hint or "")
    assert house.posts == 0


async def test_a_repaired_machine_is_ready_again(house: House) -> None:
    result = await house.call(MarkFixed, "node12", comment="new DIMM")

    assert house.posted == [("mark_fixed", {"comment": ["new DIMM"]})]
    assert result.status_name == "Ready"


async def test_what_is_not_broken_is_not_marked_fixed(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="it has to be one of: Broken"):
        await house.call(MarkFixed, "node01")

    assert house.posts == 0


def test_what_interrupts_is_marked() -> None:
    assert MarkBroken.destructive
    assert EnterRescueMode.destructive
    assert not MarkFixed.destructive
