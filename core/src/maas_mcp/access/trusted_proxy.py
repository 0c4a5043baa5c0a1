"""A trusted proxy, which authenticates users itself and sends the MAAS API key of each in a header."""

import hashlib
import hmac
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey

KEY_HEADER: Final = "x-maas-api-key"
"""The header with the MAAS API key of the user whose request the proxy forwards."""
SECRET_HEADER: Final = "x-maas-proxy-secret"  # noqa: S105 - a header's name
"""The header with the secret that proves that the request comes from the proxy."""


class TrustedProxy:
    """Decides whether a request comes from the trusted proxy.

    Args:
        networks: The addresses and networks of the proxy; empty for any address.
        secrets: The secrets of which the proxy sends one; empty for none.

    Raises:
        SettingsError: There is neither a network nor a secret, or a network is invalid.
    """

    def __init__(self, networks: Sequence[str], secrets: Sequence[str]) -> None:
        self._networks = [_network(each) for each in networks]
        self._secrets = [_digest(each) for each in secrets]
        if not self._networks and not self._secrets:
            raise SettingsError("A trusted proxy needs MAAS_MCP_HTTP_PROXY_NETWORKS or MAAS_MCP_HTTP_PROXY_SECRET.")

    def sends(self, peer: str | None, secret: str | None) -> bool:
        """Whether a request comes from the proxy.

        Args:
            peer: The address of the connection's other end. A forwarded address in a header does not count.
            secret: The secret that was sent, if any.
        """
        return self._has_address(peer) and self._knows_secret(secret)

    def _has_address(self, peer: str | None) -> bool:
        if not self._networks:
            return True
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # a socket for both families shows an IPv4 address as IPv6
        return any(address in network for network in self._networks)

    def _knows_secret(self, secret: str | None) -> bool:
        if not self._secrets:
            return True
        given = _digest(secret or "")
        return any([hmac.compare_digest(given, each) for each in self._secrets])  # noqa: C419 - compares with all: the time says nothing


def key_principal(key: ApiKey) -> str:
    """Return the name of the principal that has only a MAAS API key. It does not reveal the key."""
    return f"maas-key:{_digest(f'{key.consumer}:{key.token}:{key.secret}').hex()[:32]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"MAAS_MCP_HTTP_PROXY_NETWORKS: {text!r} is not an address or network: {error}.",
            hint="For example 10.0.0.5, 10.0.0.0/24 or fd00::/8.",
        ) from None
