"""The address that HTTP is served on, and whether that is safe."""

import re
from dataclasses import dataclass
from typing import Final

from maas_mcp.access.configuration import HttpAccess
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import is_loopback
from maas_mcp.settings import Settings

_FORM: Final = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>\d{1,5})")
LARGEST_PORT: Final = 65_535
LOOPBACK_HOSTS: Final = ("127.0.0.1:*", "localhost:*", "[::1]:*")


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """An address to listen on."""

    host: str
    port: int
    """0 selects a free port."""

    @classmethod
    def parse(cls, text: str) -> "HttpAddress":
        """Parse ``HOST:PORT`` or ``[IPV6]:PORT``.

        Raises:
            SettingsError: The text is not an address of this form.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or int(match["port"]) > LARGEST_PORT:
            raise SettingsError(
                f"{text!r} is not an address to serve HTTP on: expected HOST:PORT.",
                hint="For example 127.0.0.1:8000, or [::1]:8000 for IPv6.",
            )
        return cls(match["ipv6"] or match["host"], int(match["port"]))

    def check_safe(self, settings: Settings) -> None:
        """Refuse to serve other hosts without authentication, or without TLS.

        Raises:
            SettingsError: The settings do not allow the address, or contradict each other.
        """
        authenticates = HttpAccess.from_settings(settings) is not None
        if (settings.http_tls_cert is None) is not (settings.http_tls_key is None):
            raise SettingsError("MAAS_MCP_HTTP_TLS_CERT and MAAS_MCP_HTTP_TLS_KEY belong together: set both or none.")
        if is_loopback(self.host):
            return
        if not authenticates:
            raise SettingsError(
                f"{self.host} is reachable from other hosts. Without tokens, any of them could use MAAS_API_KEY.",
                hint="Set MAAS_MCP_HTTP_TOKENS or MAAS_MCP_HTTP_ISSUERS, and MAAS_MCP_HTTP_KEYS or MAAS_MCP_VAULT. "
                "Or serve on 127.0.0.1.",
            )
        if settings.http_tls_cert is None and not settings.http_tls_by_proxy:
            raise SettingsError(
                f"{self.host} is reachable from other hosts. Without TLS, tokens would be sent unencrypted.",
                hint="Set MAAS_MCP_HTTP_TLS_CERT and MAAS_MCP_HTTP_TLS_KEY, or set MAAS_MCP_HTTP_TLS_BY_PROXY if a "
                "proxy in front of this server terminates TLS.",
            )
