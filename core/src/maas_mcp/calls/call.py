"""A tool call, which passes through every step, and its result."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from maas_mcp.calls.arguments import CallOptions, ClientFeatures
from maas_mcp.calls.asking import EarlyAsker
from maas_mcp.calls.connections import RunningCall
from maas_mcp.calls.host import Host
from maas_mcp.calls.plan import Plan
from maas_mcp.calls.principal import Principal
from maas_mcp.calls.served import Served
from maas_mcp.calls.tenant import Tenant
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.questions import NOBODY
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.registry import AnyTool

if TYPE_CHECKING:
    from maas_mcp.calls.approval import Approval
    from maas_mcp.calls.guard import Judgement
    from maas_mcp.calls.rehearsal import Rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call with valid arguments."""

    tool: AnyTool
    arguments: BaseModel
    options: CallOptions
    effects: Effects
    principal: Principal
    host: Host
    tenant: Tenant
    """The calling user of MAAS."""
    served: Served
    """The tools that the request can use."""
    client: ClientFeatures
    progress: ProgressReporter
    running: RunningCall
    user: EarlyAsker = field(default_factory=lambda: EarlyAsker(NOBODY, ""))
    """Asks the client, which asks the user."""
    answer_by: float = math.inf
    """The time by which the call answers, on anyio's clock."""
    judgement: "Judgement | None" = None
    """The policy's judgement; ``None`` until the policy has judged the call."""
    rehearsal: "Rehearsal | None" = None
    """Records what the call would change, if it is only planned."""
    approval: "Approval | None" = None
    """The approval of this call, or of the call that contains it."""

    @property
    def cancellation(self) -> CancellationToken:
        """The call's cancellation token."""
        return self.running.token

    @property
    def maas(self) -> MaasClient:
        """The MAAS client. If the call is only planned, it sends no change."""
        if self.rehearsal is not None:
            return self.tenant.maas.rehearsing(self.rehearsal.record)
        maas = self.user.noting_changes(self.tenant.maas)
        return maas if self.approval is None else maas.before_change(self.approval.use)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The result of a call."""

    result: BaseModel | None
    """``None`` if an operation is still running, or its result cannot be read."""
    content: dict[str, Any] | None
    """The result as JSON."""
    status: OperationStatus[Any] | None = None
    """The status of an operation; ``None`` for a short tool."""
    operation_id: str = ""
    warnings: tuple[str, ...] = ()
    """Warnings about an operation's start, one sentence each."""
    plan: Plan | None = None
    """The plan, if the call was only planned."""


@dataclass(slots=True)
class Outcome:
    """The outcome of a block that runs a call."""

    result: CallResult = field(init=False)
    """Set by the block, unless it raises an error."""
