"""The policy's limits hold for concurrent calls, and for processes that count in one file."""

import math
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio
import trio.testing

from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.usage import UsageStore
from maas_mcp.errors import OperationRefusedError, RefusedByPolicyError
from maas_mcp.operations.progress import discard_progress
from maas_mcp.policy.configuration import Mode, Policy
from maas_mcp.policy.freezing import Freeze
from maas_mcp.policy.limits import Counted, Exceeded, Limit
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from maas_simulator import Status
from tests.own_plugins import own_tools

for plugin in ("maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

pytestmark = pytest.mark.anyio


@pytest.fixture
def _threads_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the virtual clock while a thread waits for the file. The server would otherwise poll MAAS for days."""
    run_sync = anyio.to_thread.run_sync

    async def run_while_stopped(work: Callable[[], Any]) -> Any:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.autojump_threshold = math.inf
        try:
            return await run_sync(work)
        finally:
            clock.autojump_threshold = 0

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_while_stopped)


DESTROY_ALLOWED = {"standard": Mode(destroy="allow")}


async def call(host: Host, name: str, *, within: float = math.inf, **arguments: Any) -> CallResult:
    connection = host.host.connections.connect()
    return await run_call(
        host.host,
        host.host.tools[name],
        arguments,
        connection=connection,
        sender=lambda _token: discard_progress,
        answer_by=lambda _token: anyio.current_time() + within,
    )


def use(host: Host, **policy: Any) -> None:
    host.host.serve(own_tools())
    policy = {"modes": DESTROY_ALLOWED, **policy}
    host.host.policy.use(host.host.settings.model_copy(update={"policy": Policy(**policy)}))


def posts(region: MaasRegion) -> int:
    return sum(each.method == "POST" for each in region.requests)


def ids(region: MaasRegion, *names: str) -> list[str]:
    return [region.machine(name).system_id for name in names]


async def test_a_call_with_too_many_machines_is_refused() -> None:
    region = MaasRegion()
    async with region.host() as host:
        use(host, limits={"deploy": Limit(per_call=1)})
        with pytest.raises(RefusedByPolicyError, match="2 machines, and the limit is 1 per call") as refused:
            await call(host, "maas_deploy_machines", system_ids=ids(region, "node01", "node02"))
        with pytest.raises(RefusedByPolicyError):
            await call(host, "maas_deploy_machines", count=2)

    assert refused.value.rule == "limits.deploy.per_call"
    assert posts(region) == 0


async def test_the_same_machine_counts_once_an_hour() -> None:
    region = MaasRegion()
    first, second = ids(region, "node01", "node02")
    async with region.host() as host:
        use(host, limits={"deploy": Limit(per_hour=1)})
        await call(host, "maas_deploy_machine", system_id=first, ephemeral_deploy=True)
        await call(host, "maas_release_machine", system_id=first)
        await call(host, "maas_deploy_machine", system_id=first, wait_seconds=0)
        sent = posts(region)
        with pytest.raises(RefusedByPolicyError, match="in addition to 1 changed in the last hour"):
            await call(host, "maas_deploy_machine", system_id=second)

    assert posts(region) == sent


async def test_after_an_hour_other_machines_may_be_changed() -> None:
    region = MaasRegion()
    first, second = ids(region, "node01", "node02")
    async with region.host() as host:
        use(host, limits={"deploy": Limit(per_hour=1)})
        await call(host, "maas_deploy_machine", system_id=first, ephemeral_deploy=True)
        await anyio.sleep(3700)
        await call(host, "maas_deploy_machine", system_id=second, ephemeral_deploy=True)

    assert region.machine("node02").status_name == "Deployed"


async def test_machines_that_are_still_being_allocated_count() -> None:
    region = MaasRegion()
    region.hold(op="allocate", before=20)
    async with region.host() as host:
        use(host, limits={"deploy": Limit(per_hour=3)})
        answered = await call(host, "maas_deploy_machines", count=3, wait_seconds=0)
        for _ in range(2):  # during the allocation and after it
            with pytest.raises(RefusedByPolicyError, match="in addition to 3 changed in the last hour"):
                await call(host, "maas_deploy_machines", count=1)
            await anyio.sleep(100)

    assert answered.status is not None
    assert sum(each.op == "allocate" for each in region.requests) == 3


async def test_machines_of_an_allocation_that_failed_later_do_not_count() -> None:
    region = MaasRegion()
    region.hold(op="allocate", before=20)
    async with region.host() as host:
        use(host, limits={"deploy": Limit(per_hour=6)})
        await call(host, "maas_deploy_machines", count=6, within=5)
        await anyio.sleep(200)

        assert (await call(host, "maas_deploy_machines", count=2)).result is not None


async def test_of_concurrent_calls_only_as_many_run_as_the_limit_allows() -> None:
    region = MaasRegion()
    refused: list[str] = []
    async with region.host() as host:
        use(host, limits={"deploy": Limit(at_once=2)})

        async def deploy(system_id: str) -> None:
            try:
                await call(host, "maas_deploy_machine", system_id=system_id, ephemeral_deploy=True)
            except RefusedByPolicyError as error:
                refused.append(error.rule)

        async with anyio.create_task_group() as tasks:
            for system_id in ids(region, "node01", "node02", "node03", "node04"):
                tasks.start_soon(deploy, system_id)

    assert refused == ["limits.deploy.at_once"] * 2
    assert sum(region.machine(f"node0{each}").status_name == "Deployed" for each in range(1, 5)) == 2


async def test_an_operation_that_nobody_follows_is_busy_until_maas_has_finished_it() -> None:
    region = MaasRegion()
    first, second = ids(region, "node01", "node02")
    async with region.host() as host:
        use(host, limits={"deploy": Limit(at_once=1)})
        await call(host, "maas_deploy_machine", system_id=first, wait_seconds=0)
        await anyio.sleep(120)
        with pytest.raises(RefusedByPolicyError):
            await call(host, "maas_deploy_machine", system_id=second)
        await anyio.sleep(3000)
        await call(host, "maas_deploy_machine", system_id=second, wait_seconds=0)


@pytest.mark.usefixtures("_threads_take_no_time")
async def test_what_a_killed_server_left_counted_is_not_busy_for_ever(tmp_path: Path) -> None:
    region = MaasRegion()
    limit = Limit(at_once=2)
    async with region.host() as host:
        use(host, limits={"deploy": limit}, usage_file=tmp_path / "usage.db")
        killed = UsageStore(tmp_path / "usage.db")
        await killed.count({"deploy": limit}, [], host.now(), more=2)
        killed.close()
        with pytest.raises(RefusedByPolicyError):
            await call(host, "maas_deploy_machine", system_id=ids(region, "node01")[0])
        await anyio.sleep(3700)
        await call(host, "maas_deploy_machine", system_id=ids(region, "node01")[0], ephemeral_deploy=True)

    assert region.machine("node01").status_name == "Deployed"


async def test_a_call_that_sent_nothing_does_not_count() -> None:
    region = MaasRegion()
    first, second = ids(region, "node01", "node02")
    async with region.host() as host:
        use(host, limits={"release": Limit(per_hour=1)})
        await call(host, "maas_deploy_machine", system_id=second, ephemeral_deploy=True)
        region.machine("node01").status = Status.NEW
        with pytest.raises(OperationRefusedError):
            await call(host, "maas_release_machine", system_id=first, erase=True)
        await call(host, "maas_release_machine", system_id=second)


async def test_a_refused_call_leaves_what_an_earlier_one_counted() -> None:
    region = MaasRegion()
    first, second = ids(region, "node07", "node03")
    async with region.host() as host:
        use(host, limits={"power": Limit(at_once=1, per_hour=1)})
        await call(host, "maas_power_off", system_id=first)
        await call(host, "maas_release_machine", system_id=first)
        with pytest.raises(OperationRefusedError):
            await call(host, "maas_power_on", system_id=first)  # of a machine without an owner
        usage = (await host.host.policy.usage.read(["power"], host.host.now()))["power"]
        await anyio.sleep(3500)
        with pytest.raises(OperationRefusedError):
            await call(host, "maas_power_on", system_id=first)
        await anyio.sleep(200)

        assert (await call(host, "maas_power_off", system_id=second)).result is not None

    assert usage.last_hour == {first}
    assert not usage.busy


async def test_a_change_that_ends_during_a_call_without_effect_is_not_busy_afterwards() -> None:
    store, limits = UsageStore(), {"power": Limit(at_once=1)}
    running = await store.count(limits, ["one"], 1)
    refused = await store.count(limits, ["one"], 2)
    assert isinstance(running, Counted)
    assert isinstance(refused, Counted)
    await store.end(running.kinds, running.machines)
    await store.forget(refused)

    assert isinstance(await store.count(limits, ["two"], 3), Counted)
    store.close()


async def test_nothing_is_changed_during_a_freeze() -> None:
    region = MaasRegion()
    window = Freeze.model_validate({"start": "1970-01-01T00:00Z", "end": "2999-01-01T00:00Z", "reason": "audit"})
    async with region.host() as host:
        use(host, freeze=(window,))
        with pytest.raises(RefusedByPolicyError, match=r"until 2999-01-01 00:00 UTC.*audit"):
            await call(host, "maas_lock_machine", system_id=ids(region, "node01")[0])

    assert posts(region) == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # a virtual clock has nothing to do while threads wait
async def test_processes_with_one_file_count_together(tmp_path: Path) -> None:
    limits = {"deploy": Limit(per_hour=3)}
    counted: list[Counted | Exceeded] = []
    stores = [UsageStore(tmp_path / "usage.db") for _ in range(3)]

    async def count(store: UsageStore, number: int) -> None:
        counted.append(await store.count(limits, [f"m{number}"], 1000.0))

    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(count, stores[number % 3], number)
    refused = await stores[0].count(limits, ["other"], 1000.0)
    for store in stores:
        store.close()

    assert sum(isinstance(each, Counted) for each in counted) == 3
    assert refused == Exceeded(
        "deploy", "per_hour", "1 machine in addition to 3 changed in the last hour, and the limit is 3 per hour"
    )


async def _until_sent(region: MaasRegion) -> None:
    while not posts(region):  # noqa: ASYNC110 - the region has no event for it
        await anyio.sleep(0.1)


@pytest.mark.usefixtures("_threads_take_no_time")
@pytest.mark.parametrize("broken", [True, False])
async def test_a_call_that_has_changed_something_succeeds_although_its_end_is_counted_nowhere(
    tmp_path: Path, *, broken: bool
) -> None:
    region = MaasRegion()
    limits = {"deploy": Limit(at_once=2)}
    async with region.host() as host:
        use(host, limits=limits, usage_file=tmp_path / "usage.db")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(call, host, "maas_deploy_machine", system_id=ids(region, "node01")[0]))
            await _until_sent(region)
            if broken:
                with sqlite3.connect(tmp_path / "usage.db") as other:
                    other.execute("DROP TABLE usage")
            else:  # a reload
                use(host, limits=limits, usage_file=tmp_path / "other.db")

    assert region.machine("node01").status_name == "Deployed"


@pytest.mark.usefixtures("_threads_take_no_time")
async def test_a_file_that_cannot_be_used_refuses_changes(tmp_path: Path) -> None:
    (tmp_path / "usage.db").write_text("not a database" * 100)
    region = MaasRegion()
    async with region.host() as host:
        use(host, limits={"power": Limit(per_hour=1)}, usage_file=tmp_path / "usage.db")
        with pytest.raises(RefusedByPolicyError, match="cannot be used"):
            await call(host, "maas_power_on", system_id=ids(region, "node01")[0])
        await call(host, "maas_get_machine", system_id=ids(region, "node01")[0])

    assert posts(region) == 0


@pytest.mark.usefixtures("_threads_take_no_time")
async def test_a_file_that_becomes_unusable_refuses_changes(tmp_path: Path) -> None:
    store = UsageStore(tmp_path / "usage.db")
    with sqlite3.connect(tmp_path / "usage.db") as other:
        other.execute("DROP TABLE usage")

    with pytest.raises(RefusedByPolicyError, match="no such table"):
        await store.count({"deploy": Limit(per_hour=1)}, ["m"], 1.0)
    store.close()
