"""What running tools share: the client, the watcher and the engine, made when the first call needs them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup
from pydantic import BaseModel

from maas_mcp.maas.client import MaasClient, connect
from maas_mcp.operations.batch import BatchOperation, new_name
from maas_mcp.operations.batch_engine import BatchEngine
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.engine import Engine
from maas_mcp.operations.handles import Handle, Sealer
from maas_mcp.operations.operation import LongRunning, Operation
from maas_mcp.operations.outcome import Outcome
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.region_engine import REGION, RegionEngine
from maas_mcp.operations.region_operation import RegionOperation
from maas_mcp.operations.watcher import Watcher
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.server.secret import sealing_secret
from maas_mcp.settings import Settings


class AnyEngine(Protocol):
    """What the engines of all kinds of operations have in common."""

    @property
    def run(self) -> Callable[..., Awaitable[Outcome[Any]]]:
        """Start an operation and follow it: ``(operation, arguments, progress, cancellation, **options)``."""
        ...

    async def resume(
        self,
        operation: Any,
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        /,
        *,
        wait: float | None,
    ) -> Outcome[Any]:
        """Pick up what a handle names."""
        ...

    async def abort(self, operation: Any, handle: Handle, cancellation: CancellationToken, /) -> None:
        """Order MAAS to abort it."""
        ...


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
    def sealer(self) -> Sealer:
        """Seals operation ids for whoever has this region's API key.

        Raises:
            SettingsError: There is no secret, and none can be made.
        """
        region = self._settings.require_region()
        principal = f"{region.api_url} {region.api_key.consumer} {region.api_key.token}"
        return Sealer(sealing_secret(self._settings), principal)

    @cached_property
    def engine(self) -> Engine:
        """The engine, with its watcher running.

        Raises:
            SettingsError: There is no polling strategy of the name that is set.
        """
        polling = chosen_strategy(self._settings.polling)
        watcher = Watcher(self.maas, interval=self._settings.poll_interval)
        self._tasks.start_soon(watcher.run)
        return Engine(self.maas, watcher, outage_limit=self._settings.outage_limit, polling=polling)

    @cached_property
    def batches(self) -> BatchEngine:
        """Runs batches through the engine."""
        return BatchEngine(self.engine, self.maas)

    @cached_property
    def regions(self) -> RegionEngine:
        """Runs what the region does by itself."""
        return RegionEngine(self.maas, outage_limit=self._settings.outage_limit)

    def engine_for(self, operation: LongRunning[Any, Any]) -> AnyEngine:
        """The engine that runs operations of this kind."""
        match operation:
            case Operation():
                return self.engine
            case BatchOperation():
                return self.batches
            case RegionOperation():
                return self.regions
        raise TypeError(f"{operation.name}: expected an Operation, a BatchOperation or a RegionOperation")

    async def aclose(self) -> None:
        """Close what was opened."""
        if "maas" in self.__dict__:
            await self.maas.aclose()


def subject_of(operation: LongRunning[Any, Any], arguments: BaseModel) -> str:
    """What a new call of an operation follows, as its handle names it: a machine, a new batch, or the region."""
    match operation:
        case Operation():
            return operation.system_id(arguments)
        case BatchOperation():
            return new_name(operation, arguments)
    return REGION


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
