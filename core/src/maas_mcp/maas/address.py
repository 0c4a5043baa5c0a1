"""Where a region is, however a person wrote it, and with which key and through which proxy it is reached."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from maas_mcp.errors import SettingsError

_API_PATH: Final = "api/2.0/"
KEY_HINT: Final = (
    "Get a key with `sudo maas apikey --username NAME` on the region, or from the preferences page of your user in the"
    " MAAS UI (API keys)."
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A MAAS API key, ``consumer:token:secret``; its repr shows none of it."""

    consumer: str = field(repr=False)
    token: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a key apart.

        Raises:
            SettingsError: It is not three parts of letters and digits; the message never holds any of it.
        """
        if "://" in text:
            raise SettingsError("MAAS_API_KEY is not a MAAS API key: it is an address.", hint=KEY_HINT)
        parts = text.strip().split(":")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - consumer, token and secret
            given = f"{sum(map(bool, parts))} non-empty part(s) of {len(parts)}"
            raise SettingsError(
                f"MAAS_API_KEY is not a MAAS API key: expected consumer:token:secret, got {given}.", hint=KEY_HINT
            )
        if not all(re.fullmatch(r"[A-Za-z0-9._~-]+", part) for part in parts):  # MAAS 3.7 makes letters and digits
            raise SettingsError(
                "MAAS_API_KEY is not a MAAS API key: expected letters and digits in each of the three parts.",
                hint=f"Check the value for quotes, blanks and anything else that was copied with it. {KEY_HINT}",
            )
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy through which a region is reached."""

    url: str = field(repr=False)
    """With user name and password, if it has any."""
    shown: str
    """Without them."""
    variable: str
    """Which variable names it."""
    warnings: tuple[str, ...] = ()
    """About entries of ``NO_PROXY`` that are ignored; one of them may have been meant for the region."""

    def __str__(self) -> str:
        return f"{self.shown} ({self.variable})"


@dataclass(frozen=True, slots=True)
class RegionAccess:
    """All that is needed to speak to a region."""

    api_url: str
    """Such as ``https://maas.example.com:5443/MAAS/api/2.0/``, always with the last slash."""
    api_key: ApiKey
    ca_bundle: Path | None = None
    """The only certificates to trust; ``None`` for those of the system."""
    proxy: Proxy | None = None


def api_url(text: str, *, allow_http: bool = False) -> str:
    """The address of API 2.0 of the region at ``text``, which may point at MAAS, a page of its UI, its API or the host.

    MAAS with TLS on still answers ``http://…/MAAS/api/2.0/machines`` without a redirect (MAAS 3.7), so that an ``http``
    address would send the API key readable and nobody would notice: it takes a loopback host or ``allow_http``.

    Raises:
        SettingsError: It is no such address; the message never holds a password.
    """
    parts, port = _split(text.strip())
    host = parts.hostname or ""
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise SettingsError(
            f"MAAS_URL uses http:// for {host}: the API key would cross the network readable.",
            hint="Use https:// (MAAS: `sudo maas config-tls enable`), or set MAAS_ALLOW_HTTP=true if that network is"
            " trusted.",
        )
    shown = f"[{host}]" if ":" in host else host
    root = f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
    return "/".join([root, *_above_the_region(parts.path), "MAAS", _API_PATH])


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _above_the_region(path: str) -> list[str]:
    segments = [segment for segment in path.split("/") if segment]
    if "MAAS" in segments:
        return segments[: segments.index("MAAS")]
    whole = f"/{'/'.join(segments)}/"  # MAAS serves its API below /MAAS only: who left that out means the same place
    return [segment for segment in whole.partition(f"/{_API_PATH}")[0].split("/") if segment]


def _split(text: str) -> tuple[SplitResult, int | None]:
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
            f"MAAS_URL cannot be used: {problem}.",
            hint="It is the address of the region, such as https://maas.example.com:5443/MAAS or"
            " http://localhost:5240/MAAS.",
        )
    return parts, port


def _url_problem(text: str, parts: SplitResult) -> str:
    # The query and the fragment of a page of the UI say nothing about the region, whatever is in them.
    address = re.split(r"[?#]", text, maxsplit=1)[0]
    checks = (
        (
            "\\" in address or not re.fullmatch(r"[\x21-\x7e]+", address),
            "it is empty, or holds a space, a backslash or a character outside ASCII",
        ),
        ("@" in parts.netloc, "it holds a user name or password; credentials belong into MAAS_API_KEY"),
        (parts.scheme not in {"http", "https"}, "it does not start with https:// or http://"),
        (not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", parts.hostname or ""), "it names no host"),
        (
            "%" in "/".join(_above_the_region(parts.path)) or {".", ".."} & set(parts.path.split("/")),
            "its path holds a dot segment or a % sign",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def unusable(variable: str, shown: str | None, problem: str, host: str) -> SettingsError:
    """The error for a proxy that cannot be used.

    Args:
        variable: Which variable names it.
        shown: The proxy without a password, or ``None`` if it cannot be separated from the rest.
        problem: What is wrong with it.
        host: The host of the region.
    """
    return SettingsError(
        f"{variable} names {f'the proxy {shown}' if shown else 'a proxy'}, which cannot be used: {problem}.",
        hint=f"Correct the variable, or exempt the region from the proxy: NO_PROXY={host}.",
    )
