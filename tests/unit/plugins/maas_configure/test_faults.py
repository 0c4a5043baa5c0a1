"""Every tool sends its request once, whatever happens to it, and reports what MAAS shows afterwards."""

from typing import Any

import anyio
import pytest

from maas_mcp.api import (
    MaasConflictError,
    MaasError,
    MaasUnavailableError,
    OperationCancelledError,
    OperationRefusedError,
    OperationTimedOutError,
)
from maas_simulator import Fault
from maas_simulator.model.faults import Latency
from tests.configuring import CHANGES, PASSWORD, Change
from tests.house import House

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("change", CHANGES, ids=str)]

GATEWAY_TIMEOUT = "<html><head><title>504 Gateway Time-out</title></head></html>"


async def call(house: House, change: Change) -> Any:
    return await house.call(change.tool, **change.arguments_for(house.region))


def fault(change: Change, **options: Any) -> Fault:
    """A fault of the request that makes the change."""
    return Fault(method=change.method, op=change.op, path=change.path, **options)  # type: ignore[arg-type] # a method


def changed(house: House) -> list[str]:
    return [f"{each.method} {each.path}" for each in house.region.requests if each.method != "GET"]


async def test_one_request_makes_the_change(house: House, change: Change) -> None:
    result = await call(house, change)

    assert change.happened(house.region)
    assert change.requests(house.region) == 1
    assert result.sent
    assert (
        "now" in change.tool().summary(result) or "added" in change.tool().summary(result) or change.label == "delete"
    )


async def test_a_second_call_sends_nothing_if_maas_shows_the_change(house: House, change: Change) -> None:
    if not change.is_stated:
        pytest.skip("MAAS does not show whether it has been made")
    await call(house, change)
    sent = changed(house)

    again = await call(house, change)

    assert not again.sent
    assert changed(house) == sent
    assert "nothing was sent" in change.tool().summary(again)


@pytest.mark.parametrize("lost", [{"status": 504, "body": GATEWAY_TIMEOUT, "acts": True}, {"drop": "after"}], ids=str)
async def test_a_change_whose_answer_is_lost_is_recognized(house: House, change: Change, lost: dict[str, Any]) -> None:
    house.region.faults.append(fault(change, **lost))

    if change.proves:
        assert (await call(house, change)).sent
    else:
        with pytest.raises(MaasUnavailableError) as failure:
            await call(house, change)
        assert "unknown whether it has the new ones" in (failure.value.hint or "")

    assert change.happened(house.region)
    assert change.requests(house.region) == 1


@pytest.mark.parametrize("lost", [{"status": 504, "body": GATEWAY_TIMEOUT}, {"drop": "before"}], ids=str)
async def test_a_request_that_is_lost_is_reported_and_not_repeated(
    house: House, change: Change, lost: dict[str, Any]
) -> None:
    house.region.faults.append(fault(change, **lost))

    with pytest.raises(MaasUnavailableError) as failure:
        await call(house, change)

    assert not change.happened(house.region)
    assert change.requests(house.region) == 1
    assert ("seems to have had no effect" if change.proves else "unknown") in (failure.value.hint or "")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 409, "body": "Not possible in this state."}, MaasConflictError),
        ({"answer": "database conflict"}, MaasUnavailableError),
        ({"answer": "rack down"}, MaasUnavailableError),
        ({"answer": "rate limit"}, MaasUnavailableError),
        ({"status": 500, "body": "ExitError: exit status 1"}, MaasError),
    ],
    ids=str,
)
async def test_a_refusal_or_failure_is_reported_and_not_repeated(
    house: House, change: Change, answer: dict[str, Any], error: type[MaasError]
) -> None:
    house.region.faults.append(fault(change, **answer))

    with pytest.raises(error) as failure:
        await call(house, change)

    assert not change.happened(house.region)
    assert change.requests(house.region) == 1
    assert PASSWORD not in f"{failure.value.message} {failure.value.hint} {failure.value.maas_says}"


async def test_a_failure_of_maas_after_the_change_is_no_failure_of_the_change(house: House, change: Change) -> None:
    if not change.proves:
        pytest.skip("MAAS does not show it")
    house.region.faults.append(fault(change, status=500, body="ExitError: exit status 1", acts=True))

    assert (await call(house, change)).sent
    assert change.requests(house.region) == 1


async def test_a_conflict_with_a_request_that_made_the_same_change_is_a_success(house: House, change: Change) -> None:
    if not change.proves:
        pytest.skip("MAAS does not show it")
    house.region.faults.append(fault(change, status=409, body="Another request was first.", acts=True))

    await call(house, change)

    assert change.happened(house.region)
    assert change.requests(house.region) == 1


async def test_nothing_is_sent_while_maas_cannot_be_read(house: House, change: Change) -> None:
    house.region.faults.append(Fault(method="GET", answer="bad gateway", times=None))

    with pytest.raises(MaasUnavailableError):
        await call(house, change)

    assert changed(house) == []


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "lost"])
async def test_an_outage_after_the_request_is_reported_with_the_fact_that_it_was_sent(
    house: House, change: Change, answered: bool
) -> None:
    house.region.faults.append(fault(change, delay=Latency(seconds=2.0)))
    if not answered:
        house.region.faults.append(fault(change, drop="after"))

    def end() -> None:
        house.region.faults.append(Fault(method="GET", answer="bad gateway", times=None))

    house.after(1, end)

    with pytest.raises(MaasUnavailableError) as failure:
        await call(house, change)

    said = "MAAS accepted" if answered else "MAAS may have carried out"
    assert (failure.value.hint or "").startswith(said)
    assert "Read it before you repeat it" in (failure.value.hint or "")
    assert change.requests(house.region) == 1


async def test_a_short_outage_after_the_request_is_waited_out(house: House, change: Change) -> None:
    house.region.faults.append(fault(change, delay=Latency(seconds=2.0)))
    house.after(1, lambda: house.region.faults.append(Fault(method="GET", answer="bad gateway", times=6)))

    assert (await call(house, change)).sent
    assert change.happened(house.region)
    assert change.requests(house.region) == 1


async def test_an_accepted_change_that_never_shows_is_not_reported_as_made(house: House, change: Change) -> None:
    if change.label == "power parameters":
        pytest.skip("MAAS's answer is all there is")
    house.region.faults.append(fault(change, status=200, body="{}"))

    with pytest.raises(OperationTimedOutError, match=r"MAAS accepted .* is still "):
        await call(house, change)

    assert change.requests(house.region) == 1


async def test_nothing_is_sent_for_a_cancelled_call(house: House, change: Change) -> None:
    house.token.cancel()

    with pytest.raises(OperationCancelledError):
        await call(house, change)

    assert changed(house) == []


async def test_a_call_that_is_cancelled_while_it_reads_back_ends(house: House, change: Change) -> None:
    if change.label == "power parameters":
        pytest.skip("MAAS's answer is all there is")
    house.region.faults.append(fault(change, status=200, body="{}"))
    house.after(3, house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await call(house, change)

    assert change.requests(house.region) == 1


async def test_two_calls_at_once_make_one_change(house: House, change: Change) -> None:
    if not change.proves:
        pytest.skip("MAAS does not show it")
    results: list[Any] = []

    async def one() -> None:
        results.append(await call(house, change))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        tasks.start_soon(one)

    assert change.happened(house.region)
    assert len(results) == 2


async def test_a_locked_machine_is_refused(house: House, change: Change) -> None:
    if not change.machine:
        pytest.skip("MAAS ignores the lock, or there is no machine yet")
    house.region.machine(change.machine).locked = True

    with pytest.raises(OperationRefusedError, match=r"node01 \(7xneda\) is locked"):
        await call(house, change)

    assert changed(house) == []


async def test_the_machine_of_another_user_is_refused(house: House, change: Change) -> None:
    if not change.machine:
        pytest.skip("MAAS ignores the owner, or there is no machine yet")
    house.region.machine(change.machine).owner = "bob"

    with pytest.raises(OperationRefusedError, match=r"node01 \(7xneda\) belongs to bob") as refusal:
        await call(house, change)

    assert (refusal.value.hint or "").startswith("Ask bob first.")
    assert changed(house) == []


async def test_a_machine_that_another_user_took_during_the_wait_for_a_turn_is_not_changed(
    house: House, change: Change
) -> None:
    if not change.machine:
        pytest.skip("no machine, or several")
    house.region.hold(op="deploy", before=60)
    house.options["wait"] = 0.0
    await house.run("node04")
    await house.run("node05")
    house.after(10, lambda: house.region.change_owner("node01", "bob"))

    with pytest.raises(OperationRefusedError, match="had to wait, and was not sent"):
        await call(house, change)

    assert change.requests(house.region) == 0
