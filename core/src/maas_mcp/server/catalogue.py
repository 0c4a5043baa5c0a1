"""The catalogue: everything that the loaded plugins contribute. A reload replaces it and announces each change."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import anyio
import mcp_types as types
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
from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool, PluginRecord, Registry
from maas_mcp.server.operation_tools import OPERATION_TOOLS
from maas_mcp.server.own_resources import served_resources
from maas_mcp.server.tools import mcp_tool

if TYPE_CHECKING:
    from mcp.server.connection import Connection

    from maas_mcp.server.contents import Contents

logger = logging.getLogger(__name__)

SEND_LIMIT: Final = 5.0
"""Seconds for one client to receive an announcement. A client that does not read misses it."""


class Catalogue:
    """The tools, prompts and skills that the server serves, and the clients to which their changes are announced.

    Args:
        registry: The plugins' contributions.
        regions: The regions from which calls choose, if there are several.
    """

    def __init__(self, registry: Registry, regions: Sequence[str] = ()) -> None:
        self.bus = InMemorySubscriptionBus()
        """Receives each change, for ``subscriptions/listen``."""
        self.scopes: dict[str, Scope] = {}
        """The scope that each tool needs, by name. It is changed in place."""
        self.tools: Mapping[str, AnyTool] = {}
        """The tools by name, in the order in which clients see them."""
        self.records: Sequence[PluginRecord]
        """The state of each plugin."""
        self.resources: Sequence[Resource] = ()
        """The resources and templates, without the skills' files."""
        self._registry = registry
        self._regions = tuple(regions)
        self._contents: Contents | None = None
        self._hosts: list[Host] = []
        self._observers: list[Callable[[], None]] = []
        self._listings: dict[ClientFeatures, types.ListToolsResult] = {}
        self._input_schemas: dict[str, Schema] = {}
        self._connections: WeakSet[Connection] = WeakSet()
        """The sessions of clients before 2026-07-28 that have listed something."""
        self._set(registry)

    @property
    def contents(self) -> "Contents":
        """The skills, prompts, resources and completions, imported and built at the first use."""
        if self._contents is None:
            from maas_mcp.server.contents import Contents  # noqa: PLC0415 - not needed to list the tools

            self._contents = Contents(self._registry, self.tools, self.resources)
        return self._contents

    def listing(self, client: ClientFeatures) -> types.ListToolsResult:
        """The list of tools for a client with these features, built once."""
        if client not in self._listings:
            tools = [mcp_tool(tool, client, self._regions) for tool in self.tools.values()]
            self._listings[client] = types.ListToolsResult(tools=tools)
        return self._listings[client]

    def input_schema(self, name: str) -> Schema | None:
        """The input schema of a tool, built once: the SDK asks for it at each call over HTTP."""
        if name not in self._input_schemas and name in self.tools:
            self._input_schemas[name] = published_arguments(self.tools[name], ClientFeatures(), self._regions)
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

    async def reload(self, load: Callable[[], Registry]) -> None:
        """Serve the tools of a newly loaded registry, and announce the change if there is one.

        Running calls go on with the tools that they have. If the new configuration is invalid, the old one stays.

        Args:
            load: Reads the configuration and loads the plugins.
        """
        try:
            registry = load()
        except MaasMcpError as error:
            logger.error("Nothing was reloaded: %s", " ".join(filter(None, [error.message, error.hint])))  # noqa: TRY400 - the message explains it
            return
        before = self._lists()
        self._set(registry)
        for observe in self._observers:
            observe()
        logger.warning("The configuration was reloaded: %d tools", len(self.tools))
        for change, listed in self._lists().items():
            if listed != before[change]:
                await self.announce(change())

    def _lists(self) -> dict[Callable[[], ServerEvent], object]:
        """The content of each list, by the event that announces a change of it."""
        return {
            ToolsListChanged: self.listing(ClientFeatures()),
            PromptsListChanged: self.contents.prompts.listed,
            ResourcesListChanged: self.contents.resources.listed(),
        }

    async def announce(self, change: ServerEvent) -> None:
        """Announce to all clients that a list has changed: the list of tools, prompts or resources."""
        await self.bus.publish(change)
        async with anyio.create_task_group() as tasks:
            for connection in list(self._connections):
                tasks.start_soon(_send, connection, change)

    def _set(self, registry: Registry) -> None:
        self._registry = registry
        self.tools, self.records = served_tools(registry), registry.records
        self.scopes.clear()
        self.scopes.update({name: required_scope(tool) for name, tool in self.tools.items()})
        self.resources = served_resources(registry)
        self._contents = None
        self._listings.clear()
        self._input_schemas.clear()
        for host in self._hosts:
            self._pass_on(host)

    def _pass_on(self, host: Host) -> None:
        host.serve(self.tools)
        host.plugins.use(self._registry.plugins)
        host.updates.serve(self.resources)


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The plugins' tools and the host's own tools, by name, in the order in which clients see them."""
    tools: list[AnyTool] = [*(tool() for tool in OPERATION_TOOLS), *registry.tools.values()]
    return {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.list_position)}


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
