"""Reloads the configuration at SIGHUP, as daemons do."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from maas_mcp.server.catalogue import Catalogue, Configuration


@asynccontextmanager
async def reloading(catalogue: Catalogue, load: Callable[[], Configuration] | None) -> AsyncIterator[None]:
    """Reload at each SIGHUP during the block. Windows has no such signal, so nothing is reloaded there.

    Args:
        catalogue: What the server serves.
        load: Reads the configuration and loads the plugins; ``None`` to ignore the signal's meaning.
    """
    if load is None or os.name != "posix":
        yield
        return
    with anyio.open_signal_receiver(signal.SIGHUP) as hangups:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # the command holds it back while it starts

        async def reload() -> None:
            async for _ in hangups:
                await catalogue.reload(load)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reload)
            yield
            tasks.cancel_scope.cancel()
