"""Selects tools: those that a site serves, and those of them that one request can use. Pure."""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, Protocol

from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import Declaration
from maas_mcp.policy.judgement import Finding, Verdict

OPERATIONS: Final = "operations"
"""The toolset of the tools that follow operations. It is served if any long-running tool is."""
ANNOTATIONS: Final[Mapping[str, Callable[[Declaration[Any, Any]], bool]]] = MappingProxyType(
    {
        "@read-only": lambda tool: tool.read_only,
        "@destructive": lambda tool: tool.destructive,
        "@idempotent": lambda tool: tool.idempotent,
    }
)
"""Patterns that select tools by an annotation."""
TOOLSETS_HEADER: Final = "X-MAAS-MCP-Toolsets"
TOOLS_HEADER: Final = "X-MAAS-MCP-Tools"
READ_ONLY_HEADER: Final = "X-MAAS-MCP-Read-Only"
"""The headers by which an HTTP request narrows the selection. They never widen it."""
_PATTERN: Final = re.compile(r"[\w*?\[\]!.-]{1,128}", re.ASCII)
_SITE_HINT: Final = "The operator of this server decides which tools it serves."


@dataclass(frozen=True, slots=True)
class LoadedTool:
    """A tool of a loaded plugin or of the server itself."""

    tool: Declaration[Any, Any]
    toolset: str
    """Its toolset, or else the name of its plugin."""


class Selection(Hashable, Protocol):
    """A rule that leaves some tools out. It is hashable, and selections with the same effect are equal."""

    def refusal(self, loaded: LoadedTool, *, needed: bool) -> Finding | None:
        """Why the tool is left out; ``None`` if it is served.

        Args:
            loaded: The tool.
            needed: Whether the tool is served even if its toolset is not named, because it follows the operations of
                another tool.
        """
        ...


@dataclass(frozen=True, slots=True)
class SiteSelection:
    """The tools that a site serves."""

    mode: str
    read_only: bool
    """Whether the mode refuses every change, so that no tool that changes MAAS is served."""
    toolsets: frozenset[str] = frozenset()
    """Empty for all."""
    allow: tuple[str, ...] = ()
    """Patterns. Empty for all."""
    block: tuple[str, ...] = ()

    def refusal(self, loaded: LoadedTool, *, needed: bool) -> Finding | None:
        """The first rule that leaves the tool out."""
        tool, name = loaded.tool, loaded.tool.name
        if self.read_only and not tool.read_only:
            return _refuse(
                f"modes.{self.mode}",
                f"{name} can change MAAS, and this server's {self.mode} mode allows no changes.",
                "The operator of this server can change its mode.",
            )
        if self.toolsets and loaded.toolset not in self.toolsets and not needed:
            return _refuse(
                "toolsets", f"{name} belongs to the toolset {loaded.toolset}, which this server does not serve."
            )
        if self.allow and not matches(self.allow, tool):
            return _refuse("tools_allow", f"{name} is not among the tools that this server serves.")
        if matches(self.block, tool):
            return _refuse("tools_block", f"This server does not serve {name}.")
        return None


@dataclass(frozen=True, slots=True)
class RequestSelection:
    """The tools that one HTTP request can use, by its headers."""

    toolsets: frozenset[str] = frozenset()
    """Empty for all."""
    tools: tuple[str, ...] = ()
    """Patterns. Empty for all."""
    read_only: bool = False

    def refusal(self, loaded: LoadedTool, *, needed: bool) -> Finding | None:
        """The first header that leaves the tool out."""
        tool, name = loaded.tool, loaded.tool.name
        if self.read_only and not tool.read_only:
            return self.change_refusal(name)
        if self.toolsets and loaded.toolset not in self.toolsets and not needed:
            return _narrowed(TOOLSETS_HEADER, name, f"it belongs to the toolset {loaded.toolset}")
        if self.tools and not matches(self.tools, tool):
            return _narrowed(TOOLS_HEADER, name, "no entry of the header matches it")
        return None

    def change_refusal(self, name: str) -> Finding | None:
        """Why a call that changes MAAS is refused, whichever tool makes it; ``None`` if it is allowed."""
        return _narrowed(READ_ONLY_HEADER, name, "it can change MAAS") if self.read_only else None


@dataclass(frozen=True, slots=True)
class UserSelection:
    """The tools that MAAS allows to a user who is not an administrator."""

    username: str

    def refusal(self, loaded: LoadedTool, *, needed: bool) -> Finding | None:  # noqa: ARG002 - see Selection
        """The refusal of a tool that MAAS allows to administrators only."""
        if not loaded.tool.admin_only:
            return None
        return _refuse(
            "admin_tools",
            f"MAAS allows {loaded.tool.name} to administrators only, and {self.username} is not one.",
            "Ask a MAAS administrator to do it.",
        )


def matches(patterns: Iterable[str], tool: Declaration[Any, Any]) -> bool:
    """Whether one of the patterns, a name, a glob or an annotation, selects the tool."""
    return any(ANNOTATIONS[each](tool) if each.startswith("@") else fnmatchcase(tool.name, each) for each in patterns)


def check_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return valid patterns.

    Raises:
        ValueError: One is neither a name, a glob nor an annotation.
    """
    for each in patterns:
        if each.startswith("@") and each not in ANNOTATIONS:
            raise ValueError(f"{each[:40]} is not an annotation; expected one of: {', '.join(ANNOTATIONS)}")
        if not each.startswith("@") and not _PATTERN.fullmatch(each):
            raise ValueError(
                "one entry cannot be the name of a tool; expected names, globs such as *_machine, or "
                f"annotations ({', '.join(ANNOTATIONS)}), separated by commas"
            )
    return patterns


def refusals(loaded: Mapping[str, LoadedTool], selections: Sequence[Selection]) -> dict[str, Finding]:
    """The tools that the selections leave out, each with the reason. A later selection can only narrow an earlier one.

    The tools that follow operations are served if any long-running tool is. Without them, nothing could follow an
    operation whose call has ended.
    """
    found: dict[str, Finding] = {}
    for selection in selections:
        left = {name: each for name, each in loaded.items() if name not in found}
        refused = {name: selection.refusal(each, needed=False) for name, each in left.items()}
        if any(refused[name] is None for name, each in left.items() if isinstance(each.tool, LongRunning)):
            following = {name: each for name, each in left.items() if each.toolset == OPERATIONS}
            refused |= {name: selection.refusal(each, needed=True) for name, each in following.items()}
        found |= {name: refusal for name, refusal in refused.items() if refusal is not None}
    return found


def _refuse(rule: str, reason: str, hint: str = _SITE_HINT) -> Finding:
    return Finding(rule, Verdict.REFUSE, reason, hint)


def _narrowed(header: str, name: str, reason: str) -> Finding:
    return _refuse(
        header,
        f"The request's header {header} leaves out {name}, because {reason}.",
        f"Change or remove the header {header} in the configuration of the client.",
    )
