"""The host: the shared state of a process, and a pool of tenants, one for each user of MAAS."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from maas_mcp.calls.active_policy import ActivePolicy
from maas_mcp.calls.audit_log import AuditLog, open_audit
from maas_mcp.calls.audited_call import recording
from maas_mcp.calls.change_stream import ChangeStream, Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.plan_ids import AppliedPlans
from maas_mcp.calls.plugin_states import ProcessPlugins
from maas_mcp.calls.principal import ANONYMOUS, LOCAL, Principal
from maas_mcp.calls.resource_updates import ResourceUpdates
from maas_mcp.calls.served import Served, Serving
from maas_mcp.calls.telemetry import Instrument
from maas_mcp.calls.waiting import WaitingOperations
from maas_mcp.credentials.regions import LocalRegions
from maas_mcp.errors import UnknownOperationError
from maas_mcp.maas.address import ApiKey, RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.connection import connect
from maas_mcp.maas.request_slots import RequestSlots
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from maas_mcp.calls.tenant import Tenant

MAX_TENANTS: Final = 64
"""Maximum idle tenants. The least recently used one is closed first."""
IDLE_LIMIT: Final = 600.0
"""Seconds without a call until a tenant is closed."""

Connect = Callable[[RegionAccess, RequestSlots], MaasClient]
OpenAudit = Callable[[Settings], AuditLog | None]


@dataclass(eq=False, slots=True)
class _PooledTenant:
    """A tenant in the pool."""

    tenant: "Tenant"
    calls: int = 0
    """Running calls that use it."""
    used_at: float = 0.0
    closing: anyio.Event = field(default_factory=anyio.Event)

    @property
    def idle(self) -> bool:
        """Whether closing it loses nothing."""
        return self.calls == 0 and not self.tenant.has_open_requests


class Host:
    """The tools of a process, its running calls and its tenants.

    Args:
        settings: The settings.
        tools: The loaded tools, by name.
        tasks: The task group of the tenants.
        plugin_tasks: The task group of the plugins' process lifespans, which outlive the tenants.
        connections: The clients' connections and their running calls.
        observers: The observers of operation changes.
        connect: Opens a MAAS client.
        now: Returns the Unix time, which all processes share.
        timing: The time limits of operations.
        open_audit: Opens the audit for the settings; ``None`` if calls are not recorded.
        instruments: Observe calls, operations and polls. The requests of a client are observed by ``connect``.
        regions: The regions of the local user, if the caller knows them; by default those of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        tools: Mapping[str, AnyTool],
        tasks: TaskGroup,
        *,
        plugin_tasks: TaskGroup | None = None,
        connections: Connections | None = None,
        observers: Sequence[Observer] = (),
        connect: Connect = connect,
        now: Callable[[], float] = time.time,
        timing: Timing | None = None,
        instruments: Sequence[Instrument] = (),
        open_audit: OpenAudit = open_audit,
        regions: LocalRegions | None = None,
    ) -> None:
        self.settings = settings
        self.policy = ActivePolicy(settings)
        """The policy that judges every call."""
        self.audit = open_audit(settings)
        """Records each call that changes something, unless it is ``None``."""
        self.instruments = tuple(instruments)
        self.tools: Mapping[str, AnyTool] = {}
        """All loaded tools, including those that are not served."""
        self.serving: Serving
        """The selections of the tools."""
        self.operations: Mapping[str, LongRunning[Any, Any]] = {}
        """The long-running tools."""
        self.serve(tools)
        self.connections = connections or Connections()
        self.waiting = WaitingOperations()
        """The operations that wait for answers."""
        self.applied_plans = AppliedPlans()
        """The plans that this process has applied."""
        self.tasks = tasks
        """The task group for work that ends with the host."""
        self.plugins = ProcessPlugins(plugin_tasks or tasks)
        """The loaded plugins, with their states for the process."""
        self.updates = ResourceUpdates()
        """Announces updated resources."""
        self._regions = regions or LocalRegions(settings)
        self._connect = connect
        self.now = now
        """Returns the Unix time."""
        self._timing = replace(timing or Timing(), outage_limit=settings.outage_limit)
        self._slots = RequestSlots()
        self._changes = ChangeStream(observers, tasks, [each.operation_changed for each in instruments])
        self._pool: dict[tuple[str, ApiKey | None, str], _PooledTenant] = {}
        """By the principal's name and API key and the region, least recently used first."""
        self._opening = anyio.Lock(fast_acquire=True)

    def serve(self, tools: Mapping[str, AnyTool], serving: Serving | None = None) -> None:
        """Serve these tools from now on.

        Args:
            tools: All loaded tools. Operations of tools that are not served can still be followed.
            serving: The selections of the tools; ``None`` to serve all.
        """
        self.tools = tools
        self.serving = serving or Serving(tools)
        self.operations = {name: tool for name, tool in tools.items() if isinstance(tool, LongRunning)}

    @property
    def served(self) -> Served:
        """The tools that a request can use, unless it narrows them."""
        return self.serving.select()

    def regions_of(self, principal: Principal) -> tuple[str, ...]:
        """The regions from which calls of a principal choose, the default one first; empty without a choice."""
        return self._regions.names if principal == LOCAL else ()

    async def region_of(self, principal: Principal, operation_id: str) -> str | None:
        """The region of an operation; ``None`` if the principal has no such operation.

        Each region has keys of its own, so an id is valid in one of them.

        Raises:
            SettingsError: The ids cannot be verified.
        """
        for name in self.regions_of(principal) or ("",):
            async with self.tenant(principal, name) as tenant:
                try:
                    tenant.handle_signer.verify(operation_id)
                except UnknownOperationError:
                    continue
                return name
        return None

    @asynccontextmanager
    async def tenant(self, principal: Principal = LOCAL, region: str = "") -> AsyncIterator["Tenant"]:
        """The tenant of a principal, kept open during the block.

        Args:
            principal: The principal.
            region: One of :meth:`regions_of`; by default the first.
        """
        region = region or next(iter(self.regions_of(principal)), "")
        key = (principal.name, principal.api_key, region)
        async with self._opening:
            pooled = self._pool.pop(key, None) or await self.tasks.start(self._run_tenant, principal, region)
            self._pool[key] = pooled
            pooled.calls += 1
            self._close_idle()
        try:
            yield pooled.tenant
        finally:
            pooled.calls -= 1
            pooled.used_at = anyio.current_time()

    def run_later(self, principal: Principal, region: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run something after the call that requested it, while the principal's tenant of the region is kept open."""

        async def running() -> None:
            async with self.tenant(principal, region):
                await run()

        self.tasks.start_soon(running)

    async def _run_tenant(self, principal: Principal, region: str, *, task_status: TaskStatus[_PooledTenant]) -> None:
        """Run a tenant until it is closed."""

        def access() -> RegionAccess:
            if principal == ANONYMOUS:
                return self._regions.anonymous()
            if principal.api_key is None:
                return self._regions.access(region)
            return self.settings.require_region(principal.api_key)

        tenant: Tenant | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tenant = self._new_tenant(access, tasks, principal.name, region)
                pooled = _PooledTenant(tenant)
                task_status.started(pooled)
                try:
                    await pooled.closing.wait()
                finally:
                    tenant.plugins.close()
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                if tenant is not None:
                    await tenant.aclose()

    def _new_tenant(
        self, access: Callable[[], RegionAccess], tasks: TaskGroup, principal: str, region: str
    ) -> "Tenant":
        from maas_mcp.calls.tenant import Tenant  # noqa: PLC0415 - the first call needs it, and not the list of tools

        return Tenant(
            self.settings,
            access,
            tasks,
            open_client=lambda access: self._open_client(access, principal),
            changes=self._changes,
            updates=self.updates,
            plugins=self.plugins,
            now=self.now,
            policy=self.policy,
            timing=self._timing,
            principal=principal,
            region=region,
            polled=[each.polled for each in self.instruments],
        )

    def _open_client(self, access: RegionAccess, principal: str) -> MaasClient:
        client = self._connect(access, self._slots)
        return client if self.audit is None else client.before_change(recording(self.audit, principal), last=True)

    def _close_idle(self) -> None:
        """Close tenants that were idle for too long, and the least recently used ones if there are too many."""
        idle = [key for key, pooled in self._pool.items() if pooled.idle]
        too_many = len(self._pool) - MAX_TENANTS
        now = anyio.current_time()
        for number, key in enumerate(idle):
            if number < too_many or now >= self._pool[key].used_at + IDLE_LIMIT:
                self._pool.pop(key).closing.set()


@asynccontextmanager
async def open_host(
    settings: Settings,
    tools: Mapping[str, AnyTool],
    connections: Connections | None = None,
    observers: Sequence[Observer] = (),
    *,
    connect: Connect = connect,
    now: Callable[[], float] = time.time,
    timing: Timing | None = None,
    instruments: Sequence[Instrument] = (),
    open_audit: OpenAudit = open_audit,
    regions: LocalRegions | None = None,
) -> AsyncIterator[Host]:
    """A host that runs during the block. Operations that are running at its end continue in MAAS."""
    async with anyio.create_task_group() as plugin_tasks:
        host: Host | None = None
        try:
            async with anyio.create_task_group() as tasks:
                host = Host(
                    settings,
                    tools,
                    tasks,
                    plugin_tasks=plugin_tasks,
                    connections=connections,
                    observers=observers,
                    connect=connect,
                    now=now,
                    timing=timing,
                    instruments=instruments,
                    open_audit=open_audit,
                    regions=regions,
                )
                try:
                    yield host
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            if host is not None:
                host.plugins.close()
                host.policy.close()
