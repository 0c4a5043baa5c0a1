"""The public API for plugins, and the only module of maas-mcp that a plugin imports.

These names keep their meaning as long as the entry point group is called ``maas_mcp.plugins.v1``.
"""

from maas_mcp.errors import (
    CannotAskError,
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
    NotAnsweredError,
    OperationCancelledError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
    ResourceNotFoundError,
    UnknownOperationError,
)
from maas_mcp.hookspecs import hookimpl
from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.client_observer import ClientObserver
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import Event, Machine, ScriptResult, ScriptSet, ScriptSetName, ScriptStatus, SystemId, User
from maas_mcp.maas.reading import LeftOut, Listing, MaasModel
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.maas.versions import check_parameters
from maas_mcp.machine_text import CarriesMachineText, MachineOutput, MachineText, quoted, quoted_block
from maas_mcp.next_step import NextStep
from maas_mcp.operations.batches.batch import BatchOperation, Member
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.cursors import Cursors
from maas_mcp.operations.declaring.access import Access
from maas_mcp.operations.declaring.changes import change_machine, check_status, require_status
from maas_mcp.operations.declaring.completion import Choice, Completion
from maas_mcp.operations.declaring.content import Audio, File, Image, Part
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.operation import CancelPolicy, GoneContext, LongRunning, Operation, OperationContext
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange
from maas_mcp.operations.declaring.operations import (
    ErrorReport,
    ListedOperation,
    OperationList,
    OperationReport,
    Operations,
)
from maas_mcp.operations.declaring.pages import PAGE_BYTES, fit_page
from maas_mcp.operations.declaring.permission import another_owner, check_take_over
from maas_mcp.operations.declaring.plugin_services import LifespanContext
from maas_mcp.operations.declaring.prompt import Prompt, PromptContext
from maas_mcp.operations.declaring.questions import (
    ClientFolder,
    ClientFolders,
    FolderRequest,
    ModelPrompt,
    ModelReply,
    Question,
)
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.resource import Resource, ResourceContent
from maas_mcp.operations.declaring.single_change import Changed, SingleChange, change_once, planned_step
from maas_mcp.operations.declaring.tool import Tool, ToolContext
from maas_mcp.operations.event_news import EventNews, Events
from maas_mcp.operations.judging.assessment import Assessment, Milestone
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Needs, Observation
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.scripts import ScriptPolling
from maas_mcp.operations.judging.strategies import EventPolling, Phase, PollingStrategy, StatusPolling
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.rechecks import check_same

__all__ = [
    "PAGE_BYTES",
    "Access",
    "Assessment",
    "Audio",
    "Baseline",
    "BatchOperation",
    "CancelPolicy",
    "CancellationToken",
    "CannotAskError",
    "CarriesMachineText",
    "ChangeKind",
    "ChangeRequest",
    "Changed",
    "Choice",
    "ClientFolder",
    "ClientFolders",
    "ClientObserver",
    "Completion",
    "Cursors",
    "Effects",
    "ErrorReport",
    "Event",
    "EventNews",
    "EventPolling",
    "Events",
    "Evidence",
    "File",
    "FolderRequest",
    "FormValue",
    "GoneContext",
    "Image",
    "InvalidArgumentsError",
    "LeftOut",
    "Lifecycle",
    "LifespanContext",
    "ListedOperation",
    "Listing",
    "LongRunning",
    "MaasAuthError",
    "MaasBadRequestError",
    "MaasClient",
    "MaasConflictError",
    "MaasError",
    "MaasMcpError",
    "MaasModel",
    "MaasNotFoundError",
    "MaasPermissionError",
    "MaasProtocolError",
    "MaasTlsError",
    "MaasUnavailableError",
    "Machine",
    "MachineGoneError",
    "MachineOutput",
    "MachineStatus",
    "MachineText",
    "Member",
    "Milestone",
    "ModelPrompt",
    "ModelReply",
    "Needs",
    "NextStep",
    "NotAnsweredError",
    "Observation",
    "Operation",
    "OperationCancelledError",
    "OperationChange",
    "OperationContext",
    "OperationError",
    "OperationFailedError",
    "OperationList",
    "OperationRefusedError",
    "OperationReport",
    "OperationRevertedError",
    "OperationTimedOutError",
    "Operations",
    "Part",
    "Phase",
    "PollingStrategy",
    "ProgressReporter",
    "Prompt",
    "PromptContext",
    "Question",
    "RegionOperation",
    "Resource",
    "ResourceContent",
    "ResourceNotFoundError",
    "ScriptPolling",
    "ScriptResult",
    "ScriptSet",
    "ScriptSetName",
    "ScriptStatus",
    "SingleChange",
    "StatusPolling",
    "SystemId",
    "Tool",
    "ToolContext",
    "UnknownOperationError",
    "User",
    "Verdict",
    "another_owner",
    "change_machine",
    "change_once",
    "check_parameters",
    "check_same",
    "check_status",
    "check_take_over",
    "fit_page",
    "hookimpl",
    "planned_step",
    "quoted",
    "quoted_block",
    "require_status",
]
