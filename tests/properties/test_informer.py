"""The property of the informer: after any changes, it says what MAAS says, within the bound that it states.

Machines are changed by this server, by others with an event and without one, deleted and added; MAAS restarts, and
events are lost or the event log is reset.
"""

import contextlib
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

import anyio
import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from maas_inventory.informer.filters import Filter
from maas_mcp.api import Event, EventNews, MaasClient, MaasMcpError, MaasUnavailableError
from maas_mcp.operations.watching.watcher import Watcher
from maas_simulator import demo_region
from maas_simulator.http.render import machine_json
from maas_simulator.model.oddities import OddMachine
from maas_simulator.model.refusals import Refusal
from tests.house import client_of
from tests.inventory import Bench, opened
from tests.odd import json_values

pytestmark = pytest.mark.anyio

SLACK: Final = 60.0
"""Seconds beyond the stated bound: the last requests, and waiting for a region that had restarted."""
REGION: Final = demo_region(speed=0.0)
NAMES: Final = [f"node{number:02}" for number in range(1, 13)]
Act = Callable[[Bench, str], Awaitable[None]]


async def edit(bench: Bench, name: str) -> None:
    """This server edits a machine."""
    system_id = bench.region.machine(name).system_id
    await bench.maas.put(f"machines/{system_id}/", description=f"by us at {anyio.current_time()}")


async def deploy(bench: Bench, name: str) -> None:
    """This server deploys a machine."""
    await bench.maas.post_op(f"machines/{bench.region.machine(name).system_id}/", "deploy")


async def rename_zone(bench: Bench, name: str) -> None:
    """This server renames the machine's zone."""
    machine = bench.region.machine(name)
    if machine.zone != "default":
        await bench.maas.put(f"zones/{machine.zone}/", name=f"{machine.zone}x")


async def tag(bench: Bench, name: str) -> None:
    """This server tags a machine, and untags another."""
    first, last = bench.region.machine(name).system_id, bench.region.machine("node12").system_id
    await bench.maas.post_op("tags/ssd/", "update_nodes", add=[first], remove=[last])


async def deploy_by_others(bench: Bench, name: str) -> None:
    """Others deploy a machine, which takes minutes and writes events."""
    bench.region.deploy(name, "bob")


async def abort_by_others(bench: Bench, name: str) -> None:
    """Others abort."""
    bench.region.abort(name, "bob")


async def release_by_others(bench: Bench, name: str) -> None:
    """Others release a machine."""
    bench.region.release(name, "bob")


async def change_silently(bench: Bench, name: str) -> None:
    """Others change a machine without an event."""
    machine = bench.region.machine(name)
    machine.description, machine.tag_names = f"at {anyio.current_time()}", (*machine.tag_names[:1],)
    machine.zone, machine.locked = "default", not machine.locked
    machine.power_state = "off" if machine.power_state == "on" else "on"


async def delete(bench: Bench, name: str) -> None:
    """Others delete a machine."""
    bench.region.delete(name)


async def add(bench: Bench, name: str) -> None:
    """Others add a machine, which writes no event."""
    others = client_of(bench.region)
    number = len(bench.region.machines) + 10
    await others.post(
        "machines/",
        hostname=f"{name}-again-{number}",
        architecture="amd64",
        mac_addresses=[f"52:54:00:ff:{number:02x}:{int(name[-2:]):02x}"],
        power_type="manual",
        commission=False,
    )
    await others.aclose()


async def restart(bench: Bench, _name: str) -> None:
    """MAAS restarts."""
    bench.region.restart(20.0)


async def lose_events(bench: Bench, name: str) -> None:
    """MAAS deletes all events."""
    del name
    bench.region.log.events.clear()
    bench.region.log.by_machine.clear()


async def ask(bench: Bench, name: str) -> None:
    """A caller asks for a machine, and reads it."""
    answer = await bench.informer.query(Filter(names=(name,)), patience=5.0)
    await bench.informer.read([row.system_id for row in answer.rows])


ACTS: Final[list[Act]] = [
    edit, deploy, rename_zone, tag, deploy_by_others, abort_by_others, release_by_others, change_silently, delete, add,
    restart, lose_events, ask,
]  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(NAMES), st.sampled_from([0.0, 0.3, 5.0, 40.0, 200.0])),
    max_size=12,
)


async def act(bench: Bench, what: Act, name: str) -> None:
    # MAAS refuses many of these changes, and is down sometimes. Machines may be gone.
    with contextlib.suppress(MaasMcpError, Refusal, KeyError, ValueError):
        await what(bench, name)


@given(before=steps, after=steps)
@settings(max_examples=60)
async def test_the_informer_says_what_maas_says_within_its_bound(before: list[Any], after: list[Any]) -> None:
    async with opened() as bench:
        for what, name, pause in before:
            await act(bench, what, name)
            await anyio.sleep(pause / 10)
        while True:
            with contextlib.suppress(MaasUnavailableError):
                await bench.all()
                break
        for what, name, pause in after:
            await act(bench, what, name)
            await anyio.sleep(pause)
        await anyio.sleep(60.0)  # the last operations and restarts go on
        answer = await bench.all()
        deadline = anyio.current_time() + answer.resync_seconds + SLACK
        differences = await bench.differences()
        while differences and anyio.current_time() < deadline:
            await anyio.sleep(10.0)
            differences = await bench.differences()

        note(f"after {anyio.current_time()} s")
        assert differences == []


def is_plain(value: Any) -> bool:
    """Whether JSON without extensions can express a value."""
    try:
        json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return False
    return True


plain_values = json_values.filter(is_plain)
FIELDS: Final = sorted(machine_json(REGION, REGION.machine("node01")))


@given(
    odd=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(FIELDS), plain_values), min_size=1, max_size=5),
    before=st.booleans(),
)
async def test_odd_values_hide_no_other_machine_and_are_named(
    odd: list[tuple[str, str, Any]],
    before: bool,
) -> None:
    async with opened() as bench:
        if not before:
            await bench.all()
        for name, field, value in odd:
            bench.region.distort(OddMachine(machine=name, show={field: value}))
        answer = await bench.all()
        await anyio.sleep(answer.resync_seconds + SLACK)
        answer, truth = await bench.all(), bench.truth()

        shown = {row.system_id: row for row in answer.rows}
        odd_ids = {bench.region.machine(name).system_id for name, _, _ in odd}
        assert {name: row for name, row in shown.items() if name not in odd_ids} == {
            name: row for name, row in truth.items() if name not in odd_ids
        }
        assert len(shown) + len(answer.left_out) == 12
        bench.region.show_as_is()
        await anyio.sleep(answer.resync_seconds + SLACK)
        assert await bench.differences() == []
        assert (await bench.all()).left_out == ()


async def test_memory_is_flat_over_a_hundred_thousand_events(monkeypatch: pytest.MonkeyPatch) -> None:
    # Smaller limits are reached sooner; what is not limited at all grows all the same.
    monkeypatch.setattr("maas_inventory.informer.snapshot.MAX_CHANGES", 20)
    monkeypatch.setattr("maas_inventory.informer.session.MAX_NO_MACHINES", 100)
    async with opened() as bench:
        await bench.all()
        session = bench.informer._session
        assert session is not None
        sizes = []
        for batch in range(100):
            session.take_news(EventNews([event_of(bench, batch * 1000 + each) for each in range(1000)], True, 0.0))
            await anyio.sleep(4.0)
            gc.collect()
            sizes.append(size_of(session))

        assert max(sizes[50:]) <= max(sizes[30:50]) * 1.02
        await anyio.sleep(60.0)
        assert await bench.differences() == []


def event_of(bench: Bench, number: int) -> Event:
    """An event that seems to change a machine's status, or is of a node that is no machine."""
    ids = [*bench.region.machines, f"rack{number}", ""]
    names = ["Ready", "Deploying", "Deployed", "Releasing"]
    return Event(
        id=number,
        node=ids[number % len(ids)],
        type=["Node changed status", "User locking node", "Loading ephemeral"][number % 3],
        description=f"From '{names[number % 4]}' to '{names[(number + 1) % 4]}' (to user{number})",
    )


def size_of(whole: object) -> int:
    """The bytes of an object and of all that it alone holds, by its containers and attributes."""
    seen: set[int] = set()
    waiting, size = [whole], 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | MaasClient | Watcher | FunctionType | MethodType):
            continue
        seen.add(id(each))
        size += sys.getsizeof(each)
        waiting.extend(gc.get_referents(each))
        if isinstance(each, msgspec.Struct):
            waiting.extend(getattr(each, name) for name in each.__struct_fields__)
    return size
