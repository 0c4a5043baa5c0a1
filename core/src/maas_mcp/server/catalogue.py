"""The catalogue: everything that the server serves. A reload replaces it and announces each change."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import anyio
from mcp.server import ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourcesListChanged,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from maas_mcp.calls.arguments import ClientFeatures, published_arguments
from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import Scope, required_scope
from maas_mcp.calls.served import MAX_KEPT, Serving
from maas_mcp.errors import MaasMcpError
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool, PluginRecord, Registry
from maas_mcp.policy.selection import Selection
from maas_mcp.server.loaded_tools import served_tools, toolsets_of
from maas_mcp.server.named_tools import check_names
from maas_mcp.server.narrowing import selections_of
from maas_mcp.server.view import View
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from mcp.server.connection import Connection

    from maas_mcp.server.skills import LoadedSkills

logger = logging.getLogger(__name__)

LIST_CHANGES: Final[tuple[Callable[[], ServerEvent], ...]] = (
    ToolsListChanged,
    PromptsListChanged,
    ResourcesListChanged,
)
"""The events that announce the change of a list, in the order of :attr:`View.lists`."""
SEND_LIMIT: Final = 5.0
"""Seconds for one client to receive an announcement. A client that does not read misses it."""


ViewOf = Callable[[ServerRequestContext[Any, Any]], Awaitable[View]]
"""Returns the view of a request."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that a reload replaces."""

    registry: Registry
    settings: Settings
    """Settings of which the policy is used."""


class Catalogue:
    """Everything that the server serves, and the clients to which its changes are announced.

    Args:
        registry: The plugins' contributions.
        settings: The settings.
        regions: The regions from which calls choose, if there are several.

    Raises:
        SettingsError: The settings name a toolset or a limit that does not exist.
    """

    def __init__(self, registry: Registry, settings: Settings, regions: Sequence[str] = ()) -> None:
        self.bus = InMemorySubscriptionBus()
        """Receives each change, for ``subscriptions/listen``."""
        self.scopes: dict[str, Scope] = {}
        """The scope that each tool needs, by name. It is changed in place."""
        self.loaded: Mapping[str, AnyTool] = {}
        """All loaded tools by name, in the order in which clients see them."""
        self.base: View
        """The view of a request that narrows nothing."""
        self.serving: Serving
        """The selections of the loaded tools."""
        self._registry = registry
        self._settings = settings
        self._regions = tuple(regions)
        self._skills: LoadedSkills | None = None
        self._hosts: list[Host] = []
        self._observers: list[Callable[[], None]] = []
        self._input_schemas: dict[str, Schema] = {}
        self._connections: WeakSet[Connection] = WeakSet()
        """The sessions of clients before 2026-07-28 that have listed something."""
        self._set(registry, settings)

    @property
    def records(self) -> Sequence[PluginRecord]:
        """The state of each plugin."""
        return self._registry.records

    async def view(self, ctx: ServerRequestContext[Any, Any]) -> View:
        """The view of a request."""
        return self._view_of(*await selections_of(ctx))

    def input_schema(self, name: str) -> Schema | None:
        """The input schema of a tool, built once: the SDK asks for it at each call over HTTP."""
        if name not in self._input_schemas and name in self.loaded:
            self._input_schemas[name] = published_arguments(self.loaded[name], ClientFeatures(), self._regions)
        return self._input_schemas.get(name)

    @contextmanager
    def served_by(self, host: Host) -> Iterator[None]:
        """Pass each change to ``host`` during the block."""
        self._hosts.append(host)
        self._pass_on(host)
        try:
            yield
        finally:
            self._hosts.remove(host)

    def when_reloaded(self, observe: Callable[[], None]) -> None:
        """Call ``observe`` after each reload, before it is announced."""
        self._observers.append(observe)

    def remember(self, ctx: ServerRequestContext[Any, Any]) -> None:
        """Remember the client of a request that lists something, to announce changes to it.

        Newer clients open ``subscriptions/listen`` instead.
        """
        if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            # The session is made for one request. Only its connection lives as long as the client.
            self._connections.add(ctx.session._connection)  # noqa: SLF001 - the SDK offers no other way

    async def reload(self, load: Callable[[], Configuration]) -> None:
        """Serve the tools of a newly loaded registry by a newly read policy, and announce the changes of the lists.

        Running calls go on with the tools that they have. If the new configuration is invalid, the old one stays.

        Args:
            load: Reads the configuration and loads the plugins.
        """
        before = self.base.lists
        try:
            loaded = load()
            self._set(loaded.registry, loaded.settings)
        except MaasMcpError as error:
            logger.error("Nothing was reloaded: %s", " ".join(filter(None, [error.message, error.hint])))  # noqa: TRY400 - the message explains it
            return
        for observe in self._observers:
            observe()
        logger.warning("The configuration was reloaded: %d tools, mode %s", *self._summary())
        for change, old, new in zip(LIST_CHANGES, before, self.base.lists, strict=True):
            if old != new:
                await self.announce(change())

    def _summary(self) -> tuple[int, str]:
        return len(self.base.served.tools), self._settings.mode

    async def announce(self, change: ServerEvent) -> None:
        """Announce to all clients that a list has changed: the list of tools, prompts or resources."""
        await self.bus.publish(change)
        async with anyio.create_task_group() as tasks:
            for connection in list(self._connections):
                tasks.start_soon(_send, connection, change)

    def _set(self, registry: Registry, settings: Settings) -> None:
        for warning in check_names(settings, registry):
            logger.warning("%s", warning)
        self._registry, self._settings = registry, settings
        self.loaded = served_tools(registry)
        self.serving = Serving(self.loaded, toolsets_of(registry), [settings.selection])
        self._skills = None
        self._view_of = lru_cache(MAX_KEPT)(self._new_view)
        self.base = self._view_of()
        self.scopes.clear()
        self.scopes.update({name: required_scope(tool) for name, tool in self.base.served.tools.items()})
        self._input_schemas.clear()
        for host in self._hosts:
            self._pass_on(host)

    def _new_view(self, *selections: Selection) -> View:
        served = self.serving.select(*selections)
        return View(self._registry, served, self._loaded_skills, regions=self._regions)

    def _loaded_skills(self) -> "LoadedSkills":
        """The skills of all plugins, read once for all views."""
        if self._skills is None:
            from maas_mcp.server.skills import LoadedSkills  # noqa: PLC0415 - not needed to list the tools

            self._skills = LoadedSkills(self._registry.skills, self.loaded)
        return self._skills

    def _pass_on(self, host: Host) -> None:
        host.policy.use(self._settings)
        host.serve(self.loaded, self.serving)
        host.plugins.use(self._registry.plugins)
        host.updates.serve(self.base.resources)


async def _send(connection: "Connection", change: ServerEvent) -> None:
    with anyio.move_on_after(SEND_LIMIT):
        try:
            match change:
                case ToolsListChanged():
                    await connection.send_tool_list_changed()
                case PromptsListChanged():
                    await connection.send_prompt_list_changed()
                case ResourcesListChanged():
                    await connection.send_resource_list_changed()
        except Exception:
            logger.debug("a client did not receive an announcement", exc_info=True)
