"""The audit's record of a call's outcome."""

import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from maas_mcp.audit.recordable import recordable
from maas_mcp.calls.audit_log import AuditLog
from maas_mcp.calls.audited_call import CURRENT, AuditedCall, new_id, recordable_arguments
from maas_mcp.calls.call import CallResult, Outcome, ToolCall
from maas_mcp.calls.telemetry import CANCELLED, UNEXPECTED
from maas_mcp.errors import (
    AuditUnavailableError,
    InsufficientScopeError,
    MaasError,
    MaasMcpError,
    NotAnsweredError,
    OperationCancelledError,
    RefusedByPolicyError,
)
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.questions import AnswersNeededError
from maas_mcp.redaction import HIDDEN

logger = logging.getLogger(__name__)

_FAULTS: Final = (MaasError, AnswersNeededError, OperationCancelledError)
"""Errors of a call that was not admitted, although no rule refused it."""


@asynccontextmanager
async def recording_outcome(call: ToolCall) -> AsyncIterator[Outcome]:
    """Record the outcome of a call that may change something. A refused call gets one line."""
    outcome = Outcome()
    rehearsed = call.rehearsal is not None  # it is a part of a planned call
    if call.host.audit is None or not call.effects.changes or rehearsed:
        yield outcome
        return
    record = _record(call, call.host.audit)
    token = CURRENT.set(record)
    try:
        yield outcome
    except AuditUnavailableError:
        if record.is_open:  # a request could not be recorded
            await _finish(record, record.end({"outcome": "failed", "code": AuditUnavailableError.code}))
        raise
    except BaseException as error:
        await _finish(record, _recording(record, error, call))
        raise
    else:
        await _finish(record, record.end(_outcome(outcome.result)))
    finally:
        CURRENT.reset(token)


def _record(call: ToolCall, log: AuditLog) -> AuditedCall:
    outer = CURRENT.get()
    caller = {
        "principal": call.principal.name,
        "username": call.tenant.known_username,
        "client": recordable("client", call.client.name),
        "tool": call.tool.name,
    }
    request = {
        "parent": None if outer is None else outer.id,
        "plan": recordable("plan", call.options.plan_id),
        "arguments": _arguments(call),
    }
    return AuditedCall(log, new_id(), caller, request)


def _arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments with the call's options, by the names that clients use."""
    try:
        given = call.arguments.model_dump(
            mode="json", by_alias=True, exclude_none=True, warnings=False, fallback=lambda _value: HIDDEN
        )
    except ValueError:  # a value has no form in JSON, such as bytes
        given = dict.fromkeys(type(call.arguments).model_fields, HIDDEN)
    if call.options.model_fields_set:
        given |= call.options.model_dump(mode="json", exclude_none=True, exclude={"meta", "plan_id"})
    return recordable_arguments(given)


def _outcome(result: CallResult) -> Mapping[str, Any]:
    if result.plan is not None:
        return {"outcome": "planned", "plan_id": recordable("plan", result.plan.plan_id)}
    status, operation = result.status, {"operation_id": result.operation_id} if result.operation_id else {}
    if status is not None and status.problem is not None:
        return {"outcome": "failed", "code": status.problem.code, **operation}
    return {"outcome": "succeeded" if status is None or status.ended else "running", **operation}


def _recording(record: AuditedCall, error: BaseException, call: ToolCall) -> Awaitable[None]:
    """Return an awaitable that writes the last line of a call that ended with an error."""
    if isinstance(error, MaasMcpError) and not isinstance(error, _FAULTS) and not record.is_open:
        return record.refuse(_rule(error))
    outcome = dict(_failure(error))
    if record.operation is not None:
        with suppress(MaasMcpError):
            outcome["operation_id"] = call.tenant.handle_signer.sign(record.operation)
    return record.end(outcome)


def _rule(error: MaasMcpError) -> str:
    """The rule that refused a call: a rule of the policy, or the code of the error."""
    return error.rule if isinstance(error, RefusedByPolicyError) else error.code


def _failure(error: BaseException) -> Mapping[str, str]:
    match error:
        case InsufficientScopeError() | NotAnsweredError() | RefusedByPolicyError():  # also of an admitted call
            return {"outcome": "refused", "rule": _rule(error)}
        case AnswersNeededError():
            return {"outcome": "asked"}
        case OperationCancelledError():
            return {"outcome": CANCELLED}
        case MaasMcpError():
            return {"outcome": "failed", "code": error.code}
    return {"outcome": CANCELLED} if is_cancellation(error) else {"outcome": "failed", "code": UNEXPECTED}


async def _finish(record: AuditedCall, writing: Awaitable[None]) -> None:
    """Write the last line of a call. A failure does not hide the call's own result."""
    try:
        await writing
    except AuditUnavailableError as error:
        logger.error("The outcome of call %s is missing from the audit: %s", record.id, error.message)  # noqa: TRY400
