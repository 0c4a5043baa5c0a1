"""What the engine publishes of its runs."""

from collections.abc import Callable
from dataclasses import dataclass

from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.declaring.operation_change import ChangeKind
from maas_mcp.operations.handles import Handle


@dataclass(frozen=True, slots=True)
class RunChange:
    """One change of a run."""

    kind: ChangeKind
    handle: Handle
    fraction: float | None
    message: str
    username: str | None
    error: MaasMcpError | None = None
    """Why it has ended without success."""


Publish = Callable[[RunChange], None]
"""Takes a change; returns at once, and does not raise."""


def unpublished(_change: RunChange) -> None:
    """Publishes nothing."""
