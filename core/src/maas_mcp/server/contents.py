"""The plugins' contributions that are not needed to list and call tools. They are imported at the first use."""

from collections.abc import Sequence

from maas_mcp.calls.served import Served
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.completions import CompletionHandler
from maas_mcp.server.prompts import PromptCatalogue
from maas_mcp.server.resources import ResourceHandlers
from maas_mcp.server.skills import LoadedSkills, SkillCatalogue


class Contents:
    """The contributions of the plugins that a request can use, without their tools.

    Args:
        registry: The plugins' contributions.
        skills: The skills of all plugins.
        resources: The served resources and templates, without the skills' files.
        served: The served tools.
    """

    def __init__(self, registry: Registry, skills: LoadedSkills, resources: Sequence[Resource], served: Served) -> None:
        self.skills = SkillCatalogue(skills, served.tools)
        """The skills."""
        prompts = {name: each for name, each in registry.prompts.items() if served.tools.keys() >= set(each.tools)}
        self.prompts = PromptCatalogue(prompts, self.skills)
        """The prompts, including the skills."""
        self.resources = ResourceHandlers(resources, self.skills, served)
        """The resources, including the skills' files."""
        self.completions = CompletionHandler(registry, resources, served)
        """Completes the arguments of resource templates and prompts."""
