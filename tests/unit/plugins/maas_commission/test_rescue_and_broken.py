"""Rescue mode, and marking machines broken and fixed."""

from typing import Any

import anyio
import pytest

from maas_commission.broken import MarkBroken, MarkFixed
from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_commission.testing import OverrideFailedTesting
from maas_mcp.api import (
    MaasPermissionError,
    Operation,
    OperationFailedError,
    OperationRefusedError,
    ProgressReporter,
    Tool,
)
from maas_mcp.testing import MaasRegion, Progress
from maas_simulator import Status
from tests.house import House

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "back"), [("node01", "Ready"), ("node07", "Deployed"), ("node10", "New"), ("node11", "Failed deployment")]
)
async def test_a_machine_enters_rescue_mode_and_returns_to_its_earlier_status(
    house: House, name: str, back: str
) -> None:
    inside = await house.run(name, EnterRescueMode)
    assert house.reported[-1].value == 1.0
    house.reported.clear()
    outside = await house.run(name, ExitRescueMode)

    assert house.posted == [("rescue_mode", {}), ("exit_rescue_mode", {})]
    assert inside.status_name == "Rescue mode"
    assert outside.status_name == back
    assert outside.power_state == ("on" if back == "Deployed" else "off")
    assert house.reported[-1].value == 1.0


async def test_entering_rescue_mode_reports_progress(house: House) -> None:
    await house.run("node01", EnterRescueMode)

    reported = [message for message in dict.fromkeys(house.messages) if "so far" not in message]
    assert reported == [
        "Starting on node01",
        "Entering rescue mode",
        "Performing PXE boot",
        "Loading ephemeral",
        "Rescue mode",
    ]


async def test_a_machine_that_does_not_boot_into_rescue_mode_is_reported(house: House) -> None:
    house.region.plan("node01", fail="Loading ephemeral")

    with pytest.raises(OperationFailedError, match=r"Failed to enter rescue mode: .*timed out after 30 minutes"):
        await house.run("node01", EnterRescueMode)


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (EnterRescueMode, Status.RESCUE_MODE),
        (ExitRescueMode, Status.READY),
        (ExitRescueMode, Status.DEPLOYED),
        (ExitRescueMode, Status.BROKEN),
    ],
)
async def test_a_machine_already_in_the_target_status_needs_no_request(
    house: House, operation: type[Operation[Any, Any]], status: Status
) -> None:
    house.region.machine("node01").status = status

    result = await house.run("node01", operation)

    assert result.status_name == status.display
    assert house.messages[-1] == f"node01 was already {status.display}; nothing was sent to MAAS"
    assert house.posts == 0


async def test_a_resumed_operation_that_sent_nothing_has_succeeded(house: House) -> None:
    await house.run("node01", ExitRescueMode)
    assert house.handle is not None
    house.region.deploy("node01", "admin")
    await anyio.sleep(3600)

    outcome = await house.engine.resume(ExitRescueMode(), house.handle, ProgressReporter(_silent), house.token)

    assert outcome.result is not None
    assert outcome.message == "node01 needed no change, and is now Deployed for admin; nothing was sent to MAAS"


@pytest.mark.parametrize(
    ("operation", "status"), [(ExitRescueMode, Status.COMMISSIONING), (EnterRescueMode, Status.EXITING_RESCUE_MODE)]
)
async def test_a_machine_with_another_running_operation_is_refused(
    house: House, operation: type[Operation[Any, Any]], status: Status
) -> None:
    house.region.machine("node01").status = status

    with pytest.raises(OperationRefusedError, match=f"is {status.display}; .* starts only from"):
        await house.run("node01", operation)

    assert house.posts == 0


@pytest.mark.parametrize(
    ("operation", "status"),
    [(EnterRescueMode, Status.ENTERING_RESCUE_MODE), (ExitRescueMode, Status.EXITING_RESCUE_MODE)],
)
async def test_a_running_rescue_operation_is_not_requested_again(
    house: House, operation: type[Operation[Any, Any]], status: Status
) -> None:
    machine = house.region.machine("node01")
    machine.status, machine.owner = status, "admin"

    outcome = await house.run("node01", operation)

    assert "not started again" in outcome.message
    assert house.posts == 0


def test_rescue_operations_cannot_be_aborted() -> None:
    assert not EnterRescueMode().can_abort
    assert not ExitRescueMode().can_abort


async def test_the_owner_marks_a_machine_broken_and_keeps_it(house: House) -> None:
    result = await house.call(MarkBroken, "node07", comment="bad DIMM")

    assert house.posted == [("mark_broken", {"comment": ["bad DIMM"]})]
    assert (result.status_name, result.error_description, result.owner) == ("Broken", "bad DIMM", "admin")


@pytest.mark.parametrize(
    ("name", "whose"), [("node09", "node09 belongs to bob."), ("node01", "node01 has no owner. Allocate it first.")]
)
async def test_marking_broken_is_refused_for_an_administrator_who_is_not_the_owner(
    house: House, name: str, whose: str
) -> None:
    with pytest.raises(MaasPermissionError) as refusal:
        await house.call(MarkBroken, name)

    assert (refusal.value.hint or "").endswith(whose)
    assert "not even an administrator" in (refusal.value.hint or "")


async def test_a_broken_machine_is_not_marked_again_and_keeps_its_reason(house: House) -> None:
    house.region.machine("node12").error_description = "bad DIMM"

    result = await house.call(MarkBroken, "node12", comment="bad disk")

    assert (result.status_name, result.error_description, result.sent) == ("Broken", "bad DIMM", False)
    assert MarkBroken().summary(result) == 'node12 was already Broken; nothing was sent to MAAS. Reason: "bad DIMM".'
    assert house.posts == 0


async def test_a_repaired_machine_is_ready_again(house: House) -> None:
    result = await house.call(MarkFixed, "node12", comment="new DIMM")

    assert house.posted == [("mark_fixed", {"comment": ["new DIMM"]})]
    assert result.status_name == "Ready"


@pytest.mark.parametrize("name", ["node01", "node07", "node08"])
async def test_marking_a_ready_or_deployed_machine_fixed_sends_nothing(house: House, name: str) -> None:
    result = await house.call(MarkFixed, name)

    assert not result.sent
    assert MarkFixed().summary(result).endswith("; nothing was sent to MAAS.")
    assert house.posts == 0


@pytest.mark.parametrize("status", [Status.FAILED_TESTING, Status.NEW, Status.ALLOCATED, Status.DEPLOYING])
async def test_marking_a_machine_fixed_that_is_not_broken_is_refused(house: House, status: Status) -> None:
    house.region.machine("node01").status = status

    with pytest.raises(OperationRefusedError, match="it has to be one of: Broken"):
        await house.call(MarkFixed, "node01")

    assert house.posts == 0


@pytest.mark.parametrize(("tool", "becomes"), [(MarkFixed, Status.READY), (MarkBroken, Status.BROKEN)])
async def test_a_call_that_loses_a_race_to_mark_a_machine_has_not_failed(
    house: House, tool: type[Tool[Any, Any]], becomes: Status
) -> None:
    machine = house.region.machine("node12")
    machine.status, machine.owner = (Status.BROKEN, None) if tool is MarkFixed else (Status.ALLOCATED, "admin")
    house.region.hold(op="mark_fixed" if tool is MarkFixed else "mark_broken", before=10.0)
    house.after(5, lambda: house.region.set_status(machine, becomes))

    assert (await house.call(tool, "node12")).status_name == becomes.display


@pytest.mark.parametrize("tool", [MarkFixed, OverrideFailedTesting])
async def test_a_user_without_administrator_rights_is_refused_with_a_hint(tool: type[Tool[Any, Any]]) -> None:
    with MaasRegion() as region:
        region.machine("node12").status = Status.BROKEN if tool is MarkFixed else Status.FAILED_TESTING
        async with region.host("bob") as host:
            with pytest.raises(MaasPermissionError) as refusal:
                await host.call(tool, "node12")

    assert "Only administrators may request " in (refusal.value.hint or "")
    assert "locked" not in (refusal.value.hint or "")


async def test_rescuing_another_users_machine_needs_take_over(house: House) -> None:
    with pytest.raises(
        OperationRefusedError, match=r"node09 \(\w+\) belongs to bob.*makes you its owner, also after"
    ) as refusal:
        await house.run("node09", EnterRescueMode)

    assert refusal.value.hint == "Ask bob first. To take it over anyway, call again with take_over: true."
    assert house.posts == 0
    assert house.region.machine("node09").owner == "bob"


async def test_the_owner_before_rescue_mode_is_read_from_maass_events(house: House) -> None:
    house.region.deploy("node01", "bob")
    await anyio.sleep(3600)
    inside = await house.run("node01", EnterRescueMode, take_over=True)
    assert house.handle is not None

    again = await house.engine.resume(EnterRescueMode(), house.handle, ProgressReporter(_silent), house.token)
    outside = await house.run("node01", ExitRescueMode)

    assert (inside.owner, inside.taken_from) == ("admin", "bob")
    assert again.result == inside
    assert EnterRescueMode().summary(inside).endswith("It belonged to bob before rescue mode and now belongs to admin.")
    assert (outside.owner, outside.taken_from) == ("admin", "bob")
    assert ExitRescueMode().summary(outside) == (
        "node01 is Deployed, power on. It belonged to bob before rescue mode and now belongs to admin."
    )


@pytest.mark.parametrize("name", ["node01", "node07"])
async def test_the_callers_machine_and_a_free_machine_have_no_earlier_owner(house: House, name: str) -> None:
    inside = await house.run(name, EnterRescueMode)
    outside = await house.run(name, ExitRescueMode)

    assert (inside.owner, inside.taken_from, outside.taken_from) == ("admin", None, None)
    assert "belong" not in EnterRescueMode().summary(inside) + ExitRescueMode().summary(outside)


def test_the_descriptions_say_that_rescue_mode_changes_the_owner() -> None:
    assert "makes you the owner" in " ".join(EnterRescueMode.description().split())
    assert "keeps its new owner" in " ".join(ExitRescueMode.description().split())


async def _silent(_progress: Progress) -> None: ...


def test_interrupting_tools_are_marked_destructive() -> None:
    assert MarkBroken.destructive
    assert EnterRescueMode.destructive
    assert not MarkFixed.destructive
