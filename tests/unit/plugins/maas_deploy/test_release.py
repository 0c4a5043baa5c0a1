"""Releasing a machine, with and without erasing it."""

import json
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult, TextContent

from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.api import InvalidArgumentsError, MaasBadRequestError, OperationFailedError, OperationRefusedError
from maas_mcp.errors import MaasConflictError, MachineGoneError, OperationCancelledError
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import HandleSigner
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.testing import MaasRegion
from maas_simulator import Fault
from tests.house import House

pytestmark = pytest.mark.anyio


def text_of(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


async def test_a_release_without_erase_sends_no_erase_parameter(house: House) -> None:
    result = await house.run("node07", Release, comment="done", erase=False, force=False)

    assert house.posted == [("release", {"comment": ["done"]})], "to MAAS every value of erase is true"
    assert result.status_name == "Ready"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"erase": True}, {"erase": ["true"]}),
        ({"quick_erase": True}, {"quick_erase": ["true"], "erase": ["true"]}),
        ({"secure_erase": True}, {"secure_erase": ["true"], "erase": ["true"]}),
        (
            {"erase": True, "quick_erase": True, "secure_erase": True, "force": True},
            {"erase": ["true"], "quick_erase": ["true"], "secure_erase": ["true"], "force": ["true"]},
        ),
    ],
)
async def test_erase_is_sent_with_every_kind_of_it(house: House, asked: dict[str, bool], sent: Any) -> None:
    result = await house.run("node07", Release, **asked)

    assert house.posted == [("release", sent)], "MAAS up to 3.4 does not erase without it"
    assert result.status_name == "Ready"


async def test_an_erase_is_followed_through_all_its_statuses(house: House) -> None:
    await house.run("node07", Release, erase=True)

    milestones = [each for each in dict.fromkeys(house.messages) if "so far" not in each]
    assert milestones == [
        "Starting on node07",
        "Disk erasing",
        "Performing PXE boot",
        "Erasing disks or running release scripts",
        "Disks erased",
        "Ready",
    ]
    assert house.reported[-1].value == 1.0


async def test_a_failed_erase_is_reported(house: House) -> None:
    house.region.plan("node07", fail="Erasing")

    with pytest.raises(OperationFailedError, match='Failed disk erasing: "Failed to erase disks"'):
        await house.run("node07", Release, quick_erase=True)


@pytest.mark.parametrize("name", ["node01", "node10"])
async def test_releasing_a_free_machine_sends_nothing(house: House, name: str) -> None:
    result = await house.run(name, Release, comment="again")

    status = house.region.machine(name).status_name
    assert result.status_name == status
    assert house.messages[-1] == f"{name} was already {status}; nothing was sent to MAAS"
    assert house.posts == 0


def test_an_operation_that_sent_nothing_says_so_and_can_be_read_again(maas_region: MaasRegion) -> None:
    answer = maas_region.call_tool("maas_release_machine", system_id="7xneda")
    assert answer.structured_content is not None
    again = maas_region.call_tool("maas_get_operation", operation_id=answer.structured_content["operation_id"])

    assert [text_of(each) for each in (answer, again)] == [
        "node01 was already Ready; nothing was sent to MAAS.",
        "succeeded: node01 needed no change, and is now Ready; nothing was sent to MAAS (100%)",
    ]
    assert answer.structured_content["state"] == "succeeded"


@pytest.mark.parametrize(
    "asked", [{"erase": True}, {"quick_erase": True}, {"secure_erase": True}, {"scripts": ["wipe-disks"]}]
)
async def test_erasing_a_free_machine_is_refused(house: House, asked: dict[str, Any]) -> None:
    with pytest.raises(OperationRefusedError, match=r"is Ready; .* starts only from"):
        await house.run("node01", Release, **asked)

    assert house.posts == 0, "MAAS would answer 200 for a Ready machine and do nothing"


async def test_a_ready_machine_with_an_owner_does_not_count_as_free(house: House) -> None:
    house.region.machine("node01").owner = "bob"

    with pytest.raises(OperationRefusedError, match="is Ready for bob"):
        await house.run("node01", Release)


async def test_a_running_release_is_not_requested_again(house: House) -> None:
    house.region.release("node07", "admin")

    assert "not started again" in (await house.run("node07", Release)).message
    assert house.posts == 0


async def test_release_scripts_are_sent_with_commas_and_followed(house: House) -> None:
    house.region.release_scripts = {"wipe-bmc": 20.0, "notify": 5.0}

    result = await house.run("node07", Release, scripts=["wipe-bmc", "notify"])

    assert house.posted == [("release", {"scripts": ["wipe-bmc,notify"]})]
    assert result.status_name == "Ready"
    assert [each for each in dict.fromkeys(house.messages) if "so far" not in each] == [
        "Starting on node07",
        "Releasing",
        "Performing PXE boot",
        "Erasing disks or running release scripts",
        "Release scripts have run",
        "Ready",
    ]


async def test_a_release_script_that_does_not_exist_is_refused_by_maas(house: House) -> None:
    with pytest.raises(MaasBadRequestError, match="notify is not one of the available choices"):
        await house.run("node07", Release, scripts=["notify"])


async def test_a_failed_release_script_is_reported(house: House) -> None:
    house.region.release_scripts = {"wipe-bmc": 20.0}
    house.region.plan("node07", fail="wipe-bmc", reason="the BMC keeps its users")

    with pytest.raises(OperationFailedError, match="Releasing failed"):
        await house.run("node07", Release, scripts=["wipe-bmc"])


async def test_release_scripts_are_refused_for_a_region_that_has_none(house: House) -> None:
    body = json.dumps({"capabilities": [], "version": "3.4.10", "subversion": ""})
    house.region.faults.append(Fault(path="version/", status=200, body=body))

    with pytest.raises(InvalidArgumentsError, match=r"`scripts` \(only in MAAS since 3\.5\)"):
        await house.run("node07", Release, scripts=["wipe-bmc"])

    assert house.posts == 0


def make_virtual(house: House, name: str, *, composed: bool = True) -> str:
    """Make a machine a virtual machine of a VM host."""
    machine = house.region.machine(name)
    machine.pod, machine.composed = "vmhost-1", composed
    return machine.system_id


@pytest.mark.parametrize("name", ["node06", "node07"])
async def test_the_release_of_a_composed_machine_succeeds_when_maas_deletes_it(house: House, name: str) -> None:
    system_id = make_virtual(house, name)

    result = await house.run(name, Release)

    assert (result.system_id, result.status_name) == (system_id, "Deleted")
    assert house.reported[-1].value == 1.0
    assert house.reported[-1].message == f"{name} is no longer in MAAS"
    summary = Release().summary(result)
    assert "released and no longer in MAAS" in summary
    assert "Another user may also have deleted it" in summary


async def test_a_virtual_machine_that_maas_did_not_compose_is_ready_after_its_release(house: House) -> None:
    make_virtual(house, "node07", composed=False)

    result = await house.run("node07", Release)

    assert (result.hostname, result.status_name) == ("node07", "Ready")


async def test_a_resumed_release_succeeds_if_the_composed_machine_is_deleted(house: House) -> None:
    system_id = make_virtual(house, "node07")
    house.options["wait"] = 0.0
    await house.run("node07", Release)
    await anyio.sleep(600)
    assert house.handle is not None
    signer = HandleSigner([b"0123456789abcdef0123456789abcdef"], "kim", anyio.current_time)

    handle = signer.verify(signer.sign(house.handle))
    outcome = await house.engine.resume(Release(), handle, ProgressReporter(discard_progress), CancellationToken())

    assert outcome.result is not None
    assert (outcome.result.system_id, outcome.result.status_name) == (system_id, "Deleted")


async def test_a_physical_machine_that_is_deleted_during_its_release_is_gone(house: House) -> None:
    house.after(5, lambda: house.region.delete("node07"))

    with pytest.raises(MachineGoneError, match=r"node07 .* was deleted from MAAS"):
        await house.run("node07", Release)


async def test_a_virtual_machine_that_is_deleted_during_a_deployment_is_gone(house: House) -> None:
    make_virtual(house, "node02")
    house.after(60, lambda: house.region.delete("node02"))

    with pytest.raises(MachineGoneError, match=r"node02 .* was deleted from MAAS"):
        await house.run("node02", Deploy)


def test_the_description_says_that_an_erase_destroys_data() -> None:
    assert "An erase option destroys the data on the disks" in Release.description()
    assert Release.destructive


async def test_the_summary_of_a_late_result_shows_the_current_status(house: House) -> None:
    result = await house.run("node07", Release)
    taken = result.model_copy(update={"status_name": "Deploying"})

    assert Release().summary(taken) == f"node07 ({result.system_id}) was released and is now Deploying."


class TestAborting:
    async def test_an_aborted_erase_leaves_half_erased_disks(self, house: House) -> None:
        house.options = {"wait": 0.0}
        outcome = await house.run("node07", Release, erase=True)
        await anyio.sleep(30)

        await house.engine.abort(Release(), outcome.handle, CancellationToken())

        assert house.region.machine("node07").status_name == "Failed disk erasing"
        with pytest.raises(OperationFailedError, match="Failed disk erasing") as failure:
            await house.engine.resume(
                Release(), outcome.handle, ProgressReporter(discard_progress), CancellationToken()
            )
        assert 'User aborting disk erase - "(admin)"' in failure.value.message
        assert "half erased" in (failure.value.hint or "")

    async def test_a_cancelled_call_aborts_the_erase_if_on_cancel_is_abort(self, house: House) -> None:
        house.options = {"on_cancel": CancelPolicy.ABORT}
        house.after(30, house.token.cancel)

        with pytest.raises(OperationCancelledError):
            await house.run("node07", Release, erase=True)

        assert house.region.machine("node07").status_name == "Failed disk erasing"

    async def test_a_release_without_erase_cannot_be_aborted(self, house: House) -> None:
        house.region.machine("node07").power_state = "on"
        house.options = {"wait": 0.0}
        outcome = await house.run("node07", Release)
        assert house.region.machine("node07").status_name == "Releasing"

        with pytest.raises(MaasConflictError, match="in state Releasing") as refusal:
            await house.engine.abort(Release(), outcome.handle, CancellationToken())

        assert "Only a disk erase can be aborted" in (refusal.value.hint or "")


@pytest.mark.parametrize("erase", ["erase", "quick_erase", "secure_erase"])
async def test_an_erase_is_refused_while_a_release_without_erase_is_running(house: House, erase: str) -> None:
    house.region.release("node07", "admin")
    assert house.region.machine("node07").status_name == "Releasing"

    with pytest.raises(OperationRefusedError, match="MAAS does not show that it erases its disks"):
        await house.run("node07", Release, **{erase: True})

    assert house.posts == 0


async def test_a_running_erase_is_followed_by_another_erase_request(house: House) -> None:
    house.region.release("node07", "admin", erase="true")

    outcome = await house.run("node07", Release, erase=True)

    assert "is already Disk erasing for admin: not started again" in outcome.message


@pytest.mark.parametrize("asked", [{"secure_erase": True}, {"quick_erase": True}, {"scripts": ["wipe-disks"]}])
async def test_another_kind_of_erase_is_refused_while_an_erase_is_running(house: House, asked: dict[str, Any]) -> None:
    house.region.release("node07", "admin", erase="true")

    with pytest.raises(OperationRefusedError, match="MAAS does not show how it erases its disks"):
        await house.run("node07", Release, **asked)

    assert house.posts == 0
