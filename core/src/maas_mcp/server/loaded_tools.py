"""All loaded tools with their toolsets."""

from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.operation_tools import OPERATION_TOOLS


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The plugins' tools and the host's own tools, by name, in the order in which clients see them."""
    tools: list[AnyTool] = [*(tool() for tool in OPERATION_TOOLS), *registry.tools.values()]
    return {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.list_position)}


def toolsets_of(registry: Registry) -> dict[str, str]:
    """The toolset of each of these tools, by the tool's name."""
    return {**{tool.name: tool.toolset for tool in OPERATION_TOOLS}, **registry.toolsets}
