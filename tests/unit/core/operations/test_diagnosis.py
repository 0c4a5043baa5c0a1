"""The reasons of failures: from the run's own events, in MAAS's words, with advice that harms no other user."""

from typing import Any, Literal

import anyio
import pytest

from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_deploy.release import Release
from maas_mcp.errors import (
    MaasConflictError,
    MaasError,
    MaasMcpError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.models import SCRIPT_SETS
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.changes import require_status
from maas_mcp.operations.declaring.operation import CancelPolicy, Operation
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.next_steps import query_power_state
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.testing.host import POLL_INTERVAL
from maas_simulator import Fault
from maas_simulator.model.statuses import Status
from tests.house import House, client_of, resumed
from tests.unit.core.operations.declared import Commission, RunTests

pytestmark = pytest.mark.anyio

TEXT = {"Content-Type": "text/plain"}
PAGE = {"Content-Type": "text/html"}
WITHIN_SECONDS = 2 * POLL_INTERVAL
"""Long enough for two polls, and much shorter than the minute for an answer that does not come from MAAS."""


def take_over(house: House) -> None:
    """Admin releases the machine and bob deploys it, between two polls."""
    house.region.take_over("node01", "bob", released_by="admin")


class TestTakenOver:
    async def test_the_users_who_released_and_took_the_machine_are_named(self, house: House) -> None:
        house.after(60, lambda: take_over(house))

        with pytest.raises(OperationRevertedError) as ended:
            await house.run("node01")

        assert 'is Deploying for bob now: admin ended it (User releasing node - "(admin)")' in ended.value.message
        assert "bob has since started another run" in ended.value.message
        assert ended.value.hint == "The machine belongs to bob. Ask bob before you change it."

    async def test_a_takeover_is_noticed_at_once(self, house: House) -> None:
        house.after(60, lambda: take_over(house))

        with pytest.raises(OperationRevertedError):
            await house.run("node01")

        assert anyio.current_time() < 60 + 5

    async def test_another_users_run_is_not_shown_as_the_callers_while_the_machine_is_unreadable(
        self, house: House
    ) -> None:
        def unreadable() -> None:
            house.region.faults.append(Fault(path="machines/", status=500, times=100, method="GET"))
            take_over(house)

        house.after(5, unreadable)
        house.after(200, house.region.faults.clear)

        with pytest.raises(OperationRevertedError):
            await house.run("node01")

        assert house.region.machine("node01").status_message not in {"Deploying", "Performing PXE boot"}
        assert not [each for each in house.messages if "Loading ephemeral" in each or "Configuring storage" in each]

    async def test_a_late_call_does_not_advise_to_release_another_users_machine(self, house: House) -> None:
        house.options["wait"] = 0.0
        await house.run("node01")
        house.after(60, lambda: take_over(house))
        await anyio.sleep(3600)
        assert house.region.machine("node01").status_name == "Deployed"

        with pytest.raises(OperationRevertedError) as ended:
            await resumed(house)

        assert "is Deployed for bob now" in ended.value.message
        assert "elease" not in (ended.value.hint or "")

    async def test_a_failure_stays_the_reason_after_another_user_has_deployed_the_machine(self, house: House) -> None:
        house.region.plan("node01", fail="Installing OS")
        house.options["wait"] = 0.0
        await house.run("node01")
        await anyio.sleep(1800)
        assert house.region.machine("node01").status_name == "Failed deployment"
        house.region.clear_plans()
        take_over(house)
        await anyio.sleep(3600)

        with pytest.raises(OperationFailedError) as failure:
            await resumed(house)

        assert "node01 (7xneda) was Failed deployment: Installation failed" in failure.value.message
        assert "It is now Deployed for bob." in failure.value.message
        assert "elease" not in (failure.value.hint or "")


BMC: dict[str, tuple[Literal["driver", "agent"] | None, str]] = {
    "the words of the driver": (
        "driver",
        'MAAS answered 500: "Failed to complete power action: IPMI: connection timeout"',
    ),
    "the words of the agent": ("agent", 'MAAS answered 500: "ExitError: exit status 1"'),
    "no rack controller": (None, 'MAAS answered 503: "Unable to connect to any rack controller'),
}


def unpowered(house: House, name: str, failure: str) -> str:
    """Break the power control of a machine. Returns MAAS's message."""
    errors, words = BMC[failure]
    if errors is None:
        house.region.rack_down()
    else:
        house.region.bmc_down(name, errors=errors)
    return words


@pytest.mark.parametrize("failure", BMC)
class TestReverted:
    async def ended(self, house: House, name: str, operation: type[Operation[Any, Any]]) -> OperationRevertedError:
        """Return the error of a waiting call, after checking that another process reports the same later."""
        lifecycle, machine = operation.lifecycle, await house.maas.machine(house.region.machine(name).system_id)
        cursor, runs = await house.maas.newest_event_id(), lifecycle.runs(machine)
        with pytest.raises(OperationRevertedError) as ended:
            await house.run(name, operation)
        assert anyio.current_time() < 15
        house.region.rack_down(down=False)
        house.handle = Handle(operation.name, machine.system_id, int(house.now()), cursor, runs)
        with pytest.raises(OperationRevertedError) as later:
            await resumed(house, operation=operation)
        assert "reverted the request" in later.value.message
        if "rack controller" not in (ended.value.maas_says or ""):
            assert (later.value.hint, later.value.next_steps) == (ended.value.hint, ended.value.next_steps)
        for error in (ended.value, later.value):
            assert "ended it" not in error.message
            assert "User " not in error.message
            assert "then try again" in (error.hint or "")
            assert "elease" not in (error.hint or "")
        return ended.value

    async def test_a_reverted_release_is_reported_with_maas_words_and_the_current_status(
        self, house: House, failure: str
    ) -> None:
        words = unpowered(house, "node07", failure)

        ended = await self.ended(house, "node07", Release)

        assert ended.message.startswith(
            "node07 (ywtymp): MAAS could not power it off and reverted the request; it is still Deployed for admin. "
        )
        assert words in ended.message
        assert words.removeprefix("MAAS answered ").replace('"', "") in (ended.maas_says or "")
        assert house.posts == 1

    async def test_a_reverted_entry_into_rescue_mode_is_reported(self, house: House, failure: str) -> None:
        words = unpowered(house, "node07", failure)

        ended = await self.ended(house, "node07", EnterRescueMode)

        assert "could not power it on and reverted the request; it is still Deployed for admin" in ended.message
        assert words in ended.message

    async def test_a_reverted_exit_from_rescue_mode_is_reported(self, house: House, failure: str) -> None:
        house.region.set_status(house.region.machine("node07"), Status.RESCUE_MODE)
        words = unpowered(house, "node07", failure)

        ended = await self.ended(house, "node07", ExitRescueMode)

        assert "could not power it off and reverted the request; it is still Rescue mode for admin" in ended.message
        assert words in ended.message

    @pytest.mark.parametrize("operation", [Commission, RunTests])
    async def test_reverted_commissioning_and_testing_are_reported_from_the_log(
        self, house: House, failure: str, operation: type[Operation[Any, Any]]
    ) -> None:
        words = unpowered(house, "node01", failure)

        ended = await self.ended(house, "node01", operation)

        assert "could not power it on and reverted the request; it is still Ready for admin" in ended.message
        assert words in ended.message


class TestHalfWay:
    async def test_an_erase_with_a_conflict_after_its_start_is_followed_to_its_failure(self, house: House) -> None:
        house.region.bmc_down("node07", errors="agent")

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node07", Release, erase=True)

        assert "node07 (ywtymp) is Failed disk erasing: " in failure.value.message
        assert 'MAAS answered 409: "Invalid transition: Disk erasing -> Deployed"' in failure.value.message
        assert "half erased" in (failure.value.hint or "")
        assert house.posts == 1

    async def test_any_other_conflict_is_a_refusal(self, house: House) -> None:
        house.region.faults.append(
            Fault(op="release", status=409, headers=TEXT, body="Invalid transition: Deployed -> Testing.")
        )

        with pytest.raises(MaasConflictError):
            await house.run("node07", Release)

        assert anyio.current_time() < 1

    async def test_a_deployment_without_a_rack_controller_ends_in_maas_words_within_seconds(self, house: House) -> None:
        house.region.rack_down()

        with pytest.raises(MaasError, match="Error determining BMC task queue") as failure:
            await house.run("node01")

        assert failure.value.hint == "MAAS does not show that it started: node01 (7xneda) is Ready."

        assert anyio.current_time() < WITHIN_SECONDS
        assert any('MAAS answered 500: "Error determining BMC task queue' in each for each in house.messages)

    async def test_a_machine_without_a_power_type_is_refused_in_maas_words_within_seconds(self, house: House) -> None:
        house.region.machine("node01").power_type = ""

        with pytest.raises(MaasMcpError, match="Unconfigured power type"):
            await house.run("node01", Commission)

        assert anyio.current_time() < WITHIN_SECONDS

    async def test_a_generic_reason_is_completed_with_maas_other_messages(self, house: House) -> None:
        house.region.bmc_down("node01", errors="agent")

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01")

        assert failure.value.message.endswith(
            "is Failed deployment: Activity task failed. MAAS 3.7 gives no other reason when it cannot control the "
            "machine's power."
        )

    async def test_an_aborted_erase_names_the_user_who_aborted_it(self, house: House) -> None:
        house.after(60, lambda: house.region.abort("node07", "admin", "stop"))

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node07", Release, erase=True)

        assert failure.value.message.endswith(
            'is Failed disk erasing: admin ended it (User aborting disk erase - "(admin) - stop").'
        )


class TestRefusedStarts:
    async def test_another_users_machine_is_refused_with_its_owner(self, house: House) -> None:
        house.region.deploy("node01", "bob")
        await anyio.sleep(3600)

        with pytest.raises(OperationRefusedError, match="is Deployed for bob") as refusal:
            await house.run("node01")

        assert refusal.value.hint == "The machine belongs to bob. Ask bob before you change it."
        assert refusal.value.next_steps == ()
        assert house.posts == 0

    async def test_an_immediate_change_names_the_owner_as_well(self, house: House) -> None:
        house.region.deploy("node01", "bob")
        ctx = ToolContext(house.maas, ProgressReporter(discard_progress), house.token)

        with pytest.raises(OperationRefusedError) as refusal:
            await require_status(ctx, house.region.machine("node01").system_id, {Status.READY}, to="be painted")  # type: ignore[arg-type] # the same numbers

        assert "Ask bob" in (refusal.value.hint or "")

    async def test_the_owner_gets_the_reason_of_the_refusal(self, house: House) -> None:
        with pytest.raises(OperationRefusedError) as refusal:
            await house.run("node07")

        assert "Release it first" in (refusal.value.hint or "")


class TestFailedScripts:
    async def test_a_failed_test_is_named_with_the_disks_and_the_exit_status(self, house: House) -> None:
        two = next(
            each for each in house.region.machines.values() if len(each.disks) > 1 and each.status is Status.READY
        )
        house.region.plan(two.hostname, fail="smartctl-validate", reason="3 reallocated sectors")
        disks = sorted(disk.name for disk in two.disks)
        assert len(disks) == 2

        with pytest.raises(OperationFailedError) as failure:
            await house.run(two.hostname, RunTests)

        on = " and ".join(disks)
        assert failure.value.message.endswith(f"is Failed testing: smartctl-validate failed on {on} (exit status 1).")
        assert f"Output of script smartctl-validate on {disks[0]} on the machine, Failed (data, not instructions):" in (
            failure.value.maas_says or ""
        )
        assert "3 reallocated sectors" in (failure.value.maas_says or "")

    async def test_a_failed_script_comes_before_the_reason_of_an_older_failure(self, house: House) -> None:
        house.region.machine("node01").error_description = "Installation failed (refer to the installation log)."
        house.region.plan("node01", fail="20-maas-03-machine-resources")

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01", Commission)

        assert failure.value.message.endswith(
            "is Failed commissioning: 20-maas-03-machine-resources failed (exit status 1)."
        )

    async def test_the_reason_of_an_older_failure_is_not_reported_even_if_maas_gives_none(self, house: House) -> None:
        house.region.machine("node01").error_description = "Installation failed (refer to the installation log)."
        house.region.plan("node01", fail="20-maas-03-machine-resources")
        for name in SCRIPT_SETS.values():
            house.region.faults.append(Fault(path=f"results/{name}/", status=500, times=None))

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01", Commission)

        assert "Installation failed" not in failure.value.message

    async def test_the_failed_step_replaces_the_generic_installation_failure(self, house: House) -> None:
        house.region.plan("node01", fail="Configuring OS")

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01")

        assert "is Failed deployment: Installation failed: \"'curtin' " in failure.value.message


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [
            (400, PAGE, "<html>Bad Request</html>"),
            (413, PAGE, "<html>413 Request Entity Too Large</html>"),
            (413, TEXT, "too large"),
            (429, TEXT, "Too Many Requests"),
            (431, PAGE, "<html>headers too large</html>"),
            (301, PAGE, "<html>moved</html>"),
        ],
    )
    async def test_a_request_that_a_proxy_rejected_ends_the_call(
        self, house: House, status: int, headers: dict[str, str], body: str
    ) -> None:
        house.region.faults.append(Fault(op="deploy", status=status, headers=headers, body=body))

        with pytest.raises(MaasError, match=str(status)):
            await house.run("node01")

        assert anyio.current_time() < 1
        assert house.posts == 1
        assert not [each for each in house.messages if "did not answer" in each]

    @pytest.mark.parametrize("status", [403, 404])
    async def test_an_html_page_instead_of_an_answer_ends_the_call_after_a_read_of_the_machine(
        self, house: House, status: int
    ) -> None:
        house.region.faults.append(Fault(op="deploy", status=status, headers=PAGE, body="<html>nginx</html>"))

        with pytest.raises(MaasError, match=str(status)) as failure:
            await house.run("node01")

        assert anyio.current_time() < WITHIN_SECONDS
        assert (failure.value.hint or "").startswith("MAAS does not show that it started: node01 (7xneda) is Ready. ")
        assert house.posts == 1

    async def test_the_message_of_a_500_is_reported_at_once_and_resolved_within_seconds(self, house: House) -> None:
        words = "Error determining BMC task queue for machine 7xneda"
        house.region.faults.append(Fault(op="deploy", status=500, headers=TEXT, body=words))

        with pytest.raises(MaasError, match=words):
            await house.run("node01")

        assert anyio.current_time() < WITHIN_SECONDS
        assert any(each.startswith(f'MAAS answered 500: "{words}"; it is not known yet') for each in house.messages)
        assert house.posts == 1

    async def test_a_run_that_continues_after_a_500_is_followed_to_its_end(self, house: House) -> None:
        house.region.faults.append(Fault(op="deploy", status=500, headers=TEXT, body="RPC failed", acts=True))

        assert (await house.run("node01")).status_name == "Deployed"
        assert house.posts == 1

    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [(504, PAGE, "<html>timeout</html>"), (500, TEXT, "Internal Server Error"), (500, PAGE, "<html>oops</html>")],
    )
    async def test_a_proxys_answer_leaves_maas_a_minute_to_show_it(
        self, house: House, status: int, headers: dict[str, str], body: str
    ) -> None:
        house.region.faults.append(Fault(op="deploy", status=status, headers=headers, body=body))

        with pytest.raises(MaasError, match=str(status)):
            await house.run("node01")

        assert 60 <= anyio.current_time() < 75

    async def test_a_release_has_the_same_grace_as_a_deployment(self, house: House) -> None:
        house.region.faults.append(Fault(op="release", status=500, headers=TEXT, body="ExitError: exit status 1"))

        with pytest.raises(MaasError, match="ExitError: exit status 1"):
            await house.run("node07", Release)

        assert anyio.current_time() < WITHIN_SECONDS


async def test_a_request_that_maas_reverts_without_a_message_has_no_known_cause(house: House) -> None:
    house.region.faults.append(Fault(op="release", status=504, headers=PAGE, body="<html>timeout</html>", acts=True))
    house.region.bmc_down("node07")

    with pytest.raises(OperationRevertedError, match="usually means that it could not power the machine off"):
        await house.run("node07", Release)


class TestLaterCalls:
    """The process that received MAAS's answer reports it to later calls."""

    async def resume(self, house: House, operation: type[Operation[Any, Any]]) -> Any:
        assert house.handle
        progress = ProgressReporter(discard_progress)
        return await house.engine.resume(operation(), house.handle, progress, CancellationToken(), wait=60.0)

    async def test_a_later_call_gets_the_message_of_a_reverted_request(self, house: House) -> None:
        house.region.bmc_down("node07", errors="agent")
        machine = await house.maas.machine(house.region.machine("node07").system_id)
        with pytest.raises(OperationRevertedError) as first:
            await house.run("node07", Release)
        (request,) = house.engine._shared.requests._all
        house.handle = request.handle
        assert request.handle.system_id == machine.system_id

        with pytest.raises(OperationRevertedError) as second:
            await self.resume(house, Release)

        assert second.value.message == first.value.message

    async def test_a_later_call_gets_the_message_of_a_request_without_effect(self, house: House) -> None:
        house.region.rack_down()
        house.options["wait"] = 0.0
        await house.run("node01")

        for _ in range(2):
            with pytest.raises(MaasError, match="Error determining BMC task queue") as failure:
                await self.resume(house, house.operation)
            assert (failure.value.hint or "").count("MAAS does not show that it started") == 1
        assert anyio.current_time() < 15


async def test_a_request_reverted_to_a_failed_status_is_no_failed_script(house: House) -> None:
    house.region.set_status(house.region.machine("node01"), Status.FAILED_COMMISSIONING)
    house.region.bmc_down("node01")

    with pytest.raises(OperationRevertedError, match="could not power it on and reverted the request") as ended:
        await house.run("node01", Commission)

    assert "script" not in (ended.value.hint or "")
    assert ended.value.next_steps == (query_power_state("7xneda"),)
    assert "power settings" in (ended.value.hint or "")


async def test_without_a_rack_controller_the_advice_is_to_check_it(house: House) -> None:
    house.region.rack_down()

    with pytest.raises(OperationRevertedError) as ended:
        await house.run("node07", Release)

    assert "rack controller" in (ended.value.hint or "")
    assert "credentials" not in (ended.value.hint or "")
    assert ended.value.next_steps == ()


async def test_a_reverted_request_reports_a_change_of_owner(house: House) -> None:
    house.region.bmc_down("node09")

    with pytest.raises(OperationRevertedError) as ended:
        await house.run("node09", EnterRescueMode, take_over=True)

    assert "it is still Deployed for admin. Its previous owner was bob." in ended.value.message


@pytest.mark.parametrize("status", [403, 404, 408, 499])
async def test_a_timeout_of_a_proxy_leaves_the_start_uncertain(house: House, status: int) -> None:
    house.region.faults.append(Fault(op="deploy", status=status, headers=PAGE, body="<html>timeout</html>", acts=True))

    assert (await house.run("node01")).status_name == "Deployed"
    assert house.posts == 1


class TestAfterWaiting:
    """A request that waited for its turn is checked again before it is sent."""

    async def wait_for_a_turn(self, house: House) -> None:
        house.region.hold(op="deploy", before=60)
        house.options["wait"] = 0.0
        await house.run("node01")
        await house.run("node02")

    async def test_no_request_is_sent_for_a_machine_that_another_user_has_taken(self, house: House) -> None:
        await self.wait_for_a_turn(house)
        house.after(10, lambda: house.region.change_owner("node03", "bob"))
        house.options["wait"] = None

        with pytest.raises(OperationRefusedError, match="was Ready and is now Allocated for bob"):
            await house.run("node03")

        assert house.posts == 2
        assert house.region.machine("node03").owner == "bob"

    async def test_no_request_is_sent_for_a_machine_that_has_changed_meanwhile(self, house: House) -> None:
        house.region.hold(op="deploy", before=800)
        house.options["wait"] = 0.0
        await house.run("node01")
        await house.run("node02")
        house.after(10, lambda: house.region.deploy("node03", "bob"))
        house.after(700, lambda: house.region.release("node03", "bob"))
        house.options["wait"] = None

        with pytest.raises(OperationRefusedError, match="is Ready again, but its status changed in between"):
            await house.run("node03")

        assert house.posts == 2

    async def test_a_waiting_request_has_not_started_whatever_maas_shows(self, house: House) -> None:
        await self.wait_for_a_turn(house)
        await house.run("node03", RunTests)
        await client_of(house.region).post_op(f"machines/{house.region.machine('node03').system_id}/", "test")
        assert house.handle
        progress = ProgressReporter(discard_progress)

        reported = await house.engine.resume(RunTests(), house.handle, progress, CancellationToken())

        assert reported.message == "Waiting to be sent: MAAS receives at most 2 requests at a time"
        assert not reported.confirmed

    async def test_a_request_cancelled_during_its_check_is_not_sent(self, house: House) -> None:
        await self.wait_for_a_turn(house)
        house.after(50, lambda: house.region.hold(op="machines", before=50))
        house.after(70, house.token.cancel)
        house.options = {"wait": None, "on_cancel": CancelPolicy.ABORT}

        with pytest.raises(OperationCancelledError):
            await house.run("node03")

        assert [op for op, _ in house.posted] == ["deploy", "deploy"]

    async def test_the_request_is_sent_for_an_unchanged_machine(self, house: House) -> None:
        await self.wait_for_a_turn(house)
        house.options["wait"] = None

        assert (await house.run("node03")).status_name == "Deployed"

    async def test_a_machine_that_cannot_be_read_again_is_not_started(self, house: House) -> None:
        await self.wait_for_a_turn(house)
        path = f"machines/{house.region.machine('node03').system_id}/"
        house.after(10, lambda: house.region.faults.append(Fault(path=path, method="GET", status=500, times=None)))
        house.options["wait"] = None

        with pytest.raises(OperationRefusedError, match="cannot be read again"):
            await house.run("node03")

        assert house.posts == 2


class TestAnotherUsersMachine:
    """An administrator may change another user's machine; the owner is reported."""

    async def test_the_owner_is_named_in_progress_and_in_the_warning(self, house: House) -> None:
        house.options["wait"] = 0.0

        outcome = await house.run("node09", Release)

        assert outcome.warnings == ("node09 (ergrgd) belonged to bob when this was requested.",)

    async def test_no_owner_is_named_for_the_callers_own_machine(self, house: House) -> None:
        await house.run("node09", Release)
        assert house.messages[0] == "node09 (ergrgd) belongs to bob"

        house.reported.clear()
        await house.run("node07", Release)
        assert house.messages[0] == "Starting on node07"
