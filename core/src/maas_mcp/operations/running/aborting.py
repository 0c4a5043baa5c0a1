"""Aborting: what a call that is cancelled does about the run that it has begun, and about no other."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import anyio

from maas_mcp.errors import InvalidArgumentsError, MaasConflictError, MaasError
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Needs
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.run import Run
from maas_mcp.operations.running.snapshot import read_snapshot
from maas_mcp.operations.running.start_requests import Order

logger = logging.getLogger(__name__)

EVENTS_ONLY: Final = Needs()
"""An abort looks at the events and at the machine."""


def policy_of(operation: LongRunning[Any, Any], asked_for: CancelPolicy | None) -> CancelPolicy:
    """What a cancelled call shall do.

    Raises:
        InvalidArgumentsError: MAAS cannot do that.
    """
    policy = asked_for or operation.on_cancel
    if policy is CancelPolicy.ABORT and not operation.can_abort:
        raise InvalidArgumentsError(
            f"{operation.name} cannot be aborted: MAAS offers no way back from it.",
            hint="Leave on_cancel out, or say `detach`: then cancelling only stops the following.",
        )
    return policy


async def abort_cancelled(
    name: str, cancellation: CancellationToken, limit: float, abort: Callable[[], Awaitable[None]]
) -> None:
    """Abort, for a call that was cancelled: within ``limit`` seconds, and with nothing said to the client."""
    with cancellation.undoing(limit) as scope:
        try:
            await abort()
        except MaasError as error:
            logger.warning("%s was cancelled, but could not be aborted: %s", name, error)
    if scope.cancelled_caught:
        logger.warning("%s was cancelled, but within %.0f s it did not show to be aborted", name, limit)


async def abort_begun(maas: MaasClient, run: Run[Any, Any], baseline: Baseline, order: Order, caller: Caller) -> None:
    """Order MAAS to abort what ``order`` has begun, until a look shows that it is over.

    MAAS may still hold the order, and a proxy may take the abort for it; ordering it twice is harmless (409).

    Args:
        maas: The region, each read tried once.
        run: What was begun.
        baseline: What was true before.
        order: What MAAS was told; nothing is known of its fate where it was withdrawn.
        caller: Who ordered it.

    Raises:
        MaasError: MAAS refuses to, or to be asked.
    """
    while True:
        if await _is_over(maas, run, baseline, order, caller):
            return
        await anyio.sleep(run.ctx.timing.abort_again)


async def _is_over(maas: MaasClient, run: Run[Any, Any], baseline: Baseline, order: Order, caller: Caller) -> bool:
    """Look, and abort what is under way and ours; whether there is nothing left to be aborted."""
    try:
        _, observation = await read_snapshot(maas, EVENTS_ONLY, run.handle, run.ctx.timing)
        evidence = run.assess(Evidence(baseline), observation).evidence
        machine = evidence.machine or baseline.machine
        if machine.status not in run.operation.lifecycle.pending:
            return evidence.started or order.accepted
        if not evidence.started:  # another operation passes through this status, too
            return False
        if evidence.superseded or not (order.accepted or await caller.started(run.operation.lifecycle, evidence)):
            return True
        await run.operation.abort(replace(run.ctx, machine=machine))
    except MaasConflictError as error:  # it has changed its status since the look
        logger.info("MAAS did not abort %s: %s", run.name, error)
    except MaasError as error:
        if not error.may_pass:
            raise
        logger.info("MAAS did not abort %s, or did not answer: %s", run.name, error)
    return False
