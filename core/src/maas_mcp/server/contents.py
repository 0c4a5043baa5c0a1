"""The skills, prompts, resources and completions that the server serves, in addition to its tools."""

from collections.abc import Collection, Sequence

from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.completions import CompletionHandler
from maas_mcp.server.prompts import PromptCatalogue
from maas_mcp.server.resources import ResourceHandlers
from maas_mcp.server.skills import SkillCatalogue


class Contents:
    """The contributions of the plugins, without their tools.

    Args:
        registry: The plugins' contributions.
        tools: The names of the served tools.
        resources: The served resources and templates, without the skills' files.
    """

    def __init__(self, registry: Registry, tools: Collection[str], resources: Sequence[Resource]) -> None:
        self.skills = SkillCatalogue(registry.skills, tools)
        """The skills."""
        self.prompts = PromptCatalogue(registry.prompts, self.skills)
        """The prompts, including the skills."""
        self.resources = ResourceHandlers(resources, self.skills)
        """The resources, including the skills' files."""
        self.completions = CompletionHandler(registry, resources)
        """Completes the arguments of resource templates and prompts."""
