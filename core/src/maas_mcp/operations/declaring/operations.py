"""What a tool may do with long-running operations, and the reports that it gets of them."""

from typing import Any, Final, Literal, NoReturn, Protocol, cast

from pydantic import BaseModel, Field

from maas_mcp.errors import NextStep, PluginError

State = Literal["working", "succeeded", "partly_succeeded", "failed", "reverted", "gone", "timed_out"]


class ErrorReport(BaseModel):
    """Why an operation has no result."""

    code: str
    message: str
    hint: str | None
    next_steps: list[NextStep] = Field(default=[], description="Calls that help, the best one first.")
    maas_says: str | None


class OperationReport(BaseModel):
    """Where an operation stands."""

    operation_id: str = Field(description="Ask for it again with maas_get_operation or maas_wait_operation.")
    state: State
    progress: float | None = Field(description="From 0.0 to 1.0, where it can be told.")
    message: str
    result: dict[str, Any] | None = Field(description="Of the tool that started it; there once it has succeeded.")
    error: ErrorReport | None = Field(
        default=None, description="Set if it ended without success, or if its result cannot be read."
    )


class ListedOperation(OperationReport):
    """One of many."""

    operation: str = Field(description="The tool that starts it.")
    hostname: str | None = Field(description="The machine's; null for a batch and for the region.")
    part_of: str | None = Field(description="The operation_id of the batch that it belongs to.")


class OperationList(BaseModel):
    """What is under way."""

    operations: list[ListedOperation]
    more: bool = Field(description="Whether there are more than these.")
    unreadable: list[str] = Field(description="Reads that failed, with the reason: operations may be missing here.")


class Operations(Protocol):
    """Long-running operations, as a tool may start and follow them: ``ctx.operations``.

    Each call passes the same checks as a client's own. Every method raises a :class:`~maas_mcp.errors.MaasMcpError`.
    """

    async def run(self, name: str, /, **arguments: Any) -> BaseModel:
        """Call a tool, or start an operation and follow it to its end, with progress; returns its result."""
        ...

    async def start(self, name: str, /, **arguments: Any) -> OperationReport:
        """Start an operation, and return at once; its ``operation_id`` follows it."""
        ...

    async def get(self, operation_id: str) -> OperationReport:
        """Where an operation stands, by what MAAS says now."""
        ...

    async def wait(self, operation_id: str, seconds: float) -> OperationReport:
        """Follow an operation, with progress, to its end or for so many seconds."""
        ...

    async def cancel(self, operation_id: str, *, abort: bool = False) -> OperationReport:
        """Stop every call of this process that follows an operation; with ``abort``, make MAAS abort it, too."""
        ...

    async def list(self, limit: int = 50) -> OperationList:
        """What is under way on the machines of this user, whichever program started it."""
        ...


class _NotOffered:
    def __getattr__(self, name: str) -> NoReturn:
        raise PluginError(
            f"`ctx.operations.{name}` is not offered here: an operation cannot start or follow others.",
            hint="Write a Tool whose `run` does it.",
        )


NOT_OFFERED: Final = cast("Operations", _NotOffered())
"""Stands in the place of ``ctx.operations`` where there is none."""
