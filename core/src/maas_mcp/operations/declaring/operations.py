"""Access to long-running operations for tools, and the reports that it returns."""

from typing import Annotated, Any, Final, Literal, NoReturn, Protocol, cast

from pydantic import BaseModel, Field

from maas_mcp.errors import PluginError
from maas_mcp.machine_text import CarriesMachineText, MachineOutput, MachineText
from maas_mcp.next_step import NextStep

MAX_LISTED: Final = 50
"""Maximum operations in a list."""

State = Literal["working", "succeeded", "partly_succeeded", "failed", "reverted", "gone", "timed_out"]


class ErrorReport(BaseModel, defer_build=True):
    """Why an operation has no result."""

    code: str
    message: str
    hint: str | None
    next_steps: list[NextStep] = Field(default=[], description="Calls that help, best one first.")
    maas_says: MachineOutput | None


class OperationReport(BaseModel, defer_build=True):
    """The current state of an operation."""

    operation_id: str = Field(description="Pass it to maas_get_operation or maas_wait_operation.")
    state: State
    progress: float | None = Field(description="From 0.0 to 1.0; null if unknown.")
    message: str
    result: Annotated[dict[str, Any], CarriesMachineText()] | None = Field(
        description="The tool's result, once it has succeeded."
    )
    error: ErrorReport | None = Field(
        default=None, description="Set if it did not succeed, or if its result cannot be read."
    )


class ListedOperation(OperationReport):
    """One operation of a list."""

    operation: str = Field(description="The tool that starts it.")
    hostname: MachineText | None = Field(description="The machine; null for a batch or the region.")
    part_of: str | None = Field(description="operation_id of its batch.")


class OperationList(BaseModel, defer_build=True):
    """The operations that are running."""

    operations: list[ListedOperation]
    total: int = Field(description="On all pages.")
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null after the last one.")
    unreadable: list[str] = Field(description="Failed reads and why; operations may be missing.")


class Operations(Protocol):
    """Long-running operations that a tool starts and follows, as ``ctx.operations``.

    Each call passes the same checks as a client's call. Every method raises a :class:`~maas_mcp.errors.MaasMcpError`.
    """

    async def run(self, name: str, /, **arguments: Any) -> BaseModel:
        """Call a tool, or start an operation and follow it to its end with progress; return the result."""
        ...

    async def start(self, name: str, /, **arguments: Any) -> OperationReport:
        """Start an operation and return at once. Use the ``operation_id`` of the report to follow it."""
        ...

    async def get(self, operation_id: str) -> OperationReport:
        """Read the current state of an operation from MAAS."""
        ...

    async def wait(self, operation_id: str, seconds: float) -> OperationReport:
        """Follow an operation with progress until it ends, for at most ``seconds``."""
        ...

    async def cancel(self, operation_id: str, *, abort: bool = False) -> OperationReport:
        """Stop all calls of this process that follow an operation. With ``abort``, also abort it in MAAS."""
        ...

    async def list(
        self, limit: int = MAX_LISTED, *, cursor: str | None = None, size: int | None = None
    ) -> OperationList:
        """List operations that are running on the user's machines, whichever program started them.

        Args:
            limit: Maximum operations.
            cursor: The ``next_cursor`` of the previous page.
            size: Maximum bytes of the operations as JSON, such as ``PAGE_BYTES``.
        """
        ...


class _NotOffered:
    def __getattr__(self, name: str) -> NoReturn:
        raise PluginError(
            f"`ctx.operations.{name}` is not available here: an operation cannot start or follow other operations.",
            hint="Write a Tool and call it from `run`.",
        )


NOT_OFFERED: Final = cast("Operations", _NotOffered())
"""Placeholder for ``ctx.operations`` in operations, which cannot use it."""
