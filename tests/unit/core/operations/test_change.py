"""Changes of a machine within one call: check, send once, and read back."""

from typing import Any

import anyio
import pytest

from maas_mcp.api import (
    CancellationToken,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasUnavailableError,
    Machine,
    MachineStatus,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
    ProgressReporter,
    ToolContext,
    change_machine,
    require_status,
)
from maas_mcp.operations.next_steps import unlock
from maas_mcp.operations.progress import Progress
from maas_simulator import Fault, Status
from maas_simulator.model.faults import Latency
from tests.house import House

pytestmark = pytest.mark.anyio


def context(house: House) -> ToolContext:
    async def silent(_progress: Progress) -> None: ...

    return ToolContext(house.maas, ProgressReporter(silent), house.token)


async def machine_of(house: House, name: str = "node07") -> Machine:
    return await house.maas.machine(house.region.machine(name).system_id)


async def lock(house: House, **options: Any) -> Machine:
    return await change_machine(
        context(house), await machine_of(house), "lock", lambda machine: machine.locked, **options
    )


async def test_the_changed_machine_is_returned(house: House) -> None:
    assert (await lock(house, comment="keep")).locked
    assert house.posted == [("lock", {"comment": ["keep"]})]


async def test_after_a_lost_response_the_machine_is_read_and_the_request_is_not_repeated(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=504, body="<html>", acts=True))

    assert (await lock(house)).locked
    assert house.posts == 1


async def test_a_lost_request_is_reported_after_some_reads(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=504, body="<html>"))

    with pytest.raises(MaasUnavailableError, match="504"):
        await lock(house, within=120.0)

    assert house.posts == 1
    assert house.requests() < 10, "after a proxy's response the wait is shorter"


async def test_an_error_of_maas_is_reported_in_its_words_after_one_read(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=500, body="Failed to complete power action: IPMI"))

    with pytest.raises(MaasError, match="Failed to complete power action: IPMI"):
        await lock(house)

    assert house.requests() == 2, "one read before and one after"


async def test_an_outage_after_a_request_is_waited_out(house: House) -> None:
    house.region.faults.append(Fault(op="lock", delay=Latency(seconds=2.0)))
    house.after(1, lambda: house.region.faults.append(Fault(method="GET", answer="bad gateway", times=6)))

    assert (await lock(house)).locked
    assert house.posts == 1


async def test_an_outage_that_hides_the_effect_of_a_request_is_reported_with_the_request(house: House) -> None:
    house.region.faults.append(Fault(op="lock", drop="after", delay=Latency(seconds=2.0)))
    house.after(1, lambda: house.region.faults.append(Fault(method="GET", answer="bad gateway", times=None)))

    with pytest.raises(MaasUnavailableError) as failure:
        await lock(house)

    assert "op=lock" in failure.value.message
    assert (failure.value.hint or "").startswith(
        "MAAS may have carried out lock for node07 (ywtymp), but it cannot be read"
    )
    assert [step.tool for step in failure.value.next_steps] == ["machine read"]
    assert house.posts == 1


async def test_a_bad_request_after_another_request_made_the_change_is_a_success(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=400, body='{"__all__": ["It is locked."]}', acts=True))

    assert (await lock(house)).locked


async def test_a_refusal_is_reported_after_one_read(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=409, body="Can't lock, node is not deployed or deploying"))

    with pytest.raises(MaasConflictError, match="not deployed or deploying"):
        await lock(house)

    assert house.requests() == 2, "one read before and one after"


async def test_nothing_is_sent_if_the_machine_already_shows_the_change(house: House) -> None:
    house.region.machine("node07").locked = True
    before = await machine_of(house)

    assert await change_machine(context(house), before, "lock", lambda machine: machine.locked) is before
    assert house.posts == 0


async def test_a_change_that_another_user_made_first_is_a_success(house: House) -> None:
    before = await machine_of(house)
    house.region.machine("node07").locked = True

    after = await change_machine(context(house), before, "lock", lambda machine: machine.locked)

    assert after.locked
    assert after is not before
    assert house.posts == 1


async def test_a_machine_that_is_already_as_requested_is_not_refused_for_its_status_or_lock(house: House) -> None:
    system_id = house.region.machine("node08").system_id

    machine = await require_status(
        context(house), system_id, {MachineStatus.READY}, to="be locked", unless=lambda now: now.locked
    )

    assert machine.hostname == "node08"


async def test_a_null_response_is_reported_as_a_failure(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=200, body="null", headers={"Content-Type": "application/json"}))

    with pytest.raises(OperationFailedError, match=r"MAAS cannot do .* It did nothing"):
        await lock(house)


async def test_a_change_that_does_not_show_in_time_is_a_failure(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=200, body="{}"))

    with pytest.raises(OperationTimedOutError, match="30 s later it is still Deployed for admin, power on"):
        await lock(house, within=30.0)


async def test_waiting_ends_when_the_call_is_cancelled(house: House) -> None:
    house.region.faults.append(Fault(op="lock", status=200, body="{}"))
    house.after(5, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await lock(house, within=60.0)


async def test_nothing_is_sent_for_a_cancelled_call(house: House) -> None:
    house.token = CancellationToken()
    house.token.cancel()

    with pytest.raises(OperationCancelledError):
        await lock(house)

    assert house.posts == 0


async def test_a_wrong_status_is_refused_with_the_allowed_ones_and_a_next_step(house: House) -> None:
    system_id = house.region.machine("node11").system_id

    with pytest.raises(OperationRefusedError, match="to be locked it has to be one of: Deployed, Deploying") as refusal:
        await require_status(
            context(house), system_id, {MachineStatus.DEPLOYED, MachineStatus.DEPLOYING}, to="be locked"
        )

    assert "node11 (8pr8mk) is Failed deployment" in refusal.value.message
    assert "Release it" in (refusal.value.hint or "")


async def test_a_locked_machine_is_always_refused(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="is locked, so it cannot be aborted") as refusal:
        await require_status(context(house), house.region.machine("node08").system_id, to="be aborted")

    assert refusal.value.next_steps == (unlock(house.region.machine("node08").system_id),)


async def test_a_machine_that_does_not_exist_is_named_in_the_error(house: House) -> None:
    with pytest.raises(MaasNotFoundError, match="zzzzzz"):
        await require_status(context(house), "zzzzzz", to="be aborted")


class TestAfterWaiting:
    """At most two change requests are sent at a time, and MAAS may hold each for minutes."""

    @pytest.fixture
    async def busy(self, house: House) -> House:
        house.region.hold(op="deploy", before=60)
        house.options["wait"] = 0.0
        await house.run("node01")
        await house.run("node02")
        return house

    async def test_nothing_is_sent_if_another_user_took_the_machine(self, busy: House) -> None:
        busy.after(10, lambda: busy.region.change_owner("node07", "bob"))

        with pytest.raises(OperationRefusedError, match="was Deployed for admin and is now Allocated for bob"):
            await lock(busy)

        assert [op for op, _ in busy.posted] == ["deploy", "deploy"]

    async def test_an_unchanged_machine_is_changed_after_the_wait(self, busy: House) -> None:
        assert (await lock(busy)).locked

    async def test_a_change_that_another_user_made_during_the_wait_is_a_success(self, busy: House) -> None:
        def others_lock_it() -> None:
            busy.region.machine("node07").locked = True

        busy.after(10, others_lock_it)

        assert (await lock(busy)).locked
        assert [op for op, _ in busy.posted] == ["deploy", "deploy"]

    async def test_an_abort_does_not_wait(self, busy: House) -> None:
        house, began = busy, anyio.current_time()
        machine = house.region.machine("node06")
        house.region.set_status(machine, Status.TESTING)

        with pytest.raises(OperationTimedOutError):  # no abort works on this test's machine
            await change_machine(
                context(house), await machine_of(house, "node06"), "abort", lambda now: now.hostname == "other"
            )

        assert anyio.current_time() < began + 30
