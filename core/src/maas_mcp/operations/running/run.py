"""One run of an operation: its subject, the request that started it, and what is reported of both."""

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
    """One operation being run, by the call that started it or by one that picked it up."""

    subject: Subject[ArgsT, ResultT]
    request: StartRequest
    _told: tuple[float | None, str] | None = field(default=None, init=False)

    @property
    def message(self) -> str:
        """What to report; as long as nothing shows that it began, that is where its request stands."""
        return self.subject.message(self.request.standing())

    @property
    def expires(self) -> float:
        """When it is over its deadline, in anyio's clock; infinite while the request waits for its turn."""
        return self.request.sent_at + self.subject.operation.deadline.total_seconds()

    def report(self) -> None:
        """Report how far it is, unless that was reported already."""
        news = self.subject.latest.fraction, self.message
        if news != self._told:
            self._told = news
            self.subject.ctx.progress.report(*news)
            self.publish(ChangeKind.MOVED, *news)

    def publish(
        self, kind: ChangeKind, fraction: float | None, message: str, error: MaasMcpError | None = None
    ) -> None:
        """Publish a change."""
        shared = self.subject.shared
        shared.publish(RunChange(kind, self.subject.handle, fraction, message, shared.caller.known_name, error))

    def working(self) -> OperationStatus[ResultT]:
        """The status as long as it goes on."""
        confirmed = self.subject.started or self.request.state is RequestState.ACCEPTED
        return OperationStatus(self.subject.handle, self.subject.latest.fraction, self.message, confirmed=confirmed)

    def timed_out(self) -> OperationTimedOutError:
        """The error for a run that is over its deadline."""
        limit = format_duration(self.subject.operation.deadline.total_seconds())
        advice = self.subject.still_at_work
        return OperationTimedOutError(
            f"{self.subject.name} was not over after {limit}; last seen: {self.subject.latest.message}.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )

    def check_start(self) -> None:
        """Make sure that it has begun by what MAAS was asked for, or may yet.

        Raises:
            OperationError: It has not, and will not. What MAAS shows may be the run of somebody who came first.
            MaasError: So does the answer to the request say.
        """
        self.request.check_refusal(self.subject.name)
        held = self.subject.held_elsewhere if self.request.state is RequestState.ELSEWHERE else 0.0
        if not self.subject.started and self.request.is_overdue(self.subject.asked_at - held):
            self.subject.judge_unseen(self.request)

    async def wait_for_answer(self, until: float) -> bool:
        """Wait for MAAS's answer to the request to start, and report meanwhile what it waits for.

        MAAS speaks to the BMC before it answers, and a client would hear nothing for so long.

        Raises:
            Exception: MAAS refused it, or the plugin failed.
        """
        timing, now = self.subject.shared.timing, anyio.current_time()
        until = max(until, now + timing.refusal_window)
        progress, fraction = self.subject.ctx.progress, self.subject.latest.fraction
        if not await self.request.has_turn(now + timing.slot_notice):
            progress.report(fraction, self.request.standing())
        if await self.request.has_turn(until):
            progress.report(fraction, self.subject.starting)
        return await self.request.answered(until)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ArgsT, ResultT]):
    """An operation that was checked and not requested yet; :attr:`Subject.handle` can be stored before it is."""

    subject: Subject[ArgsT, ResultT]
    args: ArgsT
