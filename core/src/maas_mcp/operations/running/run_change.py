"""Changes of a run, as the engine publishes them."""

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
    """The reason if the run ended without success."""


Publish = Callable[[RunChange], None]
"""Receives a change. Returns at once and does not raise."""


def discard_change(_change: RunChange) -> None:
    """Publish nothing."""
