"""The calls that the site allows a caller, as a tool sees them: the mode, its responses, and the tools left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Access:
    """The site's rules for the caller. MAAS's own permissions apply as well."""

    mode: str = ""
    """The name of the mode, such as ``standard``; empty if no policy applies."""
    operate: str = "allow"
    """The response to calls that lose no workload and no data: ``allow``, ``confirm``, ``plan`` or ``refuse``."""
    destroy: str = "allow"
    """The response to calls that can lose a machine's workload or data."""
    protected: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """The machines that no tool may change, by ``tags``, ``pools``, ``zones`` or ``hostnames``."""
    tools: tuple[str, ...] = ()
    """The names of the tools that the caller can use."""
    left_out: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The names of all other tools, each with the reason."""


UNRESTRICTED: Final = Access()
"""The access of a tool that runs without a policy."""
