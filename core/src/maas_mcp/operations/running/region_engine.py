"""The engine for what the region does by itself: started once, and followed by a look at an interval.

MAAS writes no events of it, and a region does one thing of a kind at a time: so there is nothing for the watcher.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import anyio

from maas_mcp.errors import (
    MaasError,
    OperationRefusedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import CancellationToken, CancelReason
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.outages import until_of, wait_out_outage
from maas_mcp.operations.progress import ProgressReporter, nobody, readable
from maas_mcp.operations.running.aborting import abort_cancelled, policy_of
from maas_mcp.operations.running.region_run import End, RegionRun
from maas_mcp.operations.running.start_requests import Orders
from maas_mcp.operations.running.status import OperationStatus

REGION: Final[SystemId] = "region"
"""Stands in a handle where others have a machine."""
REMEMBERED: Final = 256
"""Of how many that have ended it is kept how."""


class RegionEngine:
    """Runs operations of the region.

    Args:
        maas: The region.
        orders: Holds the orders to start; the same for all engines of a process.
        outage_limit: Seconds without an answer from MAAS after which an operation is no longer followed.
        now: Seconds since 1970, which all processes share; other times are of anyio's clock.
    """

    def __init__(
        self, maas: MaasClient, orders: Orders, *, outage_limit: float = 300.0, now: Callable[[], float] = time.time
    ) -> None:
        self._maas = maas
        self._once = maas.once()
        self._orders = orders
        self._outage_limit = outage_limit
        self._now = now
        self._starting = anyio.Lock()
        self._ended: dict[Handle, End] = {}
        """What this process knows to be over: the region may be at the next one of the kind."""

    async def run(
        self,
        operation: RegionOperation[ArgsT, ResultT, Any],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
    ) -> OperationStatus[ResultT]:
        """Start ``operation``, and follow it to its end or for ``wait`` seconds; if it runs already, answer so.

        Raises:
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS refused to start it, or cannot be asked any longer.
        """
        policy, until = policy_of(operation, on_cancel), until_of(wait)
        ctx = ToolContext(self._maas, progress, cancellation)
        with cancellation.guard():
            handle = self._handle(operation)
            if await operation.is_running(ctx):
                return _already(operation, handle)
            before = await operation.observe(ctx, None)
            once = replace(ctx, maas=self._once)  # what fails is told, and looked for again
            run = RegionRun(operation, once, self._handle(operation), self._orders, before=before, latest=before)
            progress.report(operation.assess(before, None, before).fraction, run.message)
            async with self._starting:  # who looks now has seen the order of whoever came first
                if held := self._orders.under_way(operation.name):
                    standing = f"{held[0].standing()}: not ordered a second time"
                    return OperationStatus(held[0].handle, None, standing, confirmed=False)
                if await operation.is_running(ctx):  # the look took its time
                    return _already(operation, handle)
                cancellation.raise_if_cancelled()
                self._ended.pop(run.handle, None)  # another one of the same second
                order = self._orders.give(run.handle, lambda maas: operation.start(replace(ctx, maas=maas), args))
            run.began = anyio.current_time()
            try:
                answered = await order.answered(max(until, anyio.current_time() + self._orders.timing.at_once))
                run.message = order.standing()
                if not answered:
                    return run.working()
                return await self._follow(run, Verdict.PENDING, until, order.doubt)
            except anyio.get_cancelled_exc_class():
                await order.withdraw()
                if policy is CancelPolicy.ABORT and cancellation.reason is CancelReason.CLIENT:
                    limit = self._orders.timing.abort_limit
                    await abort_cancelled(
                        operation.name, cancellation, limit, lambda: self._stop(run.handle, operation, ctx)
                    )
                raise

    async def resume(
        self,
        operation: RegionOperation[ArgsT, ResultT, Any],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> OperationStatus[ResultT]:
        """Pick up what ``handle`` names, by what MAAS shows; follow it to its end or for ``wait`` seconds.

        Raises:
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS cannot be asked: at once where there is no time to wait, else after too long an outage.
        """
        until = until_of(wait)
        maas = self._once if until > anyio.current_time() else self._maas
        ctx = ToolContext(maas, progress, cancellation)
        run = RegionRun(operation, ctx, handle, self._orders)
        with cancellation.guard():
            verdict = await (self._look(run, until) if until > anyio.current_time() else self._look_once(run))
            return await self._follow(run, verdict, until, None)

    async def under_way(self, operations: Sequence[RegionOperation[Any, Any, Any]]) -> list[Handle]:
        """Handles for those that the region is at, whoever started them: one read for each operation."""
        ctx = ToolContext(self._maas, ProgressReporter(nobody), CancellationToken())
        return [self._handle(each) for each in operations if await each.is_running(ctx)]

    async def abort(
        self, operation: RegionOperation[Any, Any, Any], handle: Handle, cancellation: CancellationToken
    ) -> None:
        """Order MAAS to stop it.

        Raises:
            OperationRefusedError: MAAS cannot, it is over, or it was begun so long ago that what runs is another one.
            MaasError: MAAS refused to, or did not answer.
        """
        over = handle in self._ended or self._now() > handle.started + operation.deadline.total_seconds()
        ctx = ToolContext(self._maas, ProgressReporter(nobody), cancellation)
        if not operation.can_abort or not await operation.is_running(ctx):
            raise OperationRefusedError(f"There is nothing that {operation.name} could abort.")
        if over:
            raise OperationRefusedError(
                f"What this id names is over. The {operation.name} that is under way is another one, and goes on.",
                hint="maas_list_operations has its id.",
            )
        await self._stop(handle, operation, ctx)

    async def _stop(self, handle: Handle, operation: RegionOperation[Any, Any, Any], ctx: ToolContext) -> None:
        await operation.abort(ctx)
        self._remember(handle, End(Verdict.REVERTED, "it was stopped on request"))

    def _remember(self, handle: Handle, end: End) -> None:
        self._ended[handle] = end
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def _handle(self, operation: RegionOperation[Any, Any, Any]) -> Handle:
        return Handle(operation.name, REGION, int(self._now()), 0, ())

    async def _follow(
        self, run: "RegionRun[ArgsT, ResultT, Any]", verdict: Verdict, until: float, doubt: MaasError | None
    ) -> OperationStatus[ResultT]:
        now = anyio.current_time()
        left = run.handle.started + run.operation.deadline.total_seconds() - self._now()
        if verdict.final:
            return await self._end(run, verdict)
        if now >= until:
            return run.working()
        with anyio.CancelScope(deadline=now + left):
            while not verdict.final:
                if run.unseen and self._orders.is_overdue(run.handle, run.looked):
                    if doubt or run.assume_it_ran() is not Verdict.SUCCEEDED:
                        raise doubt or run.never_started()
                    return await self._end(run, Verdict.SUCCEEDED)
                if anyio.current_time() >= until:
                    return run.working()
                await anyio.sleep(min(run.rest, until - anyio.current_time()))
                verdict = await self._look(run, until)
            return await self._end(run, verdict)
        raise OperationTimedOutError(
            f"{run.operation.name} was not over after {readable(run.operation.deadline.total_seconds())}; "
            f"last seen: {run.message}.",
            hint="MAAS may still be at it. Ask for it again later.",
        )

    async def _end(self, run: "RegionRun[ArgsT, ResultT, Any]", verdict: Verdict) -> OperationStatus[ResultT]:
        self._remember(run.handle, End(verdict, run.message))
        return await run.end(verdict)

    async def _look_once(self, run: "RegionRun[Any, Any, Any]") -> Verdict:
        if end := self._ended.get(run.handle):
            run.message = end.message
            return end.verdict
        return await run.look(overdue=self._orders.is_overdue(run.handle, anyio.current_time()))

    async def _look(self, run: "RegionRun[Any, Any, Any]", until: float) -> Verdict:
        """Look once; an outage is no verdict."""

        def tell(silent: float, answering: bool) -> None:
            run.tell_outage(silent, self._outage_limit, answering=answering)

        try:
            return await wait_out_outage(lambda: self._look_once(run), tell, self._orders.timing, until=until)
        except TimeoutError:
            return Verdict.PENDING


def _already(operation: RegionOperation[Any, ResultT, Any], handle: Handle) -> OperationStatus[ResultT]:
    return OperationStatus(handle, None, f"{operation.name} is under way already: not started a second time")
