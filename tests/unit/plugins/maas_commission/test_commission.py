"""Commissioning a machine."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from maas_commission.commission import Commission, CommissionMachine
from maas_commission.testing import RunTests
from maas_mcp.api import (
    CancellationToken,
    MaasBadRequestError,
    MaasPermissionError,
    MaasUnavailableError,
    Operation,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import Handle
from maas_mcp.plugins.registry import load_registry
from maas_simulator import Fault, Status
from tests.house import House, client_of, resumed

pytestmark = pytest.mark.anyio


def test_the_plugin_is_found_with_its_tools() -> None:
    (record,) = [record for record in load_registry().records if record.name == "commission"]

    assert record.tools == (
        "maas_commission_machine",
        "maas_enter_rescue_mode",
        "maas_exit_rescue_mode",
        "maas_mark_broken",
        "maas_mark_fixed",
        "maas_override_failed_testing",
        "maas_test_machine",
    )


@pytest.mark.parametrize("operation", [Commission, RunTests])
async def test_an_operation_reads_the_single_machine_only_at_its_start(
    house: House, operation: type[Operation[Any, Any]]
) -> None:
    """The result uses the machine from the last poll."""
    await house.run("node01", operation)

    assert house.machine_reads == 1


async def test_a_new_machine_becomes_ready_with_its_hardware_data(house: House) -> None:
    result = await house.run("node10")

    assert result.status_name == "Ready"
    assert result.commissioning_status_name == "Passed"
    assert result.cpu_count > 0
    assert house.reported[-1].value == 1.0


async def test_a_bmc_failure_is_reported_in_maass_words_and_blames_no_user(house: House) -> None:
    house.region.plan("node01", fail="Commissioning")
    with pytest.raises(OperationRevertedError) as failure:
        await house.run("node01")

    assert failure.value.message == (
        "node01 (7xneda): MAAS could not power it on and reverted the request; it is still Ready for admin. "
        'It had no owner before. MAAS answered 500: "Failed to complete power action: IPMI: connection timeout".'
    )
    assert "credentials" in (failure.value.hint or "")
    assert "ended it" not in failure.value.message


async def test_another_process_reports_the_same_reason_later(house: House) -> None:
    house.region.plan("node01", fail="Commissioning")
    machine = house.region.machine("node01")
    cursor = await house.maas.newest_event_id()
    with pytest.raises(OperationRevertedError) as at_once:
        await house.run("node01")
    house.handle = Handle("maas_commission_machine", machine.system_id, int(house.now()), cursor, (1, 2))

    with pytest.raises(OperationRevertedError) as later:
        await resumed(house)

    assert later.value.message in at_once.value.message + "."
    assert later.value.hint == at_once.value.hint
    assert "reverting to READY" in (later.value.maas_says or "")


async def test_unset_parameters_are_not_sent(house: House) -> None:
    await house.run("node01", skip_bmc_config=True, enable_ssh=False, testing_scripts=["none"])

    assert house.posted == [("commission", {"skip_bmc_config": ["true"], "testing_scripts": ["none"]})], (
        "to MAAS any value is true"
    )


async def test_every_given_parameter_is_sent(house: House) -> None:
    await house.run(
        "node01",
        commissioning_scripts=["maas-lshw", "maas-serial-ports"],
        testing_scripts=["smartctl-short", "ntp"],
        parameters={"smartctl-short_storage": "sda", "url": "https://ntp.example.com"},
        enable_ssh=True,
        skip_bmc_config=True,
        skip_networking=True,
        skip_storage=True,
    )

    assert house.posted == [
        (
            "commission",
            {
                "commissioning_scripts": ["maas-lshw,maas-serial-ports"],
                "testing_scripts": ["smartctl-short,ntp"],
                "smartctl-short_storage": ["sda"],
                "url": ["https://ntp.example.com"],
                "enable_ssh": ["true"],
                "skip_bmc_config": ["true"],
                "skip_networking": ["true"],
                "skip_storage": ["true"],
            },
        )
    ]


@pytest.mark.parametrize("name", ["op", "enable_ssh", "skip_storage", "testing_scripts"])
def test_a_script_parameter_cannot_replace_a_form_field(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name}: expected parameters of scripts"):
        CommissionMachine.model_validate({"system_id": "4y3h7n", "parameters": {name: "0"}})


async def test_each_script_is_reported_while_it_runs(house: House) -> None:
    await house.run("node10")

    reported = [message for message in dict.fromkeys(house.messages) if "so far" not in message]
    assert reported[:5] == [
        "Starting on node10",
        "Commissioning",
        "Performing PXE boot",
        "Loading ephemeral",
        "Gathering information",
    ]
    assert "Running maas-capture-lldpd (7 of 14)" in reported
    assert "Running smartctl-validate (14 of 14)" in reported
    assert reported[-1] == "Ready"


async def test_progress_rises_evenly_once_scripts_run(house: House) -> None:
    await house.run("node10")

    values = [progress.value for progress in house.reported]
    steps = [after - before for before, after in pairwise(values)]
    assert all(step > 0 for step in steps)
    assert max(steps) < 0.25, "no jump from the boot to the end"


@pytest.mark.parametrize("name", ["node06", "node07", "node11"])
async def test_a_machine_in_use_is_not_commissioned(house: House, name: str) -> None:
    with pytest.raises(OperationRefusedError, match="maas_commission_machine starts only from"):
        await house.run(name)

    assert house.posts == 0


async def test_a_machine_with_failed_tests_is_not_commissioned_although_maas_documents_it(house: House) -> None:
    house.region.machine("node01").status = Status.FAILED_TESTING

    with pytest.raises(OperationRefusedError, match="is Failed testing"):
        await house.run("node01")


async def test_a_failed_script_is_reported_with_its_last_output(house: House) -> None:
    house.region.plan("node10", fail="40-maas-01-machine-config-hints", reason="no LLDP neighbour")

    with pytest.raises(OperationFailedError, match=r"node10 .* is Failed commissioning") as failure:
        await house.run("node10")

    assert "Output of script 40-maas-01-machine-config-hints on the machine, Failed" in (failure.value.maas_says or "")
    assert "ERROR: no LLDP neighbour" in (failure.value.maas_says or "")
    assert any(", 1 failed" in message for message in house.messages)


async def test_a_failed_test_after_commissioning_fails_the_commissioning(house: House) -> None:
    house.region.plan("node10", fail="smartctl-validate", reason="3 reallocated sectors")

    with pytest.raises(OperationFailedError, match="is Failed testing") as failure:
        await house.run("node10")

    assert "3 reallocated sectors" in (failure.value.maas_says or "")


@pytest.mark.parametrize(("seconds", "ends_as"), [(60, "New"), (270, "Ready")])
async def test_an_aborted_commissioning_is_not_a_success_even_if_it_ends_ready(
    house: House, seconds: float, ends_as: str
) -> None:
    house.after(seconds, lambda: house.region.abort("node01", "bob", "not now"))

    with pytest.raises(OperationRevertedError, match=rf"is {ends_as} now: .*User aborting .*\(bob\) - not now"):
        await house.run("node01", testing_scripts=["memtester"])


async def test_a_cancelled_call_can_abort_it(house: House) -> None:
    house.options["on_cancel"] = CancelPolicy.ABORT
    house.after(100, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await house.run("node01")
    await anyio.sleep(5)

    assert [op for op, _ in house.posted] == ["commission", "abort"]
    assert house.region.machine("node01").status_name == "New"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"testing_scripts": ["nosuch"]}, "testing_scripts"), ({"commissioning_scripts": ["none"]}, "commissioning_scr")],
)
async def test_an_unknown_script_is_refused_by_maas(house: House, arguments: Any, field: str) -> None:
    with pytest.raises(MaasBadRequestError, match=f"{field}.*is not one of the available choices"):
        await house.run("node01", **arguments)


async def test_commissioning_without_an_administrator_is_refused_with_a_hint(house: House) -> None:
    house.region.users["admin"] = replace(house.region.users["admin"], is_superuser=False)

    with pytest.raises(MaasPermissionError) as refusal:
        await house.run("node01")

    assert refusal.value.hint == (
        "Only administrators may request commission, and admin is not one. Ask an administrator to do it."
    )


def test_the_description_says_what_is_replaced() -> None:
    assert "Replaces the network and storage configuration" in Commission.description()
    assert Commission.destructive


async def test_commissioning_another_users_machine_needs_take_over(house: House) -> None:
    machine = house.region.machine("node12")
    machine.owner = "bob"

    with pytest.raises(OperationRefusedError, match=r"belongs to bob\. .* then the machine has no owner") as refusal:
        await house.run("node12")

    assert "take_over: true" in (refusal.value.hint or "")
    assert house.posts == 0

    await house.run("node12", take_over=True)

    assert house.posted == [("commission", {})], "MAAS has no such parameter"
    assert machine.owner is None


async def test_a_running_test_is_not_followed_as_a_commissioning(house: House) -> None:
    await house.maas.post_op(f"machines/{house.region.machine('node06').system_id}/", "test")

    with pytest.raises(
        OperationRefusedError, match="already Testing for admin, but maas_commission_machine did not start that"
    ):
        await house.run("node06")

    assert house.posts == 1


async def test_the_tests_of_a_commissioning_are_followed_as_that_commissioning(house: House) -> None:
    await house.maas.post_op(f"machines/{house.region.machine('node01').system_id}/", "commission")
    while house.region.machine("node01").status_name != "Testing":  # noqa: ASYNC110 - the region has no event for it
        await anyio.sleep(1)

    assert "not started again" in (await house.run("node01")).message


class TestTestedInstead:
    """A test by the same user is no evidence for a commissioning whose request was lost."""

    @pytest.fixture
    async def lost(self, house: House) -> House:
        house.region.faults.append(Fault(op="commission", method="POST", drop="before"))
        machine = house.region.machine("node01")
        other = client_of(house.region)

        async def test() -> None:
            await anyio.sleep(3)
            await other.post_op(f"machines/{machine.system_id}/", "test")

        house.tasks.start_soon(test)
        return house

    async def test_the_test_is_not_followed_as_the_commissioning(self, lost: House) -> None:
        with pytest.raises(MaasUnavailableError) as failure:
            await lost.run("node01")

        assert "MAAS does not show that it started" in (failure.value.hint or "")
        assert [op for op, _ in lost.posted] == ["commission", "test"]

    async def test_the_test_is_not_aborted_by_a_cancelled_commissioning(self, lost: House) -> None:
        lost.options["on_cancel"] = CancelPolicy.ABORT
        lost.after(20, lost.token.cancel)

        with pytest.raises(OperationCancelledError):
            await lost.run("node01")

        assert [op for op, _ in lost.posted] == ["commission", "test"]
        assert lost.region.machine("node01").status is Status.TESTING

    async def test_the_test_is_not_aborted_by_the_id_of_the_commissioning(self, lost: House) -> None:
        lost.options["wait"] = 0.0
        await lost.run("node01")
        await anyio.sleep(10)
        assert lost.handle

        with pytest.raises(OperationRefusedError, match="because of another run, not the one to abort"):
            await lost.engine.abort(Commission(), lost.handle, CancellationToken())

        assert lost.region.machine("node01").status is Status.TESTING

    async def test_the_running_test_is_listed_as_a_test(self, house: House) -> None:
        await house.run("node01")
        await house.maas.post_op(f"machines/{house.region.machine('node01').system_id}/", "test")

        (handle,) = await house.under_way(Commission(), RunTests())

        assert handle.operation == "maas_test_machine"
