"""Starts, gets, waits for, cancels and lists long-running operations for a call, by their signed ids."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel

from maas_mcp.calls.answer_time import shorter_wait
from maas_mcp.calls.asking import EarlyAsker
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.confirmation import confirm_erasing
from maas_mcp.calls.guard import check_policy
from maas_mcp.calls.reports import report, report_failure, suggest_get_operation
from maas_mcp.calls.telemetry import Following, following
from maas_mcp.calls.tenant import subject_of
from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasError,
    MaasMcpError,
    OperationCancelledError,
    OperationError,
    OperationRefusedError,
    PluginError,
    UnknownOperationError,
)
from maas_mcp.maas.models import SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.next_step import NextStep
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.operations import ListedOperation, OperationList, OperationReport
from maas_mcp.operations.declaring.questions import Asker
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import ToolContext, plugin_error
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.results import kind_of, structured
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.registry import AnyTool

logger = logging.getLogger(__name__)

MAX_LISTED: Final = 50

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

    async def start_and_follow(self) -> CallResult:
        """Start the call's operation, and follow it to its end or for ``wait_seconds``."""
        call, operation = self._call, self._call.tool
        if not isinstance(operation, LongRunning):
            raise TypeError(f"{operation.name} is not a long-running operation")
        # Both may fail, so they run before the start. An operation without an id could not be followed again.
        sealer = self._tenant.sealer
        arguments = await self._fill_in(operation, call.user)
        warnings = tuple(operation.warnings(arguments))
        subject = subject_of(operation, arguments)
        options: dict[str, Any] = {
            "wait": shorter_wait(call.options.wait_seconds, call.answer_by),
            "on_cancel": call.options.on_cancel,
            "start_by": call.answer_by,
        }
        if isinstance(operation, BatchOperation):
            options["name"] = subject
        engine = self._tenant.engine_for(operation)
        part = Following(operation.name, subject)
        with call.running.following(operation.name, subject), following(call.host.instruments, part):
            status = await engine.run(operation, arguments, call.progress, call.cancellation, **options)
        return _call_result(operation, status, sealer.seal(status.handle), warnings)

    async def start_when_answered(self) -> CallResult:
        """Prepare the call's operation, and start it later, when the user has answered its questions."""
        call, operation, engine = self._call, self._call.tool, self._tenant.engine
        if not isinstance(operation, LongRunning):
            raise TypeError(f"{operation.name} is not a long-running operation")
        await self._tenant.plugins.open(operation)
        prepared = await engine.prepare(operation, call.arguments, call.progress, call.cancellation)
        if isinstance(prepared, OperationStatus):
            return _call_result(operation, prepared, self._tenant.sealer.seal(prepared.handle))
        handle, principal = prepared.subject.handle, call.principal.name
        operation_id = self._tenant.sealer.seal(handle)
        waiting = call.host.waiting.add(principal, operation_id, call.user, handle.started)

        async def start() -> None:
            try:
                with plugin_errors(operation.name):
                    arguments = await self._fill_in(operation, waiting)
                    if subject_of(operation, arguments) != handle.system_id:
                        raise PluginError(f"{operation.name}.fill_in chose another machine, which is not possible.")
                    run = engine.start(replace(prepared, args=arguments))
                    if not isinstance(run, OperationStatus):
                        await run.request.wait_for_answer()
            except MaasMcpError as error:
                waiting.end(error)
            else:
                call.host.waiting.remove(principal, operation_id)

        call.host.run_later(call.principal, start)
        status: OperationStatus[Any] = OperationStatus(handle, None, "Waiting for an answer", confirmed=False)
        return _call_result(operation, status, operation_id)

    async def _fill_in(self, operation: LongRunning[Any, Any], asker: Asker) -> BaseModel:
        """The arguments, filled in with the user's answers. From then on, nothing can be asked."""
        call = self._call

        async def refuse() -> None:
            raise PluginError(
                f"{operation.name} changes something in MAAS before it starts, which is a bug in the plugin. "
                "`fill_in` may only read."
            )

        ctx: ToolContext[Any, Any] = ToolContext(
            call.tenant.maas.before_change(refuse),
            call.progress,
            call.cancellation,
            timing=call.tenant.timing,
            client=asker,
            plugin=await self._tenant.plugins.open(operation),
        )
        arguments: object = await operation.fill_in(ctx, call.arguments)
        if not isinstance(arguments, operation.arguments):
            raise PluginError(
                f"{operation.name}.fill_in returned {kind_of(arguments)}, which is a bug in the plugin. "
                f"Expected the arguments. Return `args` or a copy: `args.model_copy(update=…)`."
            )
        effects = operation.effects(arguments)
        if effects != call.effects:  # only the effects of the given arguments were confirmed
            asking = EarlyAsker(asker, operation.name)
            changed = replace(call, arguments=arguments, effects=effects, user=asking)
            await confirm_erasing(await check_policy(changed))
        call.user.note_change()
        return arguments

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
        status = await engine.resume(operation, handle, call.progress, call.cancellation, wait=seconds)
        return _call_result(operation, status, operation_id)

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
        connections = self._call.host.connections
        try:
            before = await self._follow(operation_id, 0.0)
        except MaasError as error:
            connections.stop_following(self._call.principal, operation.name, handle.system_id)
            error.hint = f"Nothing was aborted, but the calls that followed it have ended. {error.hint or ''}".strip()
            raise
        if before.state != "working":  # a newer operation of the machine must not be stopped
            return before
        connections.stop_following(self._call.principal, operation.name, handle.system_id)
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

    async def list(self, limit: int = MAX_LISTED) -> OperationList:
        """List the running operations: first those of the region and batches, then those of machines by hostname.

        Takes one request for machines, up to three for events, and one for each region operation. If some requests
        fail, the operations from the others are still listed.

        Raises:
            MaasMcpError: All requests failed.
        """
        listing = _Listing()
        operations = list(self._call.host.operations.values())
        for of_region in (each for each in operations if isinstance(each, RegionOperation)):
            with listing.recording_errors(of_region.name):
                await self._tenant.plugins.open(of_region)
                handles = await self._tenant.engine.find_running_on_region([of_region])
                listing.add(OperationStatus(each, None, "Running") for each in handles)
        of_machines = [each for each in operations if isinstance(each, Operation)]
        batches = [each for each in operations if isinstance(each, BatchOperation)]
        with listing.recording_errors("operations on machines"):
            seen = await self._tenant.engine.survey(of_machines, {MachineStatus.ALLOCATED} if batches else ())
            with listing.recording_errors("batches"):
                of_batches = await self._tenant.batches.find_running(seen, batches)
                listing.add(of_batches.statuses)
                listing.parts.update(of_batches.parts)
            found = self._tenant.engine.find_running(seen, of_machines, limit + 1)
            listing.add(each.status for each in found)
            listing.hostnames.update({each.handle.system_id: each.hostname for each in found if each.hostname})
            listing.any_read = True
        if listing.error is not None and not (listing.statuses or listing.any_read):
            raise listing.error
        shown = listing.statuses[:limit]
        if unnamed := [each.handle.system_id for each in shown if self._lacks_hostname(each, listing)]:
            with listing.recording_errors("hostnames"):
                machines = await self._tenant.maas.machines(id=unnamed)
                listing.hostnames.update({machine.system_id: machine.hostname for machine in machines})
        return OperationList(
            operations=[self._listed(each, listing) for each in shown],
            more=len(listing.statuses) > limit,
            unreadable=listing.unreadable,
        )

    def _lacks_hostname(self, status: OperationStatus[Any], listing: "_Listing") -> bool:
        on_machine = isinstance(self._call.host.operations[status.handle.operation], Operation)
        return on_machine and status.handle.system_id not in listing.hostnames

    def _listed(self, status: OperationStatus[Any], listing: "_Listing") -> ListedOperation:
        sealer, handle = self._tenant.sealer, status.handle
        batch = listing.parts.get(handle.system_id)
        return ListedOperation(
            **dict(self._report(self._call.host.operations[handle.operation], status)),
            operation=handle.operation,
            hostname=listing.hostnames.get(handle.system_id),
            part_of=None if batch is None else sealer.seal(batch),
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
            return report_failure(error, operation_id, call.served.tools)
        return self._report(operation, status)

    def _report(self, operation: LongRunning[Any, Any], status: OperationStatus[Any]) -> OperationReport:
        return report(operation, status, self._tenant.sealer, self._call.served.tools)

    def _open(self, operation_id: str) -> tuple[LongRunning[Any, Any], Handle]:
        """The operation of an id.

        Raises:
            UnknownOperationError: The caller has no such operation.
        """
        handle = self._tenant.sealer.open(operation_id)
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


@contextmanager
def plugin_errors(name: str) -> Iterator[None]:
    """Convert a plugin's unexpected exceptions, so that they do not end other calls.

    Args:
        name: The name of the tool.

    Raises:
        PluginError: The plugin raised something other than a cancellation or a ``MaasMcpError``.
    """
    try:
        yield
    except BaseException as error:
        if is_cancellation(error) or isinstance(error, MaasMcpError):
            raise
        logger.exception("%s failed", name)
        raise plugin_error(name, error) from error


def _call_result(
    operation: LongRunning[Any, Any],
    status: OperationStatus[Any],
    operation_id: str,
    warnings: tuple[str, ...] = (),
) -> CallResult:
    suggest_get_operation(status, operation_id)
    return CallResult(
        result=status.result,
        content=None if status.result is None else structured(operation, status.result),
        status=status,
        operation_id=operation_id,
        warnings=(*warnings, *status.warnings),
    )


@dataclass(slots=True)
class _Listing:
    """Running operations from several requests, some of which may have failed."""

    statuses: list[OperationStatus[Any]] = field(default_factory=list)
    any_read: bool = False
    """Whether the machines could be read."""
    hostnames: dict[SystemId, str] = field(default_factory=dict)
    parts: dict[SystemId, Handle] = field(default_factory=dict)
    """The batch of each machine that belongs to one."""
    unreadable: list[str] = field(default_factory=list)
    """The failed requests, with their errors."""
    error: MaasMcpError | None = None
    """The first error."""

    def add(self, statuses: "Iterator[OperationStatus[Any]] | list[OperationStatus[Any]]") -> None:
        """Add operations."""
        self.statuses += statuses

    @contextmanager
    def recording_errors(self, what: str) -> Iterator[None]:
        """Record an error of MAAS or a plugin in the block, and continue. ``what`` names the block in messages."""
        try:
            yield
        except OperationCancelledError:
            raise
        except BaseException as error:
            if is_cancellation(error):
                raise
            if not isinstance(error, MaasMcpError):
                logger.exception("%s could not be read", what)
            known = error if isinstance(error, MaasMcpError) else plugin_error(what, error)
            self.unreadable.append(f"{what}: {known.message}")
            self.error = self.error or known
