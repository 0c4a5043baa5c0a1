"""The address of a region, however a person wrote it."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from maas_mcp.errors import SettingsError

_API_PATH: Final = "api/2.0/"


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
