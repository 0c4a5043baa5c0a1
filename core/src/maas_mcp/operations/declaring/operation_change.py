"""What observers are shown of an operation: that it has started, moved on, or ended."""

from dataclasses import dataclass
from enum import StrEnum

from maas_mcp.maas.models import SystemId
from maas_mcp.operations.declaring.operations import State


class ChangeKind(StrEnum):
    """What has happened to an operation."""

    STARTED = "started"
    """MAAS is sent the request to start it."""
    MOVED = "moved"
    """Its fraction or its message has changed."""
    ENDED = "ended"
    """It has succeeded, failed, or ended otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationChange:
    """One change of an operation that this process follows."""

    kind: ChangeKind
    operation: str
    """The tool that starts it."""
    operation_id: str
    """As clients get it."""
    system_id: SystemId | None
    """The machine; ``None`` for what the region does by itself."""
    state: State
    """``working``, or how it has ended."""
    fraction: float | None
    """From 0.0 to 1.0, ``None`` where it cannot be told."""
    message: str
    username: str | None
    """Whose API key is used; ``None`` as long as MAAS was not asked."""
