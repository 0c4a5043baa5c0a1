"""The plugins: one for each first word of a tool's name."""

from collections.abc import Sequence
from typing import Any

from maas_mcp.api import Completion, Operation, Prompt, Resource, Tool, hookimpl
from maas_mcp_conformance.asking import ASKING_TOOLS
from maas_mcp_conformance.jobs import ConfirmDelete, FailingJob, MultiInput, ProtocolErrorJob, SlowCompute, ToolWithTask
from maas_mcp_conformance.prompts import PROMPTS
from maas_mcp_conformance.resources import RESOURCES, Cities
from maas_mcp_conformance.tools import SHORT_TOOLS, Greet, JsonSchemaTool


class Fixtures:
    """A plugin."""

    def __init__(
        self,
        *,
        tools: Sequence[type[Tool[Any, Any]]] = (),
        operations: Sequence[type[Operation[Any, Any]]] = (),
        prompts: Sequence[type[Prompt[Any]]] = (),
        resources: Sequence[type[Resource]] = (),
        completions: Sequence[type[Completion]] = (),
    ) -> None:
        self._tools = tools
        self._operations = operations
        self._prompts = prompts
        self._resources = resources
        self._completions = completions

    @hookimpl
    def maas_mcp_tools(self) -> Sequence[type[Tool[Any, Any]]]:
        """Its tools."""
        return self._tools

    @hookimpl
    def maas_mcp_operations(self) -> Sequence[type[Operation[Any, Any]]]:
        """Its operations."""
        return self._operations

    @hookimpl
    def maas_mcp_resources(self) -> Sequence[type[Resource]]:
        """Its resources."""
        return self._resources

    @hookimpl
    def maas_mcp_completions(self) -> Sequence[type[Completion]]:
        """Its completions."""
        return self._completions

    @hookimpl
    def maas_mcp_prompts(self) -> Sequence[type[Prompt[Any]]]:
        """Its prompts."""
        return self._prompts


test = Fixtures(
    tools=[*SHORT_TOOLS, *ASKING_TOOLS],
    operations=[ToolWithTask],
    prompts=PROMPTS,
    resources=RESOURCES,
    completions=[Cities],
)
greet = Fixtures(tools=[Greet])
slow = Fixtures(operations=[SlowCompute])
failing = Fixtures(operations=[FailingJob])
protocol = Fixtures(operations=[ProtocolErrorJob])
confirm = Fixtures(operations=[ConfirmDelete])
multi = Fixtures(operations=[MultiInput])
json_schema = Fixtures(tools=[JsonSchemaTool])
