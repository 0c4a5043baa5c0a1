"""The host: everything that a process has once, and the tenants, one for each user of MAAS."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from maas_mcp.calls.change_stream import ChangeStream, Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.principal import LOCAL, Principal
from maas_mcp.calls.tenant import Tenant
from maas_mcp.maas.address import ApiKey, RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.connection import connect
from maas_mcp.maas.request_slots import RequestSlots
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.settings import Settings

MOST_TENANTS: Final = 64
"""Tenants that are kept while nobody calls; the least recently used one is closed first."""
IDLE_LIMIT: Final = 600.0
"""Seconds without a call after which a tenant is closed."""

Connect = Callable[[RegionAccess, RequestSlots], MaasClient]


@dataclass(eq=False, slots=True)
class _Kept:
    """A tenant of the pool."""

    tenant: Tenant
    calls: int = 0
    """How many use it now."""
    used_at: float = 0.0
    closing: anyio.Event = field(default_factory=anyio.Event)

    @property
    def idle(self) -> bool:
        """Whether it can be closed without a loss."""
        return self.calls == 0 and not self.tenant.has_left_work


class Host:
    """The tools of a process, the calls under way, and the tenants.

    Args:
        settings: What there is to know of the region, and of how to follow operations.
        tools: What is served, by name.
        tasks: Where tenants run.
        connections: The clients' connections, with the calls under way.
        observers: What is shown the changes of operations.
        connect: Makes a client.
        now: Seconds since 1970, which all processes share.
        timing: How long operations wait for what.
    """

    def __init__(
        self,
        settings: Settings,
        tools: Mapping[str, AnyTool],
        tasks: TaskGroup,
        *,
        connections: Connections | None = None,
        observers: Sequence[Observer] = (),
        connect: Connect = connect,
        now: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        self.settings = settings
        self.tools: Mapping[str, AnyTool] = {}
        self.operations: Mapping[str, LongRunning[Any, Any]] = {}
        """Those of the tools that are long-running."""
        self.serve(tools)
        self.connections = connections or Connections()
        self._tasks = tasks
        self._connect = connect
        self._now = now
        self._timing = replace(timing or Timing(), outage_limit=settings.outage_limit)
        self._slots = RequestSlots()
        self._changes = ChangeStream(observers, tasks)
        self._kept: dict[tuple[str, ApiKey | None], _Kept] = {}
        """By the principal's name and API key, least recently used first."""
        self._opening = anyio.Lock()

    def serve(self, tools: Mapping[str, AnyTool]) -> None:
        """Serve these tools from now on."""
        self.tools = tools
        self.operations = {name: tool for name, tool in tools.items() if isinstance(tool, LongRunning)}

    @asynccontextmanager
    async def tenant(self, principal: Principal = LOCAL) -> AsyncIterator[Tenant]:
        """The tenant of a principal, for as long as the block runs."""
        key = (principal.name, principal.api_key)
        async with self._opening:
            kept = self._kept.pop(key, None) or await self._tasks.start(self._keep, principal)
            self._kept[key] = kept
            kept.calls += 1
            self._close_some()
        try:
            yield kept.tenant
        finally:
            kept.calls -= 1
            kept.used_at = anyio.current_time()

    async def _keep(self, principal: Principal, *, task_status: TaskStatus[_Kept]) -> None:
        """Run a tenant until it is closed."""

        def region() -> RegionAccess:
            access = self.settings.require_region()
            return access if principal.api_key is None else replace(access, api_key=principal.api_key)

        async with anyio.create_task_group() as tasks:
            tenant = Tenant(
                self.settings,
                region,
                tasks,
                open_client=lambda access: self._connect(access, self._slots),
                changes=self._changes,
                now=self._now,
                timing=self._timing,
                principal=principal.name,
            )
            kept = _Kept(tenant)
            task_status.started(kept)
            try:
                await kept.closing.wait()
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await tenant.aclose()

    def _close_some(self) -> None:
        """Close the tenants that nobody has used for long, and the least recently used ones of too many."""
        idle = [key for key, kept in self._kept.items() if kept.idle]
        too_many = len(self._kept) - MOST_TENANTS
        now = anyio.current_time()
        for number, key in enumerate(idle):
            if number < too_many or now >= self._kept[key].used_at + IDLE_LIMIT:
                self._kept.pop(key).closing.set()


@asynccontextmanager
async def running(
    settings: Settings,
    tools: Mapping[str, AnyTool],
    connections: Connections | None = None,
    observers: Sequence[Observer] = (),
    *,
    connect: Connect = connect,
    now: Callable[[], float] = time.time,
    timing: Timing | None = None,
) -> AsyncIterator[Host]:
    """A host for as long as the block runs. What is still being followed at its end is left to MAAS."""
    async with anyio.create_task_group() as tasks:
        try:
            yield Host(
                settings,
                tools,
                tasks,
                connections=connections,
                observers=observers,
                connect=connect,
                now=now,
                timing=timing,
            )
        finally:
            tasks.cancel_scope.cancel()
