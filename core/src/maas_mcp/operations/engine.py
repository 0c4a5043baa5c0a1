"""The engine: starts an operation once, follows it, and ends with its result or with the reason why there is none."""

import math
from typing import Final

import anyio

from maas_mcp.errors import (
    MaasAuthError,
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasUnavailableError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.diagnosis import explain, next_step
from maas_mcp.operations.operation import Operation, OperationContext
from maas_mcp.operations.polling import NOTHING, Assessment, Baseline, Evidence, Observation, Verdict
from maas_mcp.operations.progress import ProgressReporter, readable
from maas_mcp.operations.tool import ArgsT, ResultT
from maas_mcp.operations.watcher import Subscription, Watcher

START_GRACE: Final = 60.0
"""Seconds that a started operation may take to show in MAAS. A proxy may have answered 504 while MAAS went on."""
REFUSALS: Final = (MaasAuthError, MaasPermissionError, MaasNotFoundError, MaasConflictError, MaasBadRequestError)
"""Answers that say that nothing was started. After any other failure of the POST it has to be looked up."""


class Engine:
    """Runs operations.

    Args:
        maas: The region.
        watcher: Watches the machines; its ``run()`` has to be running.
        outage_limit: Seconds without an answer from MAAS after which an operation is no longer followed.
    """

    def __init__(self, maas: MaasClient, watcher: Watcher, *, outage_limit: float = 300.0) -> None:
        self._maas = maas
        self._watcher = watcher
        self._outage_limit = outage_limit

    async def run(
        self,
        operation: Operation[ArgsT, ResultT],
        args: ArgsT,
        progress: ProgressReporter,
        cancellation: CancellationToken,
    ) -> ResultT:
        """Start ``operation``, follow it to its end, and answer with its result.

        A cancellation stops the following at once and leaves MAAS at work.

        Raises:
            OperationRefusedError: The machine is not in a state for it; nothing was sent that changes MAAS.
            OperationError: It did not succeed; the message says why.
            MaasError: MAAS refused to start it, or cannot be asked any longer.
        """
        with cancellation.guard():
            baseline = await self._look(operation, operation.system_id(args))
            ctx = OperationContext(self._maas, progress, cancellation, baseline.machine)
            opening = operation.polling.assess(operation.lifecycle, Evidence(baseline), NOTHING)
            progress.report(opening.fraction, f"Starting on {baseline.machine.hostname}")
            doubt = await self._start(operation, ctx, args)
            assessment = await self._follow(operation, baseline, progress, doubt)
            if assessment.verdict is not Verdict.SUCCEEDED:
                progress.report(assessment.fraction, assessment.message)
                raise await explain(self._maas, operation.lifecycle, assessment)
            result = await operation.result(ctx, args)
            progress.report(1.0, assessment.message)
            return result

    async def _look(self, operation: Operation[ArgsT, ResultT], system_id: SystemId) -> Baseline:
        """What is true before the start. The cursor comes last: older events must not read as this run's."""
        machine = await self._maas.machine(system_id)
        refusal = why_not(operation, machine)
        if refusal is not None:
            raise refusal
        return Baseline(machine, await self._maas.newest_event_id())

    async def _start(
        self, operation: Operation[ArgsT, ResultT], ctx: OperationContext, args: ArgsT
    ) -> MaasError | None:
        """Post once. Returns the failure that leaves it open whether MAAS took it; never posts again."""
        ctx.cancellation.raise_if_cancelled()
        try:
            await operation.start(ctx, args)
        except REFUSALS:
            raise
        except MaasUnavailableError as error:
            if not error.sent:
                raise
            return error
        except MaasError as error:
            return error
        return None

    async def _follow(
        self,
        operation: Operation[ArgsT, ResultT],
        baseline: Baseline,
        progress: ProgressReporter,
        doubt: MaasError | None,
    ) -> Assessment:
        started_by = anyio.current_time() + START_GRACE
        evidence = Evidence(baseline)
        assessment: Assessment | None = None
        with (
            anyio.move_on_after(operation.deadline.total_seconds()),
            self._watcher.follow(baseline.machine.system_id, baseline.cursor) as subscription,
        ):
            while assessment is None or not assessment.verdict.final:
                if not evidence.started and anyio.current_time() >= started_by:
                    raise doubt or _never_started(operation, baseline.machine)
                observation = await _news(subscription, None if evidence.started else started_by)
                assessment = operation.polling.assess(operation.lifecycle, evidence, observation)
                evidence = assessment.evidence
                if not assessment.verdict.final:
                    progress.report(assessment.fraction, assessment.message)
                self._check_outage(observation.unreachable_for, assessment.message)
            return assessment
        raise OperationTimedOutError(
            f"{operation.name} on {baseline.machine.hostname} was not over after "
            f"{readable(operation.deadline.total_seconds())}; last seen: {evidence.milestone or 'nothing'}.",
            hint="MAAS may still be at work on the machine. Read it with maas_get_machine.",
        )

    def _check_outage(self, unreachable_for: float | None, message: str) -> None:
        if unreachable_for is not None and unreachable_for >= self._outage_limit:
            raise MaasUnavailableError(
                f"{message}. Gave up following; nothing is known to have failed.",
                hint="MAAS goes on by itself. Read the machine with maas_get_machine once the region answers.",
            )


async def _news(subscription: Subscription, until: float | None) -> Observation:
    """The next observation, or an empty one at ``until`` (seconds of anyio's clock)."""
    with anyio.CancelScope(deadline=math.inf if until is None else until):
        return await subscription.next()
    return NOTHING


def why_not(operation: Operation[ArgsT, ResultT], machine: Machine) -> OperationRefusedError | None:
    """Why the operation cannot be started on a machine in this state, or ``None``."""
    lifecycle = operation.lifecycle
    if machine.locked:
        return OperationRefusedError(
            f"{machine.hostname} ({machine.system_id}) is locked; nothing was sent to MAAS.",
            hint="Locked machines are protected on purpose. Unlock it in MAAS first, if that is right.",
        )
    if machine.status in lifecycle.start_from:
        return None
    where = f"{machine.hostname} ({machine.system_id}) is {machine.status_name}"
    if machine.status in lifecycle.pending:
        owner = f" for {machine.owner}" if machine.owner else ""
        return OperationRefusedError(
            f"{where}{owner} already: {machine.status_message or 'no message'}. It was not started a second time.",
            hint="Read the machine with maas_get_machine to see how far it is.",
        )
    wanted = ", ".join(status.display for status in sorted(lifecycle.start_from))
    return OperationRefusedError(
        f"{where}; {operation.name} starts from: {wanted}. Nothing was sent to MAAS.",
        hint=next_step(machine),
    )


def _never_started(operation: Operation[ArgsT, ResultT], machine: Machine) -> OperationFailedError:
    return OperationFailedError(
        f"MAAS accepted {operation.name} for {machine.hostname}, but {readable(START_GRACE)} later nothing shows that "
        "it began: neither a status on the way nor a new run.",
        hint="Read the machine with maas_get_machine, and look at the region's log.",
    )
