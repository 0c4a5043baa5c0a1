"""What the engine answers of an operation that has not failed."""

from dataclasses import dataclass
from typing import Generic

from maas_mcp.operations.handles import Handle
from maas_mcp.operations.tool import ResultT


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ResultT]):
    """An operation that has succeeded, or that goes on."""

    handle: Handle
    fraction: float | None
    """From 0.0 to 1.0, ``None`` where it cannot be told."""
    message: str
    result: ResultT | None = None
    """``None`` while it goes on."""
    partial: bool = False
    """Whether it has succeeded on some machines of a batch only."""
    confirmed: bool = True
    """Whether MAAS is known to have taken the order to start it."""
