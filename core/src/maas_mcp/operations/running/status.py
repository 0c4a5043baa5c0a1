"""What the engine answers of an operation that has not failed."""

from dataclasses import dataclass
from typing import Generic, Literal

from maas_mcp.errors import ResultUnreadableError
from maas_mcp.operations.declaring.tool import ResultT
from maas_mcp.operations.handles import Handle

OperationState = Literal["working", "succeeded", "partly_succeeded"]
"""Whether it goes on, or how it has ended: on some machines of a batch only, or as a whole."""


@dataclass(frozen=True, slots=True)
class OperationStatus(Generic[ResultT]):
    """An operation that has succeeded, or that goes on: :attr:`state` alone says which.

    Raises:
        ValueError: It has a result, or the reason why there is none, exactly if it has not ended.
    """

    handle: Handle
    fraction: float | None
    """From 0.0 to 1.0, ``None`` where it cannot be told."""
    message: str
    result: ResultT | None = None
    """There once it has ended, unless :attr:`problem` is."""
    state: OperationState = "working"
    problem: ResultUnreadableError | None = None
    """Why there is no result although it has ended."""
    confirmed: bool = True
    """Whether MAAS is known to have accepted the request to start it."""
    warnings: tuple[str, ...] = ()
    """What the caller should know of its start, each in a sentence; only the call that starts it has them."""

    def __post_init__(self) -> None:
        if self.ended is (self.result is None and self.problem is None):
            raise ValueError(
                f"{self.handle.operation}: expected a result or a problem once it has ended, and neither before; "
                f"it is {self.state}"
            )

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.state != "working"
