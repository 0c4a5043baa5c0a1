"""Aborting, locking and allocating."""

from typing import Any

import anyio
import pytest

from maas_deploy.abort import Abort
from maas_deploy.allocate import Allocate
from maas_deploy.lock import Lock, Unlock
from maas_deploy.release import Release
from maas_mcp.api import (
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasProtocolError,
    MaasUnavailableError,
    OperationFailedError,
    OperationRefusedError,
    Tool,
)
from maas_simulator import Fault
from maas_simulator.model.statuses import Status
from tests.house import House

pytestmark = pytest.mark.anyio


async def test_an_aborted_deployment_leaves_the_machine_allocated(house: House) -> None:
    house.region.deploy("node01", "bob")
    await anyio.sleep(200)

    result = await house.call(Abort, "node01", comment="wrong image")

    assert house.posted == [("abort", {"comment": ["wrong image"]})]
    assert (result.aborted, result.was_for, result.status_name) == ("Deploying", "bob", "Allocated")
    assert Abort().summary(result) == (
        "Deploying of bob on node01 was aborted; it is now Allocated for bob, power off."
    )


async def test_an_aborted_commissioning_leaves_the_machine_new(house: House) -> None:
    await house.maas.post_op("machines/7xneda/", "commission")

    result = await house.call(Abort, "node01")

    assert (result.aborted, result.status_name, result.owner) == ("Commissioning", "New", None)


async def test_an_aborted_erase_leaves_the_disks_half_erased(house: House) -> None:
    house.region.release("node07", "admin", erase="true")

    assert (await house.call(Abort, "node07")).status_name == "Failed disk erasing"


async def test_a_deployment_that_ends_although_the_abort_was_lost_is_not_reported_as_aborted(house: House) -> None:
    house.region.deploy("node01", "admin")
    house.region.faults.append(Fault(op="abort", status=504, body="<html>504</html>"))
    house.after(5, lambda: house.region.set_status(house.region.machine("node01"), Status.DEPLOYED))

    with pytest.raises(OperationFailedError, match="was not aborted: it was Deploying and is now Deployed for admin"):
        await house.call(Abort, "node01")


async def test_a_test_that_passes_although_the_abort_was_lost_is_not_reported_as_aborted(house: House) -> None:
    await house.maas.post_op("machines/7xneda/", "test")
    house.region.faults.append(Fault(op="abort", status=504, body="<html>504</html>"))
    house.after(5, lambda: house.region.set_status(house.region.machine("node01"), Status.READY))

    with pytest.raises(OperationFailedError, match="was not aborted: it was Testing and is now Ready"):
        await house.call(Abort, "node01")


async def test_an_unanswered_abort_has_succeeded_if_maass_events_show_it(house: House) -> None:
    await house.maas.post_op("machines/7xneda/", "test")
    house.region.faults.append(Fault(op="abort", status=504, acts=True))

    assert (await house.call(Abort, "node01")).status_name == "Ready"


@pytest.mark.parametrize("name", ["node01", "node07", "node10"])
async def test_a_machine_without_a_running_operation_cannot_be_aborted(house: House, name: str) -> None:
    with pytest.raises(
        OperationRefusedError, match="it has to be one of: Commissioning, Deploying, Disk erasing, Testing"
    ):
        await house.call(Abort, name)

    assert house.posts == 0


async def test_a_release_cannot_be_aborted(house: House) -> None:
    house.region.release("node07", "admin")

    with pytest.raises(OperationRefusedError, match="is Releasing"):
        await house.call(Abort, "node07")


async def test_a_locked_deployment_has_to_be_unlocked_before_it_is_aborted(house: House) -> None:
    house.region.deploy("node01", "admin")
    await house.call(Lock, "node01")

    with pytest.raises(OperationRefusedError, match="is locked") as refusal:
        await house.call(Abort, "node01")
    await house.call(Unlock, "node01")

    assert [step.tool for step in refusal.value.next_steps] == ["machine unlock"]
    assert (await house.call(Abort, "node01")).status_name == "Allocated"


async def test_an_abort_whose_power_off_fails_is_reported(house: House) -> None:
    house.region.deploy("node01", "admin")
    house.region.faults.append(Fault(op="abort", status=500, body="Failed to complete power action: IPMI: timeout"))

    with pytest.raises(MaasError, match="Failed to complete power action: IPMI: timeout"):
        await house.call(Abort, "node01")


async def test_locking_or_unlocking_twice_sends_nothing_the_second_time(house: House) -> None:
    locked = [await house.call(Lock, "node07", comment="production"), await house.call(Lock, "node07")]
    unlocked = [await house.call(Unlock, "node07"), await house.call(Unlock, "node07")]

    assert house.posted == [("lock", {"comment": ["production"]}), ("unlock", {})]
    assert [each.locked for each in (*locked, *unlocked)] == [True, True, False, False]
    assert [Lock().summary(each) for each in locked] == [
        "node07 is locked: Deployed for admin, power on.",
        "node07 was already locked; nothing was sent to MAAS.",
    ]
    assert [Unlock().summary(each) for each in unlocked] == [
        "node07 is unlocked: Deployed for admin, power on.",
        "node07 was already unlocked; nothing was sent to MAAS.",
    ]


@pytest.mark.parametrize("tool", [Lock, Unlock])
async def test_a_call_that_loses_a_race_to_lock_or_unlock_has_not_failed(
    house: House, tool: type[Tool[Any, Any]]
) -> None:
    machine = house.region.machine("node07")
    machine.locked = tool is Unlock
    house.region.hold(op="lock" if tool is Lock else "unlock", before=10.0)
    house.after(5, lambda: setattr(machine, "locked", tool is Lock))

    result = await house.call(tool, "node07")

    assert (result.locked, result.sent) == (tool is Lock, True)


async def test_a_deployment_that_was_aborted_is_not_aborted_again(house: House) -> None:
    house.region.deploy("node01", "admin")
    await anyio.sleep(200)
    house.region.abort("node01", "bob", "wrong image")

    result = await house.call(Abort, "node01")

    assert (result.aborted, result.sent) == ("Deploying", False)
    assert Abort().summary(result) == (
        'Deploying on node01 was already aborted (User aborting deployment - "(bob) - wrong image"); it is now '
        "Allocated for admin. Nothing was sent to MAAS."
    )
    assert house.posts == 0


@pytest.mark.parametrize(
    ("name", "op", "aborted"),
    [("node01", "commission", "Commissioning"), ("node01", "test", "Testing"), ("node07", "release", "Disk erasing")],
)
async def test_aborting_twice_aborts_once(house: House, name: str, op: str, aborted: str) -> None:
    form = {"erase": True} if op == "release" else {}
    await house.maas.post_op(f"machines/{house.region.machine(name).system_id}/", op, **form)
    first, second = await house.call(Abort, name), await house.call(Abort, name)

    assert (first.aborted, first.sent) == (aborted, True)
    assert (second.aborted, second.sent, second.status_name) == (aborted, False, first.status_name)
    assert [op for op, _ in house.posted] == [op, "abort"]


async def test_an_old_abort_is_not_reported_for_a_later_test_that_ended_by_itself(house: House) -> None:
    await house.maas.post_op("machines/7xneda/", "test")
    await house.call(Abort, "node01")
    await house.maas.post_op("machines/7xneda/", "test")
    await anyio.sleep(3600)

    with pytest.raises(OperationRefusedError, match="is Ready; to be aborted"):
        await house.call(Abort, "node01")


async def test_an_abort_that_loses_a_race_to_another_abort_reports_the_status(house: House) -> None:
    house.region.deploy("node01", "admin")
    house.region.hold(op="abort", before=10.0)
    house.after(5, lambda: house.region.abort("node01", "bob"))

    assert (await house.call(Abort, "node01")).status_name == "Allocated"


async def test_a_deployment_that_ends_just_before_its_abort_is_not_reported_as_aborted(house: House) -> None:
    house.region.deploy("node01", "admin")
    house.region.hold(op="abort", before=10.0)
    house.after(5, lambda: house.region.set_status(house.region.machine("node01"), Status.DEPLOYED))

    with pytest.raises(OperationFailedError, match="was not aborted: it was Deploying and is now Deployed for admin"):
        await house.call(Abort, "node01")


async def test_only_a_deployed_machine_can_be_locked(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="it has to be one of: Deployed, Deploying"):
        await house.call(Lock, "node01")

    assert house.posts == 0


async def test_a_locked_machine_is_not_released(house: House) -> None:
    with pytest.raises(OperationRefusedError, match=r"node08 .* is locked"):
        await house.run("node08", Release)

    assert house.posts == 0


async def test_a_machine_is_allocated_by_constraints(house: House) -> None:
    result = await house.call(
        Allocate, cpu_count=4, mem=20000, tags=["ssd"], not_tags=["gpu"], not_in_zone=["az1"], pool="compute"
    )

    (posted,) = house.posted
    assert posted == (
        "allocate",
        {
            "cpu_count": ["4"],
            "mem": ["20000"],
            "tags": ["ssd"],
            "not_tags": ["gpu"],
            "not_in_zone": ["az1"],
            "pool": ["compute"],
        },
    )
    assert (result.hostname, result.status_name, result.owner) == ("node03", "Allocated", "admin")
    assert Allocate().summary(result) == "node03 (ndn36c) is Allocated for admin: amd64/generic, 4 CPUs, 24 GiB."


@pytest.mark.parametrize(
    ("constraints", "hostname"),
    [
        ({"storage": "root:400(sata),data:900"}, "node03"),
        ({"interfaces": "lan:fabric=fabric-0,link_speed=1000", "tags": ["gpu"]}, "node02"),
        ({"subnets": ["cidr:10.10.0.0/24"], "fabrics": ["fabric-0"], "link_speed": 10000, "tags": ["gpu"]}, "node02"),
    ],
)
async def test_a_machine_is_allocated_by_its_disks_and_networks(
    house: House, constraints: dict[str, Any], hostname: str
) -> None:
    result = await house.call(Allocate, **constraints)

    assert (result.hostname, result.status_name) == (hostname, "Allocated")


@pytest.mark.parametrize("which", [{"system_id": "x7twrr"}, {"name": "node06"}, {"name": "node06.maas"}])
async def test_a_machine_that_is_allocated_to_the_caller_is_not_allocated_again(
    house: House, which: dict[str, Any]
) -> None:
    result = await house.call(Allocate, **which, comment="again")

    assert (result.hostname, result.owner, result.was_yours) == ("node06", "admin", True)
    assert Allocate().summary(result) == "node06 (x7twrr) was already allocated to you; nothing was sent to MAAS."
    assert house.posts == 0


@pytest.mark.parametrize("also", [{"tags": ["ssd"]}, {"agent_name": "batch-7"}, {"cpu_count": 1}])
async def test_an_allocated_machine_is_not_returned_if_other_constraints_are_given(
    house: House, also: dict[str, Any]
) -> None:
    with pytest.raises(MaasConflictError):
        await house.call(Allocate, system_id="x7twrr", **also)


async def test_a_machine_that_is_allocated_to_another_user_is_refused(house: House) -> None:
    house.region.machine("node06").owner = "bob"

    with pytest.raises(MaasConflictError, match="No machine with system ID x7twrr available"):
        await house.call(Allocate, system_id="x7twrr")


async def test_an_allocation_that_loses_a_race_to_another_call_of_the_same_user_has_not_failed(house: House) -> None:
    house.region.hold(op="allocate", before=10.0)

    def allocate_first() -> None:
        machine = house.region.machine("node01")
        machine.status, machine.owner = Status.ALLOCATED, "admin"

    house.after(5, allocate_first)

    result = await house.call(Allocate, name="node01")

    assert (result.hostname, result.owner, result.was_yours) == ("node01", "admin", False)


async def test_a_list_repeats_its_key(house: House) -> None:
    await house.call(Allocate, tags=["ssd", "gpu"], agent_name="batch-7", comment="for a test")

    assert house.posted[0][1]["tags"] == ["ssd", "gpu"]
    assert [machine.hostname for machine in await house.maas.machines(agent_name="batch-7")] == ["node02"]


async def test_a_dry_run_allocates_nothing(house: House) -> None:
    result = await house.call(Allocate, tags=["gpu"], dry_run=True)

    assert (result.hostname, result.status_name, result.owner) == ("node02", "Ready", None)
    assert house.region.machine("node02").owner is None


CONSTRAINTS: dict[str, Any] = {
    "name": "node01",
    "arch": "amd64",
    "zone": "az1",
    "not_in_pool": ["storage"],
    "subnets": ["cidr:10.10.0.0/24"],
    "fabrics": ["fabric-0"],
    "storage": "root:50(ssd)",
    "interfaces": "lan:space=dmz",
    "link_speed": 10000,
    "pod": "host1",
}


@pytest.mark.parametrize("name", CONSTRAINTS)
async def test_every_constraint_is_sent_in_maass_form(house: House, name: str) -> None:
    house.region.faults.append(Fault(op="allocate", status=409, body="No machine available."))
    value = CONSTRAINTS[name]

    with pytest.raises(MaasConflictError):
        await house.call(Allocate, **{name: value})

    assert house.posted == [("allocate", {name: value if isinstance(value, list) else [str(value)]})]


@pytest.mark.parametrize(
    ("constraint", "error", "words"),
    [
        ({"cpu_count": 4096}, MaasConflictError, "No available machine matches constraints: .*cpu_count"),
        ({"system_id": "ywtymp"}, MaasConflictError, "No machine with system ID ywtymp available."),
        ({"pool": "nopool"}, MaasBadRequestError, r"No such pool\(s\): nopool"),
    ],
)
async def test_maas_says_why_no_machine_fits(
    house: House, constraint: dict[str, Any], error: type[MaasError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await house.call(Allocate, **constraint)


async def test_a_lost_response_says_that_a_machine_may_be_allocated(house: House) -> None:
    house.region.faults.append(Fault(op="allocate", status=504, body="<html>", acts=True))

    with pytest.raises(MaasUnavailableError) as failure:
        await house.call(Allocate, tags=["gpu"])

    assert "MAAS may have allocated a machine anyway" in (failure.value.hint or "")
    assert house.posts == 1


async def test_an_allocation_is_reported_even_if_no_machine_can_be_read(house: House) -> None:
    house.region.faults.append(Fault(method="GET", path="machines/", status=503, times=None))

    assert (await house.call(Allocate, tags=["gpu"])).hostname == "node02"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "an unknown machine may be allocated"),
        ("[]", "an unknown machine may be allocated"),
        ('{"system_id": "fyc3ff"}', "fyc3ff was allocated"),
    ],
)
async def test_an_unreadable_response_names_the_machine_that_may_be_allocated(
    house: House, body: str, words: str
) -> None:
    house.region.faults.append(Fault(op="allocate", status=200, body=body, acts=True))

    with pytest.raises(MaasProtocolError, match=words) as failure:
        await house.call(Allocate, tags=["gpu"])

    (step,) = failure.value.next_steps
    assert (step.tool, step.arguments) == ("machines read", {"status": ["allocated"]})


async def test_a_dry_run_that_fails_has_allocated_nothing(house: House) -> None:
    house.region.faults.append(Fault(op="allocate", status=504, body="<html>"))

    with pytest.raises(MaasUnavailableError) as failure:
        await house.call(Allocate, dry_run=True)

    assert "allocated" not in (failure.value.hint or "")


def test_the_description_says_that_a_virtual_machine_may_be_composed() -> None:
    assert "compose a virtual machine" in Allocate.description()
