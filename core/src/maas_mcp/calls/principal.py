"""The caller of a request: its name, its scopes, and the MAAS API key that its calls use."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from maas_mcp.maas.address import ApiKey
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.tiers import Tier


class Scope(StrEnum):
    """A permission of a principal. Each scope includes the ones before it."""

    READ = "maas:read"
    """Calls that change nothing."""
    OPERATE = "maas:operate"
    """Calls that change something and lose no workload or data."""
    DESTROY = "maas:destroy"
    """Calls that can lose a machine's workload or data."""

    @classmethod
    def of(cls, tier: Tier) -> "Scope":
        """The scope that calls of a tier need."""
        return _SCOPES[tier]

    @property
    def tier(self) -> Tier:
        """The tier of the calls that this scope allows."""
        return _TIERS[self]

    def includes(self, other: "Scope") -> bool:
        """Whether this scope allows everything that ``other`` allows."""
        return self.tier.includes(other.tier)


_SCOPES: Final = {Tier.READ: Scope.READ, Tier.OPERATE: Scope.OPERATE, Tier.DESTROY: Scope.DESTROY}
_TIERS: Final = {scope: tier for tier, scope in _SCOPES.items()}


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller, or the local user."""

    name: str
    """Unique among the callers of a server; empty for the local user.

    The name of a static token; issuer and subject of an OAuth token; or a digest of the MAAS API key that a trusted
    proxy sent. No name of one kind has the form of another kind.
    """
    scopes: frozenset[Scope]
    api_key: ApiKey | None = field(default=None, repr=False)
    """``None`` to use the API key from the settings."""

    def may(self, scope: Scope) -> bool:
        """Whether one of the principal's scopes includes ``scope``."""
        return scope in self.scopes or any(each.includes(scope) for each in self.scopes)


LOCAL: Final = Principal("", frozenset(Scope))
"""The local user: the only caller over stdio, and every caller over HTTP without tokens."""

ANONYMOUS: Final = Principal("(anonymous)", frozenset())
"""The server itself, which asks MAAS without credentials whether it is available."""


def required_scope(tool: AnyTool) -> Scope:
    """The scope that every call of a tool needs. The machines of a call may require a higher one."""
    return Scope.READ if tool.read_only else Scope.OPERATE
