"""The property of the informer: after any changes, it says what MAAS says, within the bound that it states.

Machines are changed by this server, by others with an event and without one, deleted and added; MAAS restarts, and
events are lost or the event log is reset.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from maas_inventory.informer.filters import Filter
from maas_mcp.api import MaasMcpError, MaasUnavailableError
from maas_simulator.model.refusals import Refusal
from tests.house import client_of
from tests.inventory import Bench, opened

pytestmark = pytest.mark.anyio

SLACK: Final = 60.0
"""Seconds beyond the stated bound: the last requests, and waiting for a region that had restarted."""
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
