"""A view: the tools that a request can use, and the prompts, skills, resources and instructions that fit them."""

from collections.abc import Sequence
from functools import cached_property

import mcp_types as types

from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.calls.served import Served
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.completions import CompletionHandler
from maas_mcp.server.instructions import instructions_for
from maas_mcp.server.own_resources import served_resources
from maas_mcp.server.prompts import PromptCatalogue
from maas_mcp.server.resources import ResourceHandlers
from maas_mcp.server.skills import LoadedSkills, SkillCatalogue
from maas_mcp.server.tools import mcp_tool


class View:
    """Everything that a request can use.

    Args:
        registry: The plugins' contributions.
        skills: The skills of all plugins.
        served: The tools.
    """

    def __init__(self, registry: Registry, skills: LoadedSkills, served: Served) -> None:
        self.served = served
        self.skills = SkillCatalogue(skills, served.tools)
        prompts = {name: each for name, each in registry.prompts.items() if served.tools.keys() >= set(each.tools)}
        self.prompts = PromptCatalogue(prompts, self.skills)
        """The prompts, including the skills."""
        resources = served_resources(registry, served.tools)
        self.resources = ResourceHandlers(resources, self.skills, served)
        """The resources, including the skills' files."""
        self.completions = CompletionHandler(registry, resources, served)
        self._listings: dict[ClientFeatures, types.ListToolsResult] = {}

    def listing(self, client: ClientFeatures) -> types.ListToolsResult:
        """The list of tools for a client with these features, built once."""
        if client not in self._listings:
            tools = [mcp_tool(tool, client) for tool in self.served.tools.values()]
            self._listings[client] = types.ListToolsResult(tools=tools)
        return self._listings[client]

    @cached_property
    def instructions(self) -> str:
        """The instructions for the model."""
        return instructions_for(self.served.tools)

    @property
    def lists(self) -> Sequence[object]:
        """The lists of tools, prompts and resources, in this order, to find out whether a reload changes them."""
        return self.listing(ClientFeatures()), self.prompts.listed, self.resources.listed()
