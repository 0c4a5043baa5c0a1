"""Every tool sends its request once, whatever happens to it, and reports what MAAS shows afterwards."""

from dataclasses import dataclass
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
from maas_simulator import Fault, SimulatedMachine
from maas_simulator.model.faults import Latency
from tests.configuring import CHANGES, PASSWORD, Change
from tests.house import House

pytestmark = pytest.mark.anyio

GATEWAY_TIMEOUT = "<html><head><title>504 Gateway Time-out</title></head></html>"


@dataclass
class Trial:
    """A change of node01."""

    house: House
    change: Change
    machine: SimulatedMachine
    arguments: dict[str, Any]

    async def call(self) -> Any:
        return await self.house.call(self.change.tool, **self.arguments)

    def add_fault(self, **options: Any) -> None:
        """Add a fault of the request that makes the change."""
        method: Any = self.change.method
        fault = Fault(method=method, op=self.change.op, path=self.change.path(self.machine), **options)
        self.house.region.faults.append(fault)

    def add_outage(self, after: float, times: int | None = None) -> None:
        """No read succeeds, from some seconds later on."""
        fault = Fault(method="GET", answer="bad gateway", times=times)
        self.house.after(after, lambda: self.house.region.faults.append(fault))

    @property
    def happened(self) -> bool:
        return self.change.happened(self.house.region, self.machine)

    @property
    def requests(self) -> int:
        return self.change.requests(self.house.region, self.machine)

    @property
    def sent(self) -> list[str]:
        """All changing requests."""
        return [f"{each.method} {each.path}" for each in self.house.region.requests if each.method != "GET"]

    def summary(self, result: Any) -> str:
        text: str = self.change.tool().summary(result)
        return text


@pytest.fixture(params=CHANGES, ids=str)
def trial(request: pytest.FixtureRequest, house: House) -> Trial:
    """Each change."""
    change: Change = request.param
    machine = house.region.machine("node01")
    return Trial(house, change, machine, change.arguments_for(house.region, machine))


def skip_unless(applies: bool, reason: str) -> None:
    if not applies:
        pytest.skip(reason)


async def test_one_request_makes_the_change(trial: Trial) -> None:
    result = await trial.call()

    assert trial.happened
    assert trial.requests == 1
    assert result.sent


async def test_a_second_call_sends_nothing_if_maas_shows_the_change(trial: Trial) -> None:
    skip_unless(trial.change.is_stated, "MAAS does not show whether it has been made")
    await trial.call()
    sent = trial.sent

    again = await trial.call()

    assert not again.sent
    assert trial.sent == sent
    assert "nothing was sent" in trial.summary(again)


@pytest.mark.parametrize("lost", [{"status": 504, "body": GATEWAY_TIMEOUT, "acts": True}, {"drop": "after"}], ids=str)
async def test_a_change_whose_answer_is_lost_is_recognized(trial: Trial, lost: dict[str, Any]) -> None:
    trial.add_fault(**lost)

    if trial.change.proves:
        assert (await trial.call()).sent
    else:
        with pytest.raises(MaasUnavailableError) as failure:
            await trial.call()
        assert "unknown whether it has the new ones" in (failure.value.hint or "")

    assert trial.happened
    assert trial.requests == 1


@pytest.mark.parametrize("lost", [{"status": 504, "body": GATEWAY_TIMEOUT}, {"drop": "before"}], ids=str)
async def test_a_request_that_is_lost_is_reported_and_not_repeated(trial: Trial, lost: dict[str, Any]) -> None:
    trial.add_fault(**lost)

    with pytest.raises(MaasUnavailableError) as failure:
        await trial.call()

    assert not trial.happened
    assert trial.requests == 1
    assert ("seems to have had no effect" if trial.change.proves else "unknown") in (failure.value.hint or "")


REFUSALS_AND_FAILURES: tuple[tuple[dict[str, Any], type[MaasError]], ...] = (
    ({"status": 409, "body": "Not possible in this state."}, MaasConflictError),
    ({"answer": "database conflict"}, MaasUnavailableError),
    ({"answer": "rack down"}, MaasUnavailableError),
    ({"answer": "rate limit"}, MaasUnavailableError),
    ({"status": 500, "body": "ExitError: exit status 1"}, MaasError),
)


async def test_a_refusal_or_failure_is_reported_and_not_repeated(trial: Trial) -> None:
    for calls, (answer, error) in enumerate(REFUSALS_AND_FAILURES, 1):
        trial.add_fault(**answer)

        with pytest.raises(error) as failure:
            await trial.call()

        assert not trial.happened, answer
        assert trial.requests == calls, answer
        assert PASSWORD not in f"{failure.value.message} {failure.value.hint} {failure.value.maas_says}"


async def test_a_failure_of_maas_after_the_change_is_no_failure_of_the_change(trial: Trial) -> None:
    skip_unless(trial.change.proves, "MAAS does not show it")
    trial.add_fault(status=500, body="ExitError: exit status 1", acts=True)

    assert (await trial.call()).sent
    assert trial.requests == 1


async def test_a_conflict_with_a_request_that_made_the_same_change_is_a_success(trial: Trial) -> None:
    skip_unless(trial.change.proves, "MAAS does not show it")
    trial.add_fault(status=409, body="Another request was first.", acts=True)

    await trial.call()

    assert trial.happened
    assert trial.requests == 1


async def test_nothing_is_sent_while_maas_cannot_be_read(trial: Trial) -> None:
    trial.house.region.faults.append(Fault(method="GET", answer="bad gateway", times=None))

    with pytest.raises(MaasUnavailableError):
        await trial.call()

    assert trial.sent == []


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "lost"])
async def test_an_outage_after_the_request_is_reported_with_the_fact_that_it_was_sent(
    trial: Trial, answered: bool
) -> None:
    trial.add_fault(delay=Latency(seconds=2.0))
    if not answered:
        trial.add_fault(drop="after")

    trial.add_outage(after=1)

    with pytest.raises(MaasUnavailableError) as failure:
        await trial.call()

    said = "MAAS accepted" if answered else "MAAS may have carried out"
    assert (failure.value.hint or "").startswith(said)
    assert "Read it before you repeat it" in (failure.value.hint or "")
    assert trial.requests == 1


async def test_a_short_outage_after_the_request_is_waited_out(trial: Trial) -> None:
    trial.add_fault(delay=Latency(seconds=2.0))
    trial.add_outage(after=1, times=6)

    assert (await trial.call()).sent
    assert trial.happened
    assert trial.requests == 1


async def test_an_accepted_change_that_never_shows_is_not_reported_as_made(trial: Trial) -> None:
    skip_unless(trial.change.label != "power parameters", "MAAS's answer is all there is")
    trial.add_fault(status=200, body="{}")

    with pytest.raises(OperationTimedOutError, match=r"MAAS accepted .* is still "):
        await trial.call()

    assert trial.requests == 1


async def test_nothing_is_sent_for_a_cancelled_call(trial: Trial) -> None:
    trial.house.token.cancel()

    with pytest.raises(OperationCancelledError):
        await trial.call()

    assert trial.sent == []


async def test_a_call_that_is_cancelled_while_it_reads_back_ends(trial: Trial) -> None:
    skip_unless(trial.change.label != "power parameters", "MAAS's answer is all there is")
    trial.add_fault(status=200, body="{}")
    trial.house.after(3, trial.house.token.cancel)

    with pytest.raises(OperationCancelledError):
        await trial.call()

    assert trial.requests == 1


async def test_two_calls_at_once_make_one_change(trial: Trial) -> None:
    skip_unless(trial.change.proves, "MAAS does not show it")
    results: list[Any] = []

    async def one() -> None:
        results.append(await trial.call())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        tasks.start_soon(one)

    assert trial.happened
    assert len(results) == 2


async def test_a_locked_machine_is_refused(trial: Trial) -> None:
    skip_unless(trial.change.names_machine, "MAAS ignores the lock, or there is no machine yet")
    trial.machine.locked = True

    with pytest.raises(OperationRefusedError, match=r"node01 \(7xneda\) is locked"):
        await trial.call()

    assert trial.sent == []


async def test_the_machine_of_another_user_is_refused(trial: Trial) -> None:
    skip_unless(trial.change.names_machine, "MAAS ignores the owner, or there is no machine yet")
    trial.machine.owner = "bob"

    with pytest.raises(OperationRefusedError, match=r"node01 \(7xneda\) belongs to bob") as refusal:
        await trial.call()

    assert (refusal.value.hint or "").startswith("Ask bob first.")
    assert trial.sent == []


async def test_a_machine_that_another_user_took_during_the_wait_for_a_turn_is_not_changed(trial: Trial) -> None:
    skip_unless(trial.change.names_machine, "no machine, or several")
    trial.house.region.hold(op="deploy", before=60)
    trial.house.options["wait"] = 0.0
    await trial.house.run("node04")
    await trial.house.run("node05")
    trial.house.after(10, lambda: trial.house.region.change_owner("node01", "bob"))

    with pytest.raises(OperationRefusedError, match="had to wait, and was not sent"):
        await trial.call()

    assert trial.requests == 0
