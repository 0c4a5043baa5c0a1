"""One call of a tool: made once, from what came in, and passed through every step."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from maas_mcp.calls.arguments import CallOptions, ClientFeatures
from maas_mcp.calls.connections import RunningCall
from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import Principal
from maas_mcp.calls.tenant import Tenant
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.registry import AnyTool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call whose arguments fit."""

    tool: AnyTool
    arguments: BaseModel
    options: CallOptions
    effects: Effects
    principal: Principal
    host: Host
    tenant: Tenant
    """Whose call it is."""
    client: ClientFeatures
    progress: ProgressReporter
    running: RunningCall

    @property
    def cancellation(self) -> CancellationToken:
        """Stops it."""
        return self.running.token


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """What a call came to."""

    result: BaseModel | None
    """``None`` where an operation goes on, or its result cannot be read."""
    content: dict[str, Any] | None
    """The result as JSON."""
    status: OperationStatus[Any] | None = None
    """Of an operation."""
    operation_id: str = ""
    warnings: tuple[str, ...] = ()
    """What the caller should know of an operation's start, each in a sentence."""
