"""The project's own plugins and their tools. Tests ignore other plugins in their environment."""

from functools import cache

from maas_mcp.plugins.registry import AnyTool, load_registry
from maas_mcp.server.loaded_tools import served_tools

OWN_PLUGINS = ("commission", "configure", "deploy", "inventory")


@cache
def own_tools() -> dict[str, AnyTool]:
    """The project's own tools by name, loaded once. A tool keeps no state between calls."""
    return served_tools(load_registry(allow=OWN_PLUGINS, strict=True))
