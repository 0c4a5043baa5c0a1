"""Ends of operations that need no following: nothing has to be done, or the machine is no longer in MAAS."""

from typing import Any

from maas_mcp.operations.declaring.operation import GoneContext, Operation, OperationContext
from maas_mcp.operations.declaring.tool import ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.running.diagnosis import gone_error
from maas_mcp.operations.running.results import ResultReader
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.wording import state_of


def gone_context(ctx: ToolContext, handle: Handle) -> GoneContext:
    """The context of an operation whose machine is no longer in MAAS."""
    return GoneContext(ctx.maas, ctx.progress, ctx.cancellation, handle.system_id, timing=ctx.timing, plugin=ctx.plugin)


async def already_reached(
    operation: Operation[Any, ResultT], ctx: OperationContext, handle: Handle, how: str
) -> OperationStatus[ResultT]:
    """The status for a machine that needs, or needed, no change."""
    message = f"{ctx.machine.hostname} {how} {state_of(ctx.machine)}; nothing was sent to MAAS"
    ctx.progress.report(1.0, message)
    reading = ResultReader(operation, message)
    with reading.guarded():
        reading.result = await operation.result(ctx)
    return reading.status(handle)


def ended_without_machine(
    operation: Operation[Any, ResultT], ctx: ToolContext, handle: Handle
) -> OperationStatus[ResultT]:
    """The status of an operation whose machine is no longer in MAAS.

    Raises:
        MachineGoneError: The operation has not succeeded.
    """
    if operation.lifecycle.verdict_if_gone(on_vm_host=handle.on_vm_host) is not Verdict.SUCCEEDED:
        raise gone_error(handle.system_id)
    reading = ResultReader(operation, f"{handle.system_id} is no longer in MAAS")
    with reading.guarded():
        reading.result = operation.result_if_gone(gone_context(ctx, handle))
    return reading.status(handle)
