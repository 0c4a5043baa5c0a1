"""Progress messages as clients receive them."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.operations.progress import Progress, ProgressReporter, format_duration

pytestmark = pytest.mark.anyio


class Client:
    """Records the messages it receives, with the time."""

    def __init__(self) -> None:
        self.received: list[Progress] = []
        self.times: list[float] = []

    async def __call__(self, progress: Progress) -> None:
        self.received.append(progress)
        self.times.append(anyio.current_time())

    @property
    def messages(self) -> list[str]:
        return [progress.message for progress in self.received]

    @property
    def values(self) -> list[float]:
        return [progress.value for progress in self.received]


async def test_the_first_and_the_last_report_are_always_sent() -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        progress.report(0.0, "Starting")
        await anyio.sleep(0.01)
        progress.report(0.5, "Installing OS")
        progress.report(1.0, "Deployed")

    assert client.messages == ["Starting", "Deployed"]
    assert client.received[-1] == Progress(1.0, 1.0, "Deployed")


async def test_a_report_before_the_sending_starts_is_sent_at_once() -> None:
    client = Client()
    progress = ProgressReporter(client)
    progress.report(0.0, "Waiting")
    async with progress.reporting():
        await anyio.sleep(0.01)
        assert client.messages == ["Waiting"]


async def test_a_call_without_a_report_starts_no_task() -> None:
    progress = ProgressReporter(Client())
    before = len(anyio.get_running_tasks())
    async with progress.reporting():
        assert len(anyio.get_running_tasks()) == before
        progress.report(0.0, "Starting")
        assert len(anyio.get_running_tasks()) == before + 1


async def test_a_report_after_the_end_sends_nothing() -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        progress.report(1.0, "Deployed")
    progress.report(1.0, "Late")

    assert client.messages == ["Deployed"]


async def test_in_a_burst_only_the_latest_report_is_sent_at_a_minimum_gap() -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        for number in range(100):
            progress.report(number / 100, str(number))
            await anyio.sleep(0.01)

    gaps = [later - earlier for earlier, later in zip(client.times, client.times[1:], strict=False)]
    assert all(gap >= 0.249 for gap in gaps[:-1])
    assert len(client.received) <= 6
    assert client.messages[-1] == "99"


async def test_a_heartbeat_repeats_the_message_and_raises_the_value_a_little() -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        progress.report(0.4, "Installing OS")
        await anyio.sleep(35)

    assert client.messages == [
        "Installing OS",
        "Installing OS (10 s so far)",
        "Installing OS (20 s so far)",
        "Installing OS (31 s so far)",
    ]
    assert client.values == sorted(set(client.values))
    assert client.values[-1] < 0.401


async def test_an_hour_of_heartbeats_does_not_reach_the_next_milestone() -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        progress.report(0.4, "Installing OS")
        await anyio.sleep(3600)

    assert 340 < len(client.received) < 362
    assert client.values == sorted(set(client.values))
    assert client.values[-1] < 0.43


async def test_nothing_is_sent_after_a_cancellation() -> None:
    client = Client()
    progress = ProgressReporter(client)
    with anyio.move_on_after(1):
        async with progress.reporting():
            progress.report(0.1, "Deploying")
            try:
                await anyio.sleep(60)
            finally:
                progress.report(0.2, "too late")
    progress.report(0.3, "much too late")
    await anyio.sleep(30)

    assert client.messages == ["Deploying"]


async def test_a_failure_of_the_operation_still_sends_its_last_report() -> None:
    client = Client()
    progress = ProgressReporter(client)

    async def fails() -> None:
        async with progress.reporting():
            progress.report(0.1, "Deploying")
            await anyio.sleep(1)
            progress.report(None, "Failed deployment")
            raise ValueError("on fire")

    with pytest.raises(ValueError, match="on fire"):
        await fails()
    assert client.messages == ["Deploying", "Failed deployment"]


async def test_a_client_that_does_not_read_delays_nothing() -> None:
    async def never(_progress: Progress) -> None:
        await anyio.sleep_forever()

    progress = ProgressReporter(never)
    started = anyio.current_time()
    async with progress.reporting():
        progress.report(0.1, "Deploying")
        await anyio.lowlevel.checkpoint()
        progress.report(0.2, "Loading ephemeral")

    assert anyio.current_time() - started <= 4.5


async def test_a_message_being_sent_is_completed_at_the_end() -> None:
    arrived = []

    async def slow(progress: Progress) -> None:
        await anyio.sleep(1)
        arrived.append(progress.message)

    progress = ProgressReporter(slow)
    async with progress.reporting():
        progress.report(0.1, "Deploying")
        await anyio.sleep(2)
        progress.report(1.0, "Deployed")
        await anyio.sleep(0.1)

    assert arrived == ["Deploying", "Deployed"]


async def test_a_failing_client_affects_nothing() -> None:
    async def broken(_progress: Progress) -> None:
        raise ConnectionResetError

    progress = ProgressReporter(broken)
    async with progress.reporting():
        progress.report(0.1, "Deploying")
        await anyio.sleep(1)


async def test_without_a_fraction_the_elapsed_time_is_sent_without_a_total() -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        progress.report(None, "Releasing")
        await anyio.sleep(12)
        progress.report(1.0, "Ready")

    assert all(each.total is None for each in client.received)
    assert client.values == sorted(set(client.values))
    assert client.values[-1] == pytest.approx(12)


@given(st.lists(st.none() | st.floats(), min_size=1, max_size=20))
async def test_sent_values_always_increase_and_are_finite(fractions: list[float | None]) -> None:
    client = Client()
    progress = ProgressReporter(client)
    async with progress.reporting():
        progress.report(0.0, "first")
        for fraction in fractions:
            await anyio.sleep(1)
            progress.report(fraction, "next")

    assert client.values == sorted(set(client.values))
    assert all(0 <= value <= 1 for value in client.values)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (5400, "1 h 30 min")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
