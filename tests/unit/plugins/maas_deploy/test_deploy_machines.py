"""Deploying several machines as one batch."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from maas_deploy.deploy import Deploy
from maas_deploy.deploy_machines import DeployedMachines, DeployMachines, DeployMany
from maas_mcp.errors import OperationCancelledError, OperationFailedError, OperationRefusedError
from maas_mcp.operations.batches.batch import new_name
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from tests.house import TIMING, House, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened(Deploy) as house:
        yield house


def ids(house: House, *names: str) -> list[str]:
    return [house.region.machine(name).system_id for name in names]


async def run(
    house: House, handle: Handle | None = None, wait: float | None = None, **arguments: Any
) -> OperationStatus[Any]:
    async def send(progress: Progress) -> None:
        house.reported.append(progress)

    batches = house.batches
    progress = ProgressReporter(send)
    async with progress.reporting():
        if handle is not None:
            return await batches.resume(DeployMany(), handle, progress, house.token, wait=wait)
        args = DeployMachines.model_validate(arguments)
        name = new_name(DeployMany(), args)
        return await batches.run(DeployMany(), args, progress, house.token, name=name, wait=wait)


def ended(outcome: OperationStatus[Any]) -> DeployedMachines:
    assert isinstance(outcome.result, DeployedMachines)
    return outcome.result


async def test_named_machines_are_deployed_with_one_combined_progress(house: House) -> None:
    outcome = await run(house, system_ids=ids(house, "node01", "node02", "node03"), distro_series="jammy")

    assert ended(outcome).succeeded == 3
    assert outcome.state == "succeeded"
    assert {each.machine.distro_series for each in ended(outcome).machines if each.machine} == {"jammy"}
    values = [each.value for each in house.reported]
    assert values == sorted(set(values))
    assert values[-1] == 1.0
    assert any(each.message.startswith("2 of 3 done; ") for each in house.reported)
    assert house.posts == 3


async def test_the_requested_number_of_machines_is_allocated_and_deployed(house: House) -> None:
    outcome = await run(house, count=2, mem=32000)

    assert ended(outcome).succeeded == 2
    assert house.requests("allocate", "POST") == 2
    names = {each.form["agent_name"][0] for each in house.region.requests if each.method == "POST"}
    assert len(names) == 1, "MAAS has the batch's name at each machine"


async def test_no_machine_stays_allocated_if_too_few_match(house: House) -> None:
    with pytest.raises(OperationRefusedError) as refusal:
        await run(house, count=12)

    assert refusal.value.message == (
        "12 machines were requested, but only 5 matching machines were free. Nothing was started. "
        "The allocated machines are released."
    )
    assert refusal.value.hint == "Request 5 or fewer, or relax the constraints."
    assert refusal.value.maas_says == "No machine available."
    assert house.requests("deploy", "POST") == 0
    ready = [f"node0{number}" for number in range(1, 6)]
    assert {house.region.machine(name).status_name for name in ready} == {"Ready"}


async def test_a_failed_machine_is_reported_and_does_not_stop_the_others(house: House) -> None:
    house.region.plan("node02", fail="Installing OS", reason="the disk is on fire")
    outcome = await run(house, system_ids=ids(house, "node01", "node02", "node07"))

    assert outcome.state == "partly_succeeded"
    assert (ended(outcome).succeeded, ended(outcome).failed) == (1, 2)
    messages = [each.message for each in ended(outcome).machines]
    assert "the disk is on fire" in messages[1]
    assert "is Deployed" in messages[2]
    assert DeployMany().summary(ended(outcome)).startswith("1 of 3 machines are deployed.\n")


async def test_a_refused_machine_is_reported_with_maass_own_words(house: House) -> None:
    house.region.faults.append(Fault(op="deploy", status=409, body="The rack is on fire."))

    outcome = await run(house, system_ids=ids(house, "node01", "node02"))

    assert [each.maas_says for each in ended(outcome).machines if each.machine is None] == ["The rack is on fire."]


async def test_a_batch_whose_machines_all_fail_is_an_error_with_every_reason(house: House) -> None:
    for name in ("node01", "node02"):
        house.region.plan(name, fail="Installing OS", reason=f"{name} is on fire")

    with pytest.raises(OperationFailedError) as failure:
        await run(house, system_ids=ids(house, "node01", "node02"))

    assert "node01 is on fire" in (failure.value.maas_says or "")
    assert "node02 is on fire" in (failure.value.maas_says or "")


async def test_another_process_finds_the_machines_of_a_batch_in_maas(house: House) -> None:
    started = await run(house, system_ids=ids(house, "node01", "node02"), wait=0.0)
    assert started.result is None
    await anyio.sleep(100)

    asked = await run(house, started.handle, wait=0.0)
    assert asked.result is None
    assert asked.fraction is not None
    assert 0.0 < asked.fraction < 1.0
    last = await run(house, started.handle)

    assert ended(last).succeeded == 2
    assert house.posts == 2


async def test_a_machine_that_was_released_meanwhile_is_reported(house: House) -> None:
    started = await run(house, system_ids=ids(house, "node01", "node02"), wait=0.0)
    await anyio.sleep(3600)
    house.region.release("node02", "admin")
    await anyio.sleep(3600)

    last = await run(house, started.handle)

    assert last.state == "partly_succeeded"
    assert "no longer part of this batch" in ended(last).machines[1].message


async def test_cancelling_stops_following_and_maas_continues(house: House) -> None:
    house.after(100, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await run(house, system_ids=ids(house, "node01", "node02"))

    assert {house.region.machine(name).status_name for name in ("node01", "node02")} == {"Deploying"}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"count": 1, "system_ids": ["4y3h7n"]},
        {"system_ids": ["4y3h7n", "4y3h7n"]},
        {"system_ids": ["4y3h7n"], "mem": 1},
        {"count": 0},
    ],
)
def test_machines_are_chosen_either_by_ids_or_by_count(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DeployMachines.model_validate(arguments)


async def test_a_call_that_does_not_wait_returns_although_maas_delays_the_requests(house: House) -> None:
    house.region.hold(op="deploy", before=100)
    names = ("node01", "node02", "node03", "node04")

    started = await run(house, wait=0.0, system_ids=ids(house, *names))

    assert started.message == "4 of 4 working"
    assert anyio.current_time() <= 2 * TIMING.refusal_window, "two at a time"
    assert ended(await run(house, started.handle)).succeeded == 4
    assert house.requests("deploy", "POST") == 4


async def test_waiting_for_a_batch_continues_through_an_outage(house: House) -> None:
    started = await run(house, wait=60.0, system_ids=ids(house, "node01", "node02"))
    house.region.faults.append(Fault(status=503, times=1_000_000))

    silent = await run(house, started.handle, wait=40.0)
    house.after(30, house.region.faults.clear)

    assert silent.message == "MAAS unreachable for 40 s; this server has not read its state yet"
    assert ended(await run(house, started.handle)).succeeded == 2


async def test_a_late_refusal_is_reported_for_its_machine(house: House) -> None:
    house.region.hold(op="deploy", before=30)
    house.after(10, lambda: house.region._from_outside("commission", "node02", "bob"))
    started = await run(house, wait=0.0, system_ids=ids(house, "node01", "node02"))

    result = ended(await run(house, started.handle))

    assert (result.succeeded, result.failed) == (1, 1)
    (refused,) = [each.message for each in result.machines if each.machine is None]
    assert refused.startswith("MAAS refused to start maas_deploy_machine on node02: ")
