"""The tools that every server has: asking for, waiting for, cancelling and listing operations."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, Field

from maas_mcp.errors import (
    MaasError,
    MaasMcpError,
    OperationCancelledError,
    OperationError,
    OperationRefusedError,
    UnknownOperationError,
)
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import Tool, ToolContext, fault_of
from maas_mcp.operations.handles import Handle
from maas_mcp.server.calls import Call, Calls
from maas_mcp.server.reports import OperationReport, report, report_failure
from maas_mcp.server.services import Services

logger = logging.getLogger(__name__)

LONGEST_WAIT: Final = 3600.0
MOST_LISTED: Final = 50

AnyOperation = LongRunning[Any, Any]


@dataclass(slots=True)
class Found:
    """What is under way, from several reads of which some may have failed."""

    handles: list[Handle] = field(default_factory=list)
    any_read: bool = False
    """Whether the machines could be read."""
    parts: Mapping[SystemId, Handle] = field(default_factory=dict)
    """The batch of each machine that is a part of one."""
    unreadable: list[str] = field(default_factory=list)
    """What could not be read, with the reason."""
    error: MaasMcpError | None = None
    """The first reason."""

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Note it if ``what`` cannot be read, by MAAS's fault or a plugin's, and go on."""
        try:
            yield
        except OperationCancelledError:
            raise
        except BaseException as error:
            if is_cancellation(error):
                raise
            if not isinstance(error, MaasMcpError):
                logger.exception("%s could not be read", what)
            known = error if isinstance(error, MaasMcpError) else fault_of(what, error)
            self.unreadable.append(f"{what}: {known.message}")
            self.error = self.error or known


@dataclass(frozen=True, slots=True)
class HostContext(ToolContext):
    """A tool's services, and the host's own."""

    call: Call
    services: Services
    calls: Calls
    operations: Mapping[str, AnyOperation]
    served: Collection[str]
    """The names of all tools."""

    def open(self, operation_id: str) -> tuple[AnyOperation, Handle]:
        """The operation that an id names.

        Raises:
            UnknownOperationError: There is none of the caller's.
        """
        handle = self.services.sealer.open(operation_id)
        operation = self.operations.get(handle.operation)
        if operation is None:
            raise UnknownOperationError
        return operation, handle

    async def ask(self, operation_id: str, wait: float) -> OperationReport:
        """Where an operation stands, at its end or after ``wait`` seconds."""
        operation, handle = self.open(operation_id)
        try:
            engine = self.services.engine_for(operation)
            outcome = await engine.resume(operation, handle, self.progress, self.cancellation, wait=wait)
        except OperationCancelledError:
            raise
        except OperationError as error:
            return report_failure(error, operation_id, self.served)
        return report(operation, outcome, self.services.sealer)

    async def abort(self, operation: AnyOperation, handle: Handle) -> None:
        """Order MAAS to abort it."""
        await self.services.engine_for(operation).abort(operation, handle, self.cancellation)

    async def under_way(self, limit: int) -> Found:
        """What MAAS is at, ``limit`` and one more at the most: batches first, and then the machines of all.

        Takes three reads of machines, one for each operation of the region, and some for each handle. A read that fails
        hides nothing that another one shows.

        Raises:
            MaasMcpError: Nothing could be read.
        """
        operations = list(self.operations.values())
        batches = [each for each in operations if isinstance(each, BatchOperation)]
        of_machines = [each for each in operations if isinstance(each, Operation)]
        found = Found()
        for of_region in (each for each in operations if isinstance(each, RegionOperation)):
            with found.noting(of_region.name):
                found.handles += await self.services.engine.region_under_way([of_region])
        if batches:
            with found.noting("batches"):
                of_batches = await self.services.batches.under_way(batches)
                found.handles += of_batches.handles
                found.parts = of_batches.parts
        with found.noting("operations on machines"):
            found.handles += await self.services.engine.under_way(of_machines, limit + 1)
            found.any_read = True
        if found.error is not None and not (found.handles or found.any_read):
            raise found.error
        return found

    async def hostnames(self, handles: Sequence[Handle]) -> dict[SystemId, str]:
        """What the machines among those handles are called: one read."""
        ids = [each.system_id for each in handles if isinstance(self.operations[each.operation], Operation)]
        machines = await self.services.maas.machines(id=ids) if ids else []
        return {machine.system_id: machine.hostname for machine in machines}


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
        return await _host(ctx).ask(args.operation_id, 0.0)

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
        host = _host(ctx)
        operation, handle = host.open(args.operation_id)
        host.call.follows = (operation.name, handle.system_id)
        return await host.ask(args.operation_id, args.wait_seconds)

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
        host = _host(ctx)
        operation, handle = host.open(args.operation_id)
        try:
            before = await host.ask(args.operation_id, 0.0)
        except MaasError as error:
            host.calls.stop_following(operation.name, handle.system_id)
            error.hint = f"Nothing was aborted; calls that followed it have ended. {error.hint or ''}".strip()
            raise
        if before.state != "working":  # then what the machine is at now, and who follows that, is another matter
            return before
        host.calls.stop_following(operation.name, handle.system_id)
        refusal: OperationRefusedError | None = None
        if args.abort:
            try:
                await host.abort(operation, handle)
            except OperationRefusedError as error:  # or somebody else was quicker
                refusal = error
        after = await host.ask(args.operation_id, 0.0)
        if refusal is not None and after.state == "working":
            raise refusal
        return after

    def summary(self, result: OperationReport) -> str:
        """State and message."""
        return _summary(result)


class WhichOperations(BaseModel):
    """How many."""

    limit: int = Field(default=MOST_LISTED, ge=1, le=MOST_LISTED, description="At most this many.")


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


class ListOperations(Tool[WhichOperations, OperationList]):
    """List the operations that are under way on your machines, including those that another program started.

    Each has an operation_id to wait for it or to cancel it. A batch has its own, and so does each of its machines.
    """

    name = "maas_list_operations"
    title = "List operations"
    read_only = True

    async def run(self, ctx: ToolContext, args: WhichOperations) -> OperationList:
        """Read what is on its way, adopt each run, and ask where it stands: some reads for each."""
        host = _host(ctx)
        found = await host.under_way(args.limit)
        listed = found.handles[: args.limit]
        sealer, hostnames = host.services.sealer, dict[SystemId, str]()
        with found.noting("hostnames"):
            hostnames = await host.hostnames(listed)
        reports = []
        for handle in listed:
            with found.noting(f"{handle.operation} on {hostnames.get(handle.system_id, handle.system_id)}"):
                told = await host.ask(sealer.seal(handle), 0.0)
                reports.append(
                    ListedOperation(
                        **dict(told),
                        operation=handle.operation,
                        hostname=hostnames.get(handle.system_id),
                        part_of=None if (batch := found.parts.get(handle.system_id)) is None else sealer.seal(batch),
                    )
                )
        more = len(found.handles) > args.limit
        return OperationList(operations=reports, more=more, unreadable=found.unreadable)

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


def _host(ctx: ToolContext) -> HostContext:
    if not isinstance(ctx, HostContext):
        raise TypeError(f"the host's own tools need a HostContext, not {type(ctx).__name__}")
    return ctx


def _summary(result: OperationReport) -> str:
    how_far = "" if result.progress is None else f" ({result.progress:.0%})"
    lines = [f"{result.state}: {result.message}{how_far}"]
    if result.error is not None:
        lines += [part for part in (result.error.maas_says, result.error.hint) if part and part not in lines[0]]
    return "\n".join(lines)


OPERATION_TOOLS: Final = (CancelOperation, GetOperation, ListOperations, WaitForOperation)
"""The host's own tools, by name."""
