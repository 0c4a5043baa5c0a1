"""The allocation of a batch continues after its call has answered, and leaves no machine allocated needlessly."""

import math
from typing import Any

import anyio
import anyio.abc
import pytest

from maas_deploy.deploy_machines import DeployedMachines, DeployMachines, DeployMany
from maas_mcp.errors import (
    MaasMcpError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.limits import CHANGE_TIMEOUT
from maas_mcp.next_step import NextStep
from maas_mcp.operations.batches.batch import new_name
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.cancellation import DISCONNECT_CLEANUP, CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, ProgressReporter, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from tests.house import TIMING, House, client_of, engine_of

pytestmark = pytest.mark.anyio

DEMO = ("node01", "node02", "node03", "node04", "node05")
"""The machines that are Ready."""
EACH = 20.0
"""Seconds that MAAS takes to allocate a machine."""
ABORT = NextStep("maas_cancel_operation", {"abort": True}, why="Release the machines")


@pytest.fixture(autouse=True)
def slow_allocations(house: House) -> None:
    house.region.hold(op="allocate", before=EACH)


def states(house: House) -> list[str]:
    house.region.play()
    return sorted(house.region.machine(name).status_name for name in DEMO)


async def start(
    house: House,
    *,
    count: int = 3,
    wait: float | None = 0.0,
    batches: BatchEngine | None = None,
    abort: bool = False,
) -> OperationStatus[Any]:
    args = DeployMachines(count=count)
    return await (batches or house.batches).run(
        DeployMany(),
        args,
        ProgressReporter(discard_progress),
        house.token,
        name=new_name(DeployMany(), args),
        wait=wait,
        start_by=math.inf if wait is None else anyio.current_time() + max(wait, 2.0),
        on_cancel=CancelPolicy.ABORT if abort else None,
    )


async def resume(
    house: House, handle: Handle, *, wait: float | None = 0.0, batches: BatchEngine | None = None
) -> OperationStatus[Any]:
    async def send(progress: Progress) -> None:
        house.reported.append(progress)

    progress = ProgressReporter(send)
    async with progress.reporting():
        return await (batches or house.batches).resume(DeployMany(), handle, progress, CancellationToken(), wait=wait)


async def ended(house: House, handle: Handle, *, batches: BatchEngine | None = None) -> MaasMcpError:
    """The error of a batch that was not started."""
    with pytest.raises(MaasMcpError) as failure:
        await resume(house, handle, batches=batches)
    return failure.value


async def abort(house: House, handle: Handle, *, batches: BatchEngine | None = None) -> None:
    await (batches or house.batches).abort(DeployMany(), handle, CancellationToken())


def another(house: House, tasks: anyio.abc.TaskGroup | None = None) -> BatchEngine:
    """The engine of another process, or of this one after a restart."""
    return engine_of(client_of(house.region), tasks or house.tasks, now=house.now)[1]


class TestAnswering:
    async def test_a_call_that_may_take_its_time_waits_for_the_allocation(self, house: House) -> None:
        args = DeployMachines(count=3)
        answered = await house.batches.run(
            DeployMany(),
            args,
            ProgressReporter(discard_progress),
            house.token,
            name=new_name(DeployMany(), args),
            wait=0,
        )

        assert answered.state == "working"
        assert "Allocating" not in answered.message

    async def test_a_call_answers_in_time_while_machines_are_allocated(self, house: House) -> None:
        answered = await start(house, wait=30.0)

        assert anyio.current_time() == 30
        assert (answered.state, answered.message) == ("working", "Allocating machine 2 of 3")
        assert not answered.confirmed

    async def test_a_refusal_that_comes_at_once_is_the_error_of_the_call(self, house: House) -> None:
        house.region.hold(op="allocate", before=TIMING.refusal_window / 20)

        with pytest.raises(OperationRefusedError, match="only 5 matching machines were free"):
            await start(house, count=6)

    async def test_the_status_names_the_machine_that_is_being_allocated(self, house: House) -> None:
        answered = await start(house)
        await anyio.sleep(2 * EACH)

        reported = await resume(house, answered.handle)

        assert (reported.state, reported.message) == ("working", "Allocating machine 3 of 3")

    async def test_waiting_follows_the_allocation_and_the_deployment_to_the_end(self, house: House) -> None:
        answered = await start(house)

        reported = await resume(house, answered.handle, wait=None)

        assert isinstance(reported.result, DeployedMachines)
        assert reported.result.succeeded == 3
        assert any("Allocating machine 2 of 3" in each.message for each in house.reported)
        assert house.requests("allocate", "POST") == house.requests("deploy", "POST") == 3

    async def test_the_machines_are_deployed_although_nobody_waits(self, house: House) -> None:
        await start(house)
        await anyio.sleep(4 * EACH)

        assert states(house) == ["Deploying"] * 3 + ["Ready"] * 2

    async def test_the_batch_is_listed_before_its_first_machine_is_allocated(self, house: House) -> None:
        answered = await start(house)

        assert await house.batches_under_way(DeployMany()) == [answered.handle]

    async def test_a_cancelled_wait_does_not_stop_the_allocation(self, house: House) -> None:
        answered = await start(house)
        token = CancellationToken()
        house.after(10, token.cancel)

        with pytest.raises(OperationCancelledError):
            await house.batches.resume(
                DeployMany(), answered.handle, ProgressReporter(discard_progress), token, wait=None
            )

        reported = await resume(house, answered.handle, wait=None)
        assert reported.state == "succeeded"


class TestFailing:
    async def test_too_few_machines_are_the_error_of_the_operation_and_all_are_released(self, house: House) -> None:
        answered = await start(house, count=6)

        with pytest.raises(OperationRefusedError, match="6 machines were requested, but only 5") as failure:
            await resume(house, answered.handle, wait=None)

        assert failure.value.maas_says
        assert states(house) == ["Ready"] * 5
        assert str(await ended(house, answered.handle)) == str(failure.value), "a later call gets the same error"

    async def test_a_request_that_maas_refuses_is_the_error_of_the_operation(self, house: House) -> None:
        answered = await start(house)
        house.region.faults.append(Fault(op="allocate", status=403, body=""))

        with pytest.raises(OperationRefusedError, match="MAAS refused to start maas_deploy_machines"):
            await resume(house, answered.handle, wait=None)

        assert states(house) == ["Ready"] * 5

    async def test_machines_that_cannot_be_released_are_named_with_the_call_that_releases_them(
        self, house: House
    ) -> None:
        answered = await start(house, count=6)
        house.region.faults.append(Fault(op="release", status=504, body="<html>504</html>", times=1_000))
        await anyio.sleep(5 * EACH + 2 * TIMING.release_limit)

        failure = await ended(house, answered.handle)
        assert answered.handle.system_id in (failure.hint or "")
        assert failure.next_steps == (ABORT,)

        house.region.faults.clear()
        await abort(house, answered.handle)
        assert states(house) == ["Ready"] * 5

    async def test_a_bug_in_the_plugin_is_the_error_of_the_operation(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def members(*_: object) -> None:
            await anyio.sleep(EACH)
            raise KeyError("boom")

        monkeypatch.setattr(DeployMany, "members", members)
        answered = await start(house)

        with pytest.raises(OperationFailedError, match="its plugin failed with KeyError"):
            await resume(house, answered.handle, wait=None)

    async def test_a_machine_that_could_not_be_requested_is_reported_with_the_reason(self, house: House) -> None:
        answered = await start(house)
        await anyio.sleep(EACH)
        (first,) = [name for name in DEMO if house.region.machine(name).status_name == "Allocated"]
        house.region.machine(first).locked = True

        reported = await resume(house, answered.handle, wait=None)

        assert isinstance(reported.result, DeployedMachines)
        (failed,) = [each.message for each in reported.result.machines if each.state == "failed"]
        assert "is locked" in failed


class TestCancelling:
    async def test_an_abort_stops_the_allocation_and_releases_its_machines(self, house: House) -> None:
        answered = await start(house)
        await anyio.sleep(EACH)

        await abort(house, answered.handle)
        assert states(house) == ["Ready"] * 5
        assert isinstance(await ended(house, answered.handle), OperationRevertedError)
        await anyio.sleep(600)

        assert states(house) == ["Ready"] * 5, "MAAS allocated the second machine after the abort"
        assert house.requests("allocate", "POST") == 2
        assert house.requests("deploy", "POST") == 0

    async def test_the_status_says_that_machines_are_being_released(self, house: House) -> None:
        answered = await start(house)
        await anyio.sleep(EACH)
        house.tasks.start_soon(abort, house, answered.handle)
        await anyio.sleep(1)

        reported = await resume(house, answered.handle)

        assert reported.message == "Nothing is started; releasing the machines that were allocated"

    @pytest.mark.parametrize("policy", [False, True], ids=["detach", "abort"])
    async def test_a_cancelled_call_stops_its_allocation_and_releases_its_machines(
        self, house: House, *, policy: bool
    ) -> None:
        house.after(1.5 * EACH, lambda: house.token.cancel(CancelReason.CLIENT))

        with pytest.raises(OperationCancelledError):
            await start(house, wait=None, abort=policy)

        assert states(house) == ["Ready"] * 5
        await anyio.sleep(600)
        assert house.requests("deploy", "POST") == 0

    async def test_an_abort_in_another_process_is_noticed_before_anything_is_deployed(self, house: House) -> None:
        answered = await start(house)
        await anyio.sleep(1.5 * EACH)

        await abort(house, answered.handle, batches=another(house))
        await anyio.sleep(600)

        assert "was aborted during the allocation" in str(await ended(house, answered.handle))
        assert states(house) == ["Ready"] * 5
        assert house.requests("deploy", "POST") == 0


class TestEndOfTheServer:
    async def test_a_stopping_server_releases_the_allocated_machines_within_a_second(self, house: House) -> None:
        async with anyio.create_task_group() as process:
            answered = await start(house, batches=another(house, process))
            await anyio.sleep(1.25 * EACH)
            process.cancel_scope.cancel()

        assert anyio.current_time() <= 2 + 1.25 * EACH + DISCONNECT_CLEANUP + 0.1
        assert answered.state == "working"
        assert states(house).count("Allocated") == 0


class TestAfterACrash:
    async def allocated_by_a_killed_server(self, house: House, count: int) -> Handle:
        """The id that a server returned before it was killed, and the machines that it had allocated by then."""
        house.region.hold(op="allocate")
        name, cursor = new_name(DeployMany(), DeployMachines(count=3)), await house.maas.newest_event_id()
        handle = Handle(DeployMany.name, name, int(house.now()), cursor, ())
        for _ in range(count):
            comment = DeployMany().label(name)
            await house.maas.post_op("machines/", "allocate", agent_name=name, comment=comment)
        return handle

    async def test_another_process_reports_the_allocated_machines(self, house: House) -> None:
        handle = await self.allocated_by_a_killed_server(house, 2)

        reported = await resume(house, handle, batches=another(house))

        assert reported.state == "working"
        assert reported.message == (
            "2 of 3 machines are allocated, and none of them is started yet. If the server that started this has "
            "stopped, abort the operation to release them"
        )

    async def test_a_batch_that_nobody_continues_has_failed(self, house: House) -> None:
        handle = await self.allocated_by_a_killed_server(house, 2)

        with pytest.raises(OperationFailedError, match="2 of 3 machines are allocated, and none") as failure:
            await resume(house, handle, wait=None, batches=another(house))

        assert anyio.current_time() <= CHANGE_TIMEOUT + TIMING.start_grace + TIMING.outage_pause + 5
        assert failure.value.next_steps == (ABORT,)

    async def test_it_is_aborted_by_its_id(self, house: House) -> None:
        handle = await self.allocated_by_a_killed_server(house, 2)
        batches = another(house)
        await anyio.sleep(2 * CHANGE_TIMEOUT)

        await abort(house, handle, batches=batches)

        assert states(house) == ["Ready"] * 5
        assert isinstance(await ended(house, handle, batches=batches), OperationRevertedError)

    async def test_an_allocation_that_goes_on_elsewhere_is_followed_to_its_end(self, house: House) -> None:
        answered = await start(house)
        await anyio.sleep(1.5 * EACH)

        reported = await resume(house, answered.handle, wait=None, batches=another(house))

        assert reported.state == "succeeded"

    async def test_a_long_allocation_elsewhere_has_not_failed_while_machines_are_added(self, house: House) -> None:
        house.region.hold(op="allocate", before=600)
        answered = await start(house)
        await anyio.sleep(1500)

        reported = await resume(house, answered.handle, batches=another(house))

        assert reported.message.startswith("2 of 3 machines are allocated")
