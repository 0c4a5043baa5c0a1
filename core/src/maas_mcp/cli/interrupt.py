"""Runs async code that Ctrl-C stops cleanly: it is cancelled, cleans up, and prints no traceback."""

import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from maas_mcp.cli.common import Interrupted

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]], stop: Callable[[], bool] = lambda: False) -> T:
    """Run ``main()``. SIGINT or SIGTERM cancels it, and a second signal stops its clean-up.

    Args:
        main: The function to run.
        stop: Called on the first signal. If it returns true, ``main()`` is about to end and is not cancelled.

    Raises:
        Interrupted: A signal stopped ``main()``.
    """
    try:
        if sys.platform == "win32":
            return anyio.run(main)  # Ctrl-C cancels it here as well, and then raises KeyboardInterrupt
        return anyio.run(_until_signal, main, stop)
    except KeyboardInterrupt:
        pass
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
    raise Interrupted(signal.SIGINT)


async def _until_signal(main: Callable[[], Awaitable[T]], stop: Callable[[], bool]) -> T:
    done: list[T] = []
    failure: Exception | None = None
    caught: list[int] = []

    async def cancel_on_signal(*, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                caught.append(number)
                if len(caught) > 1 or not stop():
                    break
        # A second signal aborts the clean-up. Its errors are expected, so asyncio must not log them.
        logging.getLogger("asyncio").addHandler(logging.NullHandler())
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        await tasks.start(cancel_on_signal)
        try:
            done.append(await main())
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if done:
        return done[0]
    if failure is None or caught:
        raise Interrupted(caught[0] if caught else signal.SIGINT)
    raise failure
