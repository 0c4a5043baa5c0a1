"""The subject of an operation: a machine or the region. The engine handles both through this interface."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self

from maas_mcp.errors import OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.plugin_services import PluginServices
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.advice import Advice
from maas_mcp.operations.judging.assessment import Assessment
from maas_mcp.operations.judging.strategies import PollingStrategy
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.outages import ReadT, check_outage, wait_out_outage
from maas_mcp.operations.progress import ProgressReporter, describe_outage
from maas_mcp.operations.running.adoption import Adoption
from maas_mcp.operations.running.last_seen import LastSeen
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.run_change import Publish
from maas_mcp.operations.running.start_requests import StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.watching.shared_reads import SharedReads
from maas_mcp.operations.watching.watcher import Watcher

ServicesOf = Callable[[LongRunning[Any, Any]], PluginServices]


@dataclass(frozen=True, slots=True)
class Shared:
    """The services that all runs of an engine share."""

    maas: MaasClient
    once: MaasClient
    """The same region, without retries."""
    reads: SharedReads
    """The reads that concurrent calls share."""
    watcher: Watcher
    requests: StartRequests
    caller: Caller
    adoption: Adoption
    last_seen: LastSeen
    polling: PollingStrategy | None
    """Replaces the polling strategy of every machine operation."""
    now: Callable[[], float]
    """Seconds since 1970."""
    publish: Publish
    """Receives each change of a run."""
    services: ServicesOf
    """Returns the settings and the state of an operation's plugin."""

    @property
    def timing(self) -> Timing:
        """The timeouts."""
        return self.requests.timing

    def context(
        self, operation: LongRunning[Any, Any], progress: ProgressReporter, cancellation: CancellationToken
    ) -> ToolContext:
        """Return the services for an operation's code."""
        plugin = self.services(operation)
        return ToolContext(self.maas, progress, cancellation, timing=self.timing, plugin=plugin)


class AlreadyRunningError(OperationRefusedError):
    """Another user started the operation before the request was sent; ``status`` describes it."""

    def __init__(self, status: OperationStatus[Any]) -> None:
        super().__init__(f"{status.message}.", next_steps=[FIND_OPERATION])
        self.status = status


class Subject(ABC, Generic[ArgsT, ResultT]):
    """The machine or region of one run, and the latest assessment of the run. Times are on anyio's clock.

    Args:
        shared: The services that all runs share.
        operation: The operation.
        ctx: The services for the operation.
        handle: The run.
        seen: The assessment before the first poll.
    """

    hold_elsewhere: ClassVar[float] = 0.0
    """Seconds for which another process may keep a start request open without this process knowing it."""

    def __init__(
        self,
        shared: Shared,
        operation: LongRunning[ArgsT, ResultT],
        ctx: ToolContext,
        handle: Handle,
        seen: Assessment,
    ) -> None:
        self.shared = shared
        self.ctx = ctx
        self.handle = handle
        self.latest = seen
        """The latest assessment."""
        self.silent_for: float | None = None
        """Seconds since the last successful read during an outage; ``None`` without an outage."""
        self.warnings: tuple[str, ...] = ()
        """Warnings about the start, one sentence each."""
        self.operation = operation

    @classmethod
    @abstractmethod
    async def prepare(
        cls, shared: Shared, operation: Any, args: Any, ctx: ToolContext
    ) -> Self | OperationStatus[ResultT]:
        """Read the state before a start. Returns a status if nothing needs to start.

        Raises:
            OperationRefusedError: It cannot start now.
            MaasError: MAAS cannot be reached.
        """

    @classmethod
    @abstractmethod
    async def resume(
        cls, shared: Shared, operation: Any, request: StartRequest, ctx: ToolContext, until: float
    ) -> Self | OperationStatus[ResultT]:
        """Resume a run: read everything that MAAS has about it. Returns a status if there is nothing to follow.

        Raises:
            AnswerTimeoutError: MAAS did not answer by ``until``.
            OperationError: The run has ended without success.
            MaasError: MAAS cannot be reached.
        """

    @classmethod
    @abstractmethod
    async def abort(cls, shared: Shared, operation: Any, handle: Handle, cancellation: CancellationToken) -> None:
        """Abort the run of a handle.

        Raises:
            OperationRefusedError: MAAS cannot abort it, it has ended, or another run has started since.
            MaasError: MAAS refused the abort or did not answer.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the run in messages."""

    @property
    @abstractmethod
    def state(self) -> str:
        """A phrase for the state before the start."""

    @property
    @abstractmethod
    def starting(self) -> str:
        """The progress message while MAAS handles the start request."""

    @property
    @abstractmethod
    def timeout_advice(self) -> Advice:
        """Advice for a run that has passed its deadline."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether MAAS has shown that the run started."""

    @property
    @abstractmethod
    def read_at(self) -> float:
        """The time of the last read from MAAS."""

    @abstractmethod
    def message(self, request_state: str) -> str:
        """The progress message; ``request_state`` describes the start request."""

    @abstractmethod
    async def check(self, maas: MaasClient) -> None:
        """Check just before the request that the earlier reads are still true.

        Raises:
            OperationRefusedError: The subject has changed.
            AlreadyRunningError: Another user has started the operation since.
        """

    @abstractmethod
    async def send(self, maas: MaasClient, args: ArgsT) -> None:
        """Send the start request.

        Raises:
            MaasError: MAAS refused the request or did not answer.
        """

    def watched(self) -> AbstractContextManager[object]:
        """A context that is open while the run is followed."""
        return nullcontext()

    @abstractmethod
    async def poll(self, request: StartRequest, until: float) -> None:
        """Wait for news, at most until ``until``, and update :attr:`latest`.

        Raises:
            OperationError: MAAS refused to start the operation.
            MaasError: MAAS can no longer be reached.
        """

    @abstractmethod
    def judge_missing_start(self, request: StartRequest) -> None:
        """Judge a run that MAAS should have shown by now.

        Raises:
            OperationError: The run will not start.
            MaasError: The response to the start request was an error, and MAAS shows no start.
        """

    async def check_started_by_caller(self, request: StartRequest) -> None:
        """Make sure that the run is the caller's, unless MAAS has accepted the start request.

        Raises:
            OperationRevertedError: Another user started it.
        """

    async def confirm_end(self) -> None:
        """Read everything that may still change the verdict."""

    async def last_poll(self) -> None:
        """Poll once more at the deadline, because the previous poll may be old."""

    @abstractmethod
    async def explain(self, request: StartRequest) -> Exception:
        """Return the error for a run that did not succeed."""

    @abstractmethod
    async def result(self) -> ResultT:
        """Read the result of a successful run.

        Raises:
            MaasError: MAAS cannot be reached.
        """

    @abstractmethod
    async def abort_started(self, request: StartRequest) -> None:
        """Abort only the run that a cancelled call has started.

        Raises:
            MaasError: MAAS refused the abort or cannot be reached.
        """

    async def read(self, read: Callable[[], Awaitable[ReadT]]) -> ReadT:
        """Read through an outage, so that an outage does not lose the result of a successful operation."""

        def report(silent: float, answering: bool) -> None:
            known = f"{self.latest.message}; {describe_outage(silent, answering=answering)} while its result is read"
            self.ctx.progress.report(self._measured_fraction, known)
            check_outage(silent, self.shared.timing.outage_limit, known)

        return await wait_out_outage(read, report, self.shared.timing)

    @property
    @abstractmethod
    def _measured_fraction(self) -> float | None:
        """The last measured fraction, before success sets it to 1.0."""
