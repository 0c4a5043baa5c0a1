"""Who calls: a name, the scopes granted, and the MAAS API key whose rights the calls have."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from maas_mcp.maas.address import ApiKey
from maas_mcp.plugins.registry import AnyTool


class Scope(StrEnum):
    """What a principal may do. Each scope includes those before it."""

    READ = "maas:read"
    """Call tools that change nothing."""
    OPERATE = "maas:operate"
    """Call tools that change machines and destroy nothing."""
    DESTROY = "maas:destroy"
    """Call tools that may destroy data, or interrupt what runs on a machine."""

    def includes(self, other: "Scope") -> bool:
        """Whether this scope allows whatever ``other`` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that was authenticated, or the local user."""

    name: str
    """Unique among the callers of a server; empty for the local user."""
    scopes: frozenset[Scope]
    api_key: ApiKey | None = field(default=None, repr=False)
    """``None`` for the key of the settings."""

    def may(self, scope: Scope) -> bool:
        """Whether one of the granted scopes allows it."""
        return any(each.includes(scope) for each in self.scopes)


LOCAL: Final = Principal("", frozenset(Scope))
"""The user who started the server: over stdio nobody else can call it."""


def required_scope(tool: AnyTool) -> Scope:
    """The scope that a call of a tool needs."""
    if tool.read_only:
        return Scope.READ
    return Scope.DESTROY if tool.destructive else Scope.OPERATE
