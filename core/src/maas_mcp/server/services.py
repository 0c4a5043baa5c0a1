"""What running tools share: the client, the watcher and the engine, made when the first call needs them."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup
from pydantic import BaseModel

from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.connection import connect
from maas_mcp.operations.batches.batch import BatchOperation, new_name
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning, Operation
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.handles import Handle, Sealer
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.region_engine import REGION, RegionEngine
from maas_mcp.operations.running.start_requests import Orders
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.watching.watcher import Watcher
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.secret import sealing_secrets
from maas_mcp.server.calls import Call
from maas_mcp.settings import Settings


class AnyEngine(Protocol):
    """What the engines of all kinds of operations have in common."""

    @property
    def run(self) -> Callable[..., Awaitable[OperationStatus[Any]]]:
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
    ) -> OperationStatus[Any]:
        """Pick up what a handle names."""
        ...

    async def abort(self, operation: Any, handle: Handle, cancellation: CancellationToken, /) -> None:
        """Order MAAS to abort it."""
        ...


class Services:
    """The region as tools see it. Nothing is imported, opened or asked before a tool is called.

    Args:
        settings: What there is to know of the region, and of how to follow it.
        tasks: Where the watcher runs.
        connect: Makes the client.
        now: Seconds since 1970, which all processes share.
        timing: How long operations wait for what.
    """

    def __init__(
        self,
        settings: Settings,
        tasks: TaskGroup,
        *,
        connect: Callable[[RegionAccess], MaasClient] = connect,
        now: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self._settings = settings
        self._tasks = tasks
        self._connect = connect
        self._now = now

    @cached_property
    def maas(self) -> MaasClient:
        """The client.

        Raises:
            SettingsError: The URL or the API key is missing or malformed.
        """
        from maas_mcp.proxies import through_proxy  # noqa: PLC0415 - 20 ms, paid when MAAS is first asked

        return self._connect(through_proxy(self._settings.require_region()))

    @cached_property
    def sealer(self) -> Sealer:
        """Seals operation ids for whoever has this region's API key.

        Raises:
            SettingsError: There is no secret, and none can be made.
        """
        region = self._settings.require_region()
        principal = f"{region.api_url} {region.api_key.consumer} {region.api_key.token}"
        return Sealer(sealing_secrets(self._settings), principal, self._now)

    @cached_property
    def orders(self) -> Orders:
        """Holds what MAAS was told to start until it answers, for as long as the server runs."""
        return Orders(self.maas, self._tasks, now=self._now, timing=self.timing)

    @cached_property
    def engine(self) -> Engine:
        """The engine, with its watcher running.

        Raises:
            SettingsError: There is no polling strategy of the name that is set.
        """
        polling = chosen_strategy(self._settings.polling)
        watcher = Watcher(self.maas, interval=self._settings.poll_interval)
        self._tasks.start_soon(watcher.run)
        return Engine(
            self.maas,
            watcher,
            self.orders,
            outage_limit=self._settings.outage_limit,
            polling=polling,
            now=self._now,
        )

    @cached_property
    def batches(self) -> BatchEngine:
        """Runs batches through the engine."""
        return BatchEngine(self.engine, self.maas, self.orders, now=self._now)

    @cached_property
    def regions(self) -> RegionEngine:
        """Runs what the region does by itself."""
        return RegionEngine(self.maas, self.orders, outage_limit=self._settings.outage_limit, now=self._now)

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

    async def run(
        self,
        operation: LongRunning[Any, Any],
        arguments: BaseModel,
        progress: ProgressReporter,
        call: Call,
        *,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
    ) -> OperationStatus[Any]:
        """Start an operation for a call, and follow it to its end or for ``wait`` seconds.

        Raises:
            MaasMcpError: It could not be started, or has failed.
        """
        subject = subject_of(operation, arguments)
        call.follows = (operation.name, subject)
        wishes: dict[str, Any] = {"wait": wait, "on_cancel": on_cancel}
        if isinstance(operation, BatchOperation):
            wishes["name"] = subject
        return await self.engine_for(operation).run(operation, arguments, progress, call.token, **wishes)

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
async def running(
    settings: Settings,
    *,
    connect: Callable[[RegionAccess], MaasClient] = connect,
    now: Callable[[], float] = time.time,
    timing: Timing | None = None,
) -> AsyncIterator[Services]:
    """Services for as long as the block runs. What is still being followed at its end is left to MAAS."""
    async with anyio.create_task_group() as tasks:
        services = Services(settings, tasks, connect=connect, now=now, timing=timing)
        try:
            yield services
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await services.aclose()
