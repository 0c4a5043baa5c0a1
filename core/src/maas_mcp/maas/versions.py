"""The parameters that only some MAAS versions accept. This table has all differences of MAAS 3.3 to 3.8."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.maas.client import MaasClient

Release = tuple[int, int]
"""The major and minor version, such as ``(3, 7)``."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of releases. An end that is ``None`` is open."""

    since: Release | None = None
    until: Release | None = None
    """The first release after the range."""

    def __contains__(self, release: Release) -> bool:
        return (self.since is None or release >= self.since) and (self.until is None or release < self.until)

    def __str__(self) -> str:
        ends = [
            f"since {_format_release(self.since)}" if self.since else "",
            f"before {_format_release(self.until)}" if self.until else "",
        ]
        return " and ".join(filter(None, ends))


PARAMETERS: Final[Mapping[tuple[str, str], Range]] = MappingProxyType(
    {
        ("deploy", "enable_kernel_crash_dump"): Range(since=(3, 6)),
        ("deploy", "install_kvm"): Range(until=(3, 8)),
        ("deploy", "install_rackd"): Range(until=(3, 6)),
        ("deploy", "register_vmhost"): Range(until=(3, 8)),
        ("release", "scripts"): Range(since=(3, 5)),
    }
)
"""Ranges by operation and parameter. All versions accept parameters not listed here. Outside the range, MAAS refuses or
ignores the parameter."""


def parse_release(version: str) -> Release | None:
    """Return ``(3, 8)`` for ``3.8.0a1``, or ``None`` if the text is not a version."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


async def check_parameters(maas: MaasClient, op: str, parameters: Iterable[str]) -> None:
    """Reject parameters that the region would refuse or silently ignore.

    The region's version is read only if a parameter depends on it. With an unknown version, all parameters are allowed.

    Raises:
        InvalidArgumentsError: The region's version does not accept one of the parameters.
    """
    ranges = {name: PARAMETERS[op, name] for name in parameters if (op, name) in PARAMETERS}
    if not ranges:
        return
    version = await maas.version()
    release = parse_release(version)
    wrong = [f"`{name}` (only in MAAS {known})" for name, known in ranges.items() if release and release not in known]
    if wrong:
        raise InvalidArgumentsError(
            f"This region runs MAAS {version[:40]}, whose {op} does not accept {', '.join(wrong)}. Nothing was sent.",
            hint=f"Call again without {'it' if len(wrong) == 1 else 'them'}.",
        )


def _format_release(release: Release) -> str:
    return f"{release[0]}.{release[1]}"
