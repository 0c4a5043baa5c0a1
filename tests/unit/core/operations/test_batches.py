"""Batches: repeated calls, deadlines, and the state after the call has ended."""

from datetime import timedelta
from typing import Any

import anyio
import pytest

from maas_deploy.deploy import Deploy, DeployedMachine, DeployMachine
from maas_deploy.deploy_machines import DeployedMachines, DeployMachines, DeployMany
from maas_mcp.errors import InvalidArgumentsError, OperationTimedOutError
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.batch import new_name
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.batches.labels import LARGEST
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import OperationContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from tests.house import TIMING, House, client_of, engine_of

pytestmark = pytest.mark.anyio

DEMO = ("node01", "node02", "node03", "node04", "node05")
"""The machines that are Ready."""


def ids(house: House, *names: str) -> list[SystemId]:
    return [house.region.machine(name).system_id for name in names]


def states(house: House) -> list[str]:
    house.region.play()
    return sorted(house.region.machine(name).status_name for name in DEMO)


async def start(
    house: House, batch: type[DeployMany] = DeployMany, *, wait: float | None = 0.0, **arguments: Any
) -> OperationStatus[Any]:
    args = DeployMachines.model_validate(arguments)
    name = new_name(batch(), args)
    return await house.batches.run(batch(), args, ProgressReporter(discard_progress), house.token, name=name, wait=wait)


async def run_to_the_end(house: House, count: int) -> None:
    await start(house, wait=None, count=count)


async def ask(
    house: House,
    handle: Handle,
    *,
    batch: type[DeployMany] = DeployMany,
    wait: float | None = 0.0,
    batches: BatchEngine | None = None,
) -> OperationStatus[Any]:
    """Resume a batch, in its own process or in another one."""
    progress = ProgressReporter(discard_progress)
    return await (batches or house.batches).resume(batch(), handle, progress, CancellationToken(), wait=wait)


def succeeded(outcome: OperationStatus[Any]) -> int:
    assert isinstance(outcome.result, DeployedMachines)
    return outcome.result.succeeded


def another(house: House) -> BatchEngine:
    """The engine of another process, or of this one after a restart."""
    return engine_of(client_of(house.region), house.tasks, now=house.now)[1]


class TestRepeatedCalls:
    async def test_repeating_a_batch_returns_the_one_whose_requests_maas_holds(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)
        machines = ids(house, *DEMO[:3])

        first = await start(house, system_ids=machines)
        again = await start(house, system_ids=machines)

        assert again.handle == first.handle
        assert again.message == "3 of 3 working"
        assert succeeded(await ask(house, again.handle, wait=None)) == 3
        assert house.posts == 3

    async def test_repeating_a_batch_returns_the_one_that_has_started_on_some_machines(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)
        machines = ids(house, *DEMO[:3])
        first = await start(house, system_ids=machines)
        await anyio.sleep(40)  # two are deploying, and the third request is held

        again = await start(house, system_ids=machines)

        assert again.handle.system_id == first.handle.system_id
        assert again.message == "3 of 3 working"
        assert house.posts == 3

    async def test_machines_of_two_batches_are_not_mistaken_for_one_batch(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)
        first, second, third = ids(house, *DEMO[:3])
        await start(house, system_ids=[first])
        await start(house, system_ids=[second])

        reported = await start(house, system_ids=[first, second, third], wait=None)

        assert succeeded(reported) == 1
        assert house.posts == 3

    async def test_a_batch_with_open_requests_has_the_same_status_by_its_listed_id(self, house: House) -> None:
        house.region.hold(op="deploy", before=120)
        house.tasks.start_soon(run_to_the_end, house, 5)
        await anyio.sleep(20)

        (listed,) = await house.batches_under_way(DeployMany())
        await anyio.sleep(TIMING.start_grace + 6)
        reported = await ask(house, listed)

        assert reported.message == "5 of 5 working"
        assert succeeded(await ask(house, listed, wait=None)) == 5

    async def test_a_batch_that_is_choosing_its_machines_is_not_reported_as_failed(self, house: House) -> None:
        house.region.hold(op="allocate", before=50)
        house.tasks.start_soon(run_to_the_end, house, 3)
        await anyio.sleep(70)

        (listed,) = await house.batches_under_way(DeployMany())
        reported = await ask(house, listed, wait=10)

        assert reported.message == "Allocating machine 2 of 3"
        assert anyio.current_time() == 80
        assert succeeded(await ask(house, listed, wait=None)) == 3

    async def test_a_machine_whose_request_waits_for_its_turn_is_reported_as_such(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)
        await start(house, system_ids=ids(house, *DEMO[:2]))
        house.options = {"wait": 0.0}

        reported = await house.run("node03")

        assert reported.message == "Waiting to be sent: MAAS receives at most 2 requests at a time (Ready)"
        assert not reported.confirmed

    async def test_another_call_gets_its_turn_between_the_requests_of_a_long_batch(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)
        await start(house, system_ids=ids(house, *DEMO[:4]))
        house.options = {"wait": 0.0}
        await house.run("node05")
        await anyio.sleep(40)

        ordered = [each.path for each in house.region.requests if each.op == "deploy"]
        assert len(ordered) == 4
        assert f"machines/{ids(house, 'node05')[0]}/" in " ".join(ordered)


class TestRefused:
    async def test_a_machine_that_maas_refuses_after_the_call_is_released(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)

        reported = await start(house, count=2, distro_series="nosuch")
        assert reported.result is None
        await anyio.sleep(60)

        assert states(house) == ["Ready"] * 5

    async def test_a_machine_that_was_not_allocated_for_the_batch_is_left_alone(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)

        await start(house, system_ids=ids(house, "node01", "node02"), distro_series="nosuch")
        await anyio.sleep(60)

        assert house.requests("release", "POST") == 0


class TestFaulty:
    async def test_a_machine_with_an_unreadable_result_counts_as_deployed(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def result(self: Deploy, ctx: OperationContext) -> DeployedMachine:
            if ctx.system_id == faulty:
                raise KeyError("boom")
            return await found(self, ctx)

        (faulty,), found = ids(house, "node02"), Deploy.result
        monkeypatch.setattr(Deploy, "result", result)

        reported = await start(house, wait=None, system_ids=ids(house, *DEMO[:3]))

        assert isinstance(reported.result, DeployedMachines)
        assert (reported.state, reported.result.succeeded) == ("succeeded", 3)
        (unread,) = [each for each in reported.result.machines if each.machine is None]
        assert unread.message == (
            "MAAS has finished maas_deploy_machine (Deployed), but the plugin could not read the result: "
            "it raised KeyError."
        )
        assert unread.hint
        assert "Do not start it again" in unread.hint
        assert house.requests("abort", "POST") == 0

    async def test_a_plugin_fault_on_one_machine_does_not_stop_the_others(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def start_one(self: Deploy, ctx: OperationContext, args: DeployMachine) -> None:
            if args.system_id == faulty:
                raise KeyError("boom")
            await found(self, ctx, args)

        (faulty,), found = ids(house, "node02"), Deploy.start
        monkeypatch.setattr(Deploy, "start", start_one)

        reported = await start(house, wait=None, system_ids=ids(house, *DEMO[:3]))

        assert isinstance(reported.result, DeployedMachines)
        (failed,) = [each.message for each in reported.result.machines if each.state == "failed"]
        assert failed == "maas_deploy_machine failed inside its plugin (KeyError), which is a bug in the plugin."
        assert house.requests("abort", "POST") == 0

    async def test_a_batch_whose_result_fails_has_ended(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(DeployMany, "result", lambda *_: None)

        reported = await start(house, wait=None, system_ids=ids(house, *DEMO[:2]))

        assert (reported.state, reported.result) == ("succeeded", None)
        assert reported.problem
        assert "The result of maas_deploy_machines is not the declared DeployedMachines" in reported.problem.message
        assert (await ask(house, reported.handle)).state == "succeeded"


class Brief(Deploy):
    """A deploy that may take a quarter of an hour."""

    name = "maas_deploy_briefly"
    deadline = timedelta(minutes=15)


class BriefBatch(DeployMany):
    """A batch of such deploys, which may take an hour."""

    name = "maas_deploy_all_briefly"
    each = Brief
    deadline = timedelta(minutes=60)


class ShortBatch(BriefBatch):
    """A batch that may take five minutes."""

    name = "maas_deploy_all_shortly"
    deadline = timedelta(minutes=5)


class TestDeadlines:
    async def test_the_deadline_of_a_machine_counts_from_its_own_request(self, house: House) -> None:
        house.region.hold(op="deploy", before=240)

        reported = await start(house, BriefBatch, wait=None, system_ids=ids(house, *DEMO))

        assert succeeded(reported) == 5
        assert anyio.current_time() > Brief.deadline.total_seconds()

    async def test_the_deadline_of_a_machine_counts_from_its_own_request_in_a_later_call(self, house: House) -> None:
        house.region.hold(op="deploy", before=240)
        started = await start(house, BriefBatch, system_ids=ids(house, *DEMO))

        assert succeeded(await ask(house, started.handle, batch=BriefBatch, wait=None)) == 5

    async def test_another_process_gives_a_machine_until_the_deadline_of_the_batch(self, house: House) -> None:
        house.region.hold(op="deploy", before=240)
        started = await start(house, BriefBatch, system_ids=ids(house, *DEMO))
        await anyio.sleep(Brief.deadline.total_seconds() + 30)
        assert "Deploying" in states(house)

        reported = await ask(house, started.handle, batch=BriefBatch, wait=None, batches=another(house))

        assert succeeded(reported) == 5

    async def test_after_the_deadline_of_the_batch_working_machines_time_out_and_no_request_is_sent(
        self, house: House
    ) -> None:
        house.region.hold(op="deploy", before=160)

        with pytest.raises(OperationTimedOutError, match="did not finish in time on all 5") as failure:
            await start(house, ShortBatch, wait=None, count=5)

        assert "did not finish within 5 min 00 s; last seen: Waiting to be sent" in (failure.value.maas_says or "")
        await anyio.sleep(600)
        assert house.requests("deploy", "POST") == 4
        assert states(house).count("Ready") == 1, "the machine that was not started is released"

    async def test_a_later_call_reports_the_same_timeout(self, house: House) -> None:
        house.region.hold(op="deploy", before=160)
        started = await start(house, ShortBatch, system_ids=ids(house, *DEMO))
        await anyio.sleep(310)

        for _ in range(2):
            with pytest.raises(OperationTimedOutError, match="did not finish in time on all 5"):
                await ask(house, started.handle, batch=ShortBatch)
        await anyio.sleep(300)
        assert house.requests("deploy", "POST") == 4

    async def test_a_machine_that_ended_before_the_call_has_not_timed_out(self, house: House) -> None:
        started = await start(house, BriefBatch, system_ids=ids(house, *DEMO[:2]))
        await anyio.sleep(2 * BriefBatch.deadline.total_seconds())

        assert succeeded(await ask(house, started.handle, batch=BriefBatch)) == 2


class TestLabels:
    @pytest.mark.parametrize("size", [str(LARGEST + 1), "3000000", "9" * 4500], ids=["1001", "millions", "digits"])
    async def test_a_comment_with_an_absurd_size_is_ignored(self, house: House, size: str) -> None:
        comment = f"see [{DeployMany.name} b{size}x0000000000]"
        await house.maas.post_op("machines/", "allocate", comment=comment)

        assert await house.batches_under_way(DeployMany()) == []

    async def test_no_batch_has_an_absurd_size_in_its_name(self) -> None:
        args = DeployMachines.model_construct(count=LARGEST + 1)

        with pytest.raises(InvalidArgumentsError, match="too many for one batch"):
            new_name(DeployMany(), args)
