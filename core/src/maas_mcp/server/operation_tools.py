"""The tools that every server has: asking for, waiting for, cancelling and listing operations."""

from typing import Final

from pydantic import BaseModel, Field

from maas_mcp.calls.operations_service import MOST_LISTED
from maas_mcp.operations.declaring.operations import OperationList, OperationReport
from maas_mcp.operations.declaring.tool import Tool, ToolContext

LONGEST_WAIT: Final = 3600.0


class OperationId(BaseModel):
    """Which operation."""

    operation_id: str = Field(description="As the starting call or maas_list_operations gave it, whole.")


class GetOperation(Tool[OperationId, OperationReport]):
    """Tell where a long-running operation stands, also one that was started before the server was restarted.

    Answers at once, by what MAAS says now. Its result or the reason of its failure is there once it has ended.
    """

    name = "maas_get_operation"
    title = "Ask for an operation"
    read_only = True

    async def run(self, ctx: ToolContext, args: OperationId) -> OperationReport:
        """Ask MAAS once."""
        return await ctx.operations.get(args.operation_id)

    def summary(self, result: OperationReport) -> str:
        """State and message."""
        return _summary(result)


class WaitOperation(BaseModel):
    """Which operation, and how long to wait."""

    operation_id: str = Field(description="As the starting call or maas_list_operations gave it, whole.")
    wait_seconds: float = Field(default=50.0, ge=0, le=LONGEST_WAIT, description="Answer after so long at the latest.")


class WaitForOperation(Tool[WaitOperation, OperationReport]):
    """Follow a long-running operation, with progress, until it ends or the time is up.

    Cancelling this call stops the waiting only.
    """

    name = "maas_wait_operation"
    title = "Wait for an operation"
    read_only = True

    async def run(self, ctx: ToolContext, args: WaitOperation) -> OperationReport:
        """Follow it."""
        return await ctx.operations.wait(args.operation_id, args.wait_seconds)

    def summary(self, result: OperationReport) -> str:
        """State and message."""
        return _summary(result)


class CancelArguments(BaseModel):
    """Which operation, and what to do to it."""

    operation_id: str = Field(description="As the starting call or maas_list_operations gave it, whole.")
    abort: bool = Field(
        default=False, description="Order MAAS to abort it, too; what it has done by then is not undone."
    )


class CancelOperation(Tool[CancelArguments, OperationReport]):
    """Stop following an operation, and with `abort` order MAAS to abort it.

    Calls that follow it end at once. Without `abort` MAAS goes on, and the operation can still be asked for. Aborting
    powers the machine off; a deployment that is aborted leaves it Allocated, a commissioning New, an erase its disks
    half erased.
    """

    name = "maas_cancel_operation"
    title = "Cancel an operation"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: CancelArguments) -> OperationReport:
        """Stop the calls that follow this run, then order MAAS."""
        return await ctx.operations.cancel(args.operation_id, abort=args.abort)

    def summary(self, result: OperationReport) -> str:
        """State and message."""
        return _summary(result)


class WhichOperations(BaseModel):
    """How many."""

    limit: int = Field(default=MOST_LISTED, ge=1, le=MOST_LISTED, description="At most this many.")


class ListOperations(Tool[WhichOperations, OperationList]):
    """List the operations that are under way on your machines, including those that another program started.

    Each has an operation_id to wait for it or to cancel it. A batch has its own, and so does each of its machines.
    """

    name = "maas_list_operations"
    title = "List operations"
    read_only = True

    async def run(self, ctx: ToolContext, args: WhichOperations) -> OperationList:
        """Read what is under way."""
        return await ctx.operations.list(args.limit)

    def summary(self, result: OperationList) -> str:
        """A line for each."""
        lines = [
            f"{each.operation} {f'on {each.hostname} ' if each.hostname else ''}({each.operation_id}): {each.message}"
            for each in result.operations
        ]
        if result.more:
            lines.append(f"There are more than these {len(lines)}: list the machines by their status.")
        lines += [f"Could not be read: {each}" for each in result.unreadable]
        return "\n".join(lines) or "Nothing is under way."


def _summary(result: OperationReport) -> str:
    how_far = "" if result.progress is None else f" ({result.progress:.0%})"
    lines = [f"{result.state}: {result.message}{how_far}"]
    if result.error is not None:
        lines += [part for part in (result.error.maas_says, result.error.hint) if part and part not in lines[0]]
        lines += [step.sentence for step in result.error.next_steps]
    return "\n".join(lines)


OPERATION_TOOLS: Final = (CancelOperation, GetOperation, ListOperations, WaitForOperation)
"""The host's own tools, by name."""
