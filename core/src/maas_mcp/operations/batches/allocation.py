"""Allocation of machines for a batch: all or none, each request sent once, unused machines released.

MAAS 3.7 stores the agent name of an allocation and lists machines by it. The batch therefore finds its machines even
if the response to an allocation was lost.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import anyio

from maas_mcp.errors import (
    MaasAuthError,
    MaasConflictError,
    MaasError,
    MaasProtocolError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.reading import JSON, Listing
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.wording import answer_of

logger = logging.getLogger(__name__)


async def allocate(ctx: ToolContext, agent_name: str, count: int, form: Mapping[str, FormValue]) -> Sequence[SystemId]:
    """Allocate ``count`` machines, one after the other; ``form`` has further fields of MAAS's ``allocate``.

    After an error the earlier machines stay allocated; the batch releases them.

    Raises:
        OperationRefusedError: MAAS has no more matching machines.
        OperationRevertedError: Another process released some of them meanwhile, because a user aborted the batch there.
        MaasError: MAAS refused one, or does not show that it was allocated.
    """
    ids: list[SystemId] = []
    for number in range(1, count + 1):
        ctx.progress.report(0.0, f"Allocating machine {number} of {count}")
        try:
            ids.append(await _allocate_one(ctx, agent_name, ids, form))
        except MaasConflictError as error:
            raise _too_few_machines(len(ids), count, error) from None
    machines = await ctx.maas.machines(agent_name=agent_name)
    kept = {each.system_id for each in machines if each.status is MachineStatus.ALLOCATED}.intersection(ids)
    if len(kept) < count:
        raise OperationRevertedError(
            f"The batch was aborted during the allocation: {count - len(kept)} of its {count} machines are no longer "
            "allocated. Nothing was started."
        )
    return ids


def _too_few_machines(free: int, count: int, error: MaasConflictError) -> OperationRefusedError:
    released = " The allocated machines are released." if free else ""
    return OperationRefusedError(
        f"{count} machines were requested, but only {free} matching {'machine was' if free == 1 else 'machines were'} "
        f"free. "
        f"Nothing was started.{released}",
        hint=f"Request {free} or fewer, or relax the constraints." if free else "Relax the constraints.",
        maas_says=error.maas_says,
    )


async def _allocate_one(
    ctx: ToolContext, agent_name: str, known: Collection[SystemId], form: Mapping[str, FormValue]
) -> SystemId:
    answer: JSON = None

    async def send() -> None:
        nonlocal answer
        answer = await ctx.maas.post_op("machines/", "allocate", agent_name=agent_name, **form)

    ambiguous_error = await _post_once(ctx.cancellation, send)
    if isinstance(answer, dict) and isinstance(answer.get("system_id"), str):
        return str(answer["system_id"])
    ambiguous_error = ambiguous_error or MaasProtocolError(
        "MAAS answered an allocation request with something other than a machine."
    )
    ctx.progress.report(0.0, f"{answer_of(ambiguous_error)}; checking whether a machine was allocated anyway")
    return await _find_allocated(ctx, agent_name, known, ambiguous_error)


async def _post_once(cancellation: CancellationToken, post: Callable[[], Awaitable[None]]) -> MaasError | None:
    """Post once, without retries. Returns the error if it is uncertain whether MAAS accepted the request."""
    cancellation.raise_if_cancelled()
    try:
        await post()
    except MaasError as error:
        if not error.may_have_acted:
            raise
        return error
    return None


async def _find_allocated(
    ctx: ToolContext, agent_name: str, known: Collection[SystemId], ambiguous_error: MaasError
) -> SystemId:
    """Find the machine that MAAS allocated although its response was lost."""
    began = answered = anyio.current_time()
    while True:
        try:
            machines = await ctx.maas.machines(agent_name=agent_name)
        except MaasError as error:
            if not error.may_pass or anyio.current_time() > answered + ctx.timing.allocation_silence:
                raise
        else:
            answered = anyio.current_time()
            for machine in machines:
                if machine.system_id not in known:
                    return machine.system_id
            if answered >= began + ctx.timing.grace_after(ambiguous_error):
                raise ambiguous_error
        await anyio.sleep(ctx.timing.outage_pause)


async def release_unused(
    maas: MaasClient,
    agent_name: str,
    cancellation: CancellationToken,
    timing: Timing,
    *,
    keep: Collection[SystemId] = (),
    started: Collection[SystemId] = (),
    uncertain: bool = False,
) -> bool:
    """Release the machines that a batch allocated but does not use. Returns whether that succeeded.

    A cancellation does not stop it. MAAS may still be handling a request, so the machines are polled for a while.

    Args:
        maas: The region.
        agent_name: The name of the batch.
        cancellation: The token of the operation.
        timing: The time limits.
        keep: Machines that stay allocated.
        started: Machines with a start request. They are released if MAAS shows no start in time.
        uncertain: Whether MAAS may still allocate another machine.
    """
    with cancellation.undoing(timing.release_limit):
        if await release_idle(maas, agent_name, timing, keep=keep, started=started, uncertain=uncertain):
            return True
    logger.warning("unused machines with the agent name %s may still be allocated", agent_name)
    return False


async def release_idle(
    maas: MaasClient,
    agent_name: str,
    timing: Timing,
    *,
    ids: Collection[SystemId] | None = None,
    keep: Collection[SystemId] = (),
    started: Collection[SystemId] = (),
    uncertain: bool = False,
) -> bool:
    """Release the unused machines, or those of ``ids``, until none is left. The caller limits the time."""
    settled = anyio.current_time() + timing.allocation_uncertain
    while True:
        over = anyio.current_time() >= settled
        try:
            left = await _release_once(maas, agent_name, ids, keep, () if over else started)
        except MaasError as error:
            logger.info("the unused machines of %s could not be released yet: %s", agent_name, error)
            if isinstance(error, MaasAuthError) or (over and not error.may_pass):
                return False
        else:
            if over or not (left or uncertain):
                return True
        await anyio.sleep(timing.abort_again)


async def release_late(maas: MaasClient, agent_name: str, timing: Timing) -> None:
    """Release a machine that MAAS allocates long after its request was cancelled."""
    with anyio.move_on_after(timing.start_grace):
        while True:
            await anyio.sleep(timing.outage_pause)
            await release_idle(maas, agent_name, timing)


async def _release_once(
    maas: MaasClient,
    agent_name: str,
    ids: Collection[SystemId] | None,
    keep: Collection[SystemId],
    started: Collection[SystemId],
) -> bool:
    """Release the batch's unstarted machines. Returns whether some are left that may still start."""

    async def poll(maas: MaasClient) -> tuple[Listing[Machine], set[SystemId]]:
        machines = await maas.machine_listing(agent_name=agent_name, id=None if ids is None else sorted(ids))
        return machines, {each.system_id for each in machines if each.status is MachineStatus.ALLOCATED} - set(keep)

    machines, idle = await poll(maas)
    if idle - set(started):
        async with maas.turn("release") as client:  # the turn may take minutes, so one may be deployed by now
            machines, idle = await poll(client)
            if unused := sorted(idle - set(started)):
                await client.post_op(
                    "machines/", "release", machines=unused, comment=f"not needed by the batch {agent_name}"
                )
    for each in machines.left_out:
        if each.identity not in keep:
            raise MaasProtocolError(f"{each}, so it may still be allocated for the batch {agent_name}.")
    return bool(idle & set(started))
