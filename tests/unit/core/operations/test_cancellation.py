"""Cancellation of a running tool."""

import anyio
import pytest

from maas_mcp.errors import OperationCancelledError
from maas_mcp.operations.cancellation import CancellationToken, CancelReason

pytestmark = pytest.mark.anyio


async def test_cancelling_the_token_ends_a_wait_inside_its_guard() -> None:
    token = CancellationToken()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_after, token, 5)
        with pytest.raises(OperationCancelledError), token.guard():
            await anyio.sleep(3600)

    assert anyio.current_time() < 3600
    assert token.cancelled


async def _cancel_after(token: CancellationToken, seconds: float) -> None:
    await anyio.sleep(seconds)
    token.cancel()


async def test_a_sleep_of_a_plugin_ends_when_the_token_is_cancelled() -> None:
    token = CancellationToken()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_after, token, 5)
        with pytest.raises(OperationCancelledError):
            await token.sleep(3600)


async def test_a_cancelled_request_marks_the_token_and_propagates() -> None:
    token = CancellationToken()
    with anyio.move_on_after(1) as request, token.guard():
        await anyio.sleep(3600)

    assert request.cancelled_caught
    assert token.cancelled
    with pytest.raises(OperationCancelledError):
        token.raise_if_cancelled()


async def test_a_token_cancelled_before_the_guard_runs_nothing() -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(OperationCancelledError), token.guard():
        pytest.fail("ran")


async def test_guards_nest() -> None:
    token = CancellationToken()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_after, token, 5)
        with pytest.raises(OperationCancelledError), token.guard():
            await token.sleep(3600)


async def test_an_untouched_token_changes_nothing() -> None:
    token = CancellationToken()
    with token.guard():
        await token.sleep(1)
        token.raise_if_cancelled()

    assert not token.cancelled


@pytest.mark.parametrize("first", CancelReason)
@pytest.mark.parametrize("second", CancelReason)
async def test_the_first_reason_is_kept(first: CancelReason, second: CancelReason) -> None:
    token = CancellationToken()
    assert token.reason is None
    token.announce(first)
    token.cancel(second)
    assert token.reason is first
