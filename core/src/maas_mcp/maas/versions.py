"""Which MAAS versions take which parameters: the one table of what is not the same in MAAS 3.3 to 3.8."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.maas.client import MaasClient

Release = tuple[int, int]
"""Major and minor, such as ``(3, 7)``."""


@dataclass(frozen=True, slots=True)
class Range:
    """The releases that know something; an end that is ``None`` is open."""

    since: Release | None = None
    until: Release | None = None
    """The first release without it."""

    def __contains__(self, release: Release) -> bool:
        return (self.since is None or release >= self.since) and (self.until is None or release < self.until)

    def __str__(self) -> str:
        ends = [f"since {_text(self.since)}" if self.since else "", f"before {_text(self.until)}" if self.until else ""]
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
"""Op and parameter. What is not named here is taken by every version; what a version lacks it refuses or ignores."""


def release_of(version: str) -> Release | None:
    """``(3, 8)`` for ``3.8.0a1``; ``None`` for a text that is no version."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


async def check_parameters(maas: MaasClient, op: str, parameters: Iterable[str]) -> None:
    """Refuse parameters that the region would refuse or silently ignore.

    The region is asked for its version only if one of them depends on it. A version that cannot be read is trusted.

    Raises:
        InvalidArgumentsError: The region's version does not take one of them.
    """
    ranges = {name: PARAMETERS[op, name] for name in parameters if (op, name) in PARAMETERS}
    if not ranges:
        return
    version = await maas.version()
    release = release_of(version)
    wrong = [f"`{name}` (MAAS {known} only)" for name, known in ranges.items() if release and release not in known]
    if wrong:
        raise InvalidArgumentsError(
            f"This region is MAAS {version[:40]}, whose {op} does not take {', '.join(wrong)}. Nothing was sent to it.",
            hint="Leave it out.",
        )


def _text(release: Release) -> str:
    return f"{release[0]}.{release[1]}"
