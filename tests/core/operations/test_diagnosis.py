"""Why an operation did not succeed: by the run's own events, in MAAS's words, and with advice that harms nobody."""

import anyio
import pytest

from maas_mcp.errors import MaasError, OperationFailedError, OperationRefusedError, OperationRevertedError
from maas_mcp.maas.models import SCRIPT_SETS
from maas_mcp.operations.change import require_status
from maas_mcp.operations.progress import ProgressReporter, nobody
from maas_mcp.operations.tool import ToolContext
from maas_mcp.simulator import Fault
from maas_mcp.simulator.model.statuses import Status
from tests.core.operations.declared import Commission, Release, RunTests
from tests.house import House, resumed

pytestmark = pytest.mark.anyio

TEXT = {"Content-Type": "text/plain"}
PAGE = {"Content-Type": "text/html"}


def take_over(house: House) -> None:
    """Admin releases it and bob deploys it, all between two polls."""
    house.region.change_owner("node01", "admin")
    house.region.change_owner("node01", "bob")
    house.region.deploy("node01", "bob")


class TestTakenOver:
    async def test_the_one_who_took_the_machine_is_named_and_the_one_who_released_it(self, house: House) -> None:
        house.after(60, lambda: take_over(house))

        with pytest.raises(OperationRevertedError) as ended:
            await house.run("node01")

        assert "is Deploying for bob now: admin ended it (User releasing node - (admin))" in ended.value.message
        assert "bob started another run since" in ended.value.message
        assert ended.value.hint == "The machine is bob's now. Ask bob before you do anything to it."

    async def test_it_is_noticed_at_once(self, house: House) -> None:
        house.after(60, lambda: take_over(house))

        with pytest.raises(OperationRevertedError):
            await house.run("node01")

        assert anyio.current_time() < 60 + 5

    async def test_nothing_of_the_other_run_is_shown_as_ours_while_the_machine_cannot_be_read(
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

    async def test_who_asks_late_is_not_advised_to_release_what_the_other_runs(self, house: House) -> None:
        house.options["wait"] = 0.0
        await house.run("node01")
        house.after(60, lambda: take_over(house))
        await anyio.sleep(3600)
        assert house.region.machine("node01").status_name == "Deployed"

        with pytest.raises(OperationRevertedError) as ended:
            await resumed(house)

        assert "is Deployed for bob now" in ended.value.message
        assert "elease" not in (ended.value.hint or "")

    async def test_a_failure_stays_the_reason_though_somebody_else_has_deployed_the_machine_since(
        self, house: House
    ) -> None:
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
        assert "Since then it has become Deployed for bob." in failure.value.message
        assert "elease" not in (failure.value.hint or "")


class TestRefusedStarts:
    async def test_a_machine_that_somebody_else_uses_is_named_as_theirs(self, house: House) -> None:
        house.region.deploy("node01", "bob")
        await anyio.sleep(3600)

        with pytest.raises(OperationRefusedError, match="is Deployed for bob") as refusal:
            await house.run("node01")

        assert refusal.value.hint == "The machine is bob's now. Ask bob before you do anything to it."
        assert house.posts == 0

    async def test_a_tool_that_changes_it_at_once_says_so_as_well(self, house: House) -> None:
        house.region.deploy("node01", "bob")
        ctx = ToolContext(house.maas, ProgressReporter(nobody), house.token)

        with pytest.raises(OperationRefusedError) as refusal:
            await require_status(ctx, house.region.machine("node01").system_id, {Status.READY}, to="be painted")  # type: ignore[arg-type] # the same numbers

        assert "Ask bob" in (refusal.value.hint or "")

    async def test_who_owns_it_is_told_what_is_in_the_way(self, house: House) -> None:
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
        assert f"smartctl-validate on {disks[0]} (Failed):" in (failure.value.maas_says or "")
        assert "3 reallocated sectors" in (failure.value.maas_says or "")

    async def test_a_failed_script_comes_before_the_reason_of_an_older_failure(self, house: House) -> None:
        house.region.machine("node01").error_description = "Installation failed (refer to the installation log)."
        house.region.plan("node01", fail="20-maas-03-machine-resources")

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01", Commission)

        assert failure.value.message.endswith(
            "is Failed commissioning: 20-maas-03-machine-resources failed (exit status 1)."
        )

    async def test_the_reason_of_an_older_failure_is_never_the_headline_even_if_maas_says_nothing(
        self, house: House
    ) -> None:
        house.region.machine("node01").error_description = "Installation failed (refer to the installation log)."
        house.region.plan("node01", fail="20-maas-03-machine-resources")
        for name in SCRIPT_SETS.values():
            house.region.faults.append(Fault(path=f"results/{name}/", status=500, times=None))

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01", Commission)

        assert "Installation failed" not in failure.value.message

    async def test_the_step_that_failed_says_more_than_that_the_installation_failed(self, house: House) -> None:
        house.region.plan("node01", fail="Configuring OS")

        with pytest.raises(OperationFailedError) as failure:
            await house.run("node01")

        assert "is Failed deployment: Installation failed: 'curtin' " in failure.value.message


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [
            (400, PAGE, "<html>Bad Request</html>"),
            (404, PAGE, "<html>nginx</html>"),
            (413, PAGE, "<html>413 Request Entity Too Large</html>"),
            (413, TEXT, "too large"),
            (429, TEXT, "Too Many Requests"),
            (431, PAGE, "<html>headers too large</html>"),
            (301, PAGE, "<html>moved</html>"),
        ],
    )
    async def test_what_a_proxy_turned_away_never_reached_maas_and_ends_the_call(
        self, house: House, status: int, headers: dict[str, str], body: str
    ) -> None:
        house.region.faults.append(Fault(op="deploy", status=status, headers=headers, body=body))

        with pytest.raises(MaasError, match=str(status)):
            await house.run("node01")

        assert anyio.current_time() < 1
        assert house.posts == 1
        assert not [each for each in house.messages if "did not answer" in each]

    async def test_the_words_of_a_500_are_reported_at_once_and_settled_within_seconds(self, house: House) -> None:
        words = "Error determining BMC task queue for machine 7xneda"
        house.region.faults.append(Fault(op="deploy", status=500, headers=TEXT, body=words))

        with pytest.raises(MaasError, match=words):
            await house.run("node01")

        assert anyio.current_time() < 10
        assert any(each.startswith(f"MAAS answered 500: {words}; whether it began") for each in house.messages)
        assert house.posts == 1

    async def test_a_500_after_which_maas_goes_on_is_followed_to_its_end(self, house: House) -> None:
        house.region.faults.append(Fault(op="deploy", status=500, headers=TEXT, body="RPC failed", acts=True))

        assert (await house.run("node01")).status_name == "Deployed"
        assert house.posts == 1

    async def test_a_gateway_timeout_leaves_maas_a_minute_to_show_it(self, house: House) -> None:
        house.region.faults.append(Fault(op="deploy", status=504, headers=PAGE, body="<html>timeout</html>"))

        with pytest.raises(MaasError, match="504"):
            await house.run("node01")

        assert 60 <= anyio.current_time() < 75

    async def test_a_release_has_the_same_grace_as_a_deployment(self, house: House) -> None:
        house.region.faults.append(Fault(op="release", status=500, headers=TEXT, body="ExitError: exit status 1"))

        with pytest.raises(MaasError, match="ExitError: exit status 1"):
            await house.run("node07", Release)

        assert anyio.current_time() < 10
