"""The stories of an operation, each run on a machine, on the region and on a batch.

A story asserts what a user notices: the status and its messages, the number of start and abort requests, and the final
state in MAAS.
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
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.operations.running.run import Prepared
from maas_mcp.testing.host import POLL_INTERVAL
from tests.engine_stories.kinds import (
    Kind,
    OfEngine,
    OnMachines,
    not_applicable,
    of_each_kind,
    refused_unless_batch,
    text_of,
)
from tests.house import TIMING

pytestmark = pytest.mark.anyio

MIDWAY = 60.0
"""Seconds after which each kind is running, and far from its end."""
LONG_AFTER = 3600.0
"""Seconds after which each kind has ended."""
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
    async def test_a_call_with_a_short_wait_returns_in_time_while_the_operation_continues(self, kind: Kind) -> None:
        status = await kind.run(wait=MIDWAY)

        assert MIDWAY <= anyio.current_time() < MIDWAY + 3
        assert (status.state, status.result) == ("working", None)
        assert status.fraction is not None
        assert 0.0 < status.fraction < 1.0
        assert kind.shows() == "at work"

    @of_each_kind()
    async def test_a_second_call_returns_the_running_operation(self, kind: Kind) -> None:
        await kind.run(wait=MIDWAY)
        second = await kind.run(wait=0)

        assert second.state == "working"
        assert (await kind.resume(second.handle, wait=None)).state == "succeeded"
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_two_concurrent_calls_start_one_operation(self, kind: Kind) -> None:
        kind.hold(5)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(kind.run)

        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_call_to_another_process_returns_the_running_operation(self, kind: Kind) -> None:
        await kind.run(wait=MIDWAY)
        other = kind.another_process()
        second = await kind.run(other, wait=0)

        assert second.state == "working"
        assert (await kind.resume(second.handle, other, wait=None)).state == "succeeded"
        assert kind.starts == kind.size

    @of_each_kind(batch=not_applicable("A batch is found by its name, which another program does not set."))
    async def test_an_operation_started_by_another_program_is_not_started_again(self, kind: Kind) -> None:
        kind.start_outside()
        await anyio.sleep(MIDWAY)

        status = await kind.run()

        assert status.state == "working"
        assert ": not started again" in status.message
        assert (await kind.resume(status.handle, wait=None)).state == "succeeded"
        assert kind.starts == 0

    @of_each_kind(region=not_applicable("The region imports for all users: each caller gets the running import."))
    async def test_an_operation_started_by_another_user_is_refused(self, kind: Kind) -> None:
        kind.take_over()

        with pytest.raises(kind.on_all(OperationRefusedError)) as refusal:
            await kind.run()

        assert text_of(refusal.value).count("is already Deploying for bob") == kind.size
        assert kind.starts == 0
        assert kind.shows() == "at work"

    @of_each_kind(batch=not_applicable("A batch is not prepared: it is started at once."))
    async def test_a_prepared_operation_is_not_requested_after_a_cancellation(self, kind: Kind) -> None:
        assert isinstance(kind, OfEngine)
        engine, progress = kind.here.engine, ProgressReporter(discard_progress)
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

        assert "MAAS does not want to." in text_of(refusal.value)
        assert kind.starts == kind.size
        assert kind.shows() == "untouched"

    @of_each_kind()
    async def test_a_refusal_after_the_call_is_reported_to_every_later_call(self, kind: Kind) -> None:
        kind.refuse(after=30)
        status = await kind.run(wait=0)
        assert (status.state, anyio.current_time()) == ("working", TIMING.refusal_window)

        for wait in (None, 0.0):
            with pytest.raises(OperationError) as refusal:
                await kind.resume(status.handle, wait=wait)
            assert text_of(refusal.value).count("MAAS refused to start ") == kind.size
            assert "MAAS does not want to." in text_of(refusal.value)
        assert 30 <= anyio.current_time() < 35
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_a_request_that_maas_accepts_but_does_not_carry_out_is_a_failure(self, kind: Kind) -> None:
        kind.do_nothing()

        with pytest.raises(OperationFailedError) as failure:
            await kind.run()

        assert text_of(failure.value).count("MAAS does not show that it ") == kind.size
        assert TIMING.start_grace <= anyio.current_time() < TIMING.start_grace + 15
        assert kind.starts == kind.size


class TestHeld:
    @of_each_kind()
    async def test_a_call_returns_before_maas_answers_and_the_request_stays_open(self, kind: Kind) -> None:
        kind.hold(30)
        status = await kind.run(wait=0)
        assert (status.state, anyio.current_time()) == ("working", TIMING.refusal_window)
        assert kind.shows() == "untouched"

        assert (await kind.resume(status.handle, wait=None)).state == "succeeded"
        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_it_is_confirmed_only_after_maas_has_accepted_it(self, kind: Kind) -> None:
        kind.hold(30)
        status = await kind.run(wait=0)
        assert not status.confirmed
        await anyio.sleep(MIDWAY)

        assert (await kind.resume(status.handle)).confirmed

    @of_each_kind()
    async def test_a_request_that_waits_for_its_turn_reports_so(self, kind: Kind) -> None:
        await kind.take_all_turns(seconds=30)

        status = await kind.run()

        assert status.state == "succeeded"
        assert any("Waiting to be sent: MAAS receives at most 2 requests at a time" in each for each in kind.messages)
        assert kind.starts == kind.size

    @of_each_kind(region=not_applicable("The region imports for all users: each caller gets the running import."))
    async def test_an_operation_that_another_user_starts_during_the_wait_for_a_turn_is_left_alone(
        self, kind: Kind
    ) -> None:
        assert isinstance(kind, OnMachines)
        await kind.take_all_turns(seconds=30)
        kind.after(10, kind.take_over)

        with pytest.raises(kind.on_all(OperationRefusedError)) as refusal:
            await kind.run()

        assert text_of(refusal.value).count("had to wait, and was not sent to MAAS") == kind.size
        assert kind.starts == 0
        assert (kind.shows(), kind.owners) == ("at work", {"bob"})

    @of_each_kind()
    async def test_an_abort_withdraws_a_request_that_waits_for_its_turn(self, kind: Kind) -> None:
        await kind.take_all_turns(seconds=60)
        status = await kind.run(wait=0)
        await kind.abort(status.handle)
        await anyio.sleep(120)

        with pytest.raises(OperationRevertedError):
            await kind.resume(status.handle)
        assert (kind.starts, kind.aborts) == (0, 0)
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
    async def test_after_a_lost_answer_the_run_is_found_and_the_request_is_not_repeated(
        self, kind: Kind, lost: dict[str, object]
    ) -> None:
        kind.add_fault(**lost)

        assert (await kind.run()).state == "succeeded"
        assert kind.starts == kind.size
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_lost_request_is_not_repeated_and_its_error_is_raised(self, kind: Kind) -> None:
        kind.add_fault(status=504, body="<html>504</html>")

        with pytest.raises(kind.on_all(MaasUnavailableError)) as lost:
            await kind.run()

        assert text_of(lost.value).count("504") >= kind.size
        assert kind.starts == kind.size
        assert kind.shows() == "untouched"

    @of_each_kind(region=not_applicable("The region imports for all users: the starter does not matter."))
    async def test_after_a_lost_request_another_users_run_is_not_mistaken_for_the_callers(self, kind: Kind) -> None:
        kind.add_fault(drop="before")
        kind.after(3, kind.take_over)

        with pytest.raises(OperationRevertedError) as ended:
            await kind.run()

        assert text_of(ended.value).count("because bob started another operation first") == kind.size
        assert kind.starts == kind.size
        assert kind.shows() == "at work"


class TestOutages:
    @of_each_kind()
    async def test_an_outage_is_reported_and_survived(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.start_outage)
        kind.after(MIDWAY + 60, kind.region.faults.clear)

        assert (await kind.run()).state == "succeeded"
        assert any("MAAS unreachable for " in each and "; last seen: " in each for each in kind.messages)
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_long_outage_ends_the_call_with_a_message_that_nothing_has_failed(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.start_outage)

        with pytest.raises(MaasUnavailableError) as failure:
            await kind.run()

        assert "which may still be running" in text_of(failure.value)
        # A batch ends only after its machines, which it reads once more.
        assert TIMING.outage_limit - 10 < anyio.current_time() - MIDWAY < TIMING.outage_limit + 90
        assert kind.aborts == 0

    @of_each_kind()
    async def test_a_call_during_an_outage_returns_in_time(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)
        kind.start_outage()

        status = await kind.resume(started.handle, wait=40)

        assert status.state == "working"
        assert status.message.startswith("MAAS unreachable for 40 s; ")
        kind.region.faults.clear()
        assert (await kind.resume(started.handle, wait=None)).state == "succeeded"

    @of_each_kind()
    async def test_a_revoked_key_ends_the_call_at_once(self, kind: Kind) -> None:
        kind.after(MIDWAY, lambda: kind.revoke_key("…: &s3cret"))

        with pytest.raises(MaasAuthError) as refusal:
            await kind.run()

        assert "s3cret" not in text_of(refusal.value)
        assert anyio.current_time() <= MIDWAY + 2 * POLL_INTERVAL, "a second poll confirms it"
        assert kind.shows() == "at work"


class TestCancelling:
    @of_each_kind()
    async def test_a_call_cancelled_before_its_start_sends_nothing(self, kind: Kind) -> None:
        kind.token.cancel()

        with pytest.raises(OperationCancelledError):
            await kind.run()

        assert kind.region.requests == []

    @of_each_kind()
    async def test_a_call_cancelled_during_preparation_starts_nothing(self, kind: Kind) -> None:
        kind.delay_reads(1.0)
        kind.after(0.5, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run()
        await anyio.sleep(MIDWAY)

        assert kind.starts == 0
        assert kind.shows() == "untouched"

    @of_each_kind()
    async def test_a_call_cancelled_while_it_waits_for_its_turn_starts_nothing(self, kind: Kind) -> None:
        await kind.take_all_turns(seconds=30)
        kind.after(10, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)
        await anyio.sleep(MIDWAY)

        assert (kind.starts, kind.aborts) == (0, 0)
        assert kind.shows() == "untouched"

    @of_each_kind()
    async def test_a_call_cancelled_during_its_request_ends_at_once_and_maas_continues(self, kind: Kind) -> None:
        kind.hold(30)
        kind.after(10, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run()
        assert anyio.current_time() < 10 + TIMING.allocation_uncertain + 5
        await anyio.sleep(MIDWAY)

        assert (kind.starts, kind.aborts) == (kind.size, 0)
        assert kind.shows() == "at work"

    @of_each_kind()
    async def test_a_call_cancelled_during_its_request_frees_its_turn(self, kind: Kind) -> None:
        kind.hold(600)
        kind.after(10, kind.token.cancel)
        with pytest.raises(OperationCancelledError):
            await kind.run()

        await kind.take_all_turns(seconds=30)

        assert kind.turns_taken == MAX_CHANGES

    @of_each_kind()
    async def test_a_call_cancelled_during_its_request_aborts_the_run_that_it_starts(self, kind: Kind) -> None:
        kind.hold(5)
        kind.after(2, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)
        assert anyio.current_time() <= 2 + TIMING.abort_limit
        await anyio.sleep(MIDWAY)

        assert (kind.starts, kind.aborts) == (kind.size, kind.size)
        assert kind.shows() != "at work"

    @of_each_kind()
    async def test_a_call_cancelled_midway_leaves_maas_working_and_sends_no_more_requests(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run()
        assert kind.shows() == "at work"
        await anyio.sleep(30)
        resumed = len(kind.region.requests)
        await anyio.sleep(LONG_AFTER)

        assert len(kind.region.requests) == resumed
        assert kind.aborts == 0
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_a_call_cancelled_midway_aborts_if_requested(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.token.cancel)

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)

        assert anyio.current_time() <= MIDWAY + TIMING.abort_limit
        assert (kind.starts, kind.aborts) == (kind.size, kind.size)
        assert kind.shows() == "stopped"

    @of_each_kind()
    @pytest.mark.parametrize("reason", [CancelReason.CONNECTION_LOST, CancelReason.SHUTDOWN, CancelReason.CANCEL_TOOL])
    async def test_only_a_clients_cancellation_aborts(self, kind: Kind, reason: CancelReason) -> None:
        kind.after(MIDWAY, lambda: kind.token.cancel(reason))

        with pytest.raises(OperationCancelledError):
            await kind.run(on_cancel=CancelPolicy.ABORT)

        assert (kind.starts, kind.aborts) == (kind.size, 0)
        assert kind.shows() == "at work"


class TestResuming:
    @of_each_kind()
    async def test_another_process_reports_its_progress_and_follows_it_to_its_result(self, kind: Kind) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(MIDWAY)
        kind.reported.clear()

        resumed = await kind.resume(started.handle, kind.another_process())
        assert (resumed.state, resumed.result) == ("working", None)
        assert resumed.fraction is not None
        assert 0.0 < resumed.fraction < 1.0
        ended = await kind.resume(started.handle, kind.another_process(), wait=None)

        assert ended.state == "succeeded"
        assert ended.result is not None
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_its_result_is_available_long_after_its_end(self, kind: Kind) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(3 * DAY)

        ended = await kind.resume(started.handle, kind.another_process())

        assert (ended.state, ended.fraction) == ("succeeded", 1.0)
        assert ended.result is not None
        assert kind.starts == kind.size

    @of_each_kind()
    async def test_another_process_reports_a_request_that_maas_holds_as_working(self, kind: Kind) -> None:
        kind.hold(50)
        started = await kind.run(wait=0)
        other = kind.another_process()

        resumed = await kind.resume(started.handle, other)
        assert (resumed.state, resumed.result) == ("working", None)
        await anyio.sleep(MIDWAY)

        assert (await kind.resume(started.handle, other, wait=None)).state == "succeeded"
        assert kind.starts == kind.size

    @of_each_kind(batch=not_applicable("MAAS forgets the machines of a batch as soon as they are released."))
    async def test_a_success_stays_a_success_after_the_next_run_has_started(self, kind: Kind) -> None:
        status = await kind.run()
        kind.run_next()
        await anyio.sleep(5)

        assert (await kind.resume(status.handle)).state == "succeeded"

    @of_each_kind(region=not_applicable("The region cannot be deleted."))
    async def test_a_deleted_machine_is_gone_for_every_process(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)
        kind.delete()

        with pytest.raises(kind.on_all(MachineGoneError)) as gone:
            await kind.resume(started.handle, kind.another_process(), wait=None)

        assert "deleted" in text_of(gone.value)

    @of_each_kind(region=not_applicable("The region has no owner: it cannot be taken over."))
    async def test_a_run_that_was_taken_over_is_no_success_for_any_process(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)
        kind.take_over()
        await anyio.sleep(LONG_AFTER)

        with pytest.raises(kind.on_all(OperationRevertedError)):
            await kind.resume(started.handle, kind.another_process())


class TestDeadlines:
    @pytest.fixture(autouse=True)
    def short(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """No kind has ended by then."""
        monkeypatch.setattr(kind.operation, "deadline", timedelta(seconds=MIDWAY))

    @of_each_kind()
    async def test_the_deadline_ends_the_call_and_leaves_maas_working(self, kind: Kind) -> None:
        with pytest.raises(OperationTimedOutError) as late:
            await kind.run()

        assert "did not finish within 1 min 00 s; last seen: " in text_of(late.value)
        assert MIDWAY <= anyio.current_time() < MIDWAY + 3
        assert kind.aborts == 0
        assert kind.shows() == "at work"

    @of_each_kind()
    @pytest.mark.parametrize("here", [True, False], ids=["here", "another process"])
    async def test_the_deadline_counts_from_the_start_in_every_process(self, kind: Kind, *, here: bool) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(MIDWAY / 2)

        with pytest.raises(OperationTimedOutError):
            await kind.resume(started.handle, kind.here if here else kind.another_process(), wait=None)

        started_at = 0 if here else -1  # a handle has whole seconds
        assert MIDWAY + started_at <= anyio.current_time() < MIDWAY + 2

    @of_each_kind()
    @pytest.mark.parametrize("wait", [0.0, None])
    async def test_after_the_deadline_every_call_reports_it_at_once(self, kind: Kind, wait: float | None) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(MIDWAY + 5)
        resumed = anyio.current_time()

        with pytest.raises(OperationTimedOutError):
            await kind.resume(started.handle, kind.another_process(), wait=wait)

        assert anyio.current_time() == resumed

    @of_each_kind()
    async def test_a_success_after_the_deadline_is_a_success(self, kind: Kind) -> None:
        started = await kind.run(wait=0)
        await anyio.sleep(LONG_AFTER)

        assert (await kind.resume(started.handle)).state == "succeeded"


class TestAborting:
    @of_each_kind()
    async def test_an_operation_aborted_by_its_handle_stays_reported_as_aborted(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)

        await kind.abort(started.handle)

        assert kind.aborts == kind.size
        assert kind.shows() == "stopped"
        for pause in (0, MIDWAY):
            await anyio.sleep(pause)
            with pytest.raises(OperationRevertedError):
                await kind.resume(started.handle)

    @of_each_kind()
    async def test_another_process_can_abort_it(self, kind: Kind) -> None:
        started = await kind.run(wait=MIDWAY)

        await kind.abort(started.handle, kind.another_process())

        assert kind.aborts == kind.size
        assert kind.shows() == "stopped"
        with pytest.raises(OperationError):
            await kind.resume(started.handle)

    @of_each_kind(
        batch=not_applicable("The abort of a batch waits for requests that MAAS holds."),
    )
    async def test_an_abort_is_refused_while_maas_holds_the_start_request(self, kind: Kind) -> None:
        kind.hold(30)
        started = await kind.run(wait=0)

        with pytest.raises(OperationRefusedError) as refusal:
            await kind.abort(started.handle)

        assert "MAAS has not answered" in text_of(refusal.value)
        assert kind.aborts == 0

    @of_each_kind()
    async def test_an_operation_that_has_ended_is_not_aborted(self, kind: Kind) -> None:
        status = await kind.run()

        with refused_unless_batch(kind):
            await kind.abort(status.handle)

        assert kind.aborts == 0
        assert kind.shows() == "done"

    @of_each_kind()
    async def test_an_abort_by_the_handle_of_an_ended_run_leaves_the_next_run_alone(self, kind: Kind) -> None:
        status = await kind.run()
        kind.run_next()
        await anyio.sleep(5)

        with refused_unless_batch(kind):
            await kind.abort(status.handle)

        assert kind.aborts == 0
        assert kind.shows() == "at work"

    @of_each_kind(
        region=not_applicable(
            "MAAS does not distinguish imports: only a process that saw the end of one knows the next."
        )
    )
    async def test_an_abort_from_another_process_leaves_the_next_run_alone(self, kind: Kind) -> None:
        status = await kind.run()
        kind.run_next()
        await anyio.sleep(5)

        with refused_unless_batch(kind):
            await kind.abort(status.handle, kind.another_process())

        assert kind.aborts == 0
        assert kind.shows() == "at work"

    @of_each_kind(region=not_applicable("The region has no owner: it cannot be taken over."))
    async def test_an_abort_leaves_another_users_run_on_the_same_machine_alone(self, kind: Kind) -> None:
        assert isinstance(kind, OnMachines)
        started = await kind.run(wait=MIDWAY)
        kind.take_over()
        await anyio.sleep(1)

        with refused_unless_batch(kind):
            await kind.abort(started.handle)

        assert kind.aborts == 0
        assert (kind.shows(), kind.owners) == ("at work", {"bob"})


class TestEndedFromOutside:
    @of_each_kind()
    async def test_an_operation_stopped_by_someone_else_is_no_success(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.stop_outside)

        with pytest.raises(OperationError) as ended:
            await kind.run()

        assert not isinstance(ended.value, OperationTimedOutError)
        assert MIDWAY <= anyio.current_time() < MIDWAY + 15
        assert kind.shows() == "stopped"

    @of_each_kind(region=not_applicable("The region has no owner: it cannot be taken over."))
    async def test_a_run_that_is_taken_over_is_no_success(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.take_over)

        with pytest.raises(OperationRevertedError) as ended:
            await kind.run()

        assert text_of(ended.value).count("bob") >= kind.size
        assert MIDWAY <= anyio.current_time() < MIDWAY + 15
        assert kind.shows() == "at work"

    @of_each_kind(region=not_applicable("The region cannot be deleted."))
    async def test_a_deleted_machine_is_reported_as_gone(self, kind: Kind) -> None:
        kind.after(MIDWAY, kind.delete)

        with pytest.raises(kind.on_all(MachineGoneError)) as gone:
            await kind.run()

        assert text_of(gone.value).count("deleted") >= kind.size
        assert MIDWAY <= anyio.current_time() < MIDWAY + 15

    @of_each_kind(region=not_applicable("An import in MAAS never fails: it is stopped or it ends."))
    async def test_a_failure_has_its_reason_in_maas_own_words(self, kind: Kind) -> None:
        kind.fail("no space left on device")

        with pytest.raises(OperationFailedError) as failure:
            await kind.run()

        assert text_of(failure.value).count("no space left on device") >= kind.size
        assert all(each.value < 1.0 for each in kind.reported)


class TestResults:
    @of_each_kind()
    async def test_an_operation_with_an_unreadable_result_has_ended_and_may_return_it_later(
        self, kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as faulty:
            faulty.setattr(kind.operation, "result", lambda *_: 1 // 0)
            status = await kind.run()
        assert (status.state, status.result) == ("succeeded", None)
        assert status.problem is not None
        assert "the plugin could not read the result: it raised ZeroDivisionError" in status.problem.message

        for process in (kind.here, kind.another_process()):
            again = await kind.resume(status.handle, process)
            assert (again.state, again.problem) == ("succeeded", None)
            assert again.result is not None
        assert kind.starts == kind.size
