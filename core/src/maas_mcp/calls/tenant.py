"""A tenant: one user of MAAS. Its client, engine and signers of ids are created when a call first needs them."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup
from pydantic import BaseModel

from maas_mcp.calls.active_policy import ActivePolicy
from maas_mcp.calls.audited_call import note_start
from maas_mcp.calls.change_stream import ChangeStream
from maas_mcp.calls.completing import ChoiceCache
from maas_mcp.calls.plan_ids import PlanSigner
from maas_mcp.calls.plugin_states import PluginStates, ProcessPlugins
from maas_mcp.calls.reports import end_state
from maas_mcp.calls.request_guard import RequestGuard
from maas_mcp.calls.resource_updates import ResourceUpdates
from maas_mcp.errors import MaasError, MaasMcpError
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import User
from maas_mcp.operations.batches.batch import BatchOperation, new_name
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.cursors import PURPOSE, Cursors
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange
from maas_mcp.operations.handles import REGION, Handle, HandleSigner
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.run_change import RunChange
from maas_mcp.operations.running.start_requests import StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.signing import Signer, derive_keys
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.secret import load_secrets
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from maas_mcp.operations.batches.group import BatchEngine
    from maas_mcp.operations.running.engine import Engine
    from maas_mcp.operations.watching.watcher import Watcher


logger = logging.getLogger(__name__)

USER_LIMIT: Final = 5.0
"""Seconds to find the user in MAAS. Requests that list something wait for it."""


class AnyEngine(Protocol):
    """The common interface of the engines."""

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
        """Follow the operation of a handle again."""
        ...

    async def abort(self, operation: Any, handle: Handle, cancellation: CancellationToken, /) -> None:
        """Abort the operation in MAAS."""
        ...

    async def rehearse_abort(
        self, operation: Any, handle: Handle, cancellation: CancellationToken, maas: MaasClient, /
    ) -> None:
        """Do everything up to the abort request, which ``maas`` records."""
        ...


class Tenant:
    """The region for one user's tools. Nothing is imported, opened or requested before a tool call.

    Args:
        settings: The settings for polling and for signing ids.
        access: Returns the region's address and the user's API key.
        tasks: The task group of the watcher and of requests that outlive their calls.
        open_client: Opens the MAAS client.
        changes: Receives each change of an operation.
        updates: Receives each updated resource.
        plugins: The loaded plugins.
        now: Returns the Unix time, which all processes share.
        timing: The time limits of operations.
        policy: The policy in effect.
        principal: The name of the principal. Only this principal can use the operation ids.
        region: The name of the region, if the principal has several.
        polled: Called after each poll of the watcher, with its error if it failed.
    """

    def __init__(
        self,
        settings: Settings,
        access: Callable[[], RegionAccess],
        tasks: TaskGroup,
        *,
        open_client: Callable[[RegionAccess], MaasClient],
        changes: ChangeStream,
        updates: ResourceUpdates,
        plugins: ProcessPlugins,
        now: Callable[[], float],
        timing: Timing,
        policy: ActivePolicy,
        principal: str = "",
        region: str = "",
        polled: Sequence[Callable[[MaasError | None], None]] = (),
    ) -> None:
        self.timing = timing
        self.region = region
        """The name of the region, by which calls choose it; empty without a choice."""
        self._principal = principal
        self._polled = polled
        self._settings = settings
        self._access = access
        self._policy = policy
        self._tasks = tasks
        self._open_client = open_client
        self._changes = changes
        self._updates = updates
        self.plugins = PluginStates(
            plugins, tasks, lambda: self.maas, lambda: self.watcher, lambda uri: updates.announce(principal, uri)
        )
        """The settings and states of the plugins, for this user."""
        self.choices = ChoiceCache()
        """The possible values of arguments, for this user."""
        self._now = now
        self._user: User | None = None
        self._finding_user = anyio.Lock()

    @cached_property
    def maas(self) -> MaasClient:
        """The MAAS client.

        Raises:
            SettingsError: The URL or the API key is missing or malformed.
        """
        # The import takes 20 ms. Only the first request pays it.
        from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - see above

        return self._open_client(with_proxy(self._access())).guarded(self.request_guard)

    @cached_property
    def request_guard(self) -> RequestGuard:
        """Checks each change just before it is sent."""
        return RequestGuard(self._policy, self._username)

    @cached_property
    def handle_signer(self) -> HandleSigner:
        """Signs and verifies operation ids for this principal and MAAS user.

        Raises:
            SettingsError: There is no secret, and none can be created.
        """
        return HandleSigner(load_secrets(self._settings), self.access, self._now)

    @cached_property
    def plan_signer(self) -> PlanSigner:
        """Signs and verifies plan ids for this region.

        Raises:
            SettingsError: There is no secret, and none can be created.
        """
        return PlanSigner(load_secrets(self._settings), self._access().api_url, self._now)

    def cursors(self, tool: str) -> Cursors:
        """The cursors of a tool's lists, for this principal and region. A secret is needed when one is used."""
        return Cursors(lambda: Signer(self._cursor_keys, f"{tool}\n{self._access().api_url}\n{self.access}"))

    @cached_property
    def _cursor_keys(self) -> tuple[bytes, ...]:
        return derive_keys(load_secrets(self._settings), PURPOSE)

    @property
    def access(self) -> str:
        """The principal and the MAAS user, by the API key without its secret."""
        key = self._access().identity
        return f"{key} {self._principal}" if self._principal else key

    @cached_property
    def requests(self) -> StartRequests:
        """The start requests, kept until MAAS answers or the server ends."""
        return StartRequests(self._tasks, now=self._now, timing=self.timing)

    @cached_property
    def watcher(self) -> "Watcher":
        """The watcher, which is running. It sends no request before it is used."""
        # Listing tools does without the engine: its imports take a twentieth of the start-up.
        from maas_mcp.operations.watching.watcher import Watcher  # noqa: PLC0415 - see above

        watcher = Watcher(
            self.maas,
            interval=self._settings.poll_interval,
            polled=self._polled,
            on_news=lambda system_id: self._updates.changed(self._principal, system_id=system_id),
        )
        # In a context of its own: the watcher does not belong to the call that happens to come first.
        Context().run(self._tasks.start_soon, watcher.run)
        return watcher

    @cached_property
    def engine(self) -> "Engine":
        """The engine, with its running watcher.

        Raises:
            SettingsError: The polling strategy in the settings does not exist.
        """
        from maas_mcp.operations.running.engine import Engine  # noqa: PLC0415 - as for the watcher

        polling = chosen_strategy(self._settings.polling)
        return Engine(
            self.maas,
            self.watcher,
            self.requests,
            polling=polling,
            publish=self._publish,
            observed=self._changes.observed,
            services=self.plugins.services,
            now=self._now,
        )

    @property
    def known_username(self) -> str | None:
        """The user of MAAS, if the name was already read."""
        return self.engine.known_username if "engine" in self.__dict__ else None

    @cached_property
    def batches(self) -> "BatchEngine":
        """Runs batches through the engine."""
        from maas_mcp.operations.batches.group import BatchEngine  # noqa: PLC0415 - as for the engine

        return BatchEngine(self.engine, self.maas, self.requests, self._tasks, now=self._now)

    async def find_user(self) -> User | None:
        """Find the user in MAAS, who is read once. ``None`` if MAAS cannot be asked now."""
        async with self._finding_user:
            if self._user is None:
                with anyio.move_on_after(USER_LIMIT):
                    try:
                        self._user = await self.maas.whoami()
                    except MaasMcpError as error:
                        logger.info("The user in MAAS is unknown: %s", error.message)
            return self._user

    def engine_for(self, operation: LongRunning[Any, Any]) -> AnyEngine:
        """The engine that runs operations of this kind."""
        match operation:
            case BatchOperation():
                return self.batches
            case _:
                return self.engine

    async def _username(self) -> str:
        return await self.engine.username()

    def _publish(self, change: RunChange) -> None:
        if change.kind is ChangeKind.STARTED:
            note_start(change.handle)
        if not self._changes.observed and not self._updates.wanted(self._principal):
            return
        handle, ended = change.handle, change.kind is ChangeKind.ENDED
        ended_as = end_state(change.error) if change.error is not None else "succeeded"
        operation_id = self.handle_signer.sign(handle)
        system_id = None if handle.system_id == REGION else handle.system_id
        self._changes.publish(
            OperationChange(
                kind=change.kind,
                operation=handle.operation,
                operation_id=operation_id,
                started=handle.started,
                system_id=system_id,
                state=ended_as if ended else "working",
                fraction=change.fraction,
                message=change.message,
                username=change.username,
            )
        )
        of_machine = {} if system_id is None else {"system_id": system_id}
        self._updates.changed(self._principal, operation_id=operation_id, **of_machine)

    @property
    def has_open_requests(self) -> bool:
        """Whether MAAS has not yet answered a request, even if its call has ended."""
        return "requests" in self.__dict__ and bool(self.requests.all_pending())

    async def aclose(self) -> None:
        """Close the MAAS client, if it was opened."""
        if "maas" in self.__dict__:
            await self.maas.aclose()


def subject_of(operation: LongRunning[Any, Any], arguments: BaseModel, nonce: bytes = b"") -> str:
    """The subject of a new operation in its handle: a machine's id, a new batch's name, or the region.

    ``nonce`` makes the name of a batch unique. By default it is random.
    """
    match operation:
        case Operation():
            return operation.system_id(arguments)
        case BatchOperation():
            return new_name(operation, arguments, nonce)
    return REGION
