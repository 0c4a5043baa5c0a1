"""The engine for what the region does by itself: started once, and followed by a look at an interval.

MAAS writes no events of it, and a region does one thing of a kind at a time: so there is nothing for the watcher.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic

import anyio

from maas_mcp.errors import (
    MaasError,
    MaasUnavailableError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.aborting import abort_cancelled, policy_of
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.operation import CancelPolicy
from maas_mcp.operations.orders import AT_ONCE, START_GRACE, Orders
from maas_mcp.operations.outcome import Outcome
from maas_mcp.operations.patience import until_of
from maas_mcp.operations.polling import BEFORE_SUCCESS, Verdict
from maas_mcp.operations.progress import ProgressReporter, nobody, readable
from maas_mcp.operations.region_operation import RegionOperation, SeenT
from maas_mcp.operations.tool import ArgsT, ResultT, ToolContext

REGION: Final[SystemId] = "region"
"""Stands in a handle where others have a machine."""
SOON: Final = 2.0
"""Seconds between looks at what has not shown to have begun: it may be short."""


@dataclass(slots=True)
class _Run(Generic[ArgsT, ResultT, SeenT]):
    """One operation being followed, and what is known of it so far."""

    operation: RegionOperation[ArgsT, ResultT, SeenT]
    args: ArgsT
    ctx: ToolContext
    handle: Handle
    orders: Orders
    before: SeenT | None = None
    latest: SeenT | None = None
    running: SeenT | None = None
    """The latest look at which it was running."""
    fraction: float | None = None
    message: str = "Starting"
    rest: float = SOON
    """Seconds until the next look."""
    answered: float = field(default_factory=anyio.current_time)
    """When MAAS last answered, in anyio's clock."""

    async def look(self, *, overdue: bool) -> Verdict:
        """Look once, and tell. ``overdue``: if it is not running now, it has been.

        Raises:
            OperationError: MAAS refused to start it.
            MaasError: MAAS cannot be asked.
        """
        self.orders.check_refusal(self.handle, self.operation.name)
        seen = await self.operation.observe(self.ctx, self.args, self.latest)
        self.latest, self.answered = seen, anyio.current_time()
        if self.before is None and not (seen.running or self.running or overdue):
            self.message = self.orders.standing(self.handle)
            return Verdict.PENDING
        verdict, fraction, self.message = self.operation.assess(self.before, self.running, seen)
        self._advance(fraction)
        if seen.running:
            self.running = seen
        self.rest = self.operation.interval.total_seconds() if self.running else SOON
        if not verdict.final:
            self.ctx.progress.report(self.fraction, self.message)
        return verdict

    def _advance(self, fraction: float | None) -> None:
        if fraction is not None and math.isfinite(fraction):
            self.fraction = max(self.fraction or 0.0, min(fraction, BEFORE_SUCCESS))

    def outage(self, error: MaasUnavailableError, limit: float) -> None:
        """MAAS has not answered: tell, and keep what was last seen.

        Raises:
            MaasUnavailableError: It has not for ``limit`` seconds.
        """
        silent = anyio.current_time() - self.answered
        message = f"MAAS unreachable for {readable(silent)}; last seen: {self.message}"
        self.ctx.progress.report(self.fraction, message)
        if silent >= limit:
            raise MaasUnavailableError(
                f"{message}. Gave up following; nothing is known to have failed.",
                hint="MAAS goes on by itself. Ask for the operation again once the region answers.",
            ) from error
        self.rest = max(self.operation.interval.total_seconds(), error.retry_after or 0.0)

    def working(self) -> Outcome[ResultT]:
        confirmed = self.running is not None or self.orders.is_confirmed(self.handle)
        return Outcome(self.handle, self.fraction, self.message, confirmed=confirmed)

    async def end(self, verdict: Verdict) -> Outcome[ResultT]:
        """The result, or why there is none."""
        if verdict is not Verdict.SUCCEEDED:
            self.ctx.progress.report(self.fraction, self.message)
            kind = OperationRevertedError if verdict is Verdict.REVERTED else OperationFailedError
            raise kind(f"{self.operation.name}: {self.message}.", hint="The region's log says why. It can be repeated.")
        result = await self.operation.result(self.ctx, self.args)
        self.ctx.progress.report(1.0, self.message)
        return Outcome(self.handle, 1.0, self.message, result)


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

    async def run(
        self,
        operation: RegionOperation[ArgsT, ResultT, Any],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = None,
        on_cancel: CancelPolicy | None = None,
    ) -> Outcome[ResultT]:
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
                return Outcome(handle, None, f"{operation.name} is under way already: not started a second time")
            before = await operation.observe(ctx, args, None)
            once = replace(ctx, maas=self._once)  # what fails is told, and looked for again
            run = _Run(operation, args, once, self._handle(operation), self._orders, before=before, latest=before)
            progress.report(operation.assess(before, None, before)[1], run.message)
            cancellation.raise_if_cancelled()
            if held := self._orders.under_way(operation.name):
                return Outcome(
                    held[0].handle, None, f"{held[0].standing()}: not ordered a second time", confirmed=False
                )
            order = self._orders.give(run.handle, lambda: operation.start(ctx, args))
            try:
                answered = await order.answered(max(until, anyio.current_time() + AT_ONCE))
                run.message = order.standing()
                if not answered:
                    return run.working()
                return await self._follow(run, Verdict.PENDING, until, order.doubt)
            except anyio.get_cancelled_exc_class():
                await order.withdraw()
                if policy is CancelPolicy.ABORT and not cancellation.detached:
                    await abort_cancelled(operation.name, cancellation, lambda: operation.abort(ctx, args))
                raise

    async def resume(
        self,
        operation: RegionOperation[ArgsT, ResultT, Any],
        handle: Handle,
        progress: ProgressReporter,
        cancellation: CancellationToken,
        *,
        wait: float | None = 0.0,
    ) -> Outcome[ResultT]:
        """Pick up what ``handle`` names, by what MAAS shows; follow it to its end or for ``wait`` seconds.

        Raises:
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS cannot be asked: at once where there is no time to wait, else after too long an outage.
        """
        until = until_of(wait)
        maas = self._once if until > anyio.current_time() else self._maas
        ctx = ToolContext(maas, progress, cancellation)
        run = _Run(operation, _defaults(operation), ctx, handle, self._orders)
        with cancellation.guard():
            verdict = await (self._look(run) if until > anyio.current_time() else self._look_once(run))
            return await self._follow(run, verdict, until, None)

    async def under_way(self, operations: Sequence[RegionOperation[Any, Any, Any]]) -> list[Handle]:
        """Handles for those that the region is at, whoever started them: one read for each operation."""
        ctx = ToolContext(self._maas, ProgressReporter(nobody), CancellationToken())
        return [self._handle(each) for each in operations if await each.is_running(ctx)]

    async def abort(
        self, operation: RegionOperation[Any, Any, Any], _handle: Handle, cancellation: CancellationToken
    ) -> None:
        """Order MAAS to stop it.

        Raises:
            OperationRefusedError: MAAS cannot, or it is over.
            MaasError: MAAS refused to, or did not answer.
        """
        ctx = ToolContext(self._maas, ProgressReporter(nobody), cancellation)
        if not operation.can_abort or not await operation.is_running(ctx):
            raise OperationRefusedError(f"There is nothing that {operation.name} could abort.")
        await operation.abort(ctx, _defaults(operation))

    def _handle(self, operation: RegionOperation[Any, Any, Any]) -> Handle:
        return Handle(operation.name, REGION, int(self._now()), 0, ())

    async def _follow(
        self, run: "_Run[ArgsT, ResultT, Any]", verdict: Verdict, until: float, doubt: MaasError | None
    ) -> Outcome[ResultT]:
        now = anyio.current_time()
        left = run.handle.started + run.operation.deadline.total_seconds() - self._now()
        if verdict.final:
            return await run.end(verdict)
        if now >= until:
            return run.working()
        with anyio.CancelScope(deadline=now + left):
            while not verdict.final:
                unseen = run.before is not None and run.running is None
                if unseen and self._orders.is_overdue(run.handle, run.answered):
                    raise doubt or _never_started(run)
                if anyio.current_time() >= until:
                    return run.working()
                await anyio.sleep(min(run.rest, until - anyio.current_time()))
                verdict = await self._look(run)
            return await run.end(verdict)
        raise OperationTimedOutError(
            f"{run.operation.name} was not over after {readable(run.operation.deadline.total_seconds())}; "
            f"last seen: {run.message}.",
            hint="MAAS may still be at it. Ask for it again later.",
        )

    async def _look_once(self, run: "_Run[Any, Any, Any]") -> Verdict:
        return await run.look(overdue=self._orders.is_overdue(run.handle, anyio.current_time()))

    async def _look(self, run: "_Run[Any, Any, Any]") -> Verdict:
        """Look once; an outage is no verdict."""
        try:
            return await self._look_once(run)
        except MaasUnavailableError as error:
            if not error.retryable:
                raise
            run.outage(error, self._outage_limit)
            return Verdict.PENDING


def _defaults(operation: RegionOperation[ArgsT, Any, Any]) -> ArgsT:
    """Arguments of an operation that is picked up by its id."""
    arguments: ArgsT = operation.arguments.model_construct()  # type: ignore[assignment] # its own model
    return arguments


def _never_started(run: _Run[Any, Any, Any]) -> OperationFailedError:
    return OperationFailedError(
        f"MAAS accepted {run.operation.name}, but {readable(START_GRACE)} later nothing shows that it ran: it was not "
        "seen at it, and nothing has changed.",
        hint="It may have found nothing to do, and ended between two looks. The region's log tells.",
    )
