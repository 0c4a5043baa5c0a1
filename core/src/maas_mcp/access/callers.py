"""Authenticated callers, and the names by which their MAAS API keys are found."""

from dataclasses import dataclass

from maas_mcp.calls.principal import Scope


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The owner of a MAAS API key.

    An issuer may call its subjects anything, so the owner of a static token and a subject with the same name differ,
    and so do subjects of two issuers.
    """

    name: str
    """The name of a static token, or the value of the claim that names the principals of an issuer."""
    issuer: str | None = None
    """``None`` for the owner of a static token."""

    def __str__(self) -> str:
        return self.name if self.issuer is None else f"{self.name} of {self.issuer}"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose token is accepted."""

    name: str
    """The principal's name, which is unique on a server."""
    scopes: frozenset[Scope]
    owner: KeyOwner
