"""Reads the keys of an OAuth issuer over HTTPS, as its metadata says (RFC 8414 and OpenID Connect Discovery)."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx2
from pydantic import TypeAdapter, ValidationError

from maas_mcp import __version__
from maas_mcp.access.key_sets import KeySet
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import is_loopback


class IssuerError(Exception):
    """The issuer's keys cannot be read. The message says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The limits for reading an issuer's documents."""

    seconds: float = 10.0
    """Maximum seconds until all documents have arrived."""
    size: int = 512 * 1024
    """Maximum bytes of one document."""


LIMITS: Final = ReadLimits()
_OBJECT: Final = TypeAdapter(dict[str, Any])


async def read_keys(issuer: str, ca_bundle: Path | None = None, limits: ReadLimits = LIMITS) -> KeySet:
    """Read the current keys of an issuer.

    Redirects are not followed, and compressed responses are not accepted.

    Args:
        issuer: The issuer's identifier, a URL.
        ca_bundle: A PEM file with the CAs to trust; ``None`` for the system's.
        limits: The limits for its documents.

    Raises:
        IssuerError: The issuer does not answer in time, or not with its metadata and keys.
    """
    try:
        with anyio.fail_after(limits.seconds):
            async with httpx2.AsyncClient(
                verify=tls_trust(ca_bundle),
                follow_redirects=False,
                timeout=limits.seconds,
                headers={
                    "User-Agent": f"maas-mcp/{__version__}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
            ) as http:
                url = await _keys_url(http, issuer, limits.size)
                return KeySet(await _read_json(http, url, limits.size))
    except TimeoutError:
        raise IssuerError(f"{issuer} did not answer within {limits.seconds:g} s.") from None
    except SettingsError as error:
        raise IssuerError(error.message) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise IssuerError(f"{issuer} cannot be reached: {error or type(error).__name__}.") from None
    except ValueError as error:
        raise IssuerError(f"The keys of {issuer} cannot be used: {error}.") from None


def tls_trust(ca_bundle: Path | None) -> ssl.SSLContext | bool:
    """Return the TLS context for issuers, which always verifies certificates; ``True`` for the system's CAs.

    Raises:
        SettingsError: The bundle cannot be used.
    """
    if ca_bundle is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsError(
            f"{ca_bundle}, the file of MAAS_MCP_HTTP_ISSUER_CA_BUNDLE, cannot be used: {error}.",
            hint="Set it to a PEM file (BEGIN CERTIFICATE) with the certificate of the CA that signed the issuer's.",
        ) from None


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return the URLs of an issuer's metadata: by RFC 8414, section 3, and by OpenID Connect Discovery, section 4."""
    parts = urlsplit(issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return f"{root}/.well-known/oauth-authorization-server{path}", f"{root}{path}/.well-known/openid-configuration"


def is_safe_url(url: str) -> bool:
    """Whether documents from this URL can be trusted: it uses https, or is on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


async def _keys_url(http: httpx2.AsyncClient, issuer: str, size: int) -> str:
    """Return the URL of the issuer's keys from its metadata.

    Raises:
        ValueError: There is no metadata, or it is that of another issuer, or the URL is not safe.
    """
    problem = ""
    for url in metadata_urls(issuer):
        try:
            metadata = await _read_json(http, url, size)
        except ValueError as error:
            problem = str(error)
            continue
        # RFC 8414, section 3.3: otherwise one issuer could pose as another.
        if metadata.get("issuer") != issuer:
            raise ValueError(f"{url} is the metadata of another issuer, {str(metadata.get('issuer'))[:200]!r}")
        keys = metadata.get("jwks_uri")
        if not isinstance(keys, str) or not is_safe_url(keys):
            raise ValueError(f"{url} has no https URL as jwks_uri")
        return keys
    raise ValueError(problem)


async def _read_json(http: httpx2.AsyncClient, url: str, size: int) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: The response is not one.
    """
    body = bytearray()
    async with http.stream("GET", url) as response:
        if response.status_code != httpx2.codes.OK:
            raise ValueError(f"{url} returned status {response.status_code}")
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > size:
                raise ValueError(f"{url} returned more than {size:,} bytes")
    try:
        document: dict[str, Any] = _OBJECT.validate_json(bytes(body))
    except ValidationError:
        raise ValueError(f"{url} did not return a JSON object") from None
    return document
