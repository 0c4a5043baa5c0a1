"""Starting a run: the one request, what its refusal means, and what is reported while MAAS has not answered."""

import re
from dataclasses import replace
from typing import Any, Final

import anyio

from maas_mcp.errors import MaasConflictError, MaasPermissionError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.permission import explain_refusal
from maas_mcp.operations.declaring.tool import ArgsT, ResultT
from maas_mcp.operations.judging.evidence import NOTHING, Baseline, Evidence
from maas_mcp.operations.running.run import Run
from maas_mcp.operations.running.start_requests import Order
from maas_mcp.operations.turns import check_untouched

_INVALID_TRANSITION: Final = re.compile(r"Invalid transition: (?P<status>.+?) -> ")


async def send_start(maas: MaasClient, run: Run[ArgsT, ResultT], args: ArgsT) -> None:
    """Send the request to start, and notice a refusal that comes after MAAS has begun.

    MAAS 3.7.3 answers a release with erase whose BMC fails by a 409, ``Invalid transition: Disk erasing ->
    Deployed.``: by then the machine has entered *Disk erasing*.
    """
    try:
        await run.operation.start(replace(run.ctx, maas=maas), args)
    except MaasConflictError as error:
        left = _INVALID_TRANSITION.match(error.maas_says or "")
        status = MachineStatus.from_display(left["status"]) if left else None
        error.acted = status in run.operation.lifecycle.pending
        raise
    except MaasPermissionError as error:
        await explain_refusal(maas, run.ctx.machine, error)
        raise


async def check_start(maas: MaasClient, run: Run[Any, Any], baseline: Baseline, read_at: float) -> None:
    """Check the machine again just before the request, if it was read (``read_at``, anyio's clock) too long ago.

    Raises:
        OperationRefusedError: Something has happened to it: somebody may have taken it meanwhile.
    """
    if anyio.current_time() > read_at + run.ctx.timing.stale:
        await check_untouched(maas, baseline.machine, baseline.cursor)


async def wait_for_answer(run: Run[Any, Any], baseline: Baseline, order: Order, until: float) -> bool:
    """Wait for MAAS's answer to the request to start, and report meanwhile what it waits for.

    MAAS speaks to the BMC before it answers, and a client would hear nothing for so long.

    Raises:
        Exception: MAAS refused it, or the plugin failed.
    """
    until = max(until, anyio.current_time() + run.ctx.timing.at_once)
    fraction = run.assess(Evidence(baseline), NOTHING).fraction
    if not await order.has_turn(anyio.current_time() + run.ctx.timing.turn):
        run.ctx.progress.report(fraction, order.standing())
    if await order.has_turn(until):
        run.ctx.progress.report(fraction, f"Starting on {run.ctx.machine.hostname}")
    return await order.answered(until)
