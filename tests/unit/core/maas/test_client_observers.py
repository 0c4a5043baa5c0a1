"""Observers of a client: each machine that MAAS returns, each change that was sent, and no effect on requests."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from maas_mcp.errors import MaasConflictError, MaasError, MaasUnavailableError
from maas_mcp.maas.change_request import ChangeRequest, RehearsedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import Fault, Latency, MaasRegion
from tests.house import client_of

pytestmark = pytest.mark.anyio


@dataclass
class Recorder:
    """Records the calls, in their order."""

    calls: list[tuple[str, Any, float]] = field(default_factory=list)

    def machines_read(self, machines: Sequence[JSON], asked: float) -> None:
        self.calls.append(("read", [each["system_id"] for each in machines], asked))

    def change_ended(self, change: ChangeRequest, asked: float) -> None:
        self.calls.append(("change", change, asked))

    @property
    def read(self) -> list[list[str]]:
        return [seen for kind, seen, _ in self.calls if kind == "read"]

    @property
    def changes(self) -> list[ChangeRequest]:
        return [seen for kind, seen, _ in self.calls if kind == "change"]


@dataclass
class Place:
    """A region, a client of it, and an observer of the client."""

    region: MaasRegion
    maas: MaasClient
    observer: Recorder

    def path(self, name: str) -> str:
        return f"machines/{self.id(name)}/"

    def id(self, name: str) -> str:
        return self.region.machine(name).system_id


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    with MaasRegion() as region:
        maas, observer = client_of(region), Recorder()
        with maas.observe(observer):
            yield Place(region, maas, observer)
        await maas.aclose()


class TestReads:
    async def test_a_list_and_a_single_read_are_observed(self, place: Place) -> None:
        listed = await place.maas.machines(status="ready")
        machine = await place.maas.machine(listed[0].system_id)
        assert place.observer.read == [[each.system_id for each in listed], [machine.system_id]]

    async def test_the_time_is_from_before_the_request(self, place: Place) -> None:
        await anyio.sleep(5)
        before = anyio.current_time()
        await place.maas.machines()
        assert place.observer.calls[0][2] == before

    @pytest.mark.parametrize("path", ["zones/", "nodes/{}/blockdevices/"])
    async def test_other_objects_are_not_machines(self, place: Place, path: str) -> None:
        await place.maas.get(path.format(place.id("node01")))
        assert place.observer.calls == []

    async def test_a_power_query_returns_no_machine(self, place: Place) -> None:
        await place.maas.get_op(place.path("node01"), "query_power_state")
        assert place.observer.calls == []

    async def test_an_empty_list_is_not_passed_on(self, place: Place) -> None:
        assert await place.maas.machines(hostname="nosuch") == []
        assert place.observer.calls == []

    async def test_a_read_with_a_decoder_is_not_observed(self, place: Place) -> None:
        assert await place.maas.get_as("machines/", len) > 1_000
        assert place.observer.calls == []

    async def test_a_failed_read_is_not_observed(self, place: Place) -> None:
        with pytest.raises(MaasError):
            await place.maas.get("machines/zzzzzz/")
        assert place.observer.calls == []


class TestChanges:
    async def test_a_change_is_observed_after_the_machine_that_it_returns(self, place: Place) -> None:
        await place.maas.put(place.path("node01"), description="a rack server")
        assert [kind for kind, _, _ in place.observer.calls] == ["read", "change"]
        change = place.observer.changes[0]
        assert (change.method, change.op, change.system_ids) == ("PUT", None, (place.id("node01"),))
        assert ("description", "a rack server") in change.parameters

    async def test_an_operation_is_observed(self, place: Place) -> None:
        await place.maas.post_op(place.path("node01"), "commission")
        assert place.observer.read == [[place.id("node01")]]
        assert place.observer.changes[0].op == "commission"

    async def test_an_allocation_returns_the_machine_that_it_does_not_name(self, place: Place) -> None:
        await place.maas.post_op("machines/", "allocate")
        assert len(place.observer.read[0]) == 1
        assert place.observer.changes[0].system_ids == ()

    async def test_a_dry_run_changes_nothing(self, place: Place) -> None:
        await place.maas.post_op("machines/", "allocate", dry_run=True)
        assert place.observer.calls == []

    async def test_a_deletion_is_observed(self, place: Place) -> None:
        system_id = place.id("node01")
        await place.maas.delete(f"machines/{system_id}/")
        assert [(each.method, each.system_ids) for each in place.observer.changes] == [("DELETE", (system_id,))]

    async def test_a_refused_change_is_observed(self, place: Place) -> None:
        with pytest.raises(MaasError):
            await place.maas.post_op(place.path("node01"), "abort")
        assert [each.op for each in place.observer.changes] == ["abort"]

    async def test_a_change_whose_response_was_lost_is_observed(self, place: Place) -> None:
        place.region.faults.append(Fault(op="commission", status=504, body="<html>", acts=True))
        with pytest.raises(MaasUnavailableError):
            await place.maas.post_op(place.path("node01"), "commission")
        assert [each.op for each in place.observer.changes] == ["commission"]
        assert place.observer.read == []

    async def test_a_change_that_is_cancelled_is_observed(self, place: Place) -> None:
        place.region.faults.append(Fault(op="commission", delay=Latency(30)))
        with anyio.move_on_after(1) as scope:
            await place.maas.post_op(place.path("node01"), "commission")
        assert scope.cancelled_caught
        assert [each.op for each in place.observer.changes] == ["commission"]

    async def test_a_change_that_was_prevented_is_not_observed(self, place: Place) -> None:
        async def refuse(_change: ChangeRequest) -> None:
            raise MaasConflictError("not now")

        with pytest.raises(MaasConflictError):
            await place.maas.before_change(refuse).put(place.path("node01"), description="x")
        with pytest.raises(RehearsedError):
            await place.maas.rehearsing(lambda _change: None).put(place.path("node01"), description="x")
        assert place.observer.calls == []


class TestClients:
    async def test_all_clients_derived_from_the_same_one_are_observed(self, place: Place) -> None:
        derived = place.maas.limited(1).guarded(None)
        with derived.observe(late := Recorder()):
            await place.maas.once().machine(place.id("node01"))
            async with place.maas.turn() as turn:
                await turn.machine(place.id("node02"))
        assert late.read == place.observer.read == [[place.id("node01")], [place.id("node02")]]

    async def test_an_observer_sees_nothing_before_and_after_the_block(self, place: Place) -> None:
        observer = Recorder()
        await place.maas.machines()
        with place.maas.observe(observer):
            pass
        await place.maas.machines()
        assert observer.calls == []

    async def test_a_failing_observer_is_logged_and_never_felt(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Failing(Recorder):
            def machines_read(self, *_: object) -> None:
                raise ValueError("a bug")

            def change_ended(self, *_: object) -> None:
                raise ValueError("a bug")

        with place.maas.observe(Failing()), place.maas.observe(last := Recorder()):
            await place.maas.put(place.path("node01"), description="x")
        assert [kind for kind, _, _ in last.calls] == ["read", "change"]
        assert caplog.text.count("An observer of the MAAS client failed") == 2


@pytest.mark.parametrize(
    ("path", "parameters", "named"),
    [
        ("machines/4y3h7n/", (), ("4y3h7n",)),
        ("nodes/4y3h7n/interfaces/7/", (), ("4y3h7n",)),
        ("machines/", (("machines", "4y3h7n"), ("machines", "abc123")), ("4y3h7n", "abc123")),
        ("tags/gpu/", (("add", "4y3h7n,abc123"), ("remove", "4y3h7n")), ("4y3h7n", "abc123")),
        ("machines/4y3h7n/", (("system_id", "4y3h7n"), ("zone", "abc123")), ("4y3h7n",)),
        ("zones/default/", (("name", "rack01"),), ()),
    ],
)
async def test_a_change_names_its_machines(
    path: str, parameters: tuple[tuple[str, str], ...], named: tuple[str, ...]
) -> None:
    assert ChangeRequest("POST", path, None, parameters).system_ids == named
