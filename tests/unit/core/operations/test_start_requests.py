"""Start requests that MAAS holds, loses or refuses late: calls return in time, and later calls report the end."""

from typing import Any

import anyio
import pytest

from maas_mcp.errors import (
    MaasBadRequestError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import CHANGE_TIMEOUT
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import OperationContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.strategies import StatusPolling
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.start_requests import KEPT, RequestState, Send, StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from tests.house import TIMING, House, client_of, engine_of
from tests.unit.core.operations.declared import Deploy, RunTests

pytestmark = pytest.mark.anyio

LOST = Fault(op="deploy", method="POST", status=504, body="<html>504</html>")


@pytest.fixture
def held(house: House) -> House:
    """MAAS holds the deploy request for two minutes, and then acts."""
    house.region.hold(op="deploy", before=120)
    return house


async def start(house: House, *, wait: float | None = 0.0, **arguments: Any) -> OperationStatus[Any]:
    house.options = {"wait": wait}
    outcome: OperationStatus[Any] = await house.run("node01", **arguments)
    return outcome


async def resume(house: House, *, wait: float | None = 0.0, engine: Engine | None = None) -> OperationStatus[Any]:
    """Resume the latest operation, in its own process or in another one."""

    async def send(progress: Progress) -> None:
        house.reported.append(progress)

    assert house.handle
    progress = ProgressReporter(send)
    async with progress.reporting():
        return await (engine or house.engine).resume(Deploy(), house.handle, progress, CancellationToken(), wait=wait)


def another(house: House) -> Engine:
    """The engine of another process, or of this one after a restart."""
    return engine_of(client_of(house.region), house.tasks, now=house.now)[0]


class TestHeld:
    @pytest.mark.parametrize(("wait", "answers"), [(0.0, TIMING.refusal_window), (30.0, 30.0)])
    async def test_a_call_returns_after_its_wait_and_the_request_stays_open(
        self, held: House, wait: float, answers: float
    ) -> None:
        outcome = await start(held, wait=wait)

        assert anyio.current_time() == answers
        assert (outcome.result, outcome.confirmed) == (None, False)
        assert (
            outcome.message
            == f"Not confirmed yet: the request was sent {answers:.0f} s ago, and MAAS has not answered (Ready)"
        )
        result = (await resume(held, wait=None)).result
        assert result is not None
        assert result.status_name == "Deployed"
        assert held.posts == 1

    async def test_a_later_call_reports_the_age_of_the_open_request(self, held: House) -> None:
        await start(held)
        await anyio.sleep(100 - TIMING.refusal_window)

        outcome = await resume(held)

        assert (
            outcome.message
            == "Not confirmed yet: the request was sent 1 min 40 s ago, and MAAS has not answered (Ready)"
        )

    async def test_a_waiting_call_reports_the_age_of_the_open_request(self, held: House) -> None:
        await start(held)
        await resume(held, wait=60)

        reported = [each for each in held.messages if each.startswith("Not confirmed yet: the request was sent ")]
        assert len(set(reported)) > 5

    async def test_a_run_that_maas_shows_counts_before_maas_answers(self, house: House) -> None:
        house.region.hold(op="deploy", after=600)
        await start(house)
        await anyio.sleep(300)

        outcome = await resume(house)

        assert outcome.fraction is not None
        assert outcome.fraction > 0.3
        assert outcome.confirmed

    async def test_the_time_to_start_counts_from_the_answer(self, house: House) -> None:
        class IneffectiveDeploy(Deploy):
            """MAAS accepts the request after five minutes, and does nothing."""

            name = "maas_deploy_without_effect"

            async def start(self, ctx: OperationContext, args: Any) -> None:  # noqa: ARG002 - the hook
                await anyio.sleep(300)

        house.options = {"wait": 0.0}
        await house.run("node01", IneffectiveDeploy)

        with pytest.raises(
            OperationFailedError, match=r"MAAS accepted .* MAAS does not show that it started.* is Ready"
        ):
            await resume(house, wait=None)

        assert 300 + TIMING.start_grace <= anyio.current_time() < 300 + TIMING.start_grace + 15

    async def test_after_a_restart_the_status_comes_from_maas_alone(self, held: House) -> None:
        await start(held)
        await anyio.sleep(30)
        outcome = await resume(held, engine=another(held))

        assert outcome.message == "MAAS does not show yet that it started (Ready)"
        assert not outcome.confirmed

    async def test_another_replica_waits_for_a_request_that_maas_may_still_hold(self, house: House) -> None:
        house.region.hold(op="deploy", before=890)
        await start(house)
        await anyio.sleep(880)
        assert not (await resume(house, engine=another(house))).confirmed

        outcome = await resume(house, engine=another(house), wait=60)

        assert outcome.message == "Deploying"

    @pytest.mark.parametrize("wait", [0.0, None])
    async def test_a_run_that_has_not_started_within_the_longest_request_has_failed(
        self, house: House, wait: float | None
    ) -> None:
        house.region.faults.append(LOST)
        await start(house)
        await anyio.sleep(CHANGE_TIMEOUT + TIMING.start_grace if wait == 0.0 else 0)

        with pytest.raises(
            OperationFailedError,
            match=r"was requested, but 16 min [01]. s later MAAS does not show that it started.* is Ready",
        ):
            await resume(house, engine=another(house), wait=wait)

        assert anyio.current_time() < CHANGE_TIMEOUT + TIMING.start_grace + 15

    async def test_an_open_request_is_not_sent_again(self, held: House) -> None:
        await start(held)
        first = held.handle
        await anyio.sleep(38)

        outcome = await start(held)

        assert outcome.handle == first
        assert outcome.message == (
            "Not confirmed yet: the request was sent 40 s ago, and MAAS has not answered (node01 is Ready). It was not "
            "requested again"
        )
        assert held.posts == 1

    async def test_a_request_reports_that_it_waits_for_its_turn_and_then_that_it_is_sent(self, house: House) -> None:
        house.region.hold(op="deploy", before=30)
        house.options["wait"] = 0.0
        await house.run("node01")
        await house.run("node02")
        house.options["wait"] = 100.0

        await house.run("node03")

        waits = next(number for number, each in enumerate(house.messages) if "Waiting to be sent" in each)
        sent = house.messages.index("Starting on node03")
        assert waits < sent
        assert "MAAS receives at most 2 requests at a time" in house.messages[waits]
        assert not [each for each in house.messages[:sent] if each.startswith("Starting on node03")]

    async def test_an_open_request_is_listed_as_running(self, held: House) -> None:
        held.region.deploy("node02", "admin")
        await start(held)

        found = await held.under_way(Deploy())

        assert [held.region.machine(each.system_id).hostname for each in found] == ["node02", "node01"]
        assert found[1] == held.handle

    async def test_an_abort_of_an_open_request_reports_that_there_is_nothing_to_abort_yet(self, held: House) -> None:
        await start(held)
        assert held.handle

        with pytest.raises(
            OperationRefusedError, match=r"has not answered\. node01 is Ready: there is nothing to abort"
        ):
            await held.engine.abort(Deploy(), held.handle, CancellationToken())
        await anyio.sleep(150)
        await held.engine.abort(Deploy(), held.handle, CancellationToken())

        assert held.region.machine("node01").status_name == "Allocated"

    async def test_cancelling_the_call_closes_the_request_and_leaves_nothing_running(self, held: House) -> None:
        held.after(10, held.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(held, wait=None)

        assert anyio.current_time() == 10
        assert await held.under_way(Deploy()) == []
        assert held.posts == 1

    async def test_an_open_request_ends_with_the_server(self, house: House) -> None:
        async with anyio.create_task_group() as server:
            request = submit(StartRequests(server), house, 0, _forever)
            await anyio.wait_all_tasks_blocked()
            server.cancel_scope.cancel()

        assert not request.is_pending

    async def test_a_withdrawn_request_does_not_count_as_accepted(self, house: House) -> None:
        async def start(maas: MaasClient) -> None:
            await maas.post_op("machines/4y3h7n/", "lock")

        house.region.hold(op="lock", before=3600)
        request = submit(StartRequests(house.tasks), house, 0, start)
        await anyio.sleep(1)

        await request.close()

        assert request.state is RequestState.UNCERTAIN
        assert request.describe().endswith("it is not known yet whether it started")


class TestRefused:
    async def test_a_call_with_no_wait_still_reports_an_immediate_refusal(self, house: House) -> None:
        house.region.hold(op="deploy", before=TIMING.refusal_window / 2)

        with pytest.raises(MaasBadRequestError, match="nosuch"):
            await start(house, distro_series="nosuch")

    async def test_a_late_refusal_is_reported_to_later_and_waiting_calls(self, held: House) -> None:
        await start(held, distro_series="nosuch")

        for wait in (None, 0.0):
            with pytest.raises(OperationRefusedError, match=r"MAAS refused to start .* on node01: ") as refusal:
                await resume(held, wait=wait)
            assert "'nosuch' is not a valid distro_series." in f"{refusal.value.message} {refusal.value.maas_says}"
        assert 120 <= anyio.current_time() < 130

    async def test_a_late_failure_of_a_plugin_names_the_plugin(self, house: House) -> None:
        class Faulty(Deploy):
            """A deploy whose plugin has a fault."""

            name = "maas_deploy_faultily"

            async def start(self, ctx: OperationContext, args: Any) -> None:  # noqa: ARG002 - the hook
                await anyio.sleep(10)
                raise KeyError("oops")

        house.options = {"wait": 0.0}
        await house.run("node01", Faulty)
        await anyio.sleep(10)

        with pytest.raises(OperationFailedError, match=r"its plugin failed with KeyError"):
            await resume(house)


class TestLost:
    async def test_a_call_without_a_wait_reports_that_the_start_is_uncertain(self, house: House) -> None:
        house.region.faults.append(LOST)

        outcome = await start(house)

        assert (
            outcome.message
            == "The response was 504, without a message from MAAS; it is not known yet whether it started (Ready)"
        )
        assert not outcome.confirmed

    async def test_a_lost_request_is_confirmed_as_soon_as_maas_shows_the_run(self, house: House) -> None:
        house.region.faults.append(Fault(op="deploy", method="POST", status=504, body="<html>504</html>", acts=True))
        await start(house)
        await anyio.sleep(1)

        outcome = await resume(house)

        assert (outcome.message, outcome.confirmed) == ("Deploying", True)

    @pytest.mark.parametrize("wait", [0.0, None])
    async def test_after_a_restart_another_users_run_is_not_mistaken_for_the_callers(
        self, house: House, wait: float | None
    ) -> None:
        house.region.faults.append(Fault(op="deploy", method="POST", drop="before"))
        await start(house)
        house.after(3, lambda: house.region.deploy("node01", "bob"))
        await anyio.sleep(5 if wait == 0.0 else 0)

        with pytest.raises(OperationRevertedError, match="because bob started another operation first"):
            await resume(house, engine=another(house), wait=wait)

    async def test_the_callers_run_stays_the_callers_after_another_users_action(self, house: House) -> None:
        await start(house)
        await anyio.sleep(60)
        house.region.said_by(house.region.machine("node01"), "bob", "User locking node")

        assert (await resume(house, engine=another(house))).message == "Deploying"

    async def test_a_test_on_another_users_machine_is_still_the_callers_run(self, house: House) -> None:
        house.region.machine("node07").owner = "bob"
        house.poll_with(StatusPolling())
        house.region.hold(op="test", after=100)

        assert (await house.run("node07", RunTests)).status_name == "Deployed"


class TestResumingInAnOutage:
    async def start_outage(self, house: House) -> None:
        """Deploy for three minutes, to *Loading ephemeral*, and then make MAAS unreachable."""
        await start(house, wait=180)
        house.region.faults.append(Fault(status=503, times=1_000_000))

    async def test_a_waiting_call_reports_the_last_known_state(self, house: House) -> None:
        await self.start_outage(house)
        outcome = await resume(house, wait=40)

        assert anyio.current_time() == 220
        assert outcome.message == "MAAS unreachable for 40 s; last seen: Loading ephemeral"
        assert outcome.fraction == 0.2

    async def test_another_process_reports_only_the_outage(self, house: House) -> None:
        await self.start_outage(house)
        outcome = await resume(house, wait=40, engine=another(house))

        assert outcome.message == "MAAS unreachable for 40 s; this server has not read its state yet"

    async def test_following_continues_after_the_outage(self, house: House) -> None:
        await self.start_outage(house)
        house.reported.clear()
        house.after(60, house.region.faults.clear)

        outcome = await resume(house, wait=None)

        assert getattr(outcome.result, "status_name", None) == "Deployed"
        assert house.messages[0] == "MAAS unreachable for 0 s; last seen: Loading ephemeral"
        values = [each.value for each in house.reported]
        assert values == sorted(set(values))

    async def test_the_call_ends_after_the_outage_limit(self, house: House) -> None:
        await self.start_outage(house)

        with pytest.raises(MaasUnavailableError, match=r"unreachable for 5 min .*which may still be running"):
            await resume(house, wait=None)

        assert anyio.current_time() < 180 + 310

    async def test_a_call_without_a_wait_reports_the_outage_soon(self, house: House) -> None:
        await self.start_outage(house)

        with pytest.raises(MaasUnavailableError) as failure:
            await resume(house)

        assert failure.value.retryable
        assert anyio.current_time() < 180 + 10


async def _forever(_maas: MaasClient) -> None:
    await anyio.sleep_forever()


async def _unchecked(_maas: MaasClient) -> None:
    pass


def submit(requests: StartRequests, house: House, number: int, send: Send) -> StartRequest:
    """Submit a request for any machine."""
    return requests.submit(_handle(number), send, house.maas, check=_unchecked)


def _handle(number: int) -> Handle:
    return Handle("maas_deploy_machine", "4y3h7n", number, 0, ())


async def test_only_answered_requests_are_forgotten(house: House) -> None:
    async def answered(_maas: MaasClient) -> None:
        pass

    requests = StartRequests(house.tasks)
    held = submit(requests, house, 0, _forever)
    for number in range(1, KEPT + 3):
        await submit(requests, house, number, answered).wait_for_answer()
    assert requests.all_pending() == [held]
    assert requests.find(_handle(1)).describe() == "MAAS does not show yet that it started"
    assert requests.find(_handle(KEPT + 2)).state is RequestState.ACCEPTED


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), BaseException("odd")])
async def test_an_error_while_starting_one_operation_ends_no_other(house: House, error: BaseException) -> None:
    async def start(_maas: MaasClient) -> None:
        raise error

    request = submit(StartRequests(house.tasks), house, 0, start)
    with pytest.raises(type(error)):
        await request.wait_for_answer()
    with pytest.raises(OperationFailedError, match="its plugin failed with"):
        request.check_refusal("it")
    assert await house.maas.whoami(), "the other tasks continue"
