"""Requests that MAAS holds, loses or refuses late: no call waits for longer than it said, and all is reported."""

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
from maas_mcp.maas.limits import LONGEST_POST
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
    """MAAS holds the order to deploy for two minutes, and then acts."""
    house.region.hold(op="deploy", before=120)
    return house


async def start(house: House, *, wait: float | None = 0.0, **arguments: Any) -> OperationStatus[Any]:
    house.options = {"wait": wait}
    outcome: OperationStatus[Any] = await house.run("node01", **arguments)
    return outcome


async def ask(house: House, *, wait: float | None = 0.0, engine: Engine | None = None) -> OperationStatus[Any]:
    """Ask for the latest operation, of the process that has started it or of another one."""

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
    @pytest.mark.parametrize(("wait", "answers"), [(0.0, TIMING.at_once), (30.0, 30.0)])
    async def test_a_call_answers_when_its_time_is_up_and_the_order_is_held_on(
        self, held: House, wait: float, answers: float
    ) -> None:
        outcome = await start(held, wait=wait)

        assert anyio.current_time() == answers
        assert (outcome.result, outcome.confirmed) == (None, False)
        assert outcome.message == f"Not confirmed yet: MAAS has not answered the request of {answers:.0f} s ago (Ready)"
        result = (await ask(held, wait=None)).result
        assert result is not None
        assert result.status_name == "Deployed"
        assert held.posts == 1

    async def test_its_handle_says_for_how_long(self, held: House) -> None:
        await start(held)
        await anyio.sleep(100 - TIMING.at_once)

        outcome = await ask(held)

        assert outcome.message == "Not confirmed yet: MAAS has not answered the request of 1 min 40 s ago (Ready)"

    async def test_and_so_does_who_waits_for_it(self, held: House) -> None:
        await start(held)
        await ask(held, wait=60)

        reported = [each for each in held.messages if each.startswith("Not confirmed yet: MAAS has not answered ")]
        assert len(set(reported)) > 5

    async def test_what_maas_shows_counts_whether_it_has_answered_or_not(self, house: House) -> None:
        house.region.hold(op="deploy", after=600)
        await start(house)
        await anyio.sleep(300)

        outcome = await ask(house)

        assert outcome.fraction is not None
        assert outcome.fraction > 0.3
        assert outcome.confirmed

    async def test_the_time_to_begin_counts_from_the_answer(self, house: House) -> None:
        class Vain(Deploy):
            """MAAS takes the order after five minutes, and does nothing."""

            name = "maas_deploy_in_vain"

            async def start(self, ctx: OperationContext, args: Any) -> None:  # noqa: ARG002 - the hook
                await anyio.sleep(300)

        house.options = {"wait": 0.0}
        await house.run("node01", Vain)

        with pytest.raises(OperationFailedError, match=r"MAAS accepted .* nothing shows that it began.* is Ready"):
            await ask(house, wait=None)

        assert 300 + TIMING.start_grace <= anyio.current_time() < 300 + TIMING.start_grace + 15

    async def test_after_a_restart_only_maas_is_asked(self, held: House) -> None:
        await start(held)
        await anyio.sleep(30)
        outcome = await ask(held, engine=another(held))

        assert outcome.message == "Nothing shows yet that it began (Ready)"
        assert not outcome.confirmed

    async def test_another_replica_does_not_deny_what_maas_may_still_hold(self, house: House) -> None:
        house.region.hold(op="deploy", before=890)
        await start(house)
        await anyio.sleep(880)
        assert not (await ask(house, engine=another(house))).confirmed

        outcome = await ask(house, engine=another(house), wait=60)

        assert outcome.message == "Deploying"

    @pytest.mark.parametrize("wait", [0.0, None])
    async def test_what_has_not_begun_when_nobody_can_hold_it_any_longer_never_began(
        self, house: House, wait: float | None
    ) -> None:
        house.region.faults.append(LOST)
        await start(house)
        await anyio.sleep(LONGEST_POST + TIMING.start_grace if wait == 0.0 else 0)

        with pytest.raises(
            OperationFailedError,
            match=r"MAAS was asked for .* 16 min 0. s later nothing shows that it began.* is Ready",
        ):
            await ask(house, engine=another(house), wait=wait)

        assert anyio.current_time() < LONGEST_POST + TIMING.start_grace + 15

    async def test_it_is_not_ordered_a_second_time(self, held: House) -> None:
        await start(held)
        first = held.handle
        await anyio.sleep(38)

        outcome = await start(held)

        assert outcome.handle == first
        assert outcome.message == (
            "Not confirmed yet: MAAS has not answered the request of 40 s ago (node01 is Ready). It was not "
            "requested a second time"
        )
        assert held.posts == 1

    async def test_a_request_that_waits_for_its_turn_says_so_and_then_that_it_is_sent(self, house: House) -> None:
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

    async def test_it_is_listed_with_what_is_under_way(self, held: House) -> None:
        held.region.deploy("node02", "admin")
        await start(held)

        found = await held.under_way(Deploy())

        assert [held.region.machine(each.system_id).hostname for each in found] == ["node02", "node01"]
        assert found[1] == held.handle

    async def test_an_abort_says_that_there_is_nothing_to_abort_so_far(self, held: House) -> None:
        await start(held)
        assert held.handle

        with pytest.raises(
            OperationRefusedError, match=r"has not answered .* node01 is Ready: there is nothing to abort"
        ):
            await held.engine.abort(Deploy(), held.handle, CancellationToken())
        await anyio.sleep(150)
        await held.engine.abort(Deploy(), held.handle, CancellationToken())

        assert held.region.machine("node01").status_name == "Allocated"

    async def test_a_cancel_of_the_call_closes_it_and_leaves_nothing_under_way(self, held: House) -> None:
        held.after(10, held.token.cancel)

        with pytest.raises(OperationCancelledError):
            await start(held, wait=None)

        assert anyio.current_time() == 10
        assert await held.under_way(Deploy()) == []
        assert held.posts == 1

    async def test_it_ends_with_the_server(self, house: House) -> None:
        async with anyio.create_task_group() as server:
            request = given(StartRequests(server), house, 0, _forever)
            await anyio.wait_all_tasks_blocked()
            server.cancel_scope.cancel()

        assert not request.under_way

    async def test_one_that_was_withdrawn_is_not_taken_for_accepted(self, house: House) -> None:
        async def start(maas: MaasClient) -> None:
            await maas.post_op("machines/4y3h7n/", "lock")

        house.region.hold(op="lock", before=3600)
        request = given(StartRequests(house.tasks), house, 0, start)
        await anyio.sleep(1)

        await request.close()

        assert request.state is RequestState.UNCERTAIN
        assert request.standing().endswith("whether it began is not known yet")


class TestRefused:
    async def test_a_refusal_is_told_by_the_call_itself_however_short_its_wait(self, house: House) -> None:
        house.region.hold(op="deploy", before=TIMING.at_once / 2)

        with pytest.raises(MaasBadRequestError, match="nosuch"):
            await start(house, distro_series="nosuch")

    async def test_one_that_comes_late_is_told_to_who_asks_and_to_who_waits(self, held: House) -> None:
        await start(held, distro_series="nosuch")

        for wait in (None, 0.0):
            with pytest.raises(OperationRefusedError, match=r"MAAS refused to start .* on node01: ") as refusal:
                await ask(held, wait=wait)
            assert "'nosuch' is not a valid distro_series." in f"{refusal.value.message} {refusal.value.maas_says}"
        assert 120 <= anyio.current_time() < 130

    async def test_a_plugin_that_fails_late_is_named(self, house: House) -> None:
        class Faulty(Deploy):
            """A deploy whose plugin has a fault."""

            name = "maas_deploy_faultily"

            async def start(self, ctx: OperationContext, args: Any) -> None:  # noqa: ARG002 - the hook
                await anyio.sleep(10)
                raise KeyError("oops")

        house.options = {"wait": 0.0}
        await house.run("node01", Faulty)
        await anyio.sleep(10)

        with pytest.raises(OperationFailedError, match=r"failed inside its plugin \(KeyError\)"):
            await ask(house)


class TestLost:
    async def test_a_call_that_does_not_wait_says_that_it_is_not_known_whether_it_began(self, house: House) -> None:
        house.region.faults.append(LOST)

        outcome = await start(house)

        assert (
            outcome.message
            == "The response was 504, without a message from MAAS; whether it began is not known yet (Ready)"
        )
        assert not outcome.confirmed

    async def test_it_is_confirmed_as_soon_as_maas_shows_it(self, house: House) -> None:
        house.region.faults.append(Fault(op="deploy", method="POST", status=504, body="<html>504</html>", acts=True))
        await start(house)
        await anyio.sleep(1)

        outcome = await ask(house)

        assert (outcome.message, outcome.confirmed) == ("Deploying", True)

    @pytest.mark.parametrize("wait", [0.0, None])
    async def test_after_a_restart_what_somebody_else_began_is_not_taken_for_ours(
        self, house: House, wait: float | None
    ) -> None:
        house.region.faults.append(Fault(op="deploy", method="POST", drop="before"))
        await start(house)
        house.after(3, lambda: house.region.deploy("node01", "bob"))
        await anyio.sleep(5 if wait == 0.0 else 0)

        with pytest.raises(OperationRevertedError, match="because bob started that"):
            await ask(house, engine=another(house), wait=wait)

    async def test_but_ours_is_whoever_has_done_something_to_it_since(self, house: House) -> None:
        await start(house)
        await anyio.sleep(60)
        house.region.said_by(house.region.machine("node01"), "bob", "User locking node")

        assert (await ask(house, engine=another(house))).message == "Deploying"

    async def test_a_test_of_somebody_elses_machine_is_ours_all_the_same(self, house: House) -> None:
        house.region.machine("node07").owner = "bob"
        house.poll_with(StatusPolling())
        house.region.hold(op="test", after=100)

        assert (await house.run("node07", RunTests)).status_name == "Deployed"


class TestAskingInAnOutage:
    async def under_way(self, house: House) -> None:
        """Deploying for three minutes, last seen loading the ephemeral system, and MAAS silent from now on."""
        await start(house, wait=180)
        house.region.faults.append(Fault(status=503, times=1_000_000))

    async def test_who_waits_is_told_what_was_seen_last(self, house: House) -> None:
        await self.under_way(house)
        outcome = await ask(house, wait=40)

        assert anyio.current_time() == 220
        assert outcome.message == "MAAS unreachable for 40 s; last seen: Loading ephemeral"
        assert outcome.fraction == 0.2

    async def test_another_process_has_nothing_to_tell_but_the_outage(self, house: House) -> None:
        await self.under_way(house)
        outcome = await ask(house, wait=40, engine=another(house))

        assert outcome.message == "MAAS unreachable for 40 s; nothing was seen of it here so far"

    async def test_following_goes_on_when_it_is_over(self, house: House) -> None:
        await self.under_way(house)
        house.reported.clear()
        house.after(60, house.region.faults.clear)

        outcome = await ask(house, wait=None)

        assert getattr(outcome.result, "status_name", None) == "Deployed"
        assert house.messages[0] == "MAAS unreachable for 0 s; last seen: Loading ephemeral"
        values = [each.value for each in house.reported]
        assert values == sorted(set(values))

    async def test_it_is_given_up_after_the_limit(self, house: House) -> None:
        await self.under_way(house)

        with pytest.raises(MaasUnavailableError, match=r"unreachable for 5 min .*nothing is known to have failed"):
            await ask(house, wait=None)

        assert anyio.current_time() < 180 + 310

    async def test_who_does_not_wait_is_told_soon(self, house: House) -> None:
        await self.under_way(house)

        with pytest.raises(MaasUnavailableError) as failure:
            await ask(house)

        assert failure.value.retryable
        assert anyio.current_time() < 180 + 10


async def _forever(_maas: MaasClient) -> None:
    await anyio.sleep_forever()


async def _unchecked(_maas: MaasClient) -> None:
    pass


def given(requests: StartRequests, house: House, number: int, send: Send) -> StartRequest:
    """A request of no machine in particular."""
    return requests.give(_handle(number), send, house.maas, check=_unchecked)


def _handle(number: int) -> Handle:
    return Handle("maas_deploy_machine", "4y3h7n", number, 0, ())


async def test_requests_that_were_answered_are_forgotten_some_day_and_others_never(house: House) -> None:
    async def answered(_maas: MaasClient) -> None:
        pass

    requests = StartRequests(house.tasks)
    held = given(requests, house, 0, _forever)
    for number in range(1, KEPT + 3):
        await given(requests, house, number, answered).answered()
    assert requests.all_under_way() == [held]
    assert requests.of(_handle(1)).standing() == "Nothing shows yet that it began"
    assert requests.of(_handle(KEPT + 2)).state is RequestState.ACCEPTED


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), BaseException("odd")])
async def test_what_starts_an_operation_ends_nothing_else_whatever_it_raises(
    house: House, error: BaseException
) -> None:
    async def start(_maas: MaasClient) -> None:
        raise error

    request = given(StartRequests(house.tasks), house, 0, start)
    with pytest.raises(type(error)):
        await request.answered()
    with pytest.raises(OperationFailedError, match="failed inside its plugin"):
        request.check_refusal("it")
    assert await house.maas.whoami(), "the tasks beside it go on"
