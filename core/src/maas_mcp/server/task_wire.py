"""Tasks as clients send and receive them: their ids, their states, and the parameters of requests about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import mcp_types as types
from mcp.shared.exceptions import MCPError
from pydantic import Field

from maas_mcp.machine_text import make_visible
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import LIFETIME

TTL: Final = round(LIFETIME * 1000)
"""Milliseconds after its start for which a task can be read."""
POLICY_MARK: Final = "!"
"""Separates the operation id and the ``on_cancel`` of the call in a task id."""

TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]


class TaskParams(types.RequestParams):
    """The parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str = Field(alias="taskId")


class UpdateTaskParams(TaskParams):
    """The parameters of ``tasks/update``."""

    input_responses: dict[str, Any] = Field(alias="inputResponses")


@dataclass(frozen=True, slots=True)
class TaskId:
    """A task's id: the operation's id, and the call's ``on_cancel`` unless it is the operation's own policy.

    The policy needs no signature: the caller may abort the operation with ``maas_cancel_operation`` anyway.
    """

    operation_id: str
    on_cancel: CancelPolicy | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a task id. Invalid ids are rejected when the operation is read."""
        operation_id, mark, policy = text.partition(POLICY_MARK)
        if mark and policy not in set(CancelPolicy):
            raise unknown_task()
        return cls(operation_id, CancelPolicy(policy) if mark else None)

    def __str__(self) -> str:
        return self.operation_id + (f"{POLICY_MARK}{self.on_cancel}" if self.on_cancel else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The state of a task, as clients receive it."""

    task_id: str
    status: TaskStatus
    message: str
    started: int
    """The operation's start, in seconds since 1970 (UTC)."""
    poll_interval: float
    """Seconds between two polls of the client."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """``result``, ``error`` or ``inputRequests``, according to the status."""

    def to_wire(self) -> dict[str, Any]:
        """The task as JSON, with the time of this reading."""
        return {
            "taskId": self.task_id,
            "status": self.status,
            "statusMessage": make_visible(self.message),
            "createdAt": datetime.fromtimestamp(self.started, UTC).isoformat(),
            "lastUpdatedAt": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "ttlMs": TTL,
            "pollIntervalMs": max(1, round(self.poll_interval * 1000)),
            **self.details,
        }


def operation_name(task_id: str) -> str:
    """The name of the operation at the beginning of a task id. It is proved only when the id is opened."""
    return task_id.partition(".")[0]


def unknown_task() -> MCPError:
    """The error for an id that is forged, damaged, expired or another user's. It does not reveal which."""
    return MCPError(
        code=types.INVALID_PARAMS,
        message="There is no such task: it has expired, or belongs to another server or user.",
    )
