"""Powering machines on and off."""

from contextlib import nullcontext
from typing import Any

import anyio
import pytest

from maas_deploy.deploy import Deploy
from maas_deploy.power import PowerCycle, PowerOff, PowerOn, QueryPowerState
from maas_mcp.api import (
    MaasAuthError,
    MaasError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
    Tool,
)
from maas_simulator import Fault, Status
from maas_simulator.model.power import PowerState
from tests.house import House

pytestmark = pytest.mark.anyio


def nothing_happens(op: str) -> Fault:
    """MAAS accepts the request, but the machine does not change."""
    return Fault(op=op, status=200, body="{}")


def bmc_answers(state: str) -> Fault:
    """The BMC's answer, independent of the power state in MAAS."""
    return Fault(
        op="query_power_state", status=200, body=f'{{"state": "{state}"}}', headers={"Content-Type": "application/json"}
    )


def set_power(house: House, state: str, name: str = "node07") -> None:
    house.region.machine(name).power_state = state


async def test_a_machine_is_powered_off_and_on(house: House) -> None:
    off = await house.call(PowerOff, "node07", comment="maintenance", stop_mode="soft")
    on = await house.call(PowerOn, "node07")

    assert house.posted == [("power_off", {"comment": ["maintenance"], "stop_mode": ["soft"]}), ("power_on", {})]
    assert (off.power_state, on.power_state) == ("off", "on")


async def test_a_power_off_is_hard_by_default(house: House) -> None:
    await house.call(PowerOff, "node07")

    assert house.posted == [("power_off", {"stop_mode": ["hard"]})]


async def test_a_power_off_waits_until_maas_shows_the_machine_as_off(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))
    house.after(40, lambda: set_power(house, "off"))
    start = anyio.current_time()

    assert (await house.call(PowerOff, "node07", stop_mode="soft")).power_state == "off"
    assert 40 <= anyio.current_time() - start < 45
    assert "Waiting for power_off of node07 (ywtymp): Deployed for admin, power on" in house.messages


async def test_a_power_off_without_effect_fails_after_two_minutes(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))

    with pytest.raises(OperationTimedOutError, match="2 min 00 s later it is still Deployed for admin, power on"):
        await house.call(PowerOff, "node07", stop_mode="soft")


async def test_waiting_for_power_can_be_cancelled(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))
    house.after(10, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await house.call(PowerOff, "node07")


async def test_a_power_cycle_powers_on_only_when_the_machine_is_off(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))
    house.after(30, lambda: set_power(house, "off"))

    assert (await house.call(PowerCycle, "node07")).power_state == "on"

    off, on = [each for each in house.region.requests if each.method == "POST"]
    assert (off.op, on.op) == ("power_off", "power_on")
    assert on.time - off.time >= 30


async def test_a_power_cycle_of_a_machine_that_stays_on_sends_no_power_on(house: House) -> None:
    house.region.faults.append(nothing_happens("power_off"))

    with pytest.raises(OperationTimedOutError):
        await house.call(PowerCycle, "node07")

    assert [op for op, _ in house.posted] == ["power_off"]


async def test_powering_on_a_machine_that_is_on_sends_nothing(house: House) -> None:
    result = await house.call(PowerOn, "node07")

    assert (result.power_state, result.sent) == ("on", False)
    assert PowerOn().summary(result) == "node07 was already on; nothing was sent to MAAS."
    assert house.posts == 0


@pytest.mark.parametrize("record", ["off", "unknown", "error"])
async def test_powering_on_never_cycles_a_machine_that_maas_wrongly_records_as_off(
    house: House, record: PowerState
) -> None:
    house.region.set_power("node07", stored=record, real="on")

    result = await house.call(PowerOn, "node07")

    assert (result.power_state, result.sent) == ("on", False)
    assert house.posts == 0
    assert house.region.machine("node07").power_cycles == 0


@pytest.mark.parametrize("record", ["on", "unknown", "error"])
async def test_a_machine_is_powered_on_if_its_bmc_reports_off(house: House, record: PowerState) -> None:
    house.region.set_power("node07", stored=record, real="off")

    result = await house.call(PowerOn, "node07")

    assert (result.power_state, result.sent) == ("on", True)
    assert PowerOn().summary(result) == "node07 is on: Deployed for admin, power on."
    assert house.posted == [("power_on", {})]


@pytest.mark.parametrize("record", ["on", "off", "unknown", "error"])
@pytest.mark.parametrize("answer", ["unknown", "error", "fell over"])
async def test_a_machine_is_not_powered_on_if_its_bmc_reports_neither_on_nor_off(
    house: House, record: str, answer: str
) -> None:
    set_power(house, record)
    house.region.faults.append(bmc_answers(answer))

    with pytest.raises(OperationRefusedError, match=f"its BMC answered `{answer}`.*would power-cycle it") as refusal:
        await house.call(PowerOn, "node07")

    assert [(step.tool, step.arguments) for step in refusal.value.next_steps] == [
        ("maas_query_power_state", {"system_id": "ywtymp"}),
        ("maas_power_on", {"system_id": "ywtymp"}),
    ]
    assert house.posts == 0


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_machine_is_not_powered_on_if_its_bmc_cannot_be_queried(house: House, status: int) -> None:
    words = "Failed to complete power action: IPMI: connection timeout"
    set_power(house, "off")
    house.region.faults.append(Fault(op="query_power_state", status=status, body=words, times=None))

    with pytest.raises(OperationRefusedError, match=f"could not query its BMC: .*{words}") as refusal:
        await house.call(PowerOn, "node07")

    assert refusal.value.maas_says == words
    assert house.posts == 0
    assert house.requests("query_power_state") == 1, "a query takes up to a minute, so it is not repeated"


async def test_a_rejected_api_key_is_not_reported_as_a_bmc_failure(house: House) -> None:
    house.region.faults.append(Fault(op="query_power_state", status=401))

    with pytest.raises(MaasAuthError):
        await house.call(PowerOn, "node07")


async def test_a_machine_that_is_allocated_during_the_bmc_query_is_not_deployed(house: House) -> None:
    set_power(house, "off")
    house.region.hold(op="query_power_state", before=20.0)
    house.after(10, lambda: setattr(house.region.machine("node07"), "status", Status.ALLOCATED))

    with pytest.raises(OperationRefusedError, match="would deploy the region's default image"):
        await house.call(PowerOn, "node07")

    assert house.posts == 0


async def test_powering_off_a_machine_that_is_off_sends_nothing(house: House) -> None:
    set_power(house, "off")

    result = await house.call(PowerOff, "node07")

    assert (result.power_state, result.sent) == ("off", False)
    assert PowerOff().summary(result) == "node07 was already off; nothing was sent to MAAS."
    assert house.posts == 0


@pytest.mark.parametrize("answer", ["on", "unknown", "error"])
async def test_a_machine_is_powered_off_unless_its_bmc_reports_off(house: House, answer: PowerState) -> None:
    house.region.set_power("node07", stored="off", real=answer)

    result = await house.call(PowerOff, "node07")

    assert (result.power_state, result.sent) == ("off", True)
    assert house.posted == [("power_off", {"stop_mode": ["hard"]})]


async def test_powering_off_a_locked_machine_that_is_off_sends_nothing(house: House) -> None:
    set_power(house, "off", "node08")

    assert not (await house.call(PowerOff, "node08")).sent
    assert house.posts == 0


async def test_a_power_cycle_of_a_machine_that_is_off_only_powers_it_on(house: House) -> None:
    set_power(house, "off")

    result = await house.call(PowerCycle, "node07")

    assert (result.power_state, result.was_off) == ("on", True)
    assert PowerCycle().summary(result) == "node07 was already off and was only powered on: Deployed, power on."
    assert house.posted == [("power_on", {})]


async def test_a_power_cycle_powers_off_a_machine_that_maas_wrongly_records_as_off(house: House) -> None:
    house.region.set_power("node07", stored="off", real="on")

    result = await house.call(PowerCycle, "node07")

    assert PowerCycle().summary(result) == "node07 was powered off and on again: Deployed, power on."
    assert [op for op, _ in house.posted] == ["power_off", "power_on"]


async def test_a_soft_power_cycle_does_not_power_on_a_machine_that_is_still_shutting_down(house: House) -> None:
    house.region.faults += [bmc_answers("on"), bmc_answers("on")]

    with pytest.raises(OperationFailedError, match=r"its BMC answers `on`\. It was not powered on again"):
        await house.call(PowerCycle, "node07", stop_mode="soft")

    assert [op for op, _ in house.posted] == ["power_off"]


@pytest.mark.parametrize(
    ("down", "words"), [("bmc", "Check the machine's BMC"), ("rack", "rack controller is running")]
)
@pytest.mark.parametrize("tool", [PowerOff, QueryPowerState])
async def test_an_error_of_the_bmc_or_rack_controller_says_to_check_it(
    house: House, tool: type[Tool[Any, Any]], down: str, words: str
) -> None:
    if down == "bmc":
        house.region.bmc_down("node07")
    else:
        house.region.rack_down()

    with pytest.raises(MaasError) as failure:
        await house.call(tool, "node07")

    assert words in (failure.value.hint or "")
    if tool is PowerOff:
        assert "node07 (ywtymp) is Deployed for admin, power on." in (failure.value.hint or "")


@pytest.mark.parametrize("answer", [bmc_answers("unknown"), Fault(op="query_power_state", status=500, body="no BMC")])
async def test_a_hard_power_cycle_powers_the_machine_on_even_if_its_bmc_is_silent(house: House, answer: Fault) -> None:
    house.region.faults.append(answer)

    assert (await house.call(PowerCycle, "node07")).power_state == "on"


@pytest.mark.parametrize(
    ("tool", "status", "ephemeral"),
    [
        (PowerOff, Status.DEPLOYING, False),
        (PowerOn, Status.ALLOCATED, False),
        (PowerOn, Status.DEPLOYED, True),
    ],
)
async def test_a_refusal_for_another_users_machine_only_says_to_ask_the_owner(
    house: House, tool: type[Tool[Any, Any]], status: Status, ephemeral: bool
) -> None:
    machine = house.region.machine("node01")
    machine.owner, machine.status, machine.ephemeral_deploy = "bob", status, ephemeral

    with pytest.raises(OperationRefusedError) as refusal:
        await house.call(tool, "node01")

    assert refusal.value.hint == "It belongs to bob: ask bob first."
    assert refusal.value.next_steps == ()


@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_powering_on_never_deploys_an_allocated_machine(house: House, tool: type[Tool[Any, Any]]) -> None:
    with pytest.raises(OperationRefusedError, match="would deploy the region's default image") as refusal:
        await house.call(tool, "node06")

    assert [step.tool for step in refusal.value.next_steps] == ["maas_deploy_machine"]
    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_powering_on_never_redeploys_an_ephemeral_machine(house: House, tool: type[Tool[Any, Any]]) -> None:
    house.region.machine("node07").ephemeral_deploy = True
    set_power(house, "off")

    with pytest.raises(OperationRefusedError, match="would deploy it again") as refusal:
        await house.call(tool, "node07")

    assert [step.tool for step in refusal.value.next_steps] == ["maas_release_machine"]
    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_a_machine_without_an_owner_is_not_powered_on(house: House, tool: type[Tool[Any, Any]]) -> None:
    with pytest.raises(OperationRefusedError, match="is Ready and has no owner") as refusal:
        await house.call(tool, "node01")

    assert [step.tool for step in refusal.value.next_steps] == ["maas_deploy_machine", "machine rescue-mode"]
    assert house.posts == 0


async def test_a_machine_that_cannot_be_deployed_is_not_advised_to_be(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="is Broken and has no owner") as refusal:
        await house.call(PowerOn, "node12")

    assert [step.tool for step in refusal.value.next_steps] == ["machine rescue-mode"]


@pytest.mark.parametrize("tool", [PowerOff, PowerCycle])
async def test_a_machine_is_not_powered_off_during_a_deployment(house: House, tool: type[Tool[Any, Any]]) -> None:
    house.region.deploy("node01", "admin")

    with pytest.raises(OperationRefusedError, match="without power it would stay so") as refusal:
        await house.call(tool, "node01")

    assert [step.tool for step in refusal.value.next_steps] == ["maas_abort_machine"]
    assert house.posts == 0


@pytest.mark.parametrize("tool", [PowerOn, PowerOff, PowerCycle])
async def test_a_locked_machine_is_left_alone(house: House, tool: type[Tool[Any, Any]]) -> None:
    set_power(house, "off" if tool is PowerOn else "on", "node08")

    with pytest.raises(OperationRefusedError, match=r"node08 .* is locked"):
        await house.call(tool, "node08")

    assert house.posts == 0


async def test_a_null_response_means_that_maas_cannot_power_off_the_machine(house: House) -> None:
    house.region.machine("node07").power_type = "manual"

    with pytest.raises(OperationFailedError, match=r"cannot do power_off with node07 .*\(power type: manual\)"):
        await house.call(PowerOff, "node07")


async def test_a_machine_with_manual_power_is_not_powered_on(house: House) -> None:
    house.region.machine("node07").power_type = "manual"

    with pytest.raises(OperationRefusedError, match="its power type is manual"):
        await house.call(PowerOn, "node07")


@pytest.mark.parametrize("tool", [PowerOff, QueryPowerState])
async def test_a_bmc_failure_is_reported_in_maass_words(house: House, tool: type[Tool[Any, Any]]) -> None:
    body = "Failed to complete power action: IPMI: connection timeout"
    op = "power_off" if tool is PowerOff else "query_power_state"
    house.region.faults.append(Fault(op=op, status=500, body=body))

    with pytest.raises(MaasError, match=body):
        await house.call(tool, "node07")


async def test_a_missing_rack_controller_is_reported_in_maass_words(house: House) -> None:
    body = "Unable to connect to any rack controller bwdhs4; no connections available."
    house.region.faults.append(Fault(op="power_off", status=503, body=body, headers={"Retry-After": "10"}))

    with pytest.raises(MaasUnavailableError, match="no connections available") as failure:
        await house.call(PowerOff, "node07")

    assert failure.value.retryable
    assert house.posts == 1


async def test_querying_the_power_state_queries_the_bmc(house: House) -> None:
    result = await house.call(QueryPowerState, "node07")

    assert result.power_state == "on"
    assert house.region.requests[-1].op == "query_power_state"
    assert house.posts == 0


async def test_a_power_cycle_reports_was_off_if_maas_wrongly_records_the_machine_as_on(house: House) -> None:
    house.region.set_power("node07", stored="on", real="off")

    result = await house.call(PowerCycle, "node07")

    assert result.was_off
    assert [op for op, _ in house.posted] == ["power_on"]


class TestAfterWaiting:
    """MAAS receives two changes at a time, and may take minutes for each."""

    @pytest.fixture
    async def busy(self, house: House) -> House:
        house.region.hold(op="deploy", before=60)
        house.options["wait"] = 0.0
        await house.run("node01", Deploy)
        await house.run("node02", Deploy)
        assert house.posts == 2
        return house

    async def test_the_bmc_is_queried_again_before_the_power_on(self, busy: House) -> None:
        set_power(busy, "off")
        busy.after(10, lambda: set_power(busy, "on"))

        result = await busy.call(PowerOn, "node07")

        assert (result.power_state, result.sent) == ("on", False)
        assert busy.posts == 2
        assert busy.region.machine("node07").power_cycles == 0

    async def test_the_machine_is_powered_on_if_it_is_still_off(self, busy: House) -> None:
        set_power(busy, "off")

        assert (await busy.call(PowerOn, "node07")).sent
        assert "Waiting to be sent: MAAS receives at most 2 requests at a time" in busy.messages

    @pytest.mark.parametrize("tool", [PowerOff, PowerCycle])
    async def test_a_machine_that_is_being_deployed_meanwhile_is_not_powered_off(
        self, busy: House, tool: type[Tool[Any, Any]]
    ) -> None:
        machine = busy.region.machine("node07")
        busy.after(10, lambda: busy.region.set_status(machine, Status.DEPLOYING))

        with pytest.raises(OperationRefusedError, match="is Deploying: without power it would stay so"):
            await busy.call(tool, "node07")

        assert busy.posts == 2


class TestAnotherUser:
    """Another user may take the machine during the BMC query or while the request waits."""

    @pytest.fixture
    async def busy(self, house: House) -> House:
        house.region.hold(op="deploy", before=60)
        house.options["wait"] = 0.0
        await house.run("node01", Deploy)
        await house.run("node02", Deploy)
        return house

    @pytest.mark.parametrize("tool", [PowerOn, PowerOff, PowerCycle])
    async def test_a_machine_that_another_user_took_during_the_wait_is_left_alone(
        self, busy: House, tool: type[Tool[Any, Any]]
    ) -> None:
        set_power(busy, "off" if tool is PowerOn else "on")

        def theirs() -> None:
            busy.region.machine("node07").owner = "bob"

        busy.after(10, theirs)

        with pytest.raises(OperationRefusedError, match="was Deployed for admin and is now Deployed for bob"):
            await busy.call(tool, "node07")

        assert busy.posts == 2

    @pytest.mark.parametrize("tool", [PowerOff, PowerCycle])
    async def test_a_machine_that_another_user_took_during_the_bmc_query_is_left_alone(
        self, house: House, tool: type[Tool[Any, Any]]
    ) -> None:
        house.region.set_power("node07", stored="off", real="on")
        house.region.hold(op="query_power_state", before=50)

        def theirs() -> None:
            house.region.machine("node07").owner = "bob"

        house.after(10, theirs)

        with pytest.raises(OperationRefusedError, match="was Deployed for admin and is now Deployed for bob"):
            await house.call(tool, "node07")

        assert house.posts == 0

    async def test_a_machine_that_is_powered_on_after_the_bmc_query_is_not_cycled(self, house: House) -> None:
        set_power(house, "off")
        house.region.hold(op="query_power_state", after=10)
        house.after(0.5, lambda: set_power(house, "on"))

        assert not (await house.call(PowerOn, "node07")).sent

        assert house.region.machine("node07").power_cycles == 0

    async def test_a_power_cycle_after_a_wait_does_not_power_on_if_the_bmc_is_silent(self, busy: House) -> None:
        set_power(busy, "off")
        silent = Fault(op="query_power_state", status=500, body="no BMC", times=None)
        busy.after(10, lambda: busy.region.faults.append(silent))

        with pytest.raises(OperationRefusedError, match="MAAS could not query its BMC"):
            await busy.call(PowerCycle, "node07")

        assert busy.posts == 2


def test_interrupting_tools_are_marked_destructive() -> None:
    assert (PowerOff.destructive, PowerCycle.destructive, PowerOn.destructive) == (True, True, False)
    assert QueryPowerState.read_only


@pytest.mark.parametrize(("stop_mode", "posts"), [("soft", ["power_off"]), ("hard", ["power_off", "power_on"])])
async def test_a_soft_power_cycle_powers_on_only_if_the_bmc_confirms_off(
    house: House, stop_mode: str, posts: list[str]
) -> None:
    silent = Fault(op="query_power_state", status=500, body="ExitError: exit status 1")
    house.region.faults += [bmc_answers("on"), silent]

    with pytest.raises(OperationFailedError, match="its BMC answers") if stop_mode == "soft" else nullcontext():
        await house.call(PowerCycle, "node07", stop_mode=stop_mode)

    assert [op for op, _ in house.posted] == posts
