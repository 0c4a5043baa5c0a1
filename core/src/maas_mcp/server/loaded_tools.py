"""All loaded tools with their toolsets, and the check of the settings that name them."""

import logging
from collections.abc import Iterable
from typing import Final

from maas_mcp.errors import SettingsError
from maas_mcp.plugins.registry import AnyTool, PluginState, Registry
from maas_mcp.plugins.validation import did_you_mean
from maas_mcp.policy.selection import matches
from maas_mcp.server.operation_tools import OPERATION_TOOLS
from maas_mcp.settings import Settings, variable_name

logger = logging.getLogger(__name__)

PATTERN_SETTINGS: Final = ("tools_allow", "tools_block")


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The plugins' tools and the host's own tools, by name, in the order in which clients see them."""
    tools: list[AnyTool] = [*(tool() for tool in OPERATION_TOOLS), *registry.tools.values()]
    return {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.list_position)}


def toolsets_of(registry: Registry) -> dict[str, str]:
    """The toolset of each of these tools, by the tool's name."""
    return {**{tool.name: tool.toolset for tool in OPERATION_TOOLS}, **registry.toolsets}


def check_toolsets(settings: Settings, registry: Registry) -> None:
    """Check that the toolsets and tools in the settings exist. A pattern without a tool is only logged.

    Raises:
        SettingsError: A toolset does not exist.
    """
    known = set(toolsets_of(registry).values())
    unknown = sorted(set(settings.toolsets) - known)
    failed = [each.name for each in registry.records if each.state is PluginState.FAILED]
    if unknown and failed:  # it may be a toolset of theirs, and one plugin must not stop the server
        logger.warning(
            "%s names %s, which no loaded plugin has. It may belong to a plugin that cannot be used: %s.",
            variable_name("toolsets"),
            ", ".join(unknown),
            ", ".join(failed),
        )
    elif unknown:
        raise SettingsError(
            f"{variable_name('toolsets')} names {_join(unknown)}, which no loaded plugin has.",
            hint=f"The toolsets are: {', '.join(sorted(known))}.{did_you_mean(unknown[0], known)}",
        )
    tools = served_tools(registry)
    for setting in PATTERN_SETTINGS:
        for pattern in getattr(settings, setting):
            if not any(matches([pattern], tool) for tool in tools.values()):
                meant = did_you_mean(pattern, tools)
                logger.warning("%s has %s, which selects no tool.%s", variable_name(setting), pattern, meant)


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"the toolset {each[:40]!r}" for each in names)
