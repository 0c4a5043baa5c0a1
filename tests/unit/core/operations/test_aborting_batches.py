"""Aborts of a batch: no further request is sent, and runs are aborted, even those that start later."""

from typing import Any

import anyio
import pytest

from maas_deploy.deploy_machines import DeployMachines, DeployMany
from maas_mcp.errors import (
    MaasPermissionError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationRevertedError,
)
from maas_mcp.operations.batches.batch import new_name
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from tests.house import TIMING, House

pytestmark = pytest.mark.anyio

DEMO = ("node01", "node02", "node03", "node04", "node05")
"""The machines that are Ready."""
HELD = 40
"""Seconds for which MAAS holds a start request."""


def five(house: House) -> dict[str, Any]:
    return {"system_ids": [house.region.machine(name).system_id for name in DEMO]}


def states(house: House) -> list[str]:
    house.region.play()
    return sorted(house.region.machine(name).status_name for name in DEMO)


async def start(
    house: House, *, wait: float | None = 0.0, abort: bool = False, **arguments: Any
) -> OperationStatus[Any]:
    args = DeployMachines.model_validate(arguments)
    return await house.batches.run(
        DeployMany(),
        args,
        ProgressReporter(discard_progress),
        house.token,
        name=new_name(DeployMany(), args),
        wait=wait,
        on_cancel=CancelPolicy.ABORT if abort else None,
    )


async def ask(house: House, handle: Handle) -> OperationStatus[Any]:
    return await house.batches.resume(DeployMany(), handle, ProgressReporter(discard_progress), CancellationToken())


async def abort(house: House, handle: Handle) -> None:
    await house.batches.abort(DeployMany(), handle, CancellationToken())


class TestById:
    @pytest.mark.parametrize("by_count", [False, True])
    async def test_unsent_requests_are_withdrawn_and_held_requests_are_aborted_when_they_start(
        self, house: House, *, by_count: bool
    ) -> None:
        house.region.hold(op="deploy", before=HELD)
        started = await start(house, **({"count": 5} if by_count else five(house)))

        await abort(house, started.handle)
        await anyio.sleep(600)

        assert house.requests("deploy", "POST") == 2
        assert states(house) == ["Allocated"] * 2 + ["Ready"] * 3

    async def test_a_machine_that_cannot_be_aborted_yet_is_reported_as_such(self, house: House) -> None:
        house.region.hold(op="deploy", before=HELD)
        started = await start(house, **five(house))
        await abort(house, started.handle)

        reported = await ask(house, started.handle)

        assert anyio.current_time() < 2 + TIMING.batch_abort_settled + 5
        assert reported.message.startswith("2 of 5 being aborted, 3 of 5 failed; ")
        assert "was aborted before this machine's request was sent: nothing was started" in reported.message
        assert "and MAAS has not answered" in reported.message

    async def test_an_aborted_batch_is_reported_as_ended(self, house: House) -> None:
        house.region.hold(op="deploy", before=HELD)
        started = await start(house, **five(house))
        await abort(house, started.handle)
        await anyio.sleep(HELD)

        with pytest.raises(OperationRevertedError, match="on all 5 machines") as failure:
            await ask(house, started.handle)

        assert (failure.value.maas_says or "").count("User aborting deployment") == 2

    async def test_three_are_aborted_at_once(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.hold(op="abort", before=20)
        asked = anyio.current_time()

        await abort(house, started.handle)

        assert 40 <= anyio.current_time() - asked < 45
        assert states(house) == ["Allocated"] * 5

    async def test_a_call_does_not_wait_for_all_aborts_of_a_slow_region_and_they_continue(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.hold(op="abort", before=45)
        asked = anyio.current_time()

        await abort(house, started.handle)
        assert anyio.current_time() - asked == 50
        assert (await ask(house, started.handle)).message.startswith("2 of 5 being aborted, 3 of 5 failed")
        await anyio.sleep(60)

        assert states(house) == ["Allocated"] * 5

    async def test_a_quick_abort_returns_at_once(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        asked = anyio.current_time()

        await abort(house, started.handle)

        assert anyio.current_time() - asked < 1

    async def test_an_abort_that_a_proxy_swallowed_is_requested_again(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.faults.append(Fault(status=504, body="<html>504</html>", op="abort", times=3))

        await abort(house, started.handle)

        assert states(house) == ["Allocated"] * 5

    async def test_an_abort_waits_for_a_restarting_region_even_after_the_call(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.faults.append(Fault(status=503, times=1_000_000))
        house.after(40, house.region.faults.clear)

        with pytest.raises(MaasUnavailableError):
            await abort(house, started.handle)
        await anyio.sleep(60)

        assert states(house) == ["Allocated"] * 5

    async def test_an_abort_does_not_wait_forever_for_the_region(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.faults.append(Fault(status=503, times=1_000_000))
        with pytest.raises(MaasUnavailableError):
            await abort(house, started.handle)
        await anyio.sleep(300)
        asked = len(house.region.requests)
        await anyio.sleep(300)

        assert len(house.region.requests) == asked

    async def test_a_second_abort_waits_for_the_first(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.hold(op="abort", before=5)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(abort, house, started.handle)

        assert house.requests("abort", "POST") == 5

    async def test_a_refused_abort_of_one_machine_does_not_stop_the_others(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.faults.append(Fault(op="abort", status=403, body=""))

        with pytest.raises(MaasPermissionError):
            await abort(house, started.handle)

        assert states(house) == ["Allocated"] * 4 + ["Deploying"]

    async def test_a_run_that_another_user_started_on_a_machine_of_the_batch_is_left_alone(self, house: House) -> None:
        started = await start(house, **five(house))
        await anyio.sleep(60)
        house.region.abort("node01", "admin")
        house.region.release("node01", "admin")
        await anyio.sleep(60)
        house.region.deploy("node01", "bob")

        await abort(house, started.handle)

        assert house.region.machine("node01").status_name == "Deploying"
        assert states(house) == ["Allocated"] * 4 + ["Deploying"]


class TestDuringACall:
    async def test_a_call_that_follows_the_batch_leaves_the_cleanup_to_the_abort(self, house: House) -> None:
        house.region.hold(op="deploy", before=200)

        async def cancelled() -> None:
            with pytest.raises(OperationCancelledError):
                await start(house, wait=None, count=5)

        house.tasks.start_soon(cancelled)
        await anyio.sleep(20)
        (handle,) = await house.batches_under_way(DeployMany())
        house.token.cancel(CancelReason.CANCEL_TOOL)
        await abort(house, handle)
        await anyio.sleep(300)

        assert states(house) == ["Allocated"] * 2 + ["Ready"] * 3


class TestByCancelling:
    async def test_started_machines_are_aborted_although_their_part_of_the_call_has_ended(self, house: House) -> None:
        house.region.hold(op="deploy", before=1)
        house.after(1.5, house.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(house, abort=True, **five(house))
        await anyio.sleep(30)

        assert states(house) == ["Allocated"] * 4 + ["Ready"]
        assert house.requests("deploy", "POST") == 4

    async def test_a_request_that_maas_holds_is_aborted_when_it_starts_long_after_the_call(self, house: House) -> None:
        house.region.hold(op="deploy", before=200)
        house.after(20, house.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(house, wait=None, abort=True, count=5)
        assert anyio.current_time() == 20 + TIMING.abort_limit
        await anyio.sleep(300)

        assert house.requests("deploy", "POST") == 2
        assert states(house) == ["Allocated"] * 2 + ["Ready"] * 3

    async def test_aborts_that_take_longer_than_the_call_continue_in_the_server(self, house: House) -> None:
        house.region.hold(op="abort", before=20)
        house.after(60, house.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(house, wait=None, abort=True, **five(house))
        assert anyio.current_time() == 60 + TIMING.abort_limit
        await anyio.sleep(40)

        assert states(house) == ["Allocated"] * 5

    async def test_another_users_run_on_a_machine_that_waits_for_its_turn_is_left_alone(self, house: House) -> None:
        house.region.hold(op="deploy", before=HELD)

        def bob_comes() -> None:
            ordered = " ".join(each.path for each in house.region.requests if each.op == "deploy")
            waiting = next(each for each in five(house)["system_ids"] if each not in ordered)
            house.region._from_outside("commission", waiting, "bob")

        house.after(10, bob_comes)
        house.after(20, house.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(house, wait=None, abort=True, **five(house))

        assert states(house).count("Commissioning") == 1

    async def test_a_cancellation_without_abort_aborts_nothing(self, house: House) -> None:
        house.region.hold(op="deploy", before=HELD)
        house.after(20, house.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(house, wait=None, **five(house))
        await anyio.sleep(300)

        assert states(house) == ["Deploying"] * 2 + ["Ready"] * 3
