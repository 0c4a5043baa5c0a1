"""Machines with unreadable fields: no tool acts dangerously on them, and a batch keeps them."""

from typing import Any

import pytest

from maas_deploy.deploy_machines import DeployMachines, DeployMany
from maas_deploy.lock import Lock, Unlock
from maas_deploy.power import PowerCycle, PowerOff, PowerOn
from maas_deploy.release import Release
from maas_mcp.api import (
    CancellationToken,
    MaasConflictError,
    MaasProtocolError,
    OperationRefusedError,
    ProgressReporter,
    Tool,
)
from maas_mcp.maas.reading import JSON
from maas_mcp.operations.batches.allocation import release_unused
from maas_mcp.operations.batches.batch import new_name
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import discard_progress
from tests.house import TIMING, House
from tests.odd import spoilt, with_odd_machine

pytestmark = pytest.mark.anyio

UNREADABLE: list[JSON] = [None, "perhaps", {}, 7]
DEPLOYED = "node07"


@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("tool", [PowerOff, PowerOn, PowerCycle, Lock])
async def test_a_machine_whose_lock_cannot_be_read_is_left_alone(
    house: House, tool: type[Tool[Any, Any]], value: JSON
) -> None:
    house.region.set_power(DEPLOYED, real="off" if tool is PowerOn else "on")  # otherwise no request is needed
    odd = with_odd_machine(house.region.machine(DEPLOYED).system_id, locked=value)
    with spoilt(odd), pytest.raises(OperationRefusedError, match="is treated as locked, because MAAS's `locked` is"):
        await house.call(tool, DEPLOYED)
    assert house.posts == 0


async def test_a_machine_whose_lock_cannot_be_read_is_not_released(house: House) -> None:
    odd = with_odd_machine(house.region.machine(DEPLOYED).system_id, locked=None)
    with spoilt(odd), pytest.raises(OperationRefusedError, match="is treated as locked"):
        await house.run(DEPLOYED, Release)
    assert house.posts == 0


async def test_unlocking_reports_maass_error_if_the_lock_cannot_be_read(house: House) -> None:
    odd = with_odd_machine(house.region.machine(DEPLOYED).system_id, locked=None)
    with spoilt(odd), pytest.raises(MaasConflictError, match="not locked"):
        await house.call(Unlock, DEPLOYED)


@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("tool", [PowerOn, PowerCycle])
async def test_a_deployed_machine_is_not_powered_on_if_that_might_redeploy_it(
    house: House, tool: type[Tool[Any, Any]], value: JSON
) -> None:
    house.region.set_power(DEPLOYED, real="off" if tool is PowerOn else "on")
    odd = with_odd_machine(house.region.machine(DEPLOYED).system_id, ephemeral_deploy=value)
    with spoilt(odd), pytest.raises(OperationRefusedError, match="`ephemeral_deploy` cannot be read") as refused:
        await house.call(tool, DEPLOYED)
    assert house.posts == 0
    assert "elease" not in str(refused.value.hint), "it may be deployed to its disks, and a release would lose its data"


async def started(house: House, *names: str) -> Handle:
    """Start a batch on these machines without waiting."""
    args = DeployMachines(system_ids=[house.region.machine(name).system_id for name in names])
    progress = ProgressReporter(discard_progress)
    outcome = await house.batches.run(
        DeployMany(), args, progress, house.token, name=new_name(DeployMany(), args), wait=0.0
    )
    return outcome.handle


async def test_an_unreadable_machine_stays_in_its_batch(house: House) -> None:
    handle = await started(house, "node01", "node02")
    await house.batches.resume(DeployMany(), handle, ProgressReporter(discard_progress), house.token, wait=30.0)
    with (
        spoilt(with_odd_machine(house.region.machine("node01").system_id, status=None)),
        pytest.raises(MaasProtocolError, match=r"status \("),
    ):
        await house.batches.resume(DeployMany(), handle, ProgressReporter(discard_progress), house.token, wait=0.0)
    ended = await house.batches.resume(DeployMany(), handle, ProgressReporter(discard_progress), house.token, wait=None)
    assert ended.result
    assert ended.result.succeeded == 2


async def test_an_abort_of_a_batch_reports_an_unreadable_machine(house: House) -> None:
    handle = await started(house, "node01", "node02")
    await house.batches.resume(DeployMany(), handle, ProgressReporter(discard_progress), house.token, wait=30.0)
    with (
        spoilt(with_odd_machine(house.region.machine("node01").system_id, status=None)),
        pytest.raises(MaasProtocolError, match=r"\(node01\): `status` cannot be read, so .* was not aborted"),
    ):
        await house.batches.abort(DeployMany(), handle, CancellationToken())
    assert house.region.machine("node02").status_name == "Allocated"
    assert house.region.machine("node01").status_name == "Deploying"


async def test_machines_do_not_count_as_released_while_one_is_unreadable(house: House) -> None:
    for name in ("node01", "node02"):
        await house.maas.post_op("machines/", "allocate", name=name, agent_name="b2xtest")
    with spoilt(with_odd_machine(house.region.machine("node01").system_id, status=None)):
        assert not await release_unused(house.maas, "b2xtest", CancellationToken(), TIMING)
    assert house.region.machine("node02").status_name == "Ready"


@pytest.mark.parametrize("owner", [{"username": "bob"}, 7, ["bob"]])
async def test_a_machine_whose_owner_cannot_be_read_counts_as_another_users(house: House, owner: JSON) -> None:
    odd = with_odd_machine(house.region.machine(DEPLOYED).system_id, owner=owner)
    with spoilt(odd), pytest.raises(OperationRefusedError) as refused:
        await house.run(DEPLOYED)
    assert "an unknown user" in str(refused.value.hint)
    assert "elease" not in str(refused.value.hint)
