"""The tools that a request can use, and the reason why each other tool is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Self

from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.judgement import Finding
from maas_mcp.policy.selection import LoadedTool, RequestSelection, Selection, refusals

MAX_KEPT: Final = 64
"""Maximum selections whose result is cached. Clients choose them."""


@dataclass(frozen=True, slots=True)
class Served:
    """The tools that a request can use.

    Requests that do not call a tool by its name, such as the read of a resource, are not part of it.
    """

    tools: Mapping[str, AnyTool]
    """The tools by name, in the order in which clients see them."""
    refused: Mapping[str, Finding] = field(default_factory=dict)
    """The loaded tools that are left out, each with the reason."""
    request: RequestSelection = field(default_factory=RequestSelection)
    """The selection by the request itself."""

    def refusal(self, name: str, *, changes: bool) -> Finding | None:
        """Why a call is refused before its machines are read; ``None`` if it is allowed so far.

        Args:
            name: The name of the tool.
            changes: Whether the call changes MAAS.
        """
        return self.refused.get(name) or (self.request.change_refusal(name) if changes else None)

    def including(self, name: str) -> Self:
        """The same with one more tool, as which another request passes through the chain."""
        return replace(self, refused={each: why for each, why in self.refused.items() if each != name})


class Serving:
    """All loaded tools, and the selections that apply to them.

    Args:
        tools: All loaded tools, by name, in the order in which clients see them.
        toolsets: The toolset of each tool, if it is known.
        site: The site's own selections.
    """

    def __init__(
        self,
        tools: Mapping[str, AnyTool],
        toolsets: Mapping[str, str] = MappingProxyType({}),
        site: Sequence[Selection] = (),
    ) -> None:
        self.tools = tools
        self.toolsets = frozenset(toolsets.values())
        """The names of all toolsets."""
        self._loaded = {name: LoadedTool(tool, toolsets.get(name, tool.toolset)) for name, tool in tools.items()}
        self._site = tuple(site)
        self.select = lru_cache(MAX_KEPT)(self._select)
        """Return the tools that remain after the site's and further selections."""

    def names_in(self, toolset: str) -> list[str]:
        """The names of all tools of a toolset."""
        return [name for name, each in self._loaded.items() if each.toolset == toolset]

    def _select(self, *selections: Selection) -> Served:
        refused = refusals(self._loaded, [*self._site, *selections])
        request = next((each for each in selections if isinstance(each, RequestSelection)), RequestSelection())
        return Served({name: tool for name, tool in self.tools.items() if name not in refused}, refused, request)
