"""Running something async that Ctrl-C ends in order: cancelled, cleaned up, and no traceback."""

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
    """Run ``main()``; SIGINT or SIGTERM cancels it, and a further one does not let it clean up.

    Args:
        main: What to run.
        stop: Tried before it is cancelled: tells whether it has made ``main()`` end by itself.

    Raises:
        Interrupted: A signal has ended it.
    """
    try:
        if sys.platform == "win32":
            return anyio.run(main)  # there Ctrl-C cancels it, too, and is a KeyboardInterrupt afterwards
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
        # What a second signal tears off is no news to who has sent it.
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
