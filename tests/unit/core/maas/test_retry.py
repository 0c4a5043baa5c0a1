"""Retries of reads within seconds, on a virtual clock."""

from collections.abc import Callable

import pytest
import trio

from maas_mcp.errors import MaasConflictError, MaasTlsError, MaasUnavailableError
from maas_mcp.maas.retry import Backoff, retry

pytestmark = pytest.mark.anyio


class Flaky:
    """Raises the given errors, then succeeds. Records the time of each call."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(trio.current_time())
        if self.failures:
            raise self.failures.pop(0)
        return "result"

    @property
    def waits(self) -> list[float]:
        return [round(after - before, 3) for before, after in zip(self.times, self.times[1:], strict=False)]


def always(value: float) -> Callable[[], float]:
    return lambda: value


async def test_a_successful_read_is_sent_once() -> None:
    flaky = Flaky()
    assert await retry(flaky, Backoff()) == "result"
    assert len(flaky.times) == 1


async def test_waits_double_and_are_jittered_from_zero_to_full() -> None:
    for jitter, waits in ((1.0, [0.25, 0.5, 1.0]), (0.5, [0.125, 0.25, 0.5]), (0.0, [0.0, 0.0, 0.0])):
        flaky = Flaky(*(MaasUnavailableError("down") for _ in range(3)))
        assert await retry(flaky, Backoff(jitter=always(jitter))) == "result"
        assert flaky.waits == waits


async def test_waits_are_capped() -> None:
    flaky = Flaky(*(MaasUnavailableError("down") for _ in range(7)))
    await retry(flaky, Backoff(attempts=8, jitter=always(1.0)))
    assert flaky.waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


async def test_the_last_error_is_raised_after_four_attempts() -> None:
    flaky = Flaky(*(MaasUnavailableError(f"failure {n}") for n in range(1, 9)))
    with pytest.raises(MaasUnavailableError, match="failure 4"):
        await retry(flaky, Backoff())
    assert len(flaky.times) == 4


async def test_a_longer_retry_after_replaces_the_delay() -> None:
    flaky = Flaky(MaasUnavailableError("rack down", retry_after=10), MaasUnavailableError("again", retry_after=0.1))
    await retry(flaky, Backoff(jitter=always(1.0)))
    assert flaky.waits == [10.0, 0.5]


async def test_a_retry_after_of_minutes_is_raised_to_the_caller() -> None:
    flaky = Flaky(MaasUnavailableError("maintenance", retry_after=31))
    with pytest.raises(MaasUnavailableError, match="maintenance"):
        await retry(flaky, Backoff())
    assert len(flaky.times) == 1


@pytest.mark.parametrize("error", [MaasConflictError("no"), MaasTlsError("not trusted", sent=False), ValueError("bug")])
async def test_a_permanent_error_is_not_retried(error: Exception) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        await retry(flaky, Backoff())
    assert len(flaky.times) == 1


async def test_a_wait_can_be_cancelled() -> None:
    flaky = Flaky(MaasUnavailableError("rack down", retry_after=10))
    with trio.move_on_after(3) as scope:
        await retry(flaky, Backoff())
    assert scope.cancelled_caught
    assert trio.current_time() - flaky.times[0] == pytest.approx(3)
