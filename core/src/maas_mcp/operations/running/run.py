"""One run of an operation on a machine: what it is, what is known of its start, and what is told of it."""

from copy import copy
from dataclasses import dataclass
from typing import Generic

from maas_mcp.errors import MaasError, OperationFailedError, OperationTimedOutError
from maas_mcp.maas.limits import LONGEST_POST
from maas_mcp.operations.declaring.operation import Operation, OperationContext
from maas_mcp.operations.declaring.tool import ArgsT, ResultT
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.evidence import Evidence, Observation
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.judging.strategies import MachineAssessment, PollingStrategy
from maas_mcp.operations.progress import readable
from maas_mcp.operations.running.start_requests import Orders
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.wording import named, state_of


@dataclass(frozen=True, slots=True)
class Run(Generic[ArgsT, ResultT]):
    """One operation being run, by whoever started it or picked it up."""

    operation: Operation[ArgsT, ResultT]
    polling: PollingStrategy
    ctx: OperationContext
    handle: Handle
    orders: Orders

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.operation.name} on {self.ctx.machine.hostname}"

    def may_have_ended_otherwise(self, assessment: MachineAssessment) -> bool:
        """Whether an event that was written between the latest look at the events and the read may tell so.

        An undone run may end where a success does, and a machine that moves on at once reads as if it had been aborted.
        """
        lifecycle = self.operation.lifecycle
        if assessment.verdict is Verdict.SUCCEEDED:
            return self.operation.can_abort and lifecycle.hides_an_undoing
        return assessment.verdict in {Verdict.REVERTED, Verdict.FAILED} and assessment.evidence.timeline.end is None

    def assess(self, evidence: Evidence, observation: Observation) -> MachineAssessment:
        """What is known after ``observation``."""
        return self.polling.assess(self.operation.lifecycle, evidence, observation)

    def message(self, assessment: MachineAssessment) -> str:
        """What to tell; as long as nothing shows that it began, that is what is known of its order."""
        if assessment.evidence.started:
            return assessment.message
        return f"{self.orders.standing(self.handle)} ({assessment.message})"

    def tell(self, assessment: MachineAssessment) -> None:
        """Report how far it is."""
        self.ctx.progress.report(assessment.fraction, self.message(assessment))

    def working(self, assessment: MachineAssessment) -> OperationStatus[ResultT]:
        """The outcome as long as it goes on."""
        confirmed = assessment.evidence.started or self.orders.is_confirmed(self.handle)
        return OperationStatus(self.handle, assessment.fraction, self.message(assessment), confirmed=confirmed)

    def timed_out(self, assessment: MachineAssessment) -> OperationTimedOutError:
        """The error for a run that is over its deadline, once MAAS was looked at."""
        limit = readable(self.operation.deadline.total_seconds())
        return OperationTimedOutError(
            f"{self.name} was not over after {limit}; last seen: {assessment.message}.",
            hint="MAAS may still be at work on the machine. Read it with maas_get_machine.",
        )

    def check_start(self, assessment: MachineAssessment, asked: float, doubt: MaasError | None) -> None:
        """Make sure that it has begun by what MAAS was asked for at ``asked``, or may yet.

        Raises:
            OperationError: It has not, and will not. What MAAS shows may be the run of whoever came first.
            MaasError: So does ``doubt``.
        """
        self.orders.check_refusal(self.handle, self.name)
        if assessment.evidence.started or not self.orders.is_overdue(self.handle, asked - self._held_elsewhere):
            return
        if doubt is None:
            raise self._never_began(assessment)
        machine = assessment.evidence.machine or self.ctx.machine
        answer = copy(doubt)  # the next call that asks gets it, too
        answer.hint = (
            f"Nothing shows that it began: {named(machine)} is {state_of(machine)}. {doubt.hint or ''}".strip()
        )
        raise answer

    @property
    def _held_elsewhere(self) -> float:
        """Seconds for which another process may hold the order, where this one knows nothing of it."""
        return 0.0 if self.orders.order(self.handle) else LONGEST_POST

    def _never_began(self, assessment: MachineAssessment) -> OperationFailedError:
        machine = assessment.evidence.machine or self.ctx.machine
        told = "accepted" if self.orders.is_confirmed(self.handle) else "was asked for"
        return OperationFailedError(
            f"MAAS {told} {self.name}, but {readable(self.orders.age(self.handle))} later nothing shows that it began: "
            f"neither a status on the way nor a new run; the machine is {machine.status_name}.",
            hint="Look at the region's log, and read the machine with maas_get_machine before you start it again.",
        )
