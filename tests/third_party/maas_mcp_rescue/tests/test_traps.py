"""Traps of MAAS, networks and plugin code, with one test for each."""

from datetime import timedelta
from typing import ClassVar

import pytest
from acme_rescue.plugin import RescueMode
from pydantic import BaseModel

from maas_mcp.api import (
    CancelPolicy,
    EventPolling,
    Evidence,
    Lifecycle,
    MaasConflictError,
    MaasMcpError,
    MaasPermissionError,
    MaasUnavailableError,
    MachineGoneError,
    Milestone,
    Observation,
    Operation,
    OperationCancelledError,
    OperationContext,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
    Phase,
    PollingStrategy,
    SystemId,
)
from maas_mcp.api import MachineStatus as S
from maas_mcp.testing import Fault, MaasRegion, RequestRecord, Variant


class Which(BaseModel):
    system_id: SystemId
    erase: bool = False


class Status(BaseModel):
    status_name: str


class Deploy(Operation[Which, Status]):
    """Deploy a machine, and abort on cancel if the call requests it."""

    name = "rescue_deploy"
    lifecycle = Lifecycle(
        start_from={S.READY, S.ALLOCATED}, pending={S.DEPLOYING}, success={S.DEPLOYED}, failure={S.FAILED_DEPLOYMENT}
    )
    polling: ClassVar[PollingStrategy] = EventPolling(
        phases=[Phase("Performing PXE boot", 0.1), Phase("Installing OS", 0.4), Phase("Rebooting", 0.8)]
    )
    deadline = timedelta(minutes=30)

    async def start(self, ctx: OperationContext, args: Which) -> None:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy")

    async def result(self, ctx: OperationContext) -> Status:
        return Status(status_name=ctx.machine.status_name)

    async def abort(self, ctx: OperationContext) -> None:
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")


class GiveBack(Deploy):
    """Release a machine, and erase its disks if requested."""

    name = "rescue_give_back"
    lifecycle = Lifecycle(
        start_from={S.DEPLOYED, S.ALLOCATED, S.FAILED_DEPLOYMENT},
        pending={S.RELEASING, S.DISK_ERASING},
        success={S.READY},
        failure={S.FAILED_RELEASING, S.FAILED_DISK_ERASING},
    )

    async def start(self, ctx: OperationContext, args: Which) -> None:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "release", erase=args.erase)


def posts(region: MaasRegion) -> list[RequestRecord]:
    return [each for each in region.requests if each.method == "POST"]


def test_a_request_may_block_for_minutes(maas_region: MaasRegion) -> None:
    maas_region.hold(op="rescue_mode", after=300)
    assert maas_region.call(RescueMode, "node01").ip_addresses
    assert len(posts(maas_region)) == 1
    assert any("so far" in message for message in maas_region.messages)


def test_a_200_is_not_yet_a_success(maas_region: MaasRegion) -> None:
    maas_region.plan("node01", fail="Deploying", reason="IPMI: connection timeout")
    with pytest.raises(OperationFailedError, match="IPMI: connection timeout"):
        maas_region.call(Deploy, "node01")
    assert posts(maas_region)[0].status == 200


def test_maas_withdraws_the_request_if_the_bmc_fails_at_once(maas_region: MaasRegion) -> None:
    maas_region.plan("node01", fail="Entering rescue mode")
    with pytest.raises(OperationRevertedError, match="reverted the request; it is still Ready") as failure:
        maas_region.call(RescueMode, "node01")
    assert failure.value.maas_says == "500: Failed to complete power action: IPMI: connection timeout"
    assert maas_region.machine("node01").status_name == "Ready"


def test_a_request_whose_response_is_lost_took_effect(maas_region: MaasRegion) -> None:
    maas_region.faults.append(Fault(op="deploy", drop="after"))
    assert maas_region.call(Deploy, "node01").status_name == "Deployed"
    assert len(posts(maas_region)) == 1


def test_a_proxy_times_out_and_maas_continues(maas_region: MaasRegion) -> None:
    maas_region.faults.append(Fault(op="deploy", answer="gateway timeout", acts=True))
    assert maas_region.call(Deploy, "node01").status_name == "Deployed"
    assert len(posts(maas_region)) == 1


def test_a_request_that_never_arrived_is_not_repeated(maas_region: MaasRegion) -> None:
    maas_region.faults.append(Fault(op="deploy", drop="before"))
    with pytest.raises(MaasUnavailableError):
        maas_region.call(Deploy, "node01")
    assert maas_region.machine("node01").status_name == "Ready"


def test_a_409_in_plain_text_is_final(maas_region: MaasRegion) -> None:
    maas_region.hold(op="deploy", before=5)
    maas_region.after(3, maas_region.deploy, "node01", "bob")
    with pytest.raises(MaasConflictError, match="Can't deploy a machine that is in the 'Deploying' state") as conflict:
        maas_region.call(Deploy, "node01")
    assert not conflict.value.retryable


def test_a_409_in_html_is_temporary(maas_region: MaasRegion) -> None:
    maas_region.faults.append(Fault(op="deploy", answer="database conflict"))
    with pytest.raises(MaasUnavailableError) as conflict:
        maas_region.call(Deploy, "node01")
    assert conflict.value.retryable


def test_a_missing_rack_controller_is_a_503(maas_region: MaasRegion) -> None:
    maas_region.rack_down()
    with pytest.raises(MaasMcpError):
        maas_region.call(GiveBack, "node07", erase=False)
    assert posts(maas_region)[0].status == 503
    assert maas_region.machine("node07").status_name == "Deployed"


def test_a_boolean_is_sent_as_false(maas_region: MaasRegion) -> None:
    maas_region.call(GiveBack, "node07", erase=False)
    assert posts(maas_region)[0].form == {"erase": ["false"]}


def test_zero_would_erase_the_disks(maas_region: MaasRegion) -> None:
    maas_region.release("node07", "admin", erase="0")
    assert maas_region.machine("node07").status_name == "Disk erasing"


def test_a_release_with_erase_has_another_first_status(maas_region: MaasRegion) -> None:
    assert maas_region.call(GiveBack, "node07", erase=True).status_name == "Ready"
    assert "From 'Disk erasing' to 'Releasing'" in [event.description for event in maas_region.log.events]


@pytest.mark.maas_world("erasing.yaml")
def test_maas_may_erase_the_disks_without_a_request(maas_region: MaasRegion) -> None:
    assert maas_region.call(GiveBack, "database", erase=False).status_name == "Ready"
    assert "From 'Deployed' to 'Disk erasing'" in [event.description for event in maas_region.log.events]


def test_parameters_are_sent_as_a_form(maas_region: MaasRegion) -> None:
    maas_region.call(GiveBack, "node07", erase=True)
    (post,) = posts(maas_region)
    assert (post.op, post.form) == ("release", {"erase": ["true"]})


def test_the_second_pxe_boot_does_not_lower_the_progress(maas_region: MaasRegion) -> None:
    maas_region.variant = Variant(local_boot_events=True)
    maas_region.call(Deploy, "node01")
    values = [progress.value for progress in maas_region.progress]
    assert values == sorted(values)
    assert [event.type for event in maas_region.log.events].count("Performing PXE boot") == 2


def test_another_user_aborts_the_operation(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.abort, "node01", "admin")
    with pytest.raises(OperationRevertedError, match="admin"):
        maas_region.call(Deploy, "node01", username="bob")


def test_another_user_takes_over_the_machine(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.change_owner, "node01", "bob")
    maas_region.after(61, maas_region.deploy, "node01", "bob")
    with pytest.raises(OperationRevertedError):
        maas_region.call(Deploy, "node01")


def test_another_user_deletes_the_machine(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.delete, "node01")
    with pytest.raises(MachineGoneError):
        maas_region.call(RescueMode, "node01")


def test_the_reason_of_an_earlier_failure_is_not_reported_again(maas_region: MaasRegion) -> None:
    maas_region.plan("node01", fail="Installing OS", reason="the disk is full")
    with pytest.raises(OperationFailedError, match="the disk is full"):
        maas_region.call(Deploy, "node01")
    maas_region.call(GiveBack, "node01")
    maas_region.after(60, maas_region.abort, "node01", "bob")
    with pytest.raises(OperationRevertedError) as reverted:
        maas_region.call(Deploy, "node01")
    assert maas_region.machine("node01").error_description == "the disk is full"
    assert "the disk is full" not in str(reverted.value)


def test_the_region_restarts(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.restart, 90)
    assert maas_region.call(Deploy, "node01").status_name == "Deployed"


def test_the_region_stays_unreachable(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.faults.append, Fault(answer="bad gateway", times=None))
    with pytest.raises(MaasUnavailableError):
        maas_region.call(Deploy, "node01")


def test_a_machine_hangs_forever(maas_region: MaasRegion) -> None:
    maas_region.plan("node07", hang="Erasing")
    with pytest.raises(OperationTimedOutError):
        maas_region.call(GiveBack, "node07", erase=True)


def test_a_locked_machine_is_refused_with_a_reason_that_maas_does_not_give(maas_region: MaasRegion) -> None:
    with pytest.raises(OperationRefusedError, match="locked"):
        maas_region.call(GiveBack, "node08")


def test_a_user_without_administrator_rights_gets_an_empty_403(maas_region: MaasRegion) -> None:
    with pytest.raises(MaasPermissionError):
        maas_region.call(RescueMode, "node01", username="bob")


def test_a_cancelled_call_leaves_the_machine_running(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.cancel)
    with pytest.raises(OperationCancelledError):
        maas_region.call(Deploy, "node01")
    maas_region.advance(3600)
    assert maas_region.machine("node01").status_name == "Deployed"


def test_a_cancelled_call_aborts_the_machine(maas_region: MaasRegion) -> None:
    maas_region.after(60, maas_region.cancel)
    with pytest.raises(OperationCancelledError):
        maas_region.call(Deploy, "node01", on_cancel=CancelPolicy.ABORT)
    assert maas_region.machine("node01").status_name == "Allocated"


def test_a_deadline_is_not_a_number() -> None:
    with pytest.raises(
        TypeError, match=r"Slow\.deadline: expected a positive timedelta, .* Write `deadline = timedelta"
    ):

        class Slow(Deploy):
            deadline = 30  # type: ignore[assignment] # the mistake


def test_a_status_is_not_a_string() -> None:
    with pytest.raises(TypeError, match=r"'Rescue mode' is in it\. Write `S\.RESCUE_MODE`"):
        Lifecycle(start_from={S.READY}, pending={S.DEPLOYING}, success={"Rescue mode"})  # type: ignore[arg-type]


def test_a_policy_is_not_a_string() -> None:
    with pytest.raises(TypeError, match=r"Eager\.on_cancel: .* Write `on_cancel = CancelPolicy\.ABORT`"):

        class Eager(Deploy):
            on_cancel = "abort"  # type: ignore[assignment] # the mistake


def test_an_operation_without_abort_cannot_abort_on_cancel() -> None:
    with pytest.raises(TypeError, match="expected a method `abort`"):

        class Eager(RescueMode):
            on_cancel = CancelPolicy.ABORT


class HalfWay(PollingStrategy):
    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        raise KeyError(evidence.milestone, len(observation.events))


def test_a_strategy_is_an_instance() -> None:
    with pytest.raises(TypeError, match=r"Counted\.polling: .* Write `HalfWay\(\)`"):

        class Counted(Deploy):
            polling = HalfWay  # type: ignore[assignment] # the mistake


def test_a_strategy_is_not_awaited() -> None:
    class Async(HalfWay):
        async def measure(self, evidence: Evidence, observation: Observation) -> Milestone:  # type: ignore[override]
            raise NotImplementedError

    with pytest.raises(TypeError, match=r"Async\.measure: expected a plain function"):

        class Counted(Deploy):
            polling = Async()


def test_a_failing_strategy_does_not_stop_a_deployment(maas_region: MaasRegion) -> None:
    class Counted(Deploy):
        polling = HalfWay()

    assert maas_region.call(Counted, "node01").status_name == "Deployed"
    assert "Deploying" in maas_region.messages


def test_a_tool_needs_a_docstring() -> None:
    with pytest.raises(TypeError, match="Silent: expected a docstring"):

        class Silent(Operation[Which, Status]):
            name = "rescue_silently"
            lifecycle = Deploy.lifecycle
            start, result = Deploy.start, Deploy.result


@pytest.mark.parametrize("answer", [None, {"status_name": "Deployed"}, Which(system_id="x")], ids=str)
def test_a_result_must_have_the_declared_class(maas_region: MaasRegion, answer: object) -> None:
    class Wrong(Deploy):
        async def result(self, ctx: OperationContext) -> Status:  # noqa: ARG002 - the trap
            return answer  # type: ignore[return-value] # the mistake

    with pytest.raises(
        MaasMcpError, match=r"The result of rescue_deploy is not the declared Status: .* Return `Status\(…\)`"
    ):
        maas_region.call(Wrong, "node01")
    assert maas_region.machine("node01").status_name == "Deployed"


def test_the_error_of_a_failing_result_says_that_maas_has_finished(maas_region: MaasRegion) -> None:
    class Broken(Deploy):
        async def result(self, ctx: OperationContext) -> Status:
            raise KeyError(ctx.system_id)

    with pytest.raises(MaasMcpError, match=r"MAAS has finished rescue_deploy \(Deployed\)") as failure:
        maas_region.call(Broken, "node01")
    assert isinstance(failure.value.__cause__, KeyError)
