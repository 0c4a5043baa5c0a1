"""Allocating machines for a batch: each order given once, all or none, and nothing allocated that is forgotten.

MAAS 3.7 keeps the agent name that an allocation was given, and lists machines by it. So what a batch has allocated is
known even where the answer that told it was lost.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import anyio

from maas_mcp.errors import MaasAuthError, MaasConflictError, MaasError, MaasProtocolError, OperationRefusedError
from maas_mcp.maas.client import FormValue, MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.reading import JSON, Listing
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.wording import answer_of

logger = logging.getLogger(__name__)


async def allocate(ctx: ToolContext, agent_name: str, count: int, form: Mapping[str, FormValue]) -> Sequence[SystemId]:
    """Allocate ``count`` machines, one after the other; ``form`` is what else MAAS's ``allocate`` takes.

    Raises:
        OperationRefusedError: MAAS has no more that fit. Those before stay allocated, for the batch to release.
        MaasError: MAAS refused one, or nothing shows that it was allocated. Those before it stay allocated.
    """
    ids: list[SystemId] = []
    for number in range(1, count + 1):
        ctx.progress.report(0.0, f"Allocating machine {number} of {count}")
        try:
            ids.append(await _one_more(ctx, agent_name, ids, form))
        except MaasConflictError as error:
            raise _too_few(len(ids), count, error) from None
    return ids


def _too_few(free: int, count: int, error: MaasConflictError) -> OperationRefusedError:
    released = " The allocated machines are released." if free else ""
    return OperationRefusedError(
        f"{count} machines were requested, but only {free} that fit {'was' if free == 1 else 'were'} free. "
        f"Nothing was started.{released}",
        hint=f"Request {free} or fewer, or relax the constraints." if free else "Relax the constraints.",
        maas_says=error.maas_says,
    )


async def _one_more(
    ctx: ToolContext, agent_name: str, known: Collection[SystemId], form: Mapping[str, FormValue]
) -> SystemId:
    answer: JSON = None

    async def order() -> None:
        nonlocal answer
        answer = await ctx.maas.post_op("machines/", "allocate", agent_name=agent_name, **form)

    ambiguous_error = await _post_once(ctx.cancellation, order)
    if isinstance(answer, dict) and isinstance(answer.get("system_id"), str):
        return str(answer["system_id"])
    ambiguous_error = ambiguous_error or MaasProtocolError(
        "MAAS answered an allocation with something else than a machine."
    )
    ctx.progress.report(0.0, f"{answer_of(ambiguous_error)}; checking whether a machine was allocated anyway")
    return await _found(ctx, agent_name, known, ambiguous_error)


async def _post_once(cancellation: CancellationToken, post: Callable[[], Awaitable[None]]) -> MaasError | None:
    """Post once. Returns the failure that leaves it open whether MAAS took it; never posts again."""
    cancellation.raise_if_cancelled()
    try:
        await post()
    except MaasError as error:
        if not error.may_have_acted:
            raise
        return error
    return None


async def _found(
    ctx: ToolContext, agent_name: str, known: Collection[SystemId], ambiguous_error: MaasError
) -> SystemId:
    """The machine that MAAS has allocated although it did not say so."""
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


async def give_back(
    maas: MaasClient,
    agent_name: str,
    cancellation: CancellationToken,
    timing: Timing,
    *,
    keep: Collection[SystemId] = (),
    started: Collection[SystemId] = (),
    uncertain: bool = False,
) -> bool:
    """Release what was allocated for a batch in vain; answers whether that could be done.

    A cancellation does not stop it, and MAAS may be at an order whose answer nobody waited for: so it is looked for a
    while whether that takes effect.

    Args:
        maas: The region.
        agent_name: The batch's name.
        cancellation: Of the operation.
        timing: For how long it is tried.
        keep: Machines that stay allocated.
        started: Machines that were ordered to begin; they are released if that has not shown by then.
        uncertain: Whether MAAS may yet allocate one more.
    """
    with cancellation.undoing(timing.release_limit):
        if await release_idle(maas, agent_name, timing, keep=keep, started=started, uncertain=uncertain):
            return True
    logger.warning("machines with the agent name %s may be left allocated for nothing", agent_name)
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
    """The same for as long as it takes, where that is bounded already; ``ids``: of these machines only."""
    settled = anyio.current_time() + timing.allocation_uncertain
    while True:
        over = anyio.current_time() >= settled
        try:
            left = await _release(maas, agent_name, ids, keep, () if over else started)
        except MaasError as error:
            logger.info("what was allocated for %s could not be given back so far: %s", agent_name, error)
            if isinstance(error, MaasAuthError) or (over and not error.may_pass):
                return False
        else:
            if over or not (left or uncertain):
                return True
        await anyio.sleep(timing.abort_again)


async def _release(
    maas: MaasClient,
    agent_name: str,
    ids: Collection[SystemId] | None,
    keep: Collection[SystemId],
    started: Collection[SystemId],
) -> bool:
    """Release the batch's machines on which nothing has begun; answers whether there are some where it may yet."""

    async def poll(maas: MaasClient) -> tuple[Listing[Machine], set[SystemId]]:
        machines = await maas.machine_listing(agent_name=agent_name, id=None if ids is None else sorted(ids))
        return machines, {each.system_id for each in machines if each.status is MachineStatus.ALLOCATED} - set(keep)

    machines, idle = await poll(maas)
    if idle - set(started):
        async with maas.turn("release") as mine:  # the turn may have taken minutes: one of them may be deployed by now
            machines, idle = await poll(mine)
            if vain := sorted(idle - set(started)):
                await mine.post_op(
                    "machines/", "release", machines=vain, comment=f"not needed by the batch {agent_name}"
                )
    for each in machines.left_out:
        if each.identity not in keep:
            raise MaasProtocolError(f"{each}, so it may be left allocated for the batch {agent_name}.")
    return bool(idle & set(started))
