"""The settings of access over HTTP, checked as a whole: who may call, and where the MAAS API keys come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from maas_mcp.access.issuer import is_safe_url, tls_trust
from maas_mcp.access.trusted_proxy import TrustedProxy
from maas_mcp.access.vault import Vault
from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """The issuers whose access tokens are accepted."""

    issuers: tuple[str, ...]
    url: str
    """The public URL of MCP, which is the protected resource."""
    audiences: tuple[str, ...]
    claim: str
    ca_bundle: Path | None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the settings of OAuth, or ``None`` if no issuer is set.

        Raises:
            SettingsError: The URL of MCP is missing, or a URL or the CA bundle cannot be used.
        """
        if not settings.http_issuers:
            return None
        for issuer in settings.http_issuers:
            _check_url("MAAS_MCP_HTTP_ISSUERS", issuer)
        if settings.http_url is None:
            raise SettingsError(
                "MAAS_MCP_HTTP_ISSUERS needs MAAS_MCP_HTTP_URL, which is not set.",
                hint="Set it to the URL that clients connect to, such as https://maas-mcp.example.com/mcp.",
            )
        _check_url("MAAS_MCP_HTTP_URL", settings.http_url)
        tls_trust(settings.http_issuer_ca_bundle)
        return cls(
            issuers=settings.http_issuers,
            url=settings.http_url,
            audiences=settings.http_audiences or (settings.http_url,),
            claim=settings.http_principal_claim,
            ca_bundle=settings.http_issuer_ca_bundle,
        )


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """The accepted callers over HTTP, and the sources of their MAAS API keys."""

    tokens: Path | None
    """The file of static tokens."""
    oauth: OAuthSettings | None
    keys: Path | None
    """The file of MAAS API keys."""
    vault: Vault | None
    proxy: TrustedProxy | None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the access over HTTP, or ``None`` if every caller is the local user.

        Raises:
            SettingsError: A setting is invalid, or one that belongs to it is missing.
        """
        access = cls(
            tokens=settings.http_tokens,
            oauth=OAuthSettings.from_settings(settings),
            keys=settings.http_keys,
            vault=Vault.from_settings(settings),
            proxy=_proxy(settings),
        )
        authenticates = access.tokens is not None or access.oauth is not None
        has_keys = access.keys is not None or access.vault is not None
        if authenticates and not has_keys and access.proxy is None:
            raise SettingsError(
                "Tokens and issuers need the MAAS API key of each principal, and no setting says where it is.",
                hint="Set MAAS_MCP_HTTP_KEYS to a file of keys, or MAAS_MCP_VAULT to the vault that `maas-mcp login` "
                "fills.",
            )
        if access.keys is not None and not authenticates:
            raise SettingsError(
                "MAAS_MCP_HTTP_KEYS has the MAAS API keys of principals, and no setting says how they authenticate.",
                hint="Set MAAS_MCP_HTTP_TOKENS to a file of tokens, or MAAS_MCP_HTTP_ISSUERS to an OAuth issuer.",
            )
        return access if authenticates or access.proxy is not None else None


def _proxy(settings: Settings) -> TrustedProxy | None:
    if not settings.http_proxy_networks and not settings.http_proxy_secret:
        return None
    return TrustedProxy(settings.http_proxy_networks, [each.get_secret_value() for each in settings.http_proxy_secret])


def _check_url(variable: str, url: str) -> None:
    parts = urlsplit(url) if is_safe_url(url) else None
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc or not url.isprintable() or " " in url:
        raise SettingsError(
            f"{variable}: {url!r} cannot be used.",
            hint="Use an https:// URL without user name, query and fragment. http:// is accepted on loopback only.",
        )
