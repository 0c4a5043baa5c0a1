"""Notifications for observers: an operation started, progressed or ended."""

from dataclasses import dataclass
from enum import StrEnum

from maas_mcp.maas.models import SystemId
from maas_mcp.operations.declaring.operations import State


class ChangeKind(StrEnum):
    """The kind of a change."""

    STARTED = "started"
    """The start request is about to be sent to MAAS."""
    MOVED = "moved"
    """The fraction or the message changed."""
    ENDED = "ended"
    """The operation succeeded, failed, or ended in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationChange:
    """A change of an operation that this process follows."""

    kind: ChangeKind
    operation: str
    """The name of the tool that starts the operation."""
    operation_id: str
    """The operation's id, as clients receive it."""
    started: int
    """The time of the start, in whole seconds since 1970 (UTC)."""
    system_id: SystemId | None
    """The machine; ``None`` for an operation of the region."""
    state: State
    """``working``, or the final state."""
    fraction: float | None
    """The progress from 0.0 to 1.0; ``None`` if unknown."""
    message: str
    username: str | None
    """The MAAS user whose API key the call uses; ``None`` until MAAS has reported the name."""
