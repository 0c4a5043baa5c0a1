"""What running tools share: the client, the watcher and the engine, made when the first call needs them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

import anyio
from anyio.abc import TaskGroup

from maas_mcp.maas.client import MaasClient, connect
from maas_mcp.operations.engine import Engine
from maas_mcp.operations.watcher import Watcher
from maas_mcp.settings import Settings


class Services:
    """The region as tools see it. Nothing is imported, opened or asked before a tool is called."""

    def __init__(self, settings: Settings, tasks: TaskGroup) -> None:
        self._settings = settings
        self._tasks = tasks

    @cached_property
    def maas(self) -> MaasClient:
        """The client.

        Raises:
            SettingsError: The URL or the API key is missing or malformed.
        """
        return connect(self._settings)

    @cached_property
    def engine(self) -> Engine:
        """The engine, with its watcher running."""
        watcher = Watcher(self.maas, interval=self._settings.poll_interval)
        self._tasks.start_soon(watcher.run)
        return Engine(self.maas, watcher, outage_limit=self._settings.outage_limit)

    async def aclose(self) -> None:
        """Close what was opened."""
        if "maas" in self.__dict__:
            await self.maas.aclose()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Services for as long as the block runs. What is still being followed at its end is left to MAAS."""
    async with anyio.create_task_group() as tasks:
        services = Services(settings, tasks)
        try:
            yield services
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await services.aclose()
