"""Everything that a plugin uses, and the only module of the host that it imports.

Names here stay, with their meaning, for as long as the entry point group is called ``maas_mcp.plugins.v1``.
"""

from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasAuthError,
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasMcpError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    MaasTlsError,
    MaasUnavailableError,
    MachineGoneError,
    OperationCancelledError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.hookspecs import hookimpl
from maas_mcp.maas.client import FormValue, MaasClient
from maas_mcp.maas.models import Event, Machine, ScriptResult, ScriptSet, ScriptSetName, ScriptStatus, SystemId, User
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.operation import Operation, OperationContext
from maas_mcp.operations.polling import (
    Assessment,
    Baseline,
    EventPolling,
    Evidence,
    Lifecycle,
    Observation,
    Phase,
    PollingStrategy,
    StatusPolling,
    Verdict,
)
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.tool import Tool, ToolContext

__all__ = [
    "Assessment",
    "Baseline",
    "CancellationToken",
    "Event",
    "EventPolling",
    "Evidence",
    "FormValue",
    "InvalidArgumentsError",
    "Lifecycle",
    "MaasAuthError",
    "MaasBadRequestError",
    "MaasClient",
    "MaasConflictError",
    "MaasError",
    "MaasMcpError",
    "MaasNotFoundError",
    "MaasPermissionError",
    "MaasProtocolError",
    "MaasTlsError",
    "MaasUnavailableError",
    "Machine",
    "MachineGoneError",
    "MachineStatus",
    "Observation",
    "Operation",
    "OperationCancelledError",
    "OperationContext",
    "OperationError",
    "OperationFailedError",
    "OperationRefusedError",
    "OperationRevertedError",
    "OperationTimedOutError",
    "Phase",
    "PollingStrategy",
    "ProgressReporter",
    "ScriptResult",
    "ScriptSet",
    "ScriptSetName",
    "ScriptStatus",
    "StatusPolling",
    "SystemId",
    "Tool",
    "ToolContext",
    "User",
    "Verdict",
    "hookimpl",
]
