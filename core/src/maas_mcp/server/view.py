"""A view: the tools that a request can use, and the prompts, skills, resources and instructions that fit them."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import mcp_types as types

from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.calls.served import Served
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.instructions import instructions_for
from maas_mcp.server.own_resources import served_resources
from maas_mcp.server.tools import mcp_tool

if TYPE_CHECKING:
    from maas_mcp.server.contents import Contents
    from maas_mcp.server.skills import LoadedSkills


class View:
    """Everything that a request can use.

    Args:
        registry: The plugins' contributions.
        served: The tools.
        skills: Returns the skills of all plugins.
        regions: The regions from which calls choose, if there are several.
    """

    def __init__(
        self, registry: Registry, served: Served, skills: "Callable[[], LoadedSkills]", *, regions: Sequence[str] = ()
    ) -> None:
        self.served = served
        self.resources = served_resources(registry, served.tools)
        """The resources and templates, without the skills' files."""
        self._registry = registry
        self._skills = skills
        self._regions = regions
        self._listings: dict[ClientFeatures, types.ListToolsResult] = {}

    @cached_property
    def contents(self) -> "Contents":
        """The skills, prompts, resources and completions, imported and built at the first use."""
        from maas_mcp.server.contents import Contents  # noqa: PLC0415 - not needed to list the tools

        return Contents(self._registry, self._skills(), self.resources, self.served)

    def listing(self, client: ClientFeatures) -> types.ListToolsResult:
        """The list of tools for a client with these features, built once."""
        if client not in self._listings:
            tools = [mcp_tool(tool, client, self._regions) for tool in self.served.tools.values()]
            self._listings[client] = types.ListToolsResult(tools=tools)
        return self._listings[client]

    @cached_property
    def instructions(self) -> str:
        """The instructions for the model."""
        return instructions_for(self.served.tools)

    @property
    def lists(self) -> Sequence[object]:
        """The lists of tools, prompts and resources, in this order, to find out whether a reload changes them."""
        return self.listing(ClientFeatures()), self.contents.prompts.listed, self.contents.resources.listed()
