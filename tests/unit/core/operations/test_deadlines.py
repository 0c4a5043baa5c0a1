"""Deadlines: a last poll decides, and every later call reports the same."""

from datetime import timedelta
from typing import Any

import anyio
import pytest

from maas_mcp.errors import MachineGoneError, OperationFailedError, OperationTimedOutError
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from tests.house import TIMING, House
from tests.unit.core.operations.declared import Deploy

pytestmark = pytest.mark.anyio

MINUTE = 60.0


class Impatient(Deploy):
    """A deploy with a deadline of two minutes; MAAS takes ten."""

    name = "maas_deploy_impatiently"
    deadline = timedelta(minutes=2)


async def start(house: House, operation: type[Deploy] = Impatient) -> None:
    house.options = {"wait": 0.0}
    await house.run("node01", operation)


async def ask(house: House, wait: float | None) -> OperationStatus[Any]:
    assert house.handle
    progress = ProgressReporter(discard_progress)
    return await house.engine.resume(Impatient(), house.handle, progress, CancellationToken(), wait=wait)


async def test_the_deadline_ends_the_call_and_leaves_maas_working(house: House) -> None:
    with pytest.raises(OperationTimedOutError, match="did not finish within 2 min 00 s; last seen: Loading ephemeral"):
        await house.run("node01", Impatient)

    assert house.region.machine("node01").status_name == "Deploying"


@pytest.mark.parametrize("wait", [0.0, 50.0, None])
async def test_after_the_deadline_every_call_reports_it_at_once_until_the_run_ends(
    house: House, wait: float | None
) -> None:
    await start(house)
    await anyio.sleep(3 * MINUTE)
    asked = anyio.current_time()
    with pytest.raises(OperationTimedOutError, match="last seen: "):
        await ask(house, wait)
    assert anyio.current_time() == asked
    await anyio.sleep(20 * MINUTE)

    assert getattr((await ask(house, wait)).result, "status_name", None) == "Deployed"


async def test_an_answer_to_the_start_request_after_the_deadline_does_not_hide_the_success(house: House) -> None:
    class Hasty(Deploy):
        """A deploy whose deadline passes before MAAS answers, although MAAS has carried it out."""

        name = "maas_deploy_hastily"
        deadline = timedelta(minutes=14)

    house.region.hold(op="deploy", after=850)

    assert (await house.run("node01", Hasty)).status_name == "Deployed"


async def in_silence(house: House) -> None:
    """Follow it through an outage from the first minute to just before the last poll."""
    house.after(MINUTE, lambda: house.region.faults.append(Fault(path="events/", method="GET", status=503, times=None)))
    house.after(2 * MINUTE - 0.5, house.region.faults.clear)
    await house.run("node01", Impatient)


async def test_a_failure_between_polls_is_reported_at_the_deadline(house: House) -> None:
    house.region.plan("node01", fail="Performing PXE boot")

    with pytest.raises(OperationFailedError):
        await in_silence(house)


async def test_a_machine_deleted_between_polls_is_reported_as_gone(house: House) -> None:
    house.after(2 * MINUTE - 1, lambda: house.region.delete("node01"))

    with pytest.raises(MachineGoneError):
        await in_silence(house)


async def test_without_an_answer_at_the_deadline_the_last_known_state_is_reported(house: House) -> None:
    house.after(MINUTE, lambda: house.region.faults.append(Fault(status=503, times=None)))

    with pytest.raises(OperationTimedOutError, match=r"last seen: MAAS unreachable .*; last seen: Deploying"):
        await house.run("node01", Impatient)

    assert anyio.current_time() == 2 * MINUTE


async def test_a_hanging_region_does_not_delay_the_end_for_long(house: House) -> None:
    house.after(119, lambda: house.region.hold(op="query", before=600))

    with pytest.raises(OperationTimedOutError):
        await house.run("node01", Impatient)

    assert anyio.current_time() == 2 * MINUTE + TIMING.last_poll
