"""The plugins: one for each first word of a tool's name."""

from collections.abc import Sequence
from typing import Any

from maas_mcp.api import Operation, Prompt, Tool, hookimpl
from maas_mcp_conformance.asking import ASKING_TOOLS
from maas_mcp_conformance.jobs import ConfirmDelete, FailingJob, MultiInput, ProtocolErrorJob, SlowCompute, ToolWithTask
from maas_mcp_conformance.prompts import PROMPTS
from maas_mcp_conformance.tools import SHORT_TOOLS, Greet, JsonSchemaTool


class Fixtures:
    """A plugin."""

    def __init__(
        self,
        *,
        tools: Sequence[type[Tool[Any, Any]]] = (),
        operations: Sequence[type[Operation[Any, Any]]] = (),
        prompts: Sequence[type[Prompt[Any]]] = (),
    ) -> None:
        self._tools = tools
        self._operations = operations
        self._prompts = prompts

    @hookimpl
    def maas_mcp_tools(self) -> Sequence[type[Tool[Any, Any]]]:
        """Its tools."""
        return self._tools

    @hookimpl
    def maas_mcp_operations(self) -> Sequence[type[Operation[Any, Any]]]:
        """Its operations."""
        return self._operations

    @hookimpl
    def maas_mcp_prompts(self) -> Sequence[type[Prompt[Any]]]:
        """Its prompts."""
        return self._prompts


test = Fixtures(tools=[*SHORT_TOOLS, *ASKING_TOOLS], operations=[ToolWithTask], prompts=PROMPTS)
greet = Fixtures(tools=[Greet])
slow = Fixtures(operations=[SlowCompute])
failing = Fixtures(operations=[FailingJob])
protocol = Fixtures(operations=[ProtocolErrorJob])
confirm = Fixtures(operations=[ConfirmDelete])
multi = Fixtures(operations=[MultiInput])
json_schema = Fixtures(tools=[JsonSchemaTool])
