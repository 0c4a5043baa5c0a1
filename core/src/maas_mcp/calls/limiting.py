"""Counts the machines of a call for the policy's limits, just before it runs."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from maas_mcp.calls.call import Outcome, ToolCall
from maas_mcp.calls.limits_in_use import counted_name, counted_names, counting_limits
from maas_mcp.errors import (
    InvalidArgumentsError,
    MaasError,
    MaasMcpError,
    NotAnsweredError,
    OperationCancelledError,
    OperationRefusedError,
    OperationTimedOutError,
    RefusedByPolicyError,
)
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.handles import Handle
from maas_mcp.policy.judgement import limit_finding, refused_by
from maas_mcp.policy.limits import Counted, Exceeded, Limit

if TYPE_CHECKING:
    from maas_mcp.calls.usage import UsageStore

logger = logging.getLogger(__name__)

REFUSALS: Final = (OperationRefusedError, InvalidArgumentsError, NotAnsweredError, RefusedByPolicyError)
"""Errors that usually occur before the first change. A tool with several changes may be refused between them."""
MAY_CONTINUE: Final = (MaasError, OperationCancelledError, OperationTimedOutError)


@asynccontextmanager
async def counting_machines(call: ToolCall) -> AsyncIterator[Outcome]:
    """Count the call's machines, and note the end of the call after the block that runs it.

    Raises:
        RefusedByPolicyError: The call would exceed a limit. Nothing was sent to MAAS.
    """
    limits, outcome = counting_limits(call), Outcome()
    if not limits or not call.effects.changes or call.rehearsal is not None:
        yield outcome
        return
    store = call.host.policy.usage  # a reload may replace it during the call
    counted = await _count(call, limits, store)
    try:
        yield outcome
    except MaasMcpError as error:
        if isinstance(error, REFUSALS) and (isinstance(call.tool, LongRunning) or not call.user.has_changed):
            with _logging_errors():
                await store.forget(counted)
            raise
        if not isinstance(error, MAY_CONTINUE):
            with _logging_errors():
                await store.end(counted.kinds, counted.machines)
        raise
    with _logging_errors():
        status = outcome.result.status
        if status is None or status.state != "working":
            await store.end(counted.kinds, counted.machines)
        elif call.effects.allocates and isinstance(call.tool, BatchOperation):
            await _replace_when_chosen(call, limits, counted, status.handle, store)


@contextmanager
def _logging_errors() -> Iterator[None]:
    """Log an error of the block instead of raising it. The caller must learn the outcome of a change that was sent."""
    try:
        yield
    except MaasMcpError as error:
        logger.warning("The machines of a call are still counted as busy: %s", error.message)


async def _count(call: ToolCall, limits: Mapping[str, Limit], store: "UsageStore") -> Counted:
    effects, now = call.effects, call.host.now()
    counted = await store.count(limits, counted_names(call), now, effects.allocates)
    if isinstance(counted, Exceeded):
        raise refused_by(limit_finding(call.tool.name, counted))
    return counted


async def _replace_when_chosen(
    call: ToolCall, limits: Mapping[str, Limit], counted: Counted, handle: Handle, store: "UsageStore"
) -> None:
    """Replace the counts of a batch's unknown machines once MAAS has chosen all, even long after the call's answer."""
    over = call.tenant.batches.start_over(handle)
    if over is None:
        await _replace_chosen(call, limits, counted, handle.system_id, store)
        return

    async def replace_later() -> None:
        await over.wait()
        try:
            await _replace_chosen(call, limits, counted, handle.system_id, store)
        except MaasError as error:
            logger.warning("The machines of batch %s are still counted as unknown ones: %s", handle.system_id, error)

    call.host.run_later(call.principal, call.tenant.region, replace_later)


async def _replace_chosen(
    call: ToolCall, limits: Mapping[str, Limit], counted: Counted, agent_name: str, store: "UsageStore"
) -> None:
    """Count the machines that MAAS chose for a batch, instead of the unknown ones."""
    machines = await call.tenant.maas.machines(agent_name=agent_name)
    await store.forget(counted)
    unlimited = dict.fromkeys(limits, Limit())
    await store.count(unlimited, [counted_name(call, each.system_id) for each in machines], call.host.now())
