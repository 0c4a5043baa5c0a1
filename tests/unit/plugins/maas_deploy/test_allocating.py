"""Allocating for a batch: never twice, and no machine stays allocated needlessly."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from maas_deploy.deploy import Deploy
from maas_deploy.deploy_machines import DeployedMachines, DeployMachines, DeployMany
from maas_mcp.errors import (
    MaasAuthError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationFailedError,
    OperationRefusedError,
)
from maas_mcp.operations.batches.batch import new_name
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.cancellation import DISCONNECT_CLEANUP, CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from tests.house import TIMING, House, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened(Deploy) as house:
        yield house


def engine(house: House) -> BatchEngine:
    return house.batches


async def deploy(
    house: House, *, wait: float | None = None, abort: bool = False, **arguments: Any
) -> OperationStatus[Any]:
    args = DeployMachines.model_validate(arguments)
    return await engine(house).run(
        DeployMany(),
        args,
        ProgressReporter(discard_progress),
        house.token,
        name=new_name(DeployMany(), args),
        wait=wait,
        on_cancel=CancelPolicy.ABORT if abort else None,
    )


def with_status(house: House, status: str) -> set[str]:
    house.region.play()
    return {each.hostname for each in house.region.machines.values() if each.status_name == status}


def ids(house: House, *names: str) -> list[str]:
    return [house.region.machine(name).system_id for name in names]


def succeeded(outcome: OperationStatus[Any]) -> int:
    assert isinstance(outcome.result, DeployedMachines)
    return outcome.result.succeeded


def gateway_timeout(op: str = "", path: str = "", times: int = 1, *, acts: bool = False) -> Fault:
    """A proxy's timeout response. With ``acts``, MAAS received the request."""
    return Fault(status=504, body="<html>504</html>", op=op or None, path=path, times=times, acts=acts)


async def test_a_machine_whose_allocation_was_not_answered_is_found_by_the_batch_name(house: House) -> None:
    house.region.faults.append(gateway_timeout("allocate", acts=True))
    before = with_status(house, "Allocated")

    outcome = await deploy(house, count=3)

    assert succeeded(outcome) == 3
    assert house.requests("allocate", "POST") == 3
    assert with_status(house, "Allocated") == before


async def test_a_lost_allocation_ends_the_batch_after_a_minute_and_releases_its_machines(
    house: House,
) -> None:
    ready = with_status(house, "Ready")
    house.after(3, lambda: house.region.faults.append(gateway_timeout("allocate")))
    house.region.hold(op="allocate", after=2)

    with pytest.raises(MaasUnavailableError, match="op=allocate"):
        await deploy(house, count=3)

    assert TIMING.start_grace <= anyio.current_time() < TIMING.start_grace + 20
    assert house.requests("deploy", "POST") == 0
    assert with_status(house, "Ready") == ready


async def test_a_failed_release_of_batch_machines_is_retried_until_maas_answers(house: House) -> None:
    ready = with_status(house, "Ready")
    house.region.faults.append(gateway_timeout("release", times=3))

    with pytest.raises(OperationRefusedError):
        await deploy(house, count=len(ready) + 1)

    assert with_status(house, "Ready") == ready
    assert house.requests("release", "POST") == 4


async def test_an_error_names_the_batch_whose_machines_could_not_be_released(house: House) -> None:
    house.region.faults.append(gateway_timeout("release", times=1000))

    with pytest.raises(OperationRefusedError) as failure:
        await deploy(house, count=12)

    assert "may still be allocated" in (failure.value.hint or "")
    name = next(each.form["agent_name"][0] for each in house.region.requests if each.op == "allocate")
    assert name in (failure.value.hint or "")


async def test_a_rejected_api_key_ends_the_call_at_once(house: House) -> None:
    house.after(20, lambda: house.region.faults.append(Fault(status=401, body="Forbidden", times=1000)))

    with pytest.raises(MaasAuthError):
        await deploy(house, count=2)

    assert anyio.current_time() < 40


async def test_a_cancelled_batch_releases_unstarted_machines_and_waits_for_sent_requests(
    house: House,
) -> None:
    ready = with_status(house, "Ready")
    house.region.hold(op="deploy", before=20)
    house.after(15, house.token.cancel)  # two requests have been sent by then, three have not

    with pytest.raises(OperationCancelledError):
        await deploy(house, count=5)

    assert len(with_status(house, "Deploying") & ready) == 2
    assert len(with_status(house, "Ready") & ready) == 3
    assert house.requests("deploy", "POST") == 2


async def test_a_cancelled_batch_with_abort_leaves_started_machines_allocated(house: House) -> None:
    ready = with_status(house, "Ready")
    house.after(100, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await deploy(house, count=2, abort=True)

    assert len(with_status(house, "Allocated") & ready) == 2


async def test_a_running_allocation_is_waited_for_and_released_after_a_cancel(house: House) -> None:
    ready = with_status(house, "Ready")
    house.region.hold(op="allocate", before=5)
    house.after(12, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await deploy(house, count=3)

    assert with_status(house, "Ready") == ready
    allocated = [each for each in house.region.log.events if each.type == "User acquiring node"]
    assert len(allocated) >= 3, "the running allocation completed"


async def test_a_lost_connection_leaves_a_second_to_release_machines(house: House) -> None:
    house.region.hold(op="allocate", before=5)
    house.region.hold(op="release", before=60)

    def lost() -> None:
        house.token.cancel(CancelReason.CONNECTION_LOST)

    house.after(12, lost)
    with pytest.raises(OperationCancelledError):
        await deploy(house, count=3)

    assert anyio.current_time() <= 12 + DISCONNECT_CLEANUP + 0.1


async def test_a_lost_connection_shortens_a_running_cleanup(house: House) -> None:
    token = CancellationToken()
    house.after(10, lambda: token.announce(CancelReason.CONNECTION_LOST))

    with token.undoing(60) as scope:
        await anyio.sleep(3600)

    assert scope.cancelled_caught
    assert anyio.current_time() == pytest.approx(10 + DISCONNECT_CLEANUP)


async def test_an_allocated_machine_is_refused_before_anything_is_sent(house: House) -> None:
    await house.maas.post_op("machines/", "allocate", name="node02")
    posts = house.posts

    with pytest.raises(OperationRefusedError, match=ids(house, "node02")[0]):
        await deploy(house, system_ids=ids(house, "node01", "node02"))

    assert house.posts == posts


async def test_a_machine_that_maas_refuses_to_deploy_is_released(house: House) -> None:
    ready = with_status(house, "Ready")
    house.region.faults.append(Fault(op="deploy", status=400, body='{"distro_series": ["not known"]}'))

    outcome = await deploy(house, count=2)

    assert outcome.state == "partly_succeeded"
    assert len(with_status(house, "Ready") & ready) == len(ready) - 1


async def test_a_machine_that_another_call_deploys_is_reported(house: House) -> None:
    house.region.deploy("node02", "admin")

    outcome = await deploy(house, system_ids=ids(house, "node01", "node02"))

    assert outcome.state == "partly_succeeded"
    assert isinstance(outcome.result, DeployedMachines)
    reported = outcome.result.machines[1]
    assert "not started again" in reported.message
    assert reported.hint == "Wait until it ends, or abort it first."


async def test_a_running_batch_of_the_same_machines_is_found_by_the_comments_in_maass_log(house: House) -> None:
    machines = ids(house, "node01", "node02", "node03")
    first = await deploy(house, system_ids=machines, comment="for the demo", wait=0)
    again = await deploy(house, system_ids=machines, wait=0)

    assert again.handle.system_id == first.handle.system_id
    assert house.requests("deploy", "POST") == 3
    assert succeeded(await deploy(house, system_ids=machines)) == 3


async def test_machines_of_two_batches_are_not_followed_as_one_batch(house: House) -> None:
    await deploy(house, system_ids=ids(house, "node01"), wait=0)
    await deploy(house, system_ids=ids(house, "node02"), wait=0)

    with pytest.raises(OperationFailedError, match="failed on all 2"):
        await deploy(house, system_ids=ids(house, "node01", "node02"), wait=0)


async def test_an_unfinished_batch_is_found_and_can_be_released(house: House) -> None:
    ready = with_status(house, "Ready")
    name = new_name(DeployMany(), DeployMachines(count=2))
    comment = DeployMany().label(name, "for the demo")
    for _ in range(2):
        await house.maas.post_op("machines/", "allocate", agent_name=name, comment=comment)

    batches = engine(house)
    (found,) = await house.batches_under_way(DeployMany(), process=batches)
    assert (found.operation, found.system_id) == (DeployMany.name, name)
    reported = await batches.resume(DeployMany(), found, ProgressReporter(discard_progress), house.token)
    assert reported.message.startswith("2 of 2 machines are allocated, and none of them is started yet")
    await batches.abort(DeployMany(), found, house.token)

    assert with_status(house, "Ready") == ready
    assert await house.batches_under_way(DeployMany(), process=batches) == []


async def test_an_outage_does_not_fail_a_machine_of_a_batch(house: House) -> None:
    started = await deploy(house, system_ids=ids(house, "node01", "node02"), wait=0)
    house.region.faults.append(gateway_timeout(path="events/", times=10))  # the members can still be listed

    with pytest.raises(MaasUnavailableError):
        await engine(house).resume(DeployMany(), started.handle, ProgressReporter(discard_progress), house.token)


async def test_the_state_of_a_batch_has_the_reason_of_a_failed_machine(house: House) -> None:
    house.region.faults.append(Fault(op="deploy", status=403, body=""))
    reported = await deploy(house, system_ids=ids(house, "node01", "node02"), wait=0)

    assert reported.message.startswith("1 of 2 failed, 1 of 2 working; ")
    assert "403" in reported.message


async def test_an_abort_continues_with_the_others_if_maas_refuses_one(house: House) -> None:
    started = await deploy(house, system_ids=ids(house, "node01", "node02"), wait=0)
    house.region.faults.append(Fault(op="abort", status=403, body=""))
    handle: Handle = started.handle

    with pytest.raises(Exception, match="403"):
        await engine(house).abort(DeployMany(), handle, house.token)

    assert house.requests("abort", "POST") == 2
