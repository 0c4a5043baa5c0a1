"""The audit's record of a call that changes something, with the requests that it sends to MAAS."""

import logging
import secrets
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from maas_mcp.audit.recordable import recordable, recordable_parameters
from maas_mcp.calls.audit_log import AuditLog
from maas_mcp.errors import AuditUnavailableError
from maas_mcp.maas.change_request import BeforeChange, ChangeRequest
from maas_mcp.operations.handles import Handle

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class AuditedCall:
    """The record of one call."""

    log: AuditLog
    id: str
    """Unique among all calls."""
    caller: Mapping[str, Any]
    """The caller and the tool: the fields of every line."""
    request: Mapping[str, Any]
    """The call that contains this one, and the arguments: the fields of the first line."""
    started_at: float = field(default_factory=anyio.current_time)
    is_open: bool = False
    """Whether the call is admitted and has no outcome yet."""
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    """The changes that it has sent to MAAS."""
    operation: Handle | None = None
    """The operation that it has started."""

    async def admit(self) -> None:
        """Record the call before anything is sent to MAAS.

        Raises:
            AuditUnavailableError: It cannot be recorded, so it must not run.
        """
        await self._write("admitted", **self.request)
        self.is_open = True

    async def refuse(self, rule: str) -> None:
        """Record that a rule has refused the call."""
        await self._write("refused", **self.request, outcome="refused", rule=rule)

    async def end(self, outcome: Mapping[str, Any]) -> None:
        """Record the outcome of the call."""
        was_admitted, self.is_open = self.is_open, False
        seconds = round(anyio.current_time() - self.started_at, 3)
        request = {} if was_admitted else self.request
        await self._write("ended", **request, **outcome, seconds=seconds, requests=self.requests)

    async def sending(self, change: ChangeRequest) -> None:
        """Record a change just before it is sent. A call that has ended may still have an operation to start.

        Raises:
            AuditUnavailableError: It cannot be recorded, so it must not be sent.
        """
        request = _recordable(change)
        if self.is_open:
            self.requests.append(request)
        else:
            await self._write("sent", request=request)

    def _write(self, event: str, **fields: Any) -> Awaitable[None]:
        return self.log.write({"event": event, "call": self.id, **self.caller, **fields})


CURRENT: Final[ContextVar[AuditedCall | None]] = ContextVar("maas_mcp_audited_call", default=None)
"""The call for which a task works. Tasks that a call starts inherit it, such as the one that sends a start request."""


async def admit_current(username: str | None) -> None:
    """Record the current call before it runs, because a server that is killed then cannot record it.

    Args:
        username: The name of the MAAS user. The policy may have read it since the call was received.

    Raises:
        AuditUnavailableError: It cannot be recorded. Nothing was sent to MAAS.
    """
    record = CURRENT.get()
    if record is not None:
        record.caller = {**record.caller, "username": username}
        await record.admit()


def recording(log: AuditLog, principal: str) -> BeforeChange:
    """Return a check that records each change of a principal's MAAS client for the call that sends it.

    A change outside of a recorded call gets a line of its own, such as one from a tool that claims to be read-only.
    """

    async def record(change: ChangeRequest) -> None:
        call = CURRENT.get()
        if call is not None:
            await call.sending(change)
        else:
            await log.write({"event": "sent", "call": None, "principal": principal, "request": _recordable(change)})

    return record


def new_id() -> str:
    """Return an id for a call."""
    return secrets.token_hex(8)


async def record_refusal(log: AuditLog, principal: str, tool: str, arguments: object, rule: str) -> None:
    """Record a call that was refused before its arguments were checked. The refusal stands even if this fails."""
    caller = {"principal": principal, "username": None, "client": "", "tool": tool}
    request = {"parent": None, "plan": None, "arguments": recordable("arguments", arguments)}
    record = AuditedCall(log, new_id(), caller, request)
    try:
        await record.refuse(rule)
    except AuditUnavailableError as error:
        logger.error("A refused call of %s is missing from the audit: %s", tool, error.message)  # noqa: TRY400


def note_start(handle: Handle) -> None:
    """Note the operation that the current call starts."""
    call = CURRENT.get()
    if call is not None and call.caller["tool"] == handle.operation:
        call.operation = handle


def recordable_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call without secrets and long values."""
    return {name: recordable(name, value) for name, value in arguments.items()}


def _recordable(change: ChangeRequest) -> dict[str, Any]:
    parameters = recordable_parameters(change.parameters)
    return {"method": change.method, "path": change.path, "op": change.op, "parameters": parameters}
