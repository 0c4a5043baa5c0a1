"""The one proxy that the environment names for a region, if any, and the exceptions from it."""

import os
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

from maas_mcp.maas.address import Proxy, RegionAccess, is_loopback, unusable
from maas_mcp.setting_values import unwrapped

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"


@dataclass(frozen=True, slots=True)
class _Region:
    """Where requests go, as far as an exception asks."""

    scheme: str
    host: str
    port: int
    address: IPv4Address | IPv6Address | None


def through_proxy(region: RegionAccess) -> RegionAccess:
    """The region as it is reached from here: through the proxy that the environment names, if there is one.

    Raises:
        SettingsError: That proxy cannot be used.
    """
    return replace(region, proxy=region_proxy(region.api_url))


def region_proxy(api_url: str) -> Proxy | None:
    """The proxy for the region at ``api_url``: ``HTTPS_PROXY`` or ``HTTP_PROXY`` by its scheme, else ``ALL_PROXY``.

    Lower case goes before upper case. On macOS and Windows the system's settings count where no variable is set. A
    region on this machine has none.

    Raises:
        SettingsError: The region would be reached through it, but it cannot be used. No password is shown.
    """
    parts = urlsplit(api_url)
    host = (parts.hostname or "").rstrip(".")
    proxies = getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    value = unwrapped(proxies.get(scheme, ""))
    if not value or is_loopback(host):
        return None
    warnings: tuple[str, ...] = ()
    if environment := getproxies_environment():
        region = _Region(parts.scheme, host, parts.port or _PORTS[parts.scheme], _address(host))
        exempt, warnings = _exceptions(environment.get("no", ""), region)
    else:
        exempt = bool(proxy_bypass(host))
    return None if exempt else _proxy(value, _variable(scheme, proxies[scheme]), host, warnings)


def _proxy(value: str, variable: str, host: str, warnings: tuple[str, ...]) -> Proxy:
    text = value if "://" in value else f"http://{value}"
    problem = "it is not a URL; characters such as # / @ in a password are written as %23 %2F %40"
    parts = SplitResult("", "", "", "", "")
    try:
        parts = urlsplit(text)
        _ = parts.port  # read now: one that cannot be is only noticed when it is
    except ValueError:
        pass
    else:
        problem = _problem(parts)
    if problem:
        raise unusable(variable, _shown(text), problem, host)
    login, at, address = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    return Proxy(
        f"{parts.scheme}://{_escaped(user)}{colon}{_escaped(password)}{at}{address}",
        f"{parts.scheme}://{address}",
        variable,
        warnings,
    )


def _escaped(text: str) -> str:
    return quote(unquote(text), safe="", errors="surrogateescape")


def _problem(parts: SplitResult) -> str:
    if parts.scheme not in _SCHEMES:
        return f"{parts.scheme}:// is not supported; expected {', '.join(f'{each}://' for each in _SCHEMES)}"
    if not re.fullmatch(rf"({_HOST})(:[0-9]*)?", parts.netloc.rpartition("@")[2]):
        return "it names no host"
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        return "a SOCKS proxy needs the Python package socksio, which is not installed here"
    return ""


def _shown(url: str) -> str | None:
    """The scheme, host and port; what stands before the last ``@`` may be a password, even in what is no URL."""
    scheme, _, rest = url.partition("://")
    where = re.match(rf"({_HOST})(:[0-9]+)?(?=[/?#]|\Z)", rest.rpartition("@")[2])
    return f"{scheme}://{where[0]}" if where and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE) else None


def _variable(scheme: str, value: str) -> str:
    names = (name for name, given in os.environ.items() if name.lower() == f"{scheme}_proxy" and given == value)
    return next(names, "The proxy setting of the system")


def _exceptions(text: str, region: _Region) -> tuple[bool, tuple[str, ...]]:
    """Whether an entry of ``NO_PROXY`` is for the region, and a warning about each that is for nothing."""
    warnings = []
    for entry in map(unwrapped, re.split(r"[,;\s]+", unwrapped(text))):
        try:
            if entry and _covers(entry.lower(), region):
                return True, ()
        except ValueError:
            shown = entry.rpartition("@")[2][:60]
            warnings.append(f"NO_PROXY entry {shown!r} is not understood, so it is ignored.")
    return False, tuple(warnings)


def _covers(entry: str, region: _Region) -> bool:
    """Whether an entry is for the region: ``*``, a host, a ``.suffix``, an address or a network, maybe with a port.

    Raises:
        ValueError: It is none of these.
    """
    scheme, separator, rest = entry.rpartition("://")
    name, port = _split(rest.rstrip("/"))
    if "/" in name:
        network = ip_network(name, strict=False)
        covered = region.address is not None and region.address in network
    elif address := _address(name):
        covered = address == region.address
    elif not re.fullmatch(r"[\w.*-]+", name):
        raise ValueError(entry)
    elif "*" in name:
        covered = fnmatchcase(region.host, name)
    else:
        domain = name.strip(".")
        covered = region.address is None and f".{region.host}".endswith(f".{domain}")
    return covered and port in {None, region.port} and (not separator or scheme in {region.scheme, "all"})


def _split(entry: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](/[0-9]+)?(?::([0-9]{1,5}))?", entry)
    if bracketed:
        return bracketed[1] + (bracketed[2] or ""), int(bracketed[3]) if bracketed[3] else None
    name, colon, port = entry.partition(":")
    if not colon or ":" in port:  # none, or an IPv6 address without brackets
        return entry, None
    if not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError(entry)
    return name, int(port)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
