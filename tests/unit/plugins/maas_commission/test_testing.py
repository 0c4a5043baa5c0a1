"""Testing machines, and overriding failed tests."""

from typing import Any

import anyio
import pytest

from maas_commission.commission import Commission, CommissionMachine
from maas_commission.scripts import HARMLESS_TESTS, RunScripts
from maas_commission.testing import OverrideFailedTesting, RunTests
from maas_mcp.api import (
    CancellationToken,
    MaasBadRequestError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_simulator import Fault, Status
from maas_simulator.model.built_in_scripts import BUILT_IN
from maas_simulator.model.scripts import SetType
from tests.house import House, client_of

pytestmark = pytest.mark.anyio


async def test_a_test_run_returns_the_result_of_each_test(house: House) -> None:
    result = await house.run("node05", RunTests, testing_scripts=["smartctl-validate", "ntp"], enable_ssh=True)

    assert house.posted == [("test", {"testing_scripts": ["smartctl-validate,ntp"], "enable_ssh": ["true"]})]
    assert result.status_name == "Ready"
    assert [(each.name, each.status_name) for each in result.tests] == [
        ("ntp", "Passed"),  # MAAS runs and lists scripts by name
        ("smartctl-validate", "Passed"),
        ("smartctl-validate", "Passed"),
    ]
    assert [each.target for each in result.tests] == [None, "sda", "sdb"]
    assert {each.exit_status for each in result.tests} == {0}
    assert RunTests().summary(result) == "node05 is Ready: 3 tests have passed."
    assert any("of 3" in message for message in house.messages)


async def test_parameters_of_tests_are_sent_by_their_names(house: House) -> None:
    await house.run("node01", RunTests, testing_scripts=["ntp"], parameters={"ntp_url": "ntp.example.com"})

    assert house.posted == [("test", {"testing_scripts": ["ntp"], "ntp_url": ["ntp.example.com"]})]


@pytest.mark.parametrize("nothing", [{}, {"testing_scripts": []}, {"parameters": {}}])
async def test_unset_parameters_are_not_sent(house: House, nothing: dict[str, Any]) -> None:
    await house.run("node01", RunTests, enable_ssh=False, **nothing)

    assert house.posted == [("test", {})], "to MAAS any value is true"


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (Status.READY, "Ready"),
        (Status.NEW, "Ready"),
        (Status.FAILED_COMMISSIONING, "New"),
        (Status.BROKEN, "Ready"),
        (Status.ALLOCATED, "Allocated"),
        (Status.DEPLOYED, "Deployed"),
        (Status.FAILED_DEPLOYMENT, "Ready"),
        (Status.RESCUE_MODE, "Rescue mode"),
        (Status.FAILED_TESTING, "Ready"),
    ],
)
async def test_the_status_after_a_test_depends_on_the_status_before(house: House, status: Status, ends: str) -> None:
    machine = house.region.machine("node01")
    machine.status, machine.owner = status, "admin"

    assert (await house.run("node01", RunTests, testing_scripts=["ntp"])).status_name == ends


async def test_an_aborted_test_is_not_a_success_although_the_machine_is_ready(house: House) -> None:
    house.after(60, lambda: house.region.abort("node01", "bob"))

    with pytest.raises(OperationRevertedError, match=r"is Ready now: .*User aborting node testing - .*\(bob\)"):
        await house.run("node01", RunTests, testing_scripts=["memtester"])


async def test_a_failed_test_is_reported_with_its_last_output(house: House) -> None:
    house.region.plan("node01", fail="ntp", reason="no answer")

    with pytest.raises(OperationFailedError, match="is Failed testing") as failure:
        await house.run("node01", RunTests, testing_scripts=["ntp"])

    assert "Output of script ntp on the machine, Failed" in (failure.value.maas_says or "")
    assert "no answer" in (failure.value.maas_says or "")


@pytest.mark.parametrize(
    ("name", "scripts", "words"),
    [
        ("node01", ["none"], "No testing scripts found!"),
        ("node07", ["fio"], "Destructive tests may only be run on undeployed machines."),
        ("node01", ["nosuch"], "nosuch is not one of the available choices"),
    ],
)
async def test_maass_reason_for_refusing_a_test_is_reported(
    house: House, name: str, scripts: list[str], words: str
) -> None:
    with pytest.raises(MaasBadRequestError, match=words):
        await house.run(name, RunTests, testing_scripts=scripts)


async def test_a_machine_with_a_running_operation_is_not_tested(house: House) -> None:
    house.region.deploy("node01", "bob")

    with pytest.raises(OperationRefusedError, match="is Deploying"):
        await house.run("node01", RunTests)

    assert house.posts == 0


def test_the_description_says_that_a_deployed_machine_is_rebooted() -> None:
    assert "A Deployed machine is rebooted out of its system" in RunTests.description()
    assert RunTests.destructive


@pytest.mark.parametrize(("name", "ends"), [("node01", "Ready"), ("node07", "Deployed")])
async def test_a_failed_test_is_overridden(house: House, name: str, ends: str) -> None:
    house.region.machine(name).status = Status.FAILED_TESTING

    result: Any = await house.call(OverrideFailedTesting, name, comment="the disk is known")

    assert house.posted == [("override_failed_testing", {"comment": ["the disk is known"]})]
    assert result.status_name == ends


@pytest.mark.parametrize("name", ["node01", "node07", "node08"])
async def test_overriding_tests_of_a_ready_or_deployed_machine_sends_nothing(house: House, name: str) -> None:
    result: Any = await house.call(OverrideFailedTesting, name)

    assert not result.sent
    assert OverrideFailedTesting().summary(result).endswith("; nothing was sent to MAAS.")
    assert house.posts == 0


@pytest.mark.parametrize("name", ["node06", "node10", "node11", "node12"])
async def test_overriding_tests_without_failed_tests_is_refused(house: House, name: str) -> None:
    with pytest.raises(OperationRefusedError, match="it has to be one of: Failed testing"):
        await house.call(OverrideFailedTesting, name)

    assert house.posts == 0


async def test_other_tests_are_refused_with_the_names_of_the_running_tests(house: House) -> None:
    await house.maas.post_op(f"machines/{house.region.machine('node01').system_id}/", "test")

    with pytest.raises(OperationRefusedError, match="but it runs smartctl-validate, not memtester"):
        await house.run("node01", RunTests, testing_scripts=["memtester"])

    assert house.posts == 1


async def test_the_same_tests_are_the_same_request(house: House) -> None:
    house.options["wait"] = 0.0
    await house.run("node01", RunTests, testing_scripts=["memtester"])

    outcome = await house.run("node01", RunTests, testing_scripts=["memtester"])

    assert "not started again" in outcome.message
    assert house.posts == 1


async def test_a_test_that_could_not_start_is_not_reported_as_failed_testing(house: House) -> None:
    house.region.set_status(house.region.machine("node01"), Status.FAILED_TESTING)
    house.region.bmc_down("node01")

    with pytest.raises(OperationRevertedError, match="could not power it on and reverted the request") as ended:
        await house.run("node01", RunTests)

    assert [step.tool for step in ended.value.next_steps] == ["machine query-power-state"]
    assert "power settings" in (ended.value.hint or "")


async def commission_until_testing(house: House) -> None:
    await client_of(house.region).post_op(f"machines/{house.region.machine('node01').system_id}/", "commission")
    while house.region.machine("node01").status is not Status.TESTING:  # noqa: ASYNC110 - the region has no event for it
        await anyio.sleep(1)


async def test_the_tests_of_a_commissioning_are_not_followed_as_a_test(house: House) -> None:
    await commission_until_testing(house)

    with pytest.raises(OperationRefusedError, match="but maas_test_machine did not start that"):
        await house.run("node01", RunTests)

    assert [op for op, _ in house.posted] == ["commission"]


async def test_the_tests_of_a_commissioning_are_not_aborted_for_a_lost_test_request(house: House) -> None:
    house.region.faults.append(Fault(op="test", method="POST", drop="before"))
    house.options["wait"] = 0.0
    await house.run("node01", RunTests)
    await commission_until_testing(house)
    assert house.handle

    with pytest.raises(OperationRefusedError, match="because of another run, not the one to abort"):
        await house.engine.abort(RunTests(), house.handle, CancellationToken())

    assert house.region.machine("node01").status is Status.TESTING


@pytest.mark.parametrize("tests", [None, [], ["none"], ["commissioning"], ["smartctl-short", "ntp"]])
def test_a_test_that_writes_nothing_is_no_erase(tests: list[str] | None) -> None:
    assert not RunTests().effects(RunScripts(system_id="7xneda", testing_scripts=tests)).erases
    assert not Commission().effects(CommissionMachine(system_id="7xneda", testing_scripts=tests)).erases


@pytest.mark.parametrize("tests", [["fio"], ["ntp", "badblocks-destructive"], ["storage"], ["a-custom-test"], ["Fio"]])
def test_a_test_that_may_overwrite_the_disks_counts_as_an_erase(tests: list[str]) -> None:
    assert RunTests().effects(RunScripts(system_id="7xneda", testing_scripts=tests)).erases
    assert Commission().effects(CommissionMachine(system_id="7xneda", testing_scripts=tests)).erases


def test_every_test_of_maas_is_known_to_be_harmless_or_not() -> None:
    tests = [script for script in BUILT_IN.values() if script["type"] == SetType.TESTING]
    assert HARMLESS_TESTS - {"commissioning", "none"} == {test["name"] for test in tests if not test["destructive"]}
