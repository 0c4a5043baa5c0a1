"""The host's own resources: an operation, and the list of plugins."""

from collections.abc import Collection, Sequence

from pydantic import BaseModel, Field

from maas_mcp.operations.declaring.operations import OperationReport
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.plugins.registry import PluginRecord, PluginState, Registry
from maas_mcp.server.operation_tools import GetOperation


class OperationResource(Resource):
    """The current state of a long-running operation, with its result or error if it has ended."""

    uri = "maas://operations/{operation_id}"
    name = "operation"
    tools = (GetOperation.name,)
    title = "Operation"
    mime_type = "application/json"

    async def read(self, ctx: ToolContext, operation_id: str) -> OperationReport:
        """Poll MAAS once."""
        return await ctx.operations.get(operation_id)


class Plugin(BaseModel, defer_build=True):
    """An installed plugin."""

    name: str
    distribution: str
    version: str
    state: PluginState
    tools: list[str]
    resources: list[str]


class Plugins(BaseModel, defer_build=True):
    """All installed plugins."""

    plugins: list[Plugin] = Field(description="`maas-mcp plugins` shows why a plugin failed.")


class PluginsResource(Resource):
    """The installed plugins of this server, with their state, tools and resources."""

    uri = "maas-mcp://plugins"
    name = "plugins"
    title = "Plugins"
    mime_type = "application/json"

    def __init__(self, records: Sequence[PluginRecord] = (), tools: Collection[str] = ()) -> None:
        self._records = records
        self._tools = tools

    async def read(self, ctx: ToolContext) -> Plugins:  # noqa: ARG002 - they are known
        """List the plugins. The reason of a failure is left out, because it may name files of the server."""
        return Plugins(
            plugins=[
                Plugin(
                    name=each.name,
                    distribution=each.distribution,
                    version=each.version,
                    state=each.state,
                    tools=[name for name in each.tools if name in self._tools],
                    resources=list(each.resources),
                )
                for each in self._records
            ]
        )


def served_resources(registry: Registry, tools: Collection[str]) -> list[Resource]:
    """The host's own resources, and those of the plugins. If two match a URI, the first one is read.

    Args:
        registry: The plugins' resources.
        tools: The names of the served tools. Resources that need another tool are left out.
    """
    contributed = [resource for plugin in registry.plugins for resource in plugin.resources]
    every = [OperationResource(), PluginsResource(registry.records, tools), *contributed]
    return [each for each in every if all(name in tools for name in each.tools)]
