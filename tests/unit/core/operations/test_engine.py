"""The engine, on a simulated region and a virtual clock."""

import anyio
import pytest

from maas_mcp.errors import (
    MaasBadRequestError,
    MaasConflictError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling
from maas_simulator import Fault
from tests.house import House
from tests.unit.core.operations.declared import Commission, Release, RunTests

pytestmark = pytest.mark.anyio


async def test_a_deploy_is_followed_to_its_result(house: House) -> None:
    result = await house.run("node01", distro_series="noble")

    assert (result.hostname, result.status_name, result.distro_series) == ("node01", "Deployed", "noble")
    assert result.ip_addresses
    assert house.posts == 1
    assert house.messages[0] == "Starting on node01"
    assert house.reported[-1].value == 1.0
    assert house.messages[-1] == "Deployed"


async def test_a_deploy_costs_few_requests(house: House) -> None:
    started = anyio.current_time()
    await house.run("node01")

    minutes = (anyio.current_time() - started) / 60
    assert 5 < minutes < 20
    assert house.requests("query") / minutes < 31, "one shared request a tick of two seconds"
    assert house.requests() - house.requests("query") < 25, "the machine itself is read only when there is news"


async def test_many_deploys_share_the_watchers_requests(house: House) -> None:
    started = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for name in ("node01", "node02", "node03", "node04", "node05"):
            tasks.start_soon(house.run, name)
    minutes = (anyio.current_time() - started) / 60

    assert house.posts == 5
    assert house.requests("query") / minutes < 32


async def test_an_ephemeral_deploy_has_no_installation_and_still_succeeds(house: House) -> None:
    result = await house.run("node01", ephemeral_deploy=True)

    assert result.status_name == "Deployed"
    assert "Installing OS" not in house.messages


async def test_a_release_is_followed_to_ready(house: House) -> None:
    result = await house.run("node07", Release)

    assert result.status_name == "Ready"
    assert house.region.machine("node07").owner is None


async def test_a_commissioning_starts_and_ends_in_ready(house: House) -> None:
    result = await house.run("node01", Commission)

    assert (result.status_name, result.commissioning_status_name) == ("Ready", "Passed")
    assert any(message.startswith("Running smartctl-validate") for message in house.messages)


async def test_a_failed_deploy_has_its_reason_in_maas_own_words(house: House) -> None:
    house.region.plan("node01", fail="Installing OS", reason="no space left on device")

    with pytest.raises(OperationFailedError) as failure:
        await house.run("node01")

    assert "node01" in failure.value.message
    assert 'Failed deployment: "no space left on device"' in failure.value.message
    assert failure.value.maas_says
    assert 'ERROR: Marking node failed - "no space left on device"' in failure.value.maas_says
    assert 'Output of script "/tmp/install.log" on the machine, Failed' in failure.value.maas_says
    assert failure.value.hint == "Release it first: MAAS refuses deploy and commission in this status."
    assert all(each.value < 1.0 for each in house.reported)


async def test_a_bmc_that_fails_after_the_200_is_a_failed_deploy(house: House) -> None:
    house.region.plan("node01", fail="Deploying", reason="BMC unreachable: connection timed out")

    with pytest.raises(OperationFailedError, match="BMC unreachable"):
        await house.run("node01")


async def test_a_failed_commissioning_names_the_script(house: House) -> None:
    house.region.plan("node01", fail="40-maas-01-machine-config-hints")

    with pytest.raises(OperationFailedError) as failure:
        await house.run("node01", Commission)

    assert "Output of script 40-maas-01-machine-config-hints on the machine, Failed" in (failure.value.maas_says or "")


async def test_a_stale_reason_of_an_earlier_failure_is_not_repeated_by_a_later_abort(house: House) -> None:
    house.region.plan("node01", fail="Deploying", reason="BMC unreachable: connection timed out")
    with pytest.raises(OperationFailedError):
        await house.run("node01")
    await house.run("node01", Release)

    house.after(60, lambda: house.region.abort("node01", "bob"))
    with pytest.raises(OperationRevertedError) as ended:
        await house.run("node01")

    assert "BMC" not in f"{ended.value.message} {ended.value.maas_says}"


class TestEndedFromOutside:
    async def test_an_abort_by_another_user_names_that_user(self, house: House) -> None:
        house.after(60, lambda: house.region.abort("node01", "admin"))

        with pytest.raises(OperationRevertedError) as ended:
            await house.run("node01")

        assert "node01" in ended.value.message
        assert (
            'is Allocated for admin now: admin ended it (User aborting deployment - "(admin)")' in ended.value.message
        )
        assert "User aborting deployment" in ended.value.message
        assert "(admin)" in ended.value.message

    async def test_a_machine_released_and_deployed_by_another_user_is_no_success(self, house: House) -> None:
        house.after(60, lambda: house.region.release("node01", "admin"))
        house.after(90, lambda: house.region.deploy("node01", "bob"))

        with pytest.raises(OperationRevertedError):
            await house.run("node01")

    async def test_a_later_run_of_another_user_is_no_success_without_a_poll_in_between(self, house: House) -> None:
        def blind_for_long() -> None:
            house.region.faults.append(Fault(status=503, times=20))
            house.region.release("node01", "admin")

        house.after(60, blind_for_long)
        house.after(90, lambda: house.region.deploy("node01", "bob"))

        with pytest.raises(OperationRevertedError, match=r"admin ended it .*, and bob has since started another run"):
            await house.run("node01")

    async def test_a_success_between_two_polls_is_no_abort_although_the_machine_has_moved_on(
        self, house: House
    ) -> None:
        async def wait_for_one() -> None:
            while house.region.machine("node01").status_name != "Ready":  # noqa: ASYNC110 - no region says so
                await anyio.sleep(0.1)
            house.region.deploy("node01", "bob")

        house.poll_with(StatusPolling())  # reads only: the machine is seen Commissioning, and then Deploying
        house.after(60, lambda: house.tasks.start_soon(wait_for_one))

        result = await house.run("node01", Commission)

        assert result.status_name in {"Ready", "Deploying"}

    async def test_a_test_shown_only_by_reads_ends_with_its_result(self, house: House) -> None:
        house.poll_with(StatusPolling())

        assert (await house.run("node01", RunTests)).status_name == "Ready"


class TestRefusing:
    async def test_a_machine_in_the_wrong_status_is_not_touched(self, house: House) -> None:
        with pytest.raises(OperationRefusedError, match=r"node07 .* is Deployed for admin; .* from: Ready, Allocated"):
            await house.run("node07")

        assert house.posts == 0

    async def test_a_locked_machine_is_not_touched(self, house: House) -> None:
        with pytest.raises(OperationRefusedError, match="is locked"):
            await house.run("node08", Release)

        assert house.posts == 0

    async def test_the_slower_of_two_users_gets_the_conflict_in_maas_words(self, house: House) -> None:
        lost: list[MaasConflictError | OperationRefusedError] = []

        async def deploy() -> None:
            try:
                await house.run("node01")
            except (MaasConflictError, OperationRefusedError) as error:
                lost.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(deploy)

        assert len(lost) <= 1, "a caller that already sees it deploying gets its handle"
        assert house.posts <= 2
        assert house.region.machine("node01").status_name == "Deployed"

    async def test_a_bad_series_is_refused_by_maas_and_changes_nothing(self, house: House) -> None:
        with pytest.raises(MaasBadRequestError) as refusal:
            await house.run("node01", distro_series="nosuch")

        assert "'nosuch' is not a valid distro_series." in refusal.value.fields["distro_series"][0]
        assert house.region.machine("node01").status_name == "Ready"


class TestStartingOnce:
    @pytest.mark.parametrize("polling", [None, StatusPolling()], ids=["events", "status"])
    async def test_a_lost_request_does_not_adopt_another_users_run(
        self, house: House, polling: PollingStrategy | None
    ) -> None:
        house.poll_with(polling)
        house.region.faults.append(Fault(op="deploy", method="POST", status=502, body="<html>502</html>"))
        house.after(5, lambda: house.region.deploy("node01", "bob"))

        with pytest.raises(
            OperationRevertedError,
            match=r"because bob started another operation first\. node01 .* is Deploying for bob",
        ):
            await house.run("node01")

        assert house.posts == 1
        assert house.region.machine("node01").owner == "bob"


class TestOutages:
    async def test_a_region_that_answers_500_is_not_called_unreachable(self, house: House) -> None:
        house.after(200, lambda: house.region.faults.append(Fault(status=500, times=10)))

        result = await house.run("node01")

        assert result.status_name == "Deployed"
        assert any(message.startswith("No usable response from MAAS for ") for message in house.messages)
        assert not any("unreachable" in message for message in house.messages)


class TestEndingEarly:
    async def test_cancelling_the_token_stops_at_once_and_sends_no_more_requests(self, house: House) -> None:
        house.after(100, house.token.cancel)
        with pytest.raises(OperationCancelledError):
            await house.run("node01")
        asked = len(house.region.requests)
        await anyio.sleep(600)

        assert len(house.region.requests) == asked
        assert house.region.machine("node01").status_name == "Deployed"

    async def test_cancelling_one_call_does_not_stop_the_others(self, house: House) -> None:
        async def doomed() -> None:
            with anyio.move_on_after(100):
                await house.run("node02")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(doomed)
            result = await house.run("node01")

        assert result.status_name == "Deployed"
