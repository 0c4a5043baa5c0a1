"""One run of an operation: its subject, its start request, and the reports about both."""

from dataclasses import dataclass, field
from typing import Generic

import anyio

from maas_mcp.errors import MaasMcpError, OperationTimedOutError
from maas_mcp.operations.declaring.operation_change import ChangeKind
from maas_mcp.operations.declaring.tool import ArgsT, ResultT
from maas_mcp.operations.progress import format_duration
from maas_mcp.operations.running.run_change import RunChange
from maas_mcp.operations.running.start_requests import RequestState, StartRequest
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.subject import Subject


@dataclass(slots=True)
class Run(Generic[ArgsT, ResultT]):
    """One run, in the call that started it or in a call that resumed it."""

    subject: Subject[ArgsT, ResultT]
    request: StartRequest
    _last_report: tuple[float | None, str] | None = field(default=None, init=False)

    @property
    def message(self) -> str:
        """The message to report; the state of the request until MAAS shows a start."""
        return self.subject.message(self.request.describe())

    @property
    def expires(self) -> float:
        """The deadline on anyio's clock; infinite while the request waits for its turn."""
        return self.request.sent_at + self.subject.operation.deadline.total_seconds()

    def report(self) -> None:
        """Report the progress if it has changed."""
        news = self.subject.latest.fraction, self.message
        if news != self._last_report:
            self._last_report = news
            self.subject.ctx.progress.report(*news)
            self.publish(ChangeKind.MOVED, *news)

    def publish(
        self, kind: ChangeKind, fraction: float | None, message: str, error: MaasMcpError | None = None
    ) -> None:
        """Publish a change."""
        shared = self.subject.shared
        shared.publish(RunChange(kind, self.subject.handle, fraction, message, shared.caller.known_name, error))

    def working(self) -> OperationStatus[ResultT]:
        """The status while the run continues."""
        confirmed = self.subject.started or self.request.state is RequestState.ACCEPTED
        return OperationStatus(self.subject.handle, self.subject.latest.fraction, self.message, confirmed=confirmed)

    def timed_out(self) -> OperationTimedOutError:
        """The error for a run that has passed its deadline."""
        limit = format_duration(self.subject.operation.deadline.total_seconds())
        advice = self.subject.timeout_advice
        return OperationTimedOutError(
            f"{self.subject.name} did not finish within {limit}; last seen: {self.subject.latest.message}.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )

    def check_start(self) -> None:
        """Make sure that the run has started or can still start.

        Raises:
            OperationError: It will not start. MAAS may show the run of another user who came first.
            MaasError: The response to the start request was an error, and MAAS shows no start.
        """
        self.request.check_refusal(self.subject.name)
        held = self.subject.hold_elsewhere if self.request.state is RequestState.ELSEWHERE else 0.0
        if not self.subject.started and self.request.is_overdue(self.subject.read_at - held):
            self.subject.judge_missing_start(self.request)

    async def wait_for_answer(self, until: float) -> bool:
        """Wait for MAAS's response to the start request. Returns whether it arrived in time.

        MAAS talks to the BMC before it answers, so the wait is reported to the client.

        Raises:
            Exception: MAAS refused the request, or the plugin failed.
        """
        timing, now = self.subject.shared.timing, anyio.current_time()
        until = max(until, now + timing.refusal_window)
        progress, fraction = self.subject.ctx.progress, self.subject.latest.fraction
        if not await self.request.wait_for_turn(now + timing.slot_notice):
            progress.report(fraction, self.request.describe())
        if await self.request.wait_for_turn(until):
            progress.report(fraction, self.subject.starting)
        return await self.request.wait_for_answer(until)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ArgsT, ResultT]):
    """A checked operation whose start request was not sent yet. Its :attr:`Subject.handle` can be stored first."""

    subject: Subject[ArgsT, ResultT]
    args: ArgsT
