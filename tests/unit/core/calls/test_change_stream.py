"""Observers receive operation changes, and never delay an operation."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from queue import Queue
from typing import Any

import anyio
import pytest

from maas_mcp.api import ChangeKind, OperationChange
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.change_stream import BACKLOG, ChangeStream, Observer
from maas_mcp.calls.host import Host, open_host
from maas_mcp.errors import MaasMcpError, OperationRevertedError
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import connector, settings_for
from tests.unit.core.operations.declared import Deploy

pytestmark = pytest.mark.anyio


class Notes:
    """An observer that a test can wait for. It is called in a thread, and a virtual clock does not wait for threads."""

    def __init__(self) -> None:
        self._shown: Queue[OperationChange] = Queue()

    def show(self, change: OperationChange) -> None:
        self._shown.put(change)

    async def until_ended(self) -> list[OperationChange]:
        changes = [await self._next()]
        while changes[-1].kind is not ChangeKind.ENDED:
            changes.append(await self._next())
        return changes

    async def _next(self) -> OperationChange:
        return await anyio.to_thread.run_sync(self._shown.get, True, 30)


@asynccontextmanager
async def observed(region: MaasRegion, *observers: Observer) -> AsyncIterator[Host]:
    async with region.host() as test:
        settings, connect = settings_for(region, "admin"), connector(region)
        async with open_host(settings, {}, observers=observers, connect=connect, now=test.now) as host:
            yield host


async def deploy(host: Host, region: MaasRegion, **options: Any) -> None:
    given = {"system_id": region.machine("node01").system_id, **options}
    connection = host.connections.connect()
    await run_call(host, Deploy(), given, connection=connection, sender=lambda _token: discard_progress)


async def test_an_observer_receives_a_deployment_from_start_to_end() -> None:
    notes = Notes()
    with MaasRegion() as region:
        async with observed(region, Observer("notes", notes.show)) as host:
            await deploy(host, region)
            first, *moved, last = await notes.until_ended()

        assert (first.kind, first.operation, first.state) == (ChangeKind.STARTED, "maas_deploy_machine", "working")
        assert first.system_id == region.machine("node01").system_id
        assert {each.kind for each in moved} == {ChangeKind.MOVED}
        assert "Installing OS" in [each.message for each in moved]
        fractions = [each.fraction or 0.0 for each in moved]
        assert fractions == sorted(fractions)
        assert (last.state, last.fraction, last.message, last.username) == ("succeeded", 1.0, "Deployed", "admin")
        assert len({each.operation_id for each in (first, *moved, last)}) == 1


async def test_an_observer_receives_the_reason_if_another_user_ends_an_operation() -> None:
    notes = Notes()
    with MaasRegion() as region:
        region.after(60, region.abort, "node01", "bob")
        async with observed(region, Observer("notes", notes.show)) as host:
            with pytest.raises(OperationRevertedError):
                await deploy(host, region)
            last = (await notes.until_ended())[-1]

    assert last.state == "reverted"
    assert "bob ended it" in last.message


async def test_an_operation_that_two_calls_follow_is_reported_once() -> None:
    notes = Notes()
    with MaasRegion() as region:
        async with observed(region, Observer("notes", notes.show)) as host:
            await deploy(host, region, ephemeral_deploy=True, wait_seconds=0)
            async with host.tenant() as tenant:
                (request,) = tenant.requests._all
                await anyio.sleep(5)

                async def follow() -> None:
                    await tenant.engine.resume(
                        Deploy(), request.handle, ProgressReporter(discard_progress), CancellationToken(), wait=None
                    )

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(follow)
                    tasks.start_soon(follow)
            changes = await notes.until_ended()

    shown = [(each.kind, each.fraction, each.message) for each in changes]
    assert len(shown) == len(set(shown))


async def test_a_failing_observer_is_dropped_with_a_log_line_and_the_others_continue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[OperationChange] = []

    def fail(change: OperationChange) -> None:
        calls.append(change)
        raise SystemExit(3)

    notes = Notes()
    with MaasRegion() as region, caplog.at_level(logging.WARNING):
        async with observed(region, Observer("the bad one", fail), Observer("notes", notes.show)) as host:
            await deploy(host, region, ephemeral_deploy=True)
            assert (await notes.until_ended())[-1].state == "succeeded"

    assert len(calls) == 1
    assert "the bad one no longer receives operation changes: it raised SystemExit" in caplog.text


async def test_a_slow_observer_is_dropped_and_delays_no_operation(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    def wait(_change: OperationChange) -> None:
        release.wait(30)

    try:
        async with anyio.create_task_group() as tasks:
            stream = ChangeStream([Observer("the slow one", wait)], tasks)
            for number in range(BACKLOG + 2):
                stream.publish(change(number))
            assert not stream.observed
            assert f"the slow one no longer receives operation changes: it is {BACKLOG} changes behind" in caplog.text
            tasks.cancel_scope.cancel()
    finally:
        release.set()


def change(number: int) -> OperationChange:
    return OperationChange(
        started=0,
        kind=ChangeKind.MOVED,
        operation="maas_deploy_machine",
        operation_id="x",
        system_id="4y3h7n",
        state="working",
        fraction=number / 10_000,
        message="Deploying",
        username="admin",
    )


async def test_an_observer_receives_the_end_of_a_refused_request() -> None:
    notes = Notes()
    with MaasRegion() as region:
        async with observed(region, Observer("notes", notes.show)) as host:
            with pytest.raises(MaasMcpError):
                await deploy(host, region, distro_series="nosuch")
            first, last = await notes.until_ended()

    assert (first.kind, last.kind, last.state) == (ChangeKind.STARTED, ChangeKind.ENDED, "failed")
    assert "nosuch" in last.message
