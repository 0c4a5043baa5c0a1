"""The stories of an operation, each told of a machine, of the region and of a batch: the engines run all three alike.

A story asserts what a user notices: the status and its words, how often MAAS was asked to start or stop it, and what
MAAS shows in the end.
"""

from datetime import timedelta

import anyio
import pytest

from maas_mcp.errors import (
    MaasAuthError,
    MaasBadRequestError,
    MaasUnavailableError,
    MachineGoneError,
    OperationCancelledError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.maas.limits import MAX_CHANGES
from maas_mcp.operations.cancellation import CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.progress import ProgressReporter, nobody
from maas_mcp.operations.running.run import Prepared
from tests.engine_stories.kinds import (
    Kind,
    OfEngine,
    OnMachines,
    cannot_be,
    fault,
    of_each_kind,
    refused_unless_a_batch,
    words,
)
from tests.house import TIMING

pytestmark = pytest.mark.anyio

MIDWAY = 60.0
"""Seconds after which each kind is at work, and far from its end."""
LONG_AFTER = 3600.0
"""Seconds after which each kind is over."""
DAY = 24 * 3600.0


class TestStarting:
    @of_each_kind()
    async def test_it_is_started_once_and_followed_to_its_result(self, kind: Kind) -> None:
        status = await kind.run()

        assert (status.state, status.fraction) == ("succeeded", 1.0)
        assert status.result is not None
        values = [each.value for each in kind.reported]
        assert values == sorted(set(values))
        assert (values[0], values[-1]) == (0.0, 1.0)
        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_call_that_waits_for_less_answers_in_time_that_it_is_at_work(self, kind: Kind) -> None:
        status = await kind.run(wait=MIDWAY)

        assert MIDWAY <= anyio.current_time() < MIDWAY + 3
        assert (status.state, status.result) == ("working", None)
        assert status.fraction is not None
        assert 0.0 < status.fraction < 1.0
        assert kind.shows() == "at work"

    @of_each_kind()
    async def test_a_second_call_is_given_the_one_that_is_at_work(self, kind: Kind) -> None:
        await kind.run(wait=MIDWAY)
        second = await kind.run(wait=0)

        assert second.state == "working"
        assert (await kind.ask(second.handle, wait=None)).state == "succeeded"
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_two_calls_at_once_start_one(self, kind: Kind) -> None:
        kind.hold(5)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(kind.run)

        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_call_to_another_process_is_given_the_one_that_is_at_work(self, kind: Kind) -> None:
        await kind.run(wait=MIDWAY)
        other = kind.another_process()
        second = await kind.run(other, wait=0)

        assert second.state == "working"
        assert (await kind.ask(second.handle, other, wait=None)).state == "succeeded"
        assert kind.starts == kind.size

    @of_each_kind(batch=cannot_be("A batch is known by its name, which another program does not give."))
    async def test_what_another_program_has_started_is_not_started_a_second_time(self, kind: Kind) -> None:
        kind.start_outside()
        await anyio.sleep(MIDWAY)

        status = await kind.run()

        assert status.state == "working"
        assert "already: not started a second time" in status.message
        assert (await kind.ask(status.handle, wait=None)).state == "succeeded"
        assert kind.starts == 0

    @of_each_kind(region=cannot_be("The region imports for all users: each caller gets the import under way."))
    async def test_what_another_user_has_started_is_refused(self, kind: Kind) -> None:
        kind.take_over()

        with pytest.raises(kind.on_all(OperationRefusedError)) as refusal:
            await kind.run()

        assert words(refusal.value).count("is Deploying for bob already") == kind.size
        assert kind.starts == 0
        assert kind.shows() == "at work"

    @of_each_kind(batch=cannot_be("A batch is not prepared: it is started at once."))
    async def test_what_was_prepared_is_not_requested_once_the_call_is_cancelled(self, kind: Kind) -> None:
        assert isinstance(kind, OfEngine)
        engine, progress = kind.here.engine, ProgressReporter(nobody)
        prepared = await engine.prepare(kind.operation(), kind.args, progress, kind.token)
        assert isinstance(prepared, Prepared)
        kind.token.cancel()

        with pytest.raises(OperationCancelledError):
            engine.start(prepared)
        await anyio.sleep(MIDWAY)

        assert kind.starts == 0
        assert kind.shows() == "untouched"


class TestRefused:
    @of_each_kind()
    async def test_a_refusal_is_raised_in_maas_own_words(self, kind: Kind) -> None:
        kind.refuse()

        with pytest.raises(kind.on_all(MaasBadRequestError)) as refusal:
            await kind.run()

        assert "MAAS does not want to." in words(refusal.value)
        assert kind.starts == kind.size
        assert kind.shows() == "untouched"

    @of_each_kind()
    async def test_a_refusal_that_comes_after_the_call_is_reported_to_every_later_call(self, kind: Kind) -> None:
        kind.refuse(after=30)
        status = await kind.run(wait=0)
        assert (status.state, anyio.current_time()) == ("working", TIMING.at_once)

        for wait in (None, 0.0):
            with pytest.raises(OperationError) as refusal:
                await kind.ask(status.handle, wait=wait)
            assert words(refusal.value).count("MAAS refused to start ") == kind.size
            assert "MAAS does not want to." in words(refusal.value)
        assert 30 <= anyio.current_time() < 35
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_what_maas_accepts_and_does_not_do_is_a_failure(self, kind: Kind) -> None:
        kind.do_nothing()

        with pytest.raises(OperationFailedError) as failure:
            await kind.run()

        assert words(failure.value).count("nothing shows that it ") == kind.size
        assert TIMING.start_grace <= anyio.current_time() < TIMING.start_grace + 15
        assert kind.starts == kind.size


class TestHeld:
    @of_each_kind()
    async def test_a_call_does_not_wait_for_maas_and_the_request_is_held_on(self, kind: Kind) -> None:
        kind.hold(30)
        status = await kind.run(wait=0)
        assert (status.state, anyio.current_time()) == ("working", TIMING.at_once)
        assert kind.shows() == "untouched"

        assert (await kind.ask(status.handle, wait=None)).state == "succeeded"
        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_it_is_confirmed_as_soon_as_maas_has_accepted_it_and_not_before(self, kind: Kind) -> None:
        kind.hold(30)
        status = await kind.run(wait=0)
        assert not status.confirmed
        await anyio.sleep(MIDWAY)

        assert (await kind.ask(status.handle)).confirmed

    @of_each_kind()
    async def test_it_waits_for_its_turn_and_says_so(self, kind: Kind) -> None:
        await kind.take_all_turns(seconds=30)

        status = await kind.run()

        assert status.state == "succeeded"
        assert any("Waiting to be sent: MAAS receives at most 2 requests at a time" in each for each in kind.messages)
        assert kind.starts == kind.size

    @of_each_kind(region=cannot_be("The region imports for all users: each caller gets the import under way."))
    async def test_what_another_user_starts_while_it_waits_for_its_turn_is_left_alone(self, kind: Kind) -> None:
        assert isinstance(kind, OnMachines)
        await kind.take_all_turns(seconds=30)
        kind.after(10, kind.take_over)

        with pytest.raises(kind.on_all(OperationRefusedError)) as refusal:
            await kind.run()

        assert words(refusal.value).count("had to wait, and was not sent to MAAS") == kind.size
        assert kind.starts == 0
        assert (kind.shows(), kind.owners) == ("at work", {"bob"})

    @of_each_kind()
    async def test_one_that_waits_for_its_turn_is_taken_back_by_an_abort(self, kind: Kind) -> None:
        await kind.take_all_turns(seconds=60)
        status = await kind.run(wait=0)
        await kind.abort(status.handle)
        await anyio.sleep(120)

        with pytest.raises(OperationRevertedError):
            await kind.ask(status.handle)
        assert (kind.starts, kind.undos) == (0, 0)
        assert kind.shows() == "untouched"


class TestLost:
    @of_each_kind()
    @pytest.mark.parametrize(
        "lost",
        [
            {"status": 504, "body": "<html>504</html>", "acts": True},
            {"status": 502, "body": "<html>502</html>", "acts": True},
            {"status": 500, "body": "boom", "acts": True},
            {"drop": "after"},
        ],
        ids=["504", "502", "500", "closed"],
    )
    async def test_a_lost_answer_is_looked_up_and_the_request_is_not_repeated(
        self, kind: Kind, lost: dict[str, object]
    ) -> None:
        kind.spoil(**lost)

        assert (await kind.run()).state == "succeeded"
        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_lost_request_is_not_repeated_and_its_error_is_raised(self, kind: Kind) -> None:
        kind.spoil(status=504, body="<html>504</html>")

        with pytest.raises(kind.on_all(MaasUnavailableError)) as lost:
            await kind.run()

        assert words(lost.value).count("504") >= kind.size
        assert kind.starts == kind.size
        assert kind.shows() == "untouched"

    @of_each_kind(region=cannot_be("The region imports for all users: it does not matter who began."))
    async def test_after_a_lost_request_what_another_user_began_is_not_taken_for_ours(self, kind: Kind) -> None:
        kind.spoil(drop="before")
        kind.after(3, kind.take_over)

        with pytest.raises(OperationRevertedError) as ended:
            await kind.run()

        assert words(ended.value).count("because bob started that") == kind.size
        assert kind.starts == kind.size
        assert kind.shows() == "at work"


class TestOutages:
    @of_each_kind()
    async def test_an_outage_is_reported_and_survived(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.hide)
        kind.after(MIDWAY + 60, kind.region.faults.clear)

        assert (await kind.run()).state == "succeeded"
        assert any("MAAS unreachable for " in each and "; last seen: " in each for each in kind.messages)
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_after_too_long_an_outage_the_call_ends_and_says_that_nothing_has_failed(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.hide)

        with pytest.raises(MaasUnavailableError) as failure:
            await kind.run()

        assert "nothing is known to have failed" in words(failure.value)
        assert TIMING.outage_limit - 10 < anyio.current_time() - MIDWAY < TIMING.outage_limit + 60
        assert kind.undos == 0

    @of_each_kind()
    async def test_a_call_amid_an_outage_is_answered_in_time(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)
        kind.hide()

        status = await kind.ask(started.handle, wait=40)

        assert status.state == "working"
        assert status.message.startswith("MAAS unreachable for 40 s; ")
        kind.region.faults.clear()
        assert (await kind.ask(started.handle, wait=None)).state == "succeeded"

    @of_each_kind()
    async def test_a_key_that_is_revoked_ends_the_call_at_once(self, kind: Kind) -> None:
        kind.after(MIDWAY, lambda: kind.revoke_key("…: &s3cret"))

        with pytest.raises(MaasAuthError) as refusal:
            await kind.run()

        assert "s3cret" not in words(refusal.value)
        assert anyio.current_time() <= MIDWAY + 10, "at the next look"
        assert kind.shows() == "at work"


class TestCancelling:
    @of_each_kind()
    async def test_a_call_that_is_cancelled_before_it_starts_sends_nothing(self, kind: Kind) -> None:
        kind.token.cancel()

        with pytest.raises(OperationCancelledError):
            await kind.run()

        assert kind.region.requests == []

    @of_each_kind()
    async def test_a_call_that_is_cancelled_while_it_is_prepared_starts_nothing(self, kind: Kind) -> None:
        kind.delay_reads(1.0)
        kind.after(0.5, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run()
        await anyio.sleep(MIDWAY)

        assert kind.starts == 0
        assert kind.shows() == "untouched"

    @of_each_kind()
    async def test_a_call_that_is_cancelled_while_it_waits_for_its_turn_starts_nothing(self, kind: Kind) -> None:
        await kind.take_all_turns(seconds=30)
        kind.after(10, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)
        await anyio.sleep(MIDWAY)

        assert (kind.starts, kind.undos) == (0, 0)
        assert kind.shows() == "untouched"

    @of_each_kind()
    async def test_a_call_that_is_cancelled_amid_its_request_ends_at_once_and_maas_goes_on(self, kind: Kind) -> None:
        kind.hold(30)
        kind.after(10, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run()
        assert anyio.current_time() < 10 + TIMING.allocation_uncertain + 5
        await anyio.sleep(MIDWAY)

        assert (kind.starts, kind.undos) == (kind.size, 0)
        assert kind.shows() == "at work"

    @of_each_kind()
    async def test_a_call_that_is_cancelled_amid_its_request_gives_its_turn_back(self, kind: Kind) -> None:
        kind.hold(600)
        kind.after(10, kind.token.cancel)
        with pytest.raises(OperationCancelledError):
            await kind.run()

        await kind.take_all_turns(seconds=30)

        assert kind.turns_taken == MAX_CHANGES

    @of_each_kind()
    async def test_a_call_that_is_cancelled_amid_its_request_aborts_what_begins_by_it(self, kind: Kind) -> None:
        kind.hold(5)
        kind.after(2, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)
        assert anyio.current_time() <= 2 + TIMING.abort_limit
        await anyio.sleep(MIDWAY)

        assert (kind.starts, kind.undos) == (kind.size, kind.size)
        assert kind.shows() != "at work"

    @of_each_kind()
    async def test_a_call_that_is_cancelled_midway_leaves_maas_at_work_and_asks_nothing_more(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run()
        assert kind.shows() == "at work"
        await anyio.sleep(30)
        asked = len(kind.region.requests)
        await anyio.sleep(LONG_AFTER)

        assert len(kind.region.requests) == asked
        assert kind.undos == 0
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_call_that_is_cancelled_midway_aborts_if_that_was_asked_for(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)

        assert anyio.current_time() <= MIDWAY + TIMING.abort_limit
        assert (kind.starts, kind.undos) == (kind.size, kind.size)
        assert kind.shows() == "stopped"

    @of_each_kind()
    @pytest.mark.parametrize("reason", [CancelReason.CONNECTION_LOST, CancelReason.SHUTDOWN, CancelReason.CANCEL_TOOL])
    async def test_nothing_but_a_clients_cancellation_aborts(self, kind: Kind, reason: CancelReason) -> None:
        kind.after(MIDWAY, lambda: kind.token.cancel(reason))

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)

        assert (kind.starts, kind.undos) == (kind.size, 0)
        assert kind.shows() == "at work"


class TestResuming:
    @of_each_kind()
    async def test_another_process_says_how_far_it_is_and_follows_it_to_its_result(self, kind: Kind) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(MIDWAY)
        kind.reported.clear()

        asked = await kind.ask(started.handle, kind.another_process())
        assert (asked.state, asked.result) == ("working", None)
        assert asked.fraction is not None
        assert 0.0 < asked.fraction < 1.0
        ended = await kind.ask(started.handle, kind.another_process(), wait=None)

        assert ended.state == "succeeded"
        assert ended.result is not None
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_its_result_is_there_long_after_its_end(self, kind: Kind) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(3 * DAY)

        ended = await kind.ask(started.handle, kind.another_process())

        assert (ended.state, ended.fraction) == ("succeeded", 1.0)
        assert ended.result is not None
        assert kind.starts == kind.size

    @of_each_kind(batch=fault("MAAS names no machine of a batch before it has begun, and that is taken for a failure."))
    async def test_another_process_does_not_deny_what_maas_still_holds(self, kind: Kind) -> None:
        kind.hold(50)
        started = await kind.run(wait=0)
        other = kind.another_process()

        asked = await kind.ask(started.handle, other)
        assert (asked.state, asked.result) == ("working", None)
        await anyio.sleep(MIDWAY)

        assert (await kind.ask(started.handle, other, wait=None)).state == "succeeded"
        assert kind.starts == kind.size

    @of_each_kind(batch=cannot_be("MAAS forgets which machines a batch had as soon as they are released."))
    async def test_a_success_stays_one_though_the_next_has_begun(self, kind: Kind) -> None:
        status = await kind.run()
        kind.run_next()
        await anyio.sleep(5)

        assert (await kind.ask(status.handle)).state == "succeeded"

    @of_each_kind(region=cannot_be("The region cannot be deleted."))
    async def test_what_was_deleted_is_gone_for_every_process(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)
        kind.delete()

        with pytest.raises(kind.on_all(MachineGoneError)) as gone:
            await kind.ask(started.handle, kind.another_process())

        assert "deleted" in words(gone.value)

    @of_each_kind(region=cannot_be("The region belongs to nobody: it cannot be taken over."))
    async def test_what_was_taken_over_has_not_succeeded_for_any_process(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)
        kind.take_over()
        await anyio.sleep(LONG_AFTER)

        with pytest.raises(kind.on_all(OperationRevertedError)):
            await kind.ask(started.handle, kind.another_process())


class TestDeadlines:
    @pytest.fixture(autouse=True)
    def short(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """No kind is over by then."""
        monkeypatch.setattr(kind.operation, "deadline", timedelta(seconds=MIDWAY))

    @of_each_kind()
    async def test_it_ends_the_following_and_leaves_maas_at_work(self, kind: Kind) -> None:
        with pytest.raises(OperationTimedOutError) as late:
            await kind.run()

        assert "not over after 1 min 00 s; last seen: " in words(late.value)
        assert MIDWAY <= anyio.current_time() < MIDWAY + 3
        assert kind.undos == 0
        assert kind.shows() == "at work"

    @of_each_kind()
    @pytest.mark.parametrize("here", [True, False], ids=["here", "another process"])
    async def test_it_counts_from_the_start_in_every_process(self, kind: Kind, *, here: bool) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(MIDWAY / 2)

        with pytest.raises(OperationTimedOutError):
            await kind.ask(started.handle, kind.here if here else kind.another_process(), wait=None)

        started_at = 0 if here else -1  # a handle has whole seconds
        assert MIDWAY + started_at <= anyio.current_time() < MIDWAY + 2

    @of_each_kind()
    @pytest.mark.parametrize("wait", [0.0, None])
    async def test_once_it_has_passed_every_call_reports_so_at_once(self, kind: Kind, wait: float | None) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(MIDWAY + 5)
        asked = anyio.current_time()

        with pytest.raises(OperationTimedOutError):
            await kind.ask(started.handle, kind.another_process(), wait=wait)

        assert anyio.current_time() == asked

    @of_each_kind()
    async def test_a_success_after_it_is_a_success(self, kind: Kind) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(LONG_AFTER)

        assert (await kind.ask(started.handle)).state == "succeeded"


class TestAborting:
    @of_each_kind()
    async def test_it_is_aborted_by_its_handle_and_says_so_ever_after(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)

        await kind.abort(started.handle)

        assert kind.undos == kind.size
        assert kind.shows() == "stopped"
        for pause in (0, MIDWAY):
            await anyio.sleep(pause)
            with pytest.raises(OperationRevertedError):
                await kind.ask(started.handle)

    @of_each_kind()
    async def test_another_process_aborts_it_too(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)

        await kind.abort(started.handle, kind.another_process())

        assert kind.undos == kind.size
        assert kind.shows() == "stopped"
        with pytest.raises(OperationError):
            await kind.ask(started.handle)

    @of_each_kind(
        batch=cannot_be("What MAAS still holds is aborted once it begins: the abort of a batch waits for it."),
    )
    async def test_an_abort_of_what_maas_still_holds_is_refused_and_says_so(self, kind: Kind) -> None:
        kind.hold(30)
        started = await kind.run(wait=0)

        with pytest.raises(OperationRefusedError) as refusal:
            await kind.abort(started.handle)

        assert "MAAS has not answered the request" in words(refusal.value)
        assert kind.undos == 0

    @of_each_kind()
    async def test_what_is_over_is_not_aborted(self, kind: Kind) -> None:
        status = await kind.run()

        with refused_unless_a_batch(kind):
            await kind.abort(status.handle)

        assert kind.undos == 0
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_the_handle_of_what_is_over_leaves_the_next_one_alone(self, kind: Kind) -> None:
        status = await kind.run()
        kind.run_next()
        await anyio.sleep(5)

        with refused_unless_a_batch(kind):
            await kind.abort(status.handle)

        assert kind.undos == 0
        assert kind.shows() == "at work"

    @of_each_kind(region=cannot_be("MAAS does not tell imports apart: only who saw the end of one knows the next."))
    async def test_another_process_leaves_the_next_one_alone_too(self, kind: Kind) -> None:
        status = await kind.run()
        kind.run_next()
        await anyio.sleep(5)

        with refused_unless_a_batch(kind):
            await kind.abort(status.handle, kind.another_process())

        assert kind.undos == 0
        assert kind.shows() == "at work"

    @of_each_kind(region=cannot_be("The region belongs to nobody: it cannot be taken over."))
    async def test_what_another_user_began_in_its_place_is_left_alone(self, kind: Kind) -> None:
        assert isinstance(kind, OnMachines)
        started = await kind.run(wait=MIDWAY)
        kind.take_over()
        await anyio.sleep(1)

        with refused_unless_a_batch(kind):
            await kind.abort(started.handle)

        assert kind.undos == 0
        assert (kind.shows(), kind.owners) == ("at work", {"bob"})


class TestEndedFromOutside:
    @of_each_kind()
    async def test_what_somebody_stops_has_not_succeeded(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.stop_outside)

        with pytest.raises(OperationError) as ended:
            await kind.run()

        assert not isinstance(ended.value, OperationTimedOutError)
        assert MIDWAY <= anyio.current_time() < MIDWAY + 15
        assert kind.shows() == "stopped"

    @of_each_kind(region=cannot_be("The region belongs to nobody: it cannot be taken over."))
    async def test_what_is_taken_over_has_not_succeeded(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.take_over)

        with pytest.raises(OperationRevertedError) as ended:
            await kind.run()

        assert words(ended.value).count("bob") >= kind.size
        assert MIDWAY <= anyio.current_time() < MIDWAY + 15
        assert kind.shows() == "at work"

    @of_each_kind(region=cannot_be("The region cannot be deleted."))
    async def test_what_is_deleted_is_gone(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.delete)

        with pytest.raises(kind.on_all(MachineGoneError)) as gone:
            await kind.run()

        assert words(gone.value).count("deleted") >= kind.size
        assert MIDWAY <= anyio.current_time() < MIDWAY + 15

    @of_each_kind(region=cannot_be("An import in MAAS has no failure of its own: it is stopped, or it ends."))
    async def test_a_failure_says_why_in_maas_own_words(self, kind: Kind) -> None:
        kind.fail("no space left on device")

        with pytest.raises(OperationFailedError) as failure:
            await kind.run()

        assert words(failure.value).count("Failed deployment: no space left on device") >= kind.size
        assert all(each.value < 1.0 for each in kind.reported)


class TestResults:
    @of_each_kind()
    async def test_one_whose_result_cannot_be_read_has_ended_and_may_give_it_later(
        self, kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as faulty:
            faulty.setattr(kind.operation, "result", lambda *_: 1 // 0)
            status = await kind.run()
        assert (status.state, status.result) == ("succeeded", None)
        assert status.problem is not None
        assert "the plugin could not read the result: it failed with ZeroDivisionError" in status.problem.message

        for process in (kind.here, kind.another_process()):
            again = await kind.ask(status.handle, process)
            assert (again.state, again.problem) == ("succeeded", None)
            assert again.result is not None
        assert kind.starts == kind.size
