"""The address, API key and proxy of a region, parsed from the settings."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from maas_mcp.errors import SettingsError

API_PATH: Final = "api/2.0/"
KEY_HINT: Final = (
    "Get a key with `sudo maas apikey --username NAME` on the region, or in the MAAS UI under your user's preferences"
    " (API keys)."
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A MAAS API key, ``consumer:token:secret``. Its repr shows no part of it."""

    consumer: str = field(repr=False)
    token: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, source: str = "MAAS_API_KEY") -> Self:
        """Parse a key.

        Args:
            text: The key.
            source: Where it comes from, for the message.

        Raises:
            SettingsError: The key is not three parts of letters and digits. The message contains no part of it.
        """
        if "://" in text:
            raise SettingsError(f"{source} is not a MAAS API key: it is a URL.", hint=KEY_HINT)
        parts = text.strip().split(":")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - consumer, token and secret
            raise SettingsError(
                f"{source} is not a MAAS API key: expected consumer:token:secret, got {_describe(parts)}.",
                hint=KEY_HINT,
            )
        if not all(re.fullmatch(r"[A-Za-z0-9._~-]+", part) for part in parts):  # MAAS 3.7 generates letters and digits
            raise SettingsError(
                f"{source} is not a MAAS API key: expected letters and digits in each of the three parts.",
                hint=f"Check the value for quotes, spaces and other text copied with it. {KEY_HINT}",
            )
        return cls(*parts)


def _describe(parts: list[str]) -> str:
    if parts == [""]:
        return "nothing"
    return "an empty part" if "" in parts else f"{len(parts)} {'part' if len(parts) == 1 else 'parts'}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy between maas-mcp and a region."""

    url: str = field(repr=False)
    """The URL, with user name and password if it has them."""
    shown: str
    """The URL without user name and password."""
    variable: str
    """The environment variable that sets the proxy."""
    warnings: tuple[str, ...] = ()
    """Warnings about ignored entries of ``NO_PROXY``, because one of them may have been meant for the region."""

    def __str__(self) -> str:
        return f"{self.shown} ({self.variable})"


@dataclass(frozen=True, slots=True)
class RegionAccess:
    """The data for connecting to a region."""

    api_url: str
    """The API's URL with a trailing slash, such as ``https://maas.example.com:5443/MAAS/api/2.0/``."""
    api_key: ApiKey | None = None
    """``None`` for requests without credentials."""
    ca_bundle: Path | None = None
    """The only certificates to trust; ``None`` for the system's."""
    proxy: Proxy | None = None

    @property
    def identity(self) -> str:
        """The region and the API key without its secret. Operation ids are bound to it."""
        key = self.api_key
        return self.api_url if key is None else f"{self.api_url} {key.consumer} {key.token}"


def api_url(text: str, *, allow_http: bool = False, source: str = "MAAS_URL") -> str:
    """Return the URL of a region's API 2.0.

    MAAS with TLS still serves ``http://…/MAAS/api/2.0/machines`` without a redirect (MAAS 3.7). An ``http`` URL would
    therefore expose the API key unnoticed, so it is accepted only for a loopback host or with ``allow_http``.

    Args:
        text: The URL of MAAS, a page of its UI, its API, or only the host.
        allow_http: Whether to accept ``http`` for any host.
        source: Where it comes from, for the message.

    Raises:
        SettingsError: ``text`` is not such a URL. The message contains no password.
    """
    parts, port = _parse_url(text.strip(), source)
    host = parts.hostname or ""
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise SettingsError(
            f"{source} uses http:// for {host}, which would send the API key unencrypted.",
            hint="Use https:// (enable it with `sudo maas config-tls enable`), or set MAAS_ALLOW_HTTP=true if the"
            " network is trusted.",
        )
    shown = f"[{host}]" if ":" in host else host
    root = f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
    return "/".join([root, *_path_prefix(parts.path), "MAAS", API_PATH])


def is_loopback(host: str) -> bool:
    """Whether ``host`` is ``localhost``, in 127.0.0.0/8, or ::1."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path_prefix(path: str) -> list[str]:
    segments = [segment for segment in path.split("/") if segment]
    if "MAAS" in segments:
        return segments[: segments.index("MAAS")]
    whole = f"/{'/'.join(segments)}/"  # MAAS serves its API only below /MAAS, so a URL without it means the same
    return [segment for segment in whole.partition(f"/{API_PATH}")[0].split("/") if segment]


def _parse_url(text: str, source: str) -> tuple[SplitResult, int | None]:
    problem = "it is not a URL"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    else:
        problem = _url_problem(text, parts)
    if problem:
        raise SettingsError(
            f"{source} cannot be used: {problem}.",
            hint="Set it to the URL of the region, such as https://maas.example.com:5443/MAAS or"
            " http://localhost:5240/MAAS.",
        )
    return parts, port


def _url_problem(text: str, parts: SplitResult) -> str:
    # The query and fragment of a UI page do not matter, so they may contain any character.
    address = re.split(r"[?#]", text, maxsplit=1)[0]
    checks = (
        (
            "\\" in address or not re.fullmatch(r"[\x21-\x7e]+", address),
            "it is empty, or contains a space, a backslash or a non-ASCII character",
        ),
        ("@" in parts.netloc, "it contains a user name or password; credentials belong in MAAS_API_KEY"),
        (parts.scheme not in {"http", "https"}, "it does not start with https:// or http://"),
        (not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", parts.hostname or ""), "it has no valid host name"),
        (
            "%" in "/".join(_path_prefix(parts.path)) or {".", ".."} & set(parts.path.split("/")),
            "its path contains a dot segment or a % sign",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def proxy_error(variable: str, shown: str | None, problem: str, host: str) -> SettingsError:
    """Create the error for a proxy that cannot be used.

    Args:
        variable: The environment variable that sets the proxy.
        shown: The proxy without the password, or ``None`` if the password cannot be separated.
        problem: The reason why it cannot be used.
        host: The host of the region.
    """
    return SettingsError(
        f"{variable} names {f'the proxy {shown}' if shown else 'a proxy'}, which cannot be used: {problem}.",
        hint=f"Correct the variable, or exempt the region from the proxy: NO_PROXY={host}.",
    )
