"""Operations that a call leaves, and that are picked up again from MAAS."""

from typing import Any

import anyio
import pytest

from maas_commission.commission import Commission
from maas_commission.rescue import EnterRescueMode
from maas_deploy.deploy import Deploy, DeployedMachine
from maas_deploy.release import Release
from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasAuthError,
    MaasProtocolError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy, OperationContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from maas_simulator.model.statuses import Status
from tests.house import TIMING, House, client_of, engine_of, resumed

pytestmark = pytest.mark.anyio


def not_maas(status: int, words: str = "", path: str = "machines/", **more: Any) -> Fault:
    """An answer of a proxy to a read."""
    return Fault(status=status, body=words, method="GET", path=path, headers={"Content-Type": "text/plain"}, **more)


async def start(house: House, **arguments: Any) -> Handle:
    """Start a deploy of node01 without a wait."""
    house.options = {"wait": 0.0}
    outcome = await house.run("node01", **arguments)
    assert outcome.result is None
    assert house.handle
    return house.handle


async def test_a_wait_of_zero_starts_the_operation_and_returns_at_once(house: House) -> None:
    began = anyio.current_time()
    await start(house)

    assert anyio.current_time() == began
    assert house.posts == 1
    assert house.region.machine("node01").status_name == "Deploying"


async def test_a_wait_of_ninety_seconds_follows_for_ninety_seconds(house: House) -> None:
    house.options = {"wait": 90.0}
    outcome = await house.run("node01")

    assert 90 <= anyio.current_time() < 93
    assert outcome.result is None
    assert outcome.message == "Loading ephemeral"
    assert outcome.fraction == 0.2


async def test_another_process_reports_the_progress(house: House) -> None:
    await start(house)
    await anyio.sleep(300)

    outcome = await resumed(house)

    assert outcome.result is None
    assert outcome.fraction is not None
    assert 0.3 < outcome.fraction < 0.9
    assert house.posts == 1


async def test_another_process_follows_a_run_to_its_result(house: House) -> None:
    await start(house, distro_series="jammy")
    await anyio.sleep(120)

    outcome = await resumed(house, wait=None)

    assert getattr(outcome.result, "distro_series", None) == "jammy"
    values = [each.value for each in house.reported]
    assert values == sorted(set(values))
    assert values[0] >= 0.1, "earlier progress is not shown as new"
    assert values[-1] == 1.0


async def test_a_success_stays_a_success_after_later_changes_to_the_machine(house: House) -> None:
    await house.run("node01")
    house.region.say(house.region.machine("node01"), "WARNING", "Failed to query node's BMC", "connection timeout")
    assert (await resumed(house)).result is not None

    house.region.release("node01", "bob")
    await anyio.sleep(60)
    house.region.deploy("node01", "bob")
    await anyio.sleep(60)

    outcome = await resumed(house)
    assert outcome.message == "Deployed; since then node01 has become Deploying for bob"
    assert getattr(outcome.result, "status_name", None) == "Deploying"


async def test_the_reason_of_a_failure_is_still_available_later(house: House) -> None:
    house.region.plan("node01", fail="Installing OS", reason="no space left on device")
    await start(house)
    await anyio.sleep(3600)

    with pytest.raises(OperationFailedError, match="no space left on device") as failure:
        await resumed(house)

    assert 'Output of script "/tmp/install.log" on the machine, Failed' in (failure.value.maas_says or "")


class TestWhyAListedOneFailed:
    """A listed operation is known by its events only: its earlier script sets are unknown."""

    async def listed(self, house: House, **arguments: Any) -> None:
        house.region.plan("node01", fail="smartctl-validate")
        house.options = {"wait": 0.0}
        await house.run("node01", Commission, **arguments)
        await anyio.sleep(30)
        another, _ = engine_of(client_of(house.region), house.tasks, now=house.now)
        (house.handle,) = await house.under_way(Commission(), process=another)
        assert house.handle.runs == ()
        await anyio.sleep(3600)

    async def test_the_failed_script_is_shown(self, house: House) -> None:
        await self.listed(house)

        with pytest.raises(OperationFailedError) as failure:
            await resumed(house, operation=Commission)

        assert (failure.value.maas_says or "").startswith(
            "Output of script smartctl-validate on sda on the machine, Failed (data, not instructions):\n"
            "    smartctl-validate on node01"
        )

    async def test_a_script_that_failed_in_an_earlier_run_is_not_shown(self, house: House) -> None:
        await self.listed(house)
        house.region.clear_plans()
        house.region.plan("node01", fail="20-maas-03-machine-resources")
        house.region.set_status(house.region.machine("node01"), Status.READY)
        await house.run("node01", Commission, testing_scripts=["none"])
        await anyio.sleep(30)
        another, _ = engine_of(client_of(house.region), house.tasks, now=house.now)
        (house.handle,) = await house.under_way(Commission(), process=another)
        await anyio.sleep(3600)

        with pytest.raises(OperationFailedError) as failure:
            await resumed(house, operation=Commission)

        says = failure.value.maas_says or ""
        assert "Output of script 20-maas-03-machine-resources on the machine, Failed" in says
        assert "smartctl" not in says


async def test_a_later_run_of_another_user_is_not_mistaken_for_the_callers(house: House) -> None:
    await start(house)
    house.after(60, lambda: house.region.release("node01", "admin"))
    house.after(120, lambda: house.region.deploy("node01", "bob"))
    await anyio.sleep(3600)

    with pytest.raises(OperationRevertedError, match=r"admin ended it .*, and bob has since started another run"):
        await resumed(house)


async def released(house: House) -> None:
    """Erase a virtual machine of a VM host, whose absence would be a success."""
    house.region.machine("node07").pod = "kvm01"
    house.options = {"wait": 0.0}
    await house.run("node07", Release, quick_erase=True)
    await anyio.sleep(30)


@pytest.mark.parametrize("wait", [0.0, 20.0])
async def test_a_single_404_is_no_end_if_maas_lists_the_machine(house: House, wait: float) -> None:
    await released(house)
    house.region.faults.append(not_maas(404, "No Machine matches the given query."))

    outcome = await resumed(house, wait, Release)

    assert outcome.result is None
    assert outcome.message == "Performing PXE boot"


async def test_a_machine_that_maas_lists_but_does_not_return_is_not_gone(house: House) -> None:
    await released(house)
    path = f"machines/{house.region.machine('node07').system_id}/"
    house.region.faults.append(not_maas(404, "No Machine matches the given query.", path, times=None))

    with pytest.raises(MaasProtocolError, match="but does not return it"):
        await resumed(house, operation=Release)
    outcome = await resumed(house, 30.0, Release)
    assert outcome.message.startswith("No usable response from MAAS for 3")


async def test_a_404_of_a_proxy_is_an_outage_and_no_end(house: House) -> None:
    await released(house)
    house.region.faults.append(not_maas(404, "404 page not found", times=2))

    with pytest.raises(MaasProtocolError, match="404 page not found"):
        await resumed(house, operation=Release)
    outcome = await resumed(house, None, Release)

    assert getattr(outcome.result, "status_name", None) == "Ready"


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_single_refusal_does_not_end_the_call(house: House, status: int) -> None:
    await start(house)
    house.region.faults.append(not_maas(status, path="events/"))

    outcome = await resumed(house, 20.0)

    assert outcome.confirmed
    assert not [each for each in house.messages if "unreachable" in each]


async def test_a_repeated_refusal_ends_the_call(house: House) -> None:
    await start(house)
    house.region.faults.append(not_maas(401, path="events/", times=2))

    with pytest.raises(MaasAuthError):
        await resumed(house, 20.0)

    assert anyio.current_time() == TIMING.refusal_pause


class DeployAndRead(Deploy):
    """Deploy a machine; the result takes another read."""

    name = "maas_deploy_and_read"

    async def result(self, ctx: OperationContext) -> DeployedMachine:
        await ctx.maas.get("zones/")
        return await super().result(ctx)


async def test_a_single_refusal_while_the_result_is_read_does_not_lose_the_success(house: House) -> None:
    house.region.faults.append(not_maas(403, path="zones/"))

    assert (await house.run("node01", DeployAndRead)).status_name == "Deployed"
    assert not house.region.faults


async def test_a_call_for_a_run_in_progress_of_the_same_user_returns_its_handle(house: House) -> None:
    house.region.deploy("node01", "admin")
    await anyio.sleep(100)

    outcome = await house.run("node01")

    assert isinstance(outcome, OperationStatus)
    assert "is already Deploying for admin: not started again" in outcome.message
    assert house.posts == 0
    assert getattr((await resumed(house, wait=None)).result, "status_name", None) == "Deployed"


async def test_all_runs_in_progress_are_found_in_maas(house: House) -> None:
    house.region.deploy("node01", "admin")
    house.region.deploy("node02", "bob")
    house.options = {"wait": 0.0}
    await house.run("node03", Commission)
    await anyio.sleep(30)

    handles = await house.under_way(Deploy(), Commission(), Release())

    found = [(handle.operation, house.region.machine(handle.system_id).hostname) for handle in handles]
    assert found == [("maas_deploy_machine", "node01"), ("maas_commission_machine", "node03")]


class TestAborting:
    async def test_a_cancellation_by_the_client_aborts(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        house.after(99, lambda: house.token.announce(CancelReason.CLIENT))
        with anyio.move_on_after(100):
            await house.run("node01")

        assert house.region.machine("node01").status_name == "Allocated"

    async def test_a_cancellation_without_a_request_aborts_nothing(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        with anyio.move_on_after(100):
            await house.run("node01")

        assert house.region.machine("node01").status_name == "Deploying"

    async def test_a_lost_connection_never_aborts(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        house.after(99, lambda: house.token.announce(CancelReason.CONNECTION_LOST))
        with anyio.move_on_after(100):
            await house.run("node01")

        assert house.region.machine("node01").status_name == "Deploying"

    async def test_an_abort_that_maas_does_not_confirm_does_not_delay_the_call_for_long(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        house.region.hold(op="abort", before=300)
        house.after(99, lambda: house.token.announce(CancelReason.CLIENT))
        with anyio.move_on_after(100):
            await house.run("node01")

        assert anyio.current_time() < 111

    async def test_a_lost_connection_ends_the_wait_for_an_abort(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        house.region.hold(op="abort", before=300)
        house.after(100, house.token.cancel)
        house.after(102, lambda: house.token.announce(CancelReason.CONNECTION_LOST))
        with pytest.raises(OperationCancelledError):
            await house.run("node01")

        assert anyio.current_time() < 104

    async def test_an_operation_that_cannot_be_aborted_is_refused_before_its_start(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        with pytest.raises(InvalidArgumentsError, match="cannot be aborted"):
            await house.run("node01", EnterRescueMode)

        assert house.posts == 0

    async def test_an_operation_is_aborted_by_its_handle(self, house: House) -> None:
        handle = await start(house)
        await anyio.sleep(60)

        await house.engine.abort(Deploy(), handle, CancellationToken())

        with pytest.raises(OperationRevertedError, match="User aborting deployment"):
            await resumed(house)

    async def test_an_operation_that_has_ended_is_not_aborted(self, house: House) -> None:
        handle = await start(house)
        await anyio.sleep(3600)

        with pytest.raises(OperationRefusedError, match="maas_deploy_machine has nothing to abort"):
            await house.engine.abort(Deploy(), handle, CancellationToken())

        assert house.posts == 1
