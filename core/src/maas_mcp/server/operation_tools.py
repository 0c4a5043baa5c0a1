"""The host's own tools: get, wait for, cancel and list operations."""

from typing import Final

from pydantic import BaseModel, Field

from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.operations import MAX_LISTED, ErrorReport, OperationList, OperationReport
from maas_mcp.operations.declaring.pages import PAGE_BYTES
from maas_mcp.operations.declaring.tool import Tool, ToolContext
from maas_mcp.operations.wording import maas_words

MAX_WAIT: Final = 3600.0
OPERATION_ID: Final = "Complete, as returned."


class OperationId(BaseModel, defer_build=True):
    """An operation."""

    operation_id: str = Field(description=OPERATION_ID)


class GetOperation(Tool[OperationId, OperationReport]):
    """Get (check, show) an operation's current state, with its result or error if it has finished. Returns at once."""

    name = "maas_get_operation"
    list_position = 41
    toolset = "operations"
    title = "Get an operation"
    read_only = True

    async def run(self, ctx: ToolContext, args: OperationId) -> OperationReport:
        """Poll MAAS once."""
        return await ctx.operations.get(args.operation_id)

    def summary(self, result: OperationReport) -> str:
        """The state and the message."""
        return _summary(result)


class WaitArguments(BaseModel, defer_build=True):
    """An operation, and a time limit."""

    operation_id: str = Field(description=OPERATION_ID)
    wait_seconds: float = Field(default=50.0, ge=0, le=MAX_WAIT)


class WaitForOperation(Tool[WaitArguments, OperationReport]):
    """Wait for (follow, watch) an operation, with progress, until it ends or `wait_seconds` have passed.

    Cancelling this call only stops waiting: MAAS continues.
    """

    name = "maas_wait_operation"
    list_position = 42
    toolset = "operations"
    title = "Wait for an operation"
    read_only = True

    async def run(self, ctx: ToolContext, args: WaitArguments) -> OperationReport:
        """Follow the operation."""
        return await ctx.operations.wait(args.operation_id, args.wait_seconds)

    def summary(self, result: OperationReport) -> str:
        """The state and the message."""
        return _summary(result)


class CancelArguments(BaseModel, defer_build=True):
    """An operation, and whether to abort it."""

    operation_id: str = Field(description=OPERATION_ID)
    abort: bool = Field(default=False, description="Abort it in MAAS, which undoes nothing.")


class CancelOperation(Tool[CancelArguments, OperationReport]):
    """Cancel a running operation: end the calls that follow it, and with `abort` also abort (stop) it in MAAS.

    Without `abort`, MAAS continues. An abort powers the machine off: a deployment ends as Allocated, commissioning as
    New, an erase with half-erased disks.
    """

    name = "maas_cancel_operation"
    list_position = 43
    toolset = "operations"
    title = "Cancel an operation"
    destructive = True
    idempotent = True

    def effects(self, args: CancelArguments) -> Effects:
        """An abort changes the operation's machines. Otherwise only the server's own calls end."""
        operations = (args.operation_id,) if args.abort else ()
        return Effects(changes=args.abort, destroys=args.abort, operations=operations)

    async def run(self, ctx: ToolContext, args: CancelArguments) -> OperationReport:
        """Stop the calls that follow the operation, then abort it."""
        return await ctx.operations.cancel(args.operation_id, abort=args.abort)

    def summary(self, result: OperationReport) -> str:
        """The state and the message."""
        return _summary(result)


class ListArguments(BaseModel, defer_build=True):
    """A page."""

    limit: int = Field(default=MAX_LISTED, ge=1, le=MAX_LISTED)
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page.")


class ListOperations(Tool[ListArguments, OperationList]):
    """List (find) the operations that are running on your machines, whichever program started them.

    Each has an operation_id, to wait for it or cancel it; a batch and each of its machines, too.
    """

    name = "maas_list_operations"
    list_position = 40
    toolset = "operations"
    title = "List operations"
    read_only = True

    async def run(self, ctx: ToolContext, args: ListArguments) -> OperationList:
        """Read the running operations."""
        return await ctx.operations.list(args.limit, cursor=args.cursor, size=PAGE_BYTES)

    def summary(self, result: OperationList) -> str:
        """One line for each operation."""
        lines = [
            f"{each.operation} {f'on {each.hostname} ' if each.hostname else ''}({each.operation_id}): {each.message}"
            for each in result.operations
        ]
        if result.next_cursor is not None:
            lines.append(f"{len(lines)} of {result.total} are shown. The next page has cursor={result.next_cursor}")
        lines += [f"Could not be read: {each}" for each in result.unreadable]
        return "\n".join(lines) or "No operation is running."


def _maas_words(error: ErrorReport) -> str | None:
    """MAAS's own words, unless the message quotes them."""
    return maas_words(MaasMcpError(error.message, maas_says=error.maas_says))


def _summary(result: OperationReport) -> str:
    how_far = "" if result.progress is None else f" ({result.progress:.0%})"
    lines = [f"{result.state}: {result.message}{how_far}"]
    if result.error is not None:
        lines += filter(None, [_maas_words(result.error), result.error.hint])
        lines += [step.sentence for step in result.error.next_steps]
    return "\n".join(lines)


OPERATION_TOOLS: Final = (CancelOperation, GetOperation, ListOperations, WaitForOperation)
"""The host's own tools, by name."""
