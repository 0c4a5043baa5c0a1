"""Simultaneous reads share a request, and every caller gets its own result."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from maas_mcp.errors import MaasError, MaasNotFoundError, MaasProtocolError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.machine_ids import URL_BYTES
from maas_mcp.maas.models import Machine
from maas_mcp.operations.watching.grouping import MAX_MACHINES
from maas_mcp.operations.watching.shared_reads import REQUESTS, SharedReads
from maas_simulator import Fault, Latency, SimulatedRegion, generated_region
from tests.house import TIMING, client_of
from tests.odd import spoilt, with_odd_machine

pytestmark = pytest.mark.anyio

WINDOW = TIMING.sharing
OUTAGE = Fault(path="machines/", answer="gateway timeout", times=None)


@dataclass
class Readers:
    """Calls that read at given times, with their results."""

    region: SimulatedRegion
    reads: SharedReads = field(default_factory=lambda: SharedReads(TIMING))
    got: dict[str, Any] = field(default_factory=dict)
    """Responses and errors, by system id or name of the call."""
    times: dict[str, float] = field(default_factory=dict)
    """The time of each response."""

    def __post_init__(self) -> None:
        self.maas = client_of(self.region)

    async def machine(
        self, system_id: str, *, after: float = 0.0, maas: MaasClient | None = None, name: str | None = None
    ) -> None:
        await self._note(name or system_id, after, lambda: self.reads.machine(maas or self.maas, system_id))

    async def newest(self, name: str, *, after: float = 0.0) -> None:
        await self._note(name, after, lambda: self.reads.newest_event_id(self.maas))

    async def together(self, *system_ids: str) -> None:
        async with anyio.create_task_group() as tasks:
            for each in system_ids:
                tasks.start_soon(self.machine, each)

    async def _note(self, name: str, after: float, read: Callable[[], Awaitable[Any]]) -> None:
        await anyio.sleep(after)
        try:
            self.got[name] = await read()
        except MaasError as error:
            self.got[name] = error
        self.times[name] = anyio.current_time()

    @property
    def sent(self) -> list[tuple[float, list[str]]]:
        """The time and machines of each request: one by its path, or several by their ids."""
        return [
            (each.time, each.query.get("id", []) or [each.path.split("/")[-2]])
            for each in self.region.requests
            if each.path.startswith("/MAAS/api/2.0/machines/")
        ]


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    readers = Readers(generated_region(120, speed=1.0, clock=anyio.current_time))
    yield readers
    await readers.maas.aclose()


def names(number: int) -> list[str]:
    return [f"m{each + 1:05}" for each in range(number)]


def machines_per_request(readers: Readers) -> list[int]:
    """Return the number of machines in each request."""
    return [len(ids) for _, ids in readers.sent]


class TestTogether:
    async def test_simultaneous_reads_share_one_request(self, readers: Readers) -> None:
        await readers.together(*names(5))

        assert [sorted(ids) for _, ids in readers.sent] == [names(5)]
        assert {name: machine.system_id for name, machine in readers.got.items()} == {each: each for each in names(5)}

    async def test_a_single_read_is_sent_at_once_with_the_machine_in_its_path(self, readers: Readers) -> None:
        await readers.machine("m00001")

        assert anyio.current_time() == 0
        assert readers.region.requests[0].template == "machines/{system_id}/"

    async def test_the_same_machine_is_read_once_for_all(self, readers: Readers) -> None:
        await readers.together("m00001", "m00001", "m00001")

        assert machines_per_request(readers) == [1]

    async def test_reads_soon_after_another_read_share_one_request(self, readers: Readers) -> None:
        async with anyio.create_task_group() as tasks:
            for number, each in enumerate(names(5)):
                tasks.start_soon(lambda each, after: readers.machine(each, after=after), each, number * WINDOW / 5)

        assert machines_per_request(readers) == [1, 4]
        assert all(time <= WINDOW for time in readers.times.values())

    async def test_reads_further_apart_are_not_delayed(self, readers: Readers) -> None:
        for each in names(3):
            await anyio.sleep(WINDOW)
            began = anyio.current_time()
            await readers.machine(each)
            assert anyio.current_time() == began

        assert machines_per_request(readers) == [1, 1, 1]

    async def test_many_machines_are_split_into_requests_that_fit_into_a_url(self, readers: Readers) -> None:
        await readers.together(*names(120))

        assert sorted(machines_per_request(readers)) == [120 - 2 * MAX_MACHINES, MAX_MACHINES, MAX_MACHINES]
        assert MAX_MACHINES * len("&id=" + "x" * 41) <= URL_BYTES
        assert {machine.system_id for machine in readers.got.values()} == set(names(120))

    async def test_more_reads_share_a_request_while_maas_is_slow(self, readers: Readers) -> None:
        readers.region.hold(op="machines", before=2.0)
        async with anyio.create_task_group() as tasks:
            for number, each in enumerate(names(20)):
                tasks.start_soon(lambda each, after: readers.machine(each, after=after), each, number * 0.1)

        assert machines_per_request(readers)[:REQUESTS] == [1] * REQUESTS
        assert len(readers.sent) == REQUESTS + 1

    async def test_reads_with_long_retries_do_not_delay_reads_without(self, readers: Readers) -> None:
        readers.region.faults.append(Fault(path="machines/", status=503, headers={"Retry-After": "20"}, times=None))
        once = readers.maas.once()
        async with anyio.create_task_group() as tasks:
            for number, each in enumerate(names(REQUESTS)):
                tasks.start_soon(lambda each, after: readers.machine(each, after=after), each, number * WINDOW)
            tasks.start_soon(lambda: readers.machine("m00009", after=1.0, maas=once))
            await anyio.sleep(2.0)
            assert list(readers.times.items()) == [("m00009", 1.0)]

    async def test_clients_with_different_retries_do_not_share(self, readers: Readers) -> None:
        once = readers.maas.once()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers.machine, "m00001")
            tasks.start_soon(lambda: readers.machine("m00002", maas=once))

        assert machines_per_request(readers) == [1, 1]


class TestFresh:
    async def test_a_read_never_returns_a_state_from_before_its_call(self, readers: Readers) -> None:
        readers.region.hold(op="machines", after=1.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: readers.machine("m00001", name="first"))
            await anyio.sleep(0.5)
            readers.region.change_owner("m00001", "admin")
            tasks.start_soon(lambda: readers.machine("m00001", name="second"))

        assert readers.got["first"].owner is None
        assert readers.got["second"].owner == "admin"

    async def test_one_read_of_the_newest_event_serves_all_earlier_callers(self, readers: Readers) -> None:
        async with anyio.create_task_group() as tasks:
            for each in names(10):
                tasks.start_soon(readers.newest, each)

        assert len(readers.region.requests) == 1
        assert set(readers.got.values()) == {readers.region.log.next_id - 1}

    async def test_a_call_during_a_read_of_the_newest_event_gets_the_next_one(self, readers: Readers) -> None:
        readers.region.hold(op="events", after=1.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers.newest, "first")
            await anyio.sleep(0.5)
            readers.region.change_owner("m00001", "admin")
            for each in ("second", "third"):
                tasks.start_soon(readers.newest, each)

        assert readers.got["second"] == readers.got["third"] == readers.region.log.next_id - 1
        assert readers.got["first"] < readers.got["second"]
        assert len(readers.region.requests) == 2

    async def test_an_empty_event_log_returns_0_to_all_callers(self, readers: Readers) -> None:
        readers.region.log.events.clear()
        await readers.newest("first")

        assert readers.got == {"first": 0}


class TestFailures:
    async def test_an_unknown_machine_gets_its_own_error_and_does_not_affect_others(self, readers: Readers) -> None:
        await readers.together("m00001", "nosuch", "m00002")

        error = readers.got.pop("nosuch")
        assert isinstance(error, MaasNotFoundError)
        assert error.maas_says is not None
        assert [ids for _, ids in readers.sent][1:] == [["nosuch"]]
        assert {machine.system_id for machine in readers.got.values()} == {"m00001", "m00002"}

    async def test_an_unreadable_machine_does_not_affect_others(self, readers: Readers) -> None:
        with spoilt(with_odd_machine("m00002", status=None)):
            await readers.together("m00001", "m00002", "m00003")

        assert isinstance(readers.got.pop("m00002"), MaasProtocolError)
        assert {machine.system_id for machine in readers.got.values()} == {"m00001", "m00003"}

    async def test_an_invalid_system_id_is_not_sent(self, readers: Readers) -> None:
        await readers.together("m00001", "../users", "x" * 42)

        assert [ids for _, ids in readers.sent] == [["m00001"]]
        assert isinstance(readers.got["../users"], MaasNotFoundError)
        assert isinstance(readers.got["x" * 42], MaasNotFoundError)

    async def test_machines_are_read_one_by_one_if_maas_cannot_list_them(self, readers: Readers) -> None:
        readers.region.faults.append(Fault(path="machines/", status=500, body="TypeError: of one of them"))
        await readers.together(*names(3))

        assert machines_per_request(readers) == [3, 1, 1, 1]
        assert all(isinstance(each, Machine) for each in readers.got.values())

    async def test_every_caller_gets_its_own_error_in_an_outage(self, readers: Readers) -> None:
        readers.region.faults.append(OUTAGE)
        once = readers.maas.once()
        async with anyio.create_task_group() as tasks:
            for each in names(3):
                tasks.start_soon(lambda each: readers.machine(each, maas=once), each)

        errors = list(readers.got.values())
        assert [type(error) for error in errors] == [MaasUnavailableError] * 3
        assert len({id(error) for error in errors}) == 3
        assert len({(error.message, error.hint, error.status, error.retry_after) for error in errors}) == 1
        assert machines_per_request(readers) == [3]

    async def test_a_short_outage_is_retried_once_for_all_callers(self, readers: Readers) -> None:
        readers.region.faults.append(Fault(path="machines/", answer="gateway timeout", times=2))
        await readers.together(*names(3))

        assert machines_per_request(readers) == [3, 3, 3]
        assert all(isinstance(each, Machine) for each in readers.got.values())

    async def test_after_an_outage_reads_are_shared_again(self, readers: Readers) -> None:
        readers.region.faults.append(OUTAGE)
        await readers.together(*names(3))
        readers.region.faults.clear()
        readers.region.requests.clear()
        await readers.together(*names(3))

        assert machines_per_request(readers) == [3]


class TestCancelled:
    @pytest.mark.parametrize("during", ["the wait", "the request"])
    @pytest.mark.parametrize("which", [0, 1, 2])
    async def test_a_cancelled_caller_does_not_cancel_the_reads_of_others(
        self, readers: Readers, which: int, during: str
    ) -> None:
        """It does not matter which caller sends the request."""
        leaves_after = 0.5 if during == "the request" else WINDOW / 2
        if during == "the request":
            readers.region.faults.append(Fault(path="machines/", delay=Latency(seconds=1.0), times=None))
        else:
            await readers.machine("m00009")  # so that the others have to wait
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def read(number: int) -> None:
            await anyio.sleep(number / 1000)
            with scopes[number]:
                await readers.machine(names(3)[number])

        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(read, number)
            await anyio.sleep(leaves_after)
            scopes[which].cancel()

        assert {each for each in names(3) if each in readers.got} == set(names(3)) - {names(3)[which]}
        assert len(readers.sent) <= 3

    async def test_another_caller_reads_the_newest_event_if_the_sending_one_is_cancelled(
        self, readers: Readers
    ) -> None:
        readers.region.hold(op="events", before=1.0)
        reading = anyio.CancelScope()

        async def leave() -> None:
            with reading:
                await readers.newest("leaves")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(0.5)
            for each in ("second", "third", "fourth"):
                tasks.start_soon(readers.newest, each)
            await anyio.sleep(0.1)
            reading.cancel()

        assert readers.got == dict.fromkeys(["second", "third", "fourth"], readers.region.log.next_id - 1)
        assert len(readers.region.requests) == 2

    async def test_reads_still_share_a_request_after_their_sender_is_cancelled(self, readers: Readers) -> None:
        await readers.machine("m00009")
        sending = anyio.CancelScope()

        async def leave() -> None:
            with sending:
                await readers.machine("m00001")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            await anyio.wait_all_tasks_blocked()
            for each in names(5)[1:]:
                tasks.start_soon(readers.machine, each)
            await anyio.wait_all_tasks_blocked()
            sending.cancel()

        assert machines_per_request(readers) == [1, 4]

    async def test_nothing_is_sent_after_all_callers_are_cancelled_and_the_next_read_is_not_delayed(
        self, readers: Readers
    ) -> None:
        await readers.machine("m00009")
        with anyio.move_on_after(WINDOW / 2):
            await readers.together(*names(3))
        await readers.machine("m00001")

        assert [ids for _, ids in readers.sent] == [["m00009"], ["m00001"]]
        assert readers.times["m00001"] == WINDOW
