"""Calls other tools from a call, and gets, waits for, cancels and lists operations by their signed ids."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from maas_mcp.calls.answer_time import shorter_wait
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.next_steps import in_region
from maas_mcp.calls.operation_listing import Kind, OperationListing
from maas_mcp.calls.operation_start import operation_result
from maas_mcp.calls.reports import add_operation_id, report, report_failure
from maas_mcp.calls.telemetry import Following, following
from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasError,
    MaasMcpError,
    OperationCancelledError,
    OperationError,
    OperationRefusedError,
    UnknownOperationError,
)
from maas_mcp.maas.change_request import RehearsedError
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.next_step import NextStep
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.operations import MAX_LISTED, ListedOperation, OperationList, OperationReport
from maas_mcp.operations.declaring.pages import fit_page
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.next_steps import ABORT_OPERATION
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.registry import AnyTool

LIST: Final = "operations"
"""The list of running operations, for which cursors are signed."""

CallWithin = Callable[[ToolCall, AnyTool, Mapping[str, Any]], Awaitable[CallResult]]


class OperationsService:
    """The ``ctx.operations`` of a call.

    Args:
        call: The call, with its progress, cancellation and tenant.
        call_within: Calls another tool from this call.
    """

    def __init__(self, call: ToolCall, call_within: CallWithin) -> None:
        self._call = call
        self._tenant = call.tenant
        self._call_within = call_within

    async def follow(self, operation_id: str, seconds: float | None) -> CallResult:
        """Follow an operation to its end or for this many seconds. Returns what the call that started it would return.

        Raises:
            UnknownOperationError: The caller has no such operation.
            OperationError: It did not succeed.
            MaasError: MAAS cannot be reached.
        """
        operation, handle = self._open(operation_id)
        await self._tenant.plugins.open(operation)
        engine, call = self._tenant.engine_for(operation), self._call
        try:
            status = await engine.resume(operation, handle, call.progress, call.cancellation, wait=seconds)
        except OperationError as error:
            add_operation_id(error, operation_id)
            raise
        return operation_result(operation, status, operation_id)

    def started(self, operation_id: str) -> int:
        """The start of an operation, in seconds since 1970 (UTC).

        Raises:
            UnknownOperationError: The caller has no such operation.
        """
        return self._open(operation_id)[1].started

    def is_start_failure(self, operation_id: str, error: MaasMcpError) -> bool:
        """Whether ``error`` is the response to the start request, so that the operation has ended."""
        request = self._tenant.requests.find(self._open(operation_id)[1])
        return error is request.ambiguous_error or error is request.refusal

    async def run(self, name: str, /, **arguments: Any) -> BaseModel:
        """Call a tool, or start an operation and follow it to its end. Returns its result."""
        answer = await self._call_within(self._call, self._tool(name), arguments)
        if answer.result is not None:
            return answer.result
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        raise OperationRefusedError(
            f"{name} was not started, because it is already running: {answer.status.message if answer.status else ''}.",
            next_steps=[NextStep("maas_wait_operation", {"operation_id": answer.operation_id}, why="Wait for it")],
        )

    async def start(self, name: str, /, **arguments: Any) -> OperationReport:
        """Start an operation and return at once."""
        operation = self._tool(name)
        if not isinstance(operation, LongRunning):
            raise InvalidArgumentsError(f"{name} is not a long-running operation. Call it with `run`.")
        answer = await self._call_within(self._call, operation, {**arguments, "wait_seconds": 0})
        if answer.status is None:
            raise TypeError(f"{name} returned no status")
        return self._report(operation, answer.status)

    async def get(self, operation_id: str) -> OperationReport:
        """Read the current state of an operation from MAAS."""
        return await self._follow(operation_id, 0.0)

    async def wait(self, operation_id: str, seconds: float) -> OperationReport:
        """Follow an operation, with progress, to its end or for this many seconds."""
        operation, handle = self._open(operation_id)
        with self._call.running.following(operation.name, handle.system_id):
            return await self._follow(operation_id, shorter_wait(seconds, self._call.answer_by))

    async def cancel(self, operation_id: str, *, abort: bool = False) -> OperationReport:
        """Stop the calls that follow an operation; with ``abort``, also abort it in MAAS."""
        operation, handle = self._open(operation_id)
        try:
            before = await self._follow(operation_id, 0.0)
        except MaasError as error:
            self._stop_following(operation, handle)
            error.hint = f"Nothing was aborted, but the calls that followed it have ended. {error.hint or ''}".strip()
            raise
        left = before.error is not None and any(each.tool == ABORT_OPERATION.tool for each in before.error.next_steps)
        if before.state != "working" and not left:  # a newer operation of the machine must not be stopped
            return before
        if self._call.rehearsal is not None:
            if not abort:
                return before
            maas = self._tenant.maas.rehearsing(self._call.rehearsal.record)
            await self._tenant.engine_for(operation).rehearse_abort(operation, handle, self._call.cancellation, maas)
            raise RehearsedError
        self._stop_following(operation, handle)
        refusal: OperationRefusedError | None = None
        if abort:
            try:
                await self._tenant.engine_for(operation).abort(operation, handle, self._call.cancellation)
            except OperationRefusedError as error:  # perhaps because another user has aborted it
                refusal = error
        after = await self._follow(operation_id, 0.0)
        if refusal is not None and after.state == "working":
            raise refusal
        return after

    def _stop_following(self, operation: LongRunning[Any, Any], handle: Handle) -> None:
        call = self._call
        call.host.connections.stop_following(call.principal, operation.name, handle.system_id, self._tenant.region)

    async def list(
        self, limit: int = MAX_LISTED, *, cursor: str | None = None, size: int | None = None
    ) -> OperationList:
        """List the running operations: first those of the region and batches, then those of machines by hostname.

        Takes one request for machines, up to three for events, and one for each region operation. If some requests
        fail, the operations from the others are still listed.

        Raises:
            InvalidArgumentsError: The cursor is not valid.
            MaasMcpError: All requests failed.
        """
        cursors = self._tenant.cursors(LIST)
        after = None if cursor is None else tuple(cursors.open(cursor)["after"])
        listing = await self._read_listing()
        entries = listing.sorted_after(after)
        shown = entries[:limit]
        if unnamed := [each.status.handle.system_id for each in shown if self._lacks_hostname(each.status, listing)]:
            with listing.recording_errors("hostnames"):
                machines = await self._tenant.maas.machines(id=unnamed)
                listing.hostnames.update({machine.system_id: machine.hostname for machine in machines})
        rows = [self._listed(each.status, listing) for each in shown]
        page = rows if size is None else fit_page(rows, limit, size=size)
        return OperationList(
            operations=page,
            total=len(listing.entries),
            next_cursor=cursors.seal({"after": shown[len(page) - 1].key}) if len(page) < len(entries) else None,
            unreadable=listing.unreadable,
        )

    async def _read_listing(self) -> OperationListing:
        """Find all running operations.

        Raises:
            MaasMcpError: All requests failed.
        """
        listing = OperationListing()
        operations = list(self._call.host.operations.values())
        for of_region in (each for each in operations if isinstance(each, RegionOperation)):
            with listing.recording_errors(of_region.name):
                await self._tenant.plugins.open(of_region)
                handles = await self._tenant.engine.find_running_on_region([of_region])
                listing.add(Kind.REGION, (OperationStatus(each, None, "Running") for each in handles))
        of_machines = [each for each in operations if isinstance(each, Operation)]
        batches = [each for each in operations if isinstance(each, BatchOperation)]
        with listing.recording_errors("operations on machines"):
            seen = await self._tenant.engine.survey(of_machines, {MachineStatus.ALLOCATED} if batches else ())
            with listing.recording_errors("batches"):
                of_batches = await self._tenant.batches.find_running(seen, batches)
                listing.add(Kind.BATCH, of_batches.statuses)
                listing.parts.update(of_batches.parts)
            found = self._tenant.engine.find_running(seen, of_machines)
            listing.hostnames.update({each.handle.system_id: each.hostname for each in found if each.hostname})
            listing.add(Kind.MACHINE, (each.status for each in found))
            listing.any_read = True
        if listing.error is not None and not (listing.entries or listing.any_read):
            raise listing.error
        return listing

    def _lacks_hostname(self, status: OperationStatus[Any], listing: OperationListing) -> bool:
        on_machine = isinstance(self._call.host.operations[status.handle.operation], Operation)
        return on_machine and status.handle.system_id not in listing.hostnames

    def _listed(self, status: OperationStatus[Any], listing: OperationListing) -> ListedOperation:
        signer, handle = self._tenant.handle_signer, status.handle
        batch = listing.parts.get(handle.system_id)
        return ListedOperation(
            **dict(self._report(self._call.host.operations[handle.operation], status)),
            operation=handle.operation,
            hostname=listing.hostnames.get(handle.system_id),
            part_of=None if batch is None else signer.sign(batch),
        )

    async def _follow(self, operation_id: str, wait: float | None) -> OperationReport:
        """The state of an operation at its end or after ``wait`` seconds."""
        operation, handle = self._open(operation_id)
        await self._tenant.plugins.open(operation)
        engine, call = self._tenant.engine_for(operation), self._call
        part = Following(operation.name, handle.system_id, operation_id)
        try:
            with following(call.host.instruments, part):
                status = await engine.resume(operation, handle, call.progress, call.cancellation, wait=wait)
        except OperationCancelledError:
            raise
        except OperationError as error:
            error.next_steps = in_region(error.next_steps, self._tenant.region)
            return report_failure(error, operation_id, call.served.tools)
        return self._report(operation, status)

    def _report(self, operation: LongRunning[Any, Any], status: OperationStatus[Any]) -> OperationReport:
        return report(operation, status, self._tenant.handle_signer, self._call.served.tools)

    def _open(self, operation_id: str) -> tuple[LongRunning[Any, Any], Handle]:
        """The operation of an id.

        Raises:
            UnknownOperationError: The caller has no such operation.
        """
        handle = self._tenant.handle_signer.verify(operation_id)
        operation = self._call.host.operations.get(handle.operation)
        if operation is None:
            raise UnknownOperationError
        return operation, handle

    def _tool(self, name: str) -> AnyTool:
        tool = self._call.host.tools.get(name)
        if tool is None:
            raise InvalidArgumentsError(
                f"There is no tool {name[:64]!r}.", hint="Check that its plugin is installed and allowed."
            )
        return tool
