"""Counts the machines of a call for the policy's limits, just before it runs."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from maas_mcp.calls.call import CallResult, ToolCall
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
from maas_mcp.maas.statuses import AT_WORK
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.handles import Handle
from maas_mcp.policy.judgement import limit_finding, refused_by
from maas_mcp.policy.limits import CHOSEN, HOUR, Counted, Exceeded, Limit, Usage, limits_of

if TYPE_CHECKING:
    from maas_mcp.calls.usage import UsageStore

logger = logging.getLogger(__name__)

SETTLED: Final = 60.0
"""Seconds after which a machine's status in MAAS shows whether a change is running."""
REFUSALS: Final = (OperationRefusedError, InvalidArgumentsError, NotAnsweredError, RefusedByPolicyError)
"""Errors that usually occur before the first change. A tool with several changes may be refused between them."""
MAY_CONTINUE: Final = (MaasError, OperationCancelledError, OperationTimedOutError)


async def count_machines(call: ToolCall, following: Callable[[ToolCall], Awaitable[CallResult]]) -> CallResult:
    """Count the call's machines, pass the call to the next step, and note its end.

    Raises:
        RefusedByPolicyError: The call would exceed a limit. Nothing was sent to MAAS.
    """
    limits = counting_limits(call)
    if not limits or not call.effects.changes or call.rehearsal is not None:
        return await following(call)
    store = call.host.policy.usage  # a reload may replace it during the call
    counted = await _count(call, limits, store)
    try:
        result = await following(call)
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
        if result.status is None or result.status.state != "working":
            await store.end(counted.kinds, counted.machines)
        elif call.effects.allocates and isinstance(call.tool, BatchOperation):
            await _replace_when_chosen(call, limits, counted, result.status.handle, store)
    return result


@contextmanager
def _logging_errors() -> Iterator[None]:
    """Log an error of the block instead of raising it. The caller must learn the outcome of a change that was sent."""
    try:
        yield
    except MaasMcpError as error:
        logger.warning("The machines of a call are still counted as busy: %s", error.message)


def counted_names(call: ToolCall) -> list[str]:
    """The names under which the call's machines are counted. They contain the region, if there are several."""
    return [_name(call, each) for each in call.effects.machines]


def _name(call: ToolCall, system_id: str) -> str:
    return f"{call.tenant.region}/{system_id}" if call.tenant.region else system_id


def counting_limits(call: ToolCall) -> Mapping[str, Limit]:
    """The limits that count earlier calls as well as this one, by kind."""
    rules = call.host.policy.rules
    limits = {kind: rules.limit(kind) for kind in limits_of(call.tool.limit, erases=call.effects.erases)}
    return {kind: limit for kind, limit in limits.items() if limit.counts}


async def read_usage(call: ToolCall, limits: Mapping[str, Limit]) -> Mapping[str, Usage]:
    """The usage of the limits that count the call: those of :func:`counting_limits`."""
    if not limits:
        return {}
    await _end_idle(call, limits)
    return await call.host.policy.usage.read(limits, call.host.now())


async def _count(call: ToolCall, limits: Mapping[str, Limit], store: "UsageStore") -> Counted:
    effects, now = call.effects, call.host.now()
    counted = await store.count(limits, counted_names(call), now, effects.allocates)
    if isinstance(counted, Exceeded):
        raise refused_by(limit_finding(call.tool.name, counted))
    return counted


async def _end_idle(call: ToolCall, limits: Mapping[str, Limit]) -> None:
    """Note the end of changes that a process stopped following, if MAAS no longer works on their machines.

    Sends a request to MAAS only if the call would otherwise exceed a limit.
    """
    store, effects = call.host.policy.usage, call.effects
    for kind, limit in limits.items():
        if limit.at_once is None:
            continue
        busy = await store.busy_since(kind, call.host.now() - SETTLED)
        if busy and len(busy) + len(effects.machines) + effects.allocates > limit.at_once:
            named = {each for each in busy if not each.startswith(CHOSEN)}
            own = {each for each in named if each.rpartition("/")[0] == call.tenant.region}
            known = sorted(each.rpartition("/")[2] for each in own)
            machines = await call.tenant.maas.machines(id=known) if known else []
            shown = {_name(call, each.system_id): each for each in machines}
            idle = {name for name, machine in shown.items() if machine.status not in AT_WORK}
            # MAAS shows no deleted machines, and none for names that a killed server left before MAAS had chosen.
            old = await store.busy_since(kind, call.host.now() - HOUR)
            absent = {each for each in old if each.startswith(CHOSEN) or (each in own and each not in shown)}
            await store.end([kind], idle | absent)


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
    await store.count(unlimited, [_name(call, each.system_id) for each in machines], call.host.now())
