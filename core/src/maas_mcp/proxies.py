"""The proxy of a region, from the proxy variables of the environment and NO_PROXY."""

import os
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

from maas_mcp.maas.address import Proxy, RegionAccess, is_loopback, proxy_error
from maas_mcp.setting_values import unwrap

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"


@dataclass(frozen=True, slots=True)
class _Region:
    """The parts of the region's URL that a NO_PROXY entry is compared with."""

    scheme: str
    host: str
    port: int
    address: IPv4Address | IPv6Address | None


def with_proxy(region: RegionAccess) -> RegionAccess:
    """Return the region with the proxy that the environment sets for it, if any.

    Raises:
        SettingsError: The proxy cannot be used.
    """
    return replace(region, proxy=region_proxy(region.api_url))


def region_proxy(api_url: str) -> Proxy | None:
    """Return the proxy for the region at ``api_url``, or ``None``.

    ``HTTPS_PROXY`` or ``HTTP_PROXY`` applies by the URL's scheme, otherwise ``ALL_PROXY``. Lower-case names win. If no
    variable is set, the system's settings apply on macOS and Windows. A region on this machine needs no proxy.

    Raises:
        SettingsError: The proxy for the region cannot be used. The message contains no password.
    """
    parts = urlsplit(api_url)
    host = (parts.hostname or "").rstrip(".")
    proxies = getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    value = unwrap(proxies.get(scheme, ""))
    if not value or is_loopback(host):
        return None
    warnings: tuple[str, ...] = ()
    if environment := getproxies_environment():
        region = _Region(parts.scheme, host, parts.port or _PORTS[parts.scheme], _parse_address(host))
        exempt, warnings = _check_no_proxy(environment.get("no", ""), region)
    else:
        exempt = bool(proxy_bypass(host))
    return None if exempt else _create_proxy(value, _find_variable(scheme, proxies[scheme]), host, warnings)


def _create_proxy(value: str, variable: str, host: str, warnings: tuple[str, ...]) -> Proxy:
    text = value if "://" in value else f"http://{value}"
    problem = "it is not a URL; write characters such as # / @ in a password as %23 %2F %40"
    parts = SplitResult("", "", "", "", "")
    try:
        parts = urlsplit(text)
        _ = parts.port  # urllib raises for an invalid port only when it is read
    except ValueError:
        pass
    else:
        problem = _find_problem(parts)
    if problem:
        raise proxy_error(variable, _without_password(text), problem, host)
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


def _find_problem(parts: SplitResult) -> str:
    if parts.scheme not in _SCHEMES:
        return f"{parts.scheme}:// is not supported; expected {', '.join(f'{each}://' for each in _SCHEMES)}"
    if not re.fullmatch(rf"({_HOST})(:[0-9]*)?", parts.netloc.rpartition("@")[2]):
        return "it has no valid host name"
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        return "a SOCKS proxy needs the Python package socksio, which is not installed here"
    return ""


def _without_password(url: str) -> str | None:
    """Return scheme, host and port. Text before the last ``@`` may be a password, even in an invalid URL."""
    scheme, _, rest = url.partition("://")
    where = re.match(rf"({_HOST})(:[0-9]+)?(?=[/?#]|\Z)", rest.rpartition("@")[2])
    return f"{scheme}://{where[0]}" if where and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE) else None


def _find_variable(scheme: str, value: str) -> str:
    names = (name for name, given in os.environ.items() if name.lower() == f"{scheme}_proxy" and given == value)
    return next(names, "The system's proxy setting")


def _check_no_proxy(text: str, region: _Region) -> tuple[bool, tuple[str, ...]]:
    """Check whether ``NO_PROXY`` exempts the region, and return a warning for each invalid entry."""
    warnings = []
    for entry in map(unwrap, re.split(r"[,;\s]+", unwrap(text))):
        try:
            if entry and _matches(entry.lower(), region):
                return True, ()
        except ValueError:
            shown = entry.rpartition("@")[2][:60]
            warnings.append(f"NO_PROXY entry {shown!r} is invalid and ignored.")
    return False, tuple(warnings)


def _matches(entry: str, region: _Region) -> bool:
    """Whether a ``NO_PROXY`` entry matches the region.

    An entry is ``*``, a host, a ``.suffix``, an address or a network, optionally with a port.

    Raises:
        ValueError: The entry is none of these.
    """
    scheme, separator, rest = entry.rpartition("://")
    name, port = _split_port(rest.rstrip("/"))
    if "/" in name:
        network = ip_network(name, strict=False)
        covered = region.address is not None and region.address in network
    elif address := _parse_address(name):
        covered = address == region.address
    elif not re.fullmatch(r"[\w.*-]+", name):
        raise ValueError(entry)
    elif "*" in name:
        covered = fnmatchcase(region.host, name)
    else:
        domain = name.strip(".")
        covered = region.address is None and f".{region.host}".endswith(f".{domain}")
    return covered and port in {None, region.port} and (not separator or scheme in {region.scheme, "all"})


def _split_port(entry: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](/[0-9]+)?(?::([0-9]{1,5}))?", entry)
    if bracketed:
        return bracketed[1] + (bracketed[2] or ""), int(bracketed[3]) if bracketed[3] else None
    name, colon, port = entry.partition(":")
    if not colon or ":" in port:  # no port, or an IPv6 address without brackets
        return entry, None
    if not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError(entry)
    return name, int(port)


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
