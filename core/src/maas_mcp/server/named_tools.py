"""Checks that the toolsets, tools and limits that the settings name exist: a misspelt one would have no effect."""

from collections.abc import Collection, Iterator
from typing import Final

from maas_mcp.errors import SettingsError
from maas_mcp.plugins.registry import PluginState, Registry
from maas_mcp.plugins.validation import did_you_mean
from maas_mcp.policy.limits import ERASE
from maas_mcp.policy.selection import matches
from maas_mcp.policy.tiers import Tier
from maas_mcp.server.loaded_tools import served_tools, toolsets_of
from maas_mcp.settings import Settings, setting_origin

PATTERN_SETTINGS: Final = ("tools_allow", "tools_block")
MAX_SHOWN: Final = 40
"""Characters of an unknown name that a message shows."""


def check_names(settings: Settings, registry: Registry) -> list[str]:
    """Check the names in the settings, and return a sentence for each that has no effect without being an error.

    Raises:
        SettingsError: A toolset or a limit does not exist.
    """
    toolsets = set(toolsets_of(registry).values())
    limits = {tool.limit for tool in served_tools(registry).values() if tool.limit} | {ERASE}
    kinds = {*limits, str(Tier.OPERATE), str(Tier.DESTROY)}
    policy, policy_origin = settings.policy, setting_origin("policy")
    unused = PluginState.FAILED, PluginState.BLOCKED
    return [
        *_check(setting_origin("toolsets"), "toolset", settings.toolsets, toolsets, _plugins(registry, unused[:1])),
        *_check(f"{policy_origin}: limits", "limit", policy.limits, limits, _plugins(registry, unused)),
        *_check(f"{policy_origin}: second_person", "kind", policy.second_person, kinds, _plugins(registry, unused)),
        *_useless_patterns(settings, registry),
    ]


def _plugins(registry: Registry, states: Collection[PluginState]) -> list[str]:
    return [each.name for each in registry.records if each.state in states]


def _check(origin: str, noun: str, names: Collection[str], known: set[str], plugins: Collection[str]) -> Iterator[str]:
    """Check names. One plugin that is not loaded must not stop the server: the names may be its own."""
    unknown = sorted(set(names) - known)
    if not unknown:
        return
    shown = ", ".join(f"the {noun} {each[:MAX_SHOWN]!r}" for each in unknown)
    problem = f"{origin} names {shown}, which no loaded plugin has."
    if plugins:
        yield f"{problem} It may belong to a plugin that is not loaded: {', '.join(plugins)}."
        return
    hint = f"The {noun}s are: {', '.join(sorted(known))}.{did_you_mean(unknown[0], known)}"
    raise SettingsError(problem, hint=hint)


def _useless_patterns(settings: Settings, registry: Registry) -> Iterator[str]:
    tools = served_tools(registry)
    for setting in PATTERN_SETTINGS:
        for pattern in getattr(settings, setting):
            if not any(matches([pattern], tool) for tool in tools.values()):
                meant = did_you_mean(pattern, tools)
                yield f"{setting_origin(setting)} has {pattern}, which selects no tool.{meant}"
