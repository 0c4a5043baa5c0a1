"""The status of an operation that is running or has succeeded."""

from dataclasses import dataclass
from typing import Generic, Literal

from maas_mcp.errors import ResultUnreadableError
from maas_mcp.operations.declaring.tool import ResultT
from maas_mcp.operations.handles import Handle

OperationState = Literal["working", "succeeded", "partly_succeeded"]
"""``partly_succeeded`` is a batch that succeeded on some of its machines."""


@dataclass(frozen=True, slots=True)
class OperationStatus(Generic[ResultT]):
    """The status of an operation that is running or has succeeded, according to :attr:`state`.

    Raises:
        ValueError: An ended operation has neither a result nor a problem, or a running one has either.
    """

    handle: Handle
    fraction: float | None
    """From 0.0 to 1.0; ``None`` if unknown."""
    message: str
    result: ResultT | None = None
    """Set once the operation has ended, unless :attr:`problem` is set."""
    state: OperationState = "working"
    problem: ResultUnreadableError | None = None
    """The reason why an ended operation has no result."""
    confirmed: bool = True
    """Whether MAAS is known to have accepted the start request."""
    warnings: tuple[str, ...] = ()
    """Warnings about the start, one sentence each. Only the call that starts the operation returns them."""

    def __post_init__(self) -> None:
        if self.ended is (self.result is None and self.problem is None):
            raise ValueError(
                f"{self.handle.operation} is {self.state}: expected a result or a problem if it has ended, "
                "and neither if it is working"
            )

    @property
    def ended(self) -> bool:
        """Whether the operation has ended."""
        return self.state != "working"
