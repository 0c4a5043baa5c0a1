"""Aborts by a cancelled call: the run that it started, even if it shows late, and no other user's run."""

import anyio
import pytest

from maas_mcp.errors import OperationCancelledError, OperationRefusedError, OperationRevertedError
from maas_mcp.maas.limits import MAX_CHANGES
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_simulator import Fault
from tests.house import TIMING, House
from tests.unit.core.operations.declared import Deploy

pytestmark = pytest.mark.anyio

LOST = Fault(op="deploy", method="POST", drop="before")


async def cancelled(house: House, at: float) -> list[str | None]:
    """Deploy node01, and cancel with abort after some seconds. Returns the requests that MAAS received."""
    house.options = {"on_cancel": CancelPolicy.ABORT}
    house.after(at, house.token.cancel)
    with pytest.raises(OperationCancelledError):
        await house.run("node01")
    return [op for op, _ in house.posted]


async def test_a_call_that_waits_for_its_turn_aborts_nothing(house: House) -> None:
    house.region.hold(op="deploy", before=60)
    house.options = {"wait": 0.0}
    for other in ("node02", "node03"):
        await house.run(other)
    house.after(5, lambda: house.region.deploy("node01", "admin"))

    assert await cancelled(house, 10) == ["deploy", "deploy"], "for the other machines"
    assert house.region.machine("node01").status_name == "Deploying"


async def test_another_users_run_is_not_aborted_after_a_lost_request(house: House) -> None:
    house.region.faults.append(LOST)
    house.after(4, lambda: house.region.deploy("node01", "bob"))

    assert await cancelled(house, 4.5) == ["deploy"]
    assert (house.region.machine("node01").status_name, house.region.machine("node01").owner) == ("Deploying", "bob")


async def test_a_run_that_another_user_starts_during_the_abort_is_not_aborted(house: House) -> None:
    house.region.faults.append(LOST)
    house.after(6, lambda: house.region.deploy("node01", "bob"))

    assert await cancelled(house, 4.5) == ["deploy"]
    assert house.region.machine("node01").owner == "bob"


async def test_a_run_that_replaced_the_callers_is_not_aborted(house: House) -> None:
    def take_over() -> None:
        house.region.release("node01", "admin")
        house.region.advance(60)
        house.region.deploy("node01", "bob")

    house.after(100, take_over)

    assert await cancelled(house, 100.001) == ["deploy"]
    assert house.region.machine("node01").owner == "bob"


async def test_an_abort_does_not_wait_long_for_a_request_that_maas_holds(house: House) -> None:
    house.region.hold(op="deploy", before=120)

    assert await cancelled(house, 2) == ["deploy"]
    assert anyio.current_time() == 2 + TIMING.abort_limit


@pytest.mark.parametrize("status", [502, 503, 500, 404])
async def test_an_abort_that_maas_did_not_accept_is_requested_again(house: House, status: int) -> None:
    house.after(60, lambda: house.region.faults.append(Fault(op="abort", status=status, body="<html>no</html>")))

    assert await cancelled(house, 60) == ["deploy", "abort", "abort"]
    assert house.region.machine("node01").status_name == "Allocated"


async def test_an_abort_with_a_lost_answer_is_not_requested_again(house: House) -> None:
    house.after(
        60, lambda: house.region.faults.append(Fault(op="abort", status=504, body="<html>504</html>", acts=True))
    )

    assert await cancelled(house, 60) == ["deploy", "abort"]


async def test_a_failed_poll_is_repeated(house: House) -> None:
    house.after(60, lambda: house.region.faults.append(Fault(method="GET", status=503, times=3)))

    assert await cancelled(house, 60) == ["deploy", "abort"]
    assert house.region.machine("node01").status_name == "Allocated"


async def test_an_outage_does_not_delay_an_abort_for_long(house: House) -> None:
    house.after(60, lambda: house.region.faults.append(Fault(status=503, times=None)))

    assert await cancelled(house, 60) == ["deploy"]
    assert anyio.current_time() == 60 + TIMING.abort_limit


async def test_a_machine_that_was_locked_meanwhile_ends_the_abort_at_once(house: House) -> None:
    def lock() -> None:
        house.region.machine("node01").locked = True

    house.after(60, lock)

    assert await cancelled(house, 61) == ["deploy", "abort"]
    assert anyio.current_time() < 63


async def test_no_progress_is_reported_during_an_abort(house: House) -> None:
    house.region.hold(op="deploy", before=5)
    house.after(1.9, house.reported.clear)
    await cancelled(house, 2)

    assert house.reported == []


async def test_an_abort_by_handle_leaves_another_users_run_alone(house: House) -> None:
    house.options = {"wait": 0.0}
    await house.run("node01")
    assert house.handle
    house.after(60, lambda: house.region.release("node01", "admin"))
    house.after(120, lambda: house.region.deploy("node01", "bob"))
    await anyio.sleep(130)

    with pytest.raises(
        OperationRefusedError, match=r"node01 .* is Deploying for bob because of another run, not the one to abort"
    ):
        await house.engine.abort(Deploy(), house.handle, CancellationToken())

    assert house.region.machine("node01").status_name == "Deploying"


async def test_a_request_that_waits_for_its_turn_is_withdrawn(house: House) -> None:
    house.region.hold(op="deploy", before=60)
    house.options = {"wait": 0.0}
    for name in ("node02", "node03", "node01"):
        await house.run(name)
    assert house.handle

    await house.engine.abort(Deploy(), house.handle, CancellationToken())
    await anyio.sleep(120)

    assert house.region.machine("node01").status_name == "Ready"
    assert [op for op, _ in house.posted] == ["deploy"] * MAX_CHANGES
    with pytest.raises(OperationRevertedError, match="before it was sent"):
        await house.engine.resume(Deploy(), house.handle, ProgressReporter(discard_progress), CancellationToken())
