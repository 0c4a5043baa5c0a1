"""A tenant: one user of MAAS, with a client, an engine and a sealer, each made when the first call needs it."""

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Protocol

from anyio.abc import TaskGroup
from pydantic import BaseModel

from maas_mcp.calls.change_stream import ChangeStream
from maas_mcp.calls.reports import state_of
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.batches.batch import BatchOperation, new_name
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange
from maas_mcp.operations.handles import Handle, Sealer
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.region import REGION
from maas_mcp.operations.running.run_change import RunChange, unpublished
from maas_mcp.operations.running.start_requests import StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.watching.watcher import Watcher
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.secret import load_secrets
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


class Tenant:
    """The region as one user's tools see it. Nothing is imported, opened or asked before a tool is called.

    Args:
        settings: How operations are followed, and what seals their ids.
        region: Gives the region's address and the user's key.
        tasks: Where the watcher runs, and what calls leave goes on.
        open_client: Makes the client.
        changes: Takes each change of an operation.
        now: Seconds since 1970, which all processes share.
        timing: How long operations wait for what.
    """

    def __init__(
        self,
        settings: Settings,
        region: Callable[[], RegionAccess],
        tasks: TaskGroup,
        *,
        open_client: Callable[[RegionAccess], MaasClient],
        changes: ChangeStream,
        now: Callable[[], float],
        timing: Timing,
    ) -> None:
        self.timing = timing
        self._settings = settings
        self._region = region
        self._tasks = tasks
        self._open_client = open_client
        self._changes = changes
        self._now = now

    @cached_property
    def maas(self) -> MaasClient:
        """The client.

        Raises:
            SettingsError: The URL or the API key is missing or malformed.
        """
        from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - 20 ms, paid when MAAS is first asked

        return self._open_client(with_proxy(self._region()))

    @cached_property
    def sealer(self) -> Sealer:
        """Seals operation ids for whoever has this region's API key.

        Raises:
            SettingsError: There is no secret, and none can be made.
        """
        region = self._region()
        principal = f"{region.api_url} {region.api_key.consumer} {region.api_key.token}"
        return Sealer(load_secrets(self._settings), principal, self._now)

    @cached_property
    def requests(self) -> StartRequests:
        """Holds the requests to start until MAAS answers, for as long as the server runs."""
        return StartRequests(self._tasks, now=self._now, timing=self.timing)

    @cached_property
    def engine(self) -> Engine:
        """The engine, with its watcher running.

        Raises:
            SettingsError: There is no polling strategy of the name that is set.
        """
        polling = chosen_strategy(self._settings.polling)
        watcher = Watcher(self.maas, interval=self._settings.poll_interval)
        self._tasks.start_soon(watcher.run)
        publish = self._publish if self._changes.observed else unpublished
        return Engine(self.maas, watcher, self.requests, polling=polling, publish=publish, now=self._now)

    @cached_property
    def batches(self) -> BatchEngine:
        """Runs batches through the engine."""
        return BatchEngine(self.engine, self.maas, self.requests, self._tasks, now=self._now)

    def engine_for(self, operation: LongRunning[Any, Any]) -> AnyEngine:
        """The engine that runs operations of this kind."""
        match operation:
            case BatchOperation():
                return self.batches
            case _:
                return self.engine

    def _publish(self, change: RunChange) -> None:
        handle, ended = change.handle, change.kind is ChangeKind.ENDED
        ended_as = state_of(change.error) if change.error is not None else "succeeded"
        self._changes.publish(
            OperationChange(
                kind=change.kind,
                operation=handle.operation,
                operation_id=self.sealer.seal(handle),
                system_id=None if handle.system_id == REGION else handle.system_id,
                state=ended_as if ended else "working",
                fraction=change.fraction,
                message=change.message,
                username=change.username,
            )
        )

    @property
    def has_left_work(self) -> bool:
        """Whether MAAS has yet to answer a request whose call may be over."""
        return "requests" in self.__dict__ and bool(self.requests.all_under_way())

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
