"""What an operation runs on: a machine, or the region. The engine runs both alike, through this."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self

from maas_mcp.errors import OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.advice import Advice
from maas_mcp.operations.judging.assessment import Assessment
from maas_mcp.operations.judging.strategies import PollingStrategy
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.outages import ReadT, check_outage, wait_out_outage
from maas_mcp.operations.progress import describe_outage
from maas_mcp.operations.running.adoption import Adoption
from maas_mcp.operations.running.last_seen import LastSeen
from maas_mcp.operations.running.ownership import Caller
from maas_mcp.operations.running.run_change import Publish
from maas_mcp.operations.running.start_requests import StartRequest, StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.watching.shared_reads import SharedReads
from maas_mcp.operations.watching.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Shared:
    """What all runs of an engine share."""

    maas: MaasClient
    once: MaasClient
    """The same, each read tried once."""
    reads: SharedReads
    """What concurrent calls read together."""
    watcher: Watcher
    requests: StartRequests
    caller: Caller
    adoption: Adoption
    last_seen: LastSeen
    polling: PollingStrategy | None
    """The strategy for every operation on a machine, instead of its own."""
    now: Callable[[], float]
    """Seconds since 1970."""
    publish: Publish
    """Takes each change of a run."""

    @property
    def timing(self) -> Timing:
        """How long is waited for what."""
        return self.requests.timing


class UnderWayError(OperationRefusedError):
    """Somebody else has started it before the request was sent; ``status`` says so."""

    def __init__(self, status: OperationStatus[Any]) -> None:
        super().__init__(f"{status.message}.", next_steps=[FIND_OPERATION])
        self.status = status


class Subject(ABC, Generic[ArgsT, ResultT]):
    """One run's machine or region, and what was seen of the run so far. Times are of anyio's clock.

    Args:
        shared: What all runs of the engine share.
        operation: What runs.
        ctx: The services for it.
        handle: The run.
        seen: What is known before anything was seen.
    """

    held_elsewhere: ClassVar[float] = 0.0
    """Seconds for which another process may hold the request to start, where this one knows nothing of it."""

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
        """What was seen comes to."""
        self.silent_for: float | None = None
        """Seconds since MAAS was last read, or ``None`` while it is."""
        self.warnings: tuple[str, ...] = ()
        """What the caller should know of the start, each in a sentence."""
        self.operation = operation

    @classmethod
    @abstractmethod
    async def prepare(
        cls, shared: Shared, operation: Any, args: Any, ctx: ToolContext
    ) -> Self | OperationStatus[ResultT]:
        """Read what has to be known before a start; a status, where nothing has to be started.

        Raises:
            OperationRefusedError: It cannot be started now.
            MaasError: MAAS cannot be asked.
        """

    @classmethod
    @abstractmethod
    async def pick_up(
        cls, shared: Shared, operation: Any, request: StartRequest, ctx: ToolContext, until: float
    ) -> Self | OperationStatus[ResultT]:
        """Read everything that MAAS knows of a run, by its handle; a status, where there is nothing to follow.

        Raises:
            Unseen: MAAS has not answered by ``until``.
            OperationError: The run has ended without success.
            MaasError: MAAS cannot be asked.
        """

    @classmethod
    @abstractmethod
    async def abort(cls, shared: Shared, operation: Any, handle: Handle, cancellation: CancellationToken) -> None:
        """Request that MAAS abort the run that a handle names.

        Raises:
            OperationRefusedError: MAAS has no way back from it, it is over, or another run has begun since.
            MaasError: MAAS refused to, or did not answer.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """What the run is called in messages."""

    @property
    @abstractmethod
    def state(self) -> str:
        """What MAAS showed of it before the start, in a phrase."""

    @property
    @abstractmethod
    def starting(self) -> str:
        """What is reported while MAAS is at the request."""

    @property
    @abstractmethod
    def still_at_work(self) -> Advice:
        """What to do once the deadline has passed."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether MAAS has shown that it began."""

    @property
    @abstractmethod
    def asked_at(self) -> float:
        """When MAAS was asked for what is known, at the latest."""

    @abstractmethod
    def message(self, standing: str) -> str:
        """What to show; ``standing`` is what is known of the request to start."""

    @abstractmethod
    async def check(self, maas: MaasClient) -> None:
        """Check just before the request that what was read before it still holds.

        Raises:
            OperationRefusedError: It does not.
            UnderWayError: Somebody else has started it meanwhile.
        """

    @abstractmethod
    async def send(self, maas: MaasClient, args: ArgsT) -> None:
        """Send the request to start.

        Raises:
            MaasError: MAAS refused it, or did not answer.
        """

    def watched(self) -> AbstractContextManager[object]:
        """Open while it is followed."""
        return nullcontext()

    @abstractmethod
    async def poll(self, request: StartRequest, until: float) -> None:
        """Wait for news, until then at the longest, and take it in.

        Raises:
            OperationError: MAAS refused to start it.
            MaasError: MAAS cannot be asked any longer.
        """

    @abstractmethod
    def judge_unseen(self, request: StartRequest) -> None:
        """Decide what nothing comes to: MAAS should have shown by now that it began.

        Raises:
            OperationError: It has not begun, and will not.
            MaasError: So does the answer to the request say.
        """

    async def check_ours(self, request: StartRequest) -> None:
        """Make sure that what began is this run, as long as MAAS has not said so.

        Raises:
            OperationRevertedError: It is somebody else's.
        """

    async def confirm_end(self) -> None:
        """Read what may yet tell of another end than what was seen."""

    async def last_poll(self) -> None:
        """Read once more at the deadline: what was seen before may be long past."""

    @abstractmethod
    async def explain(self, request: StartRequest) -> Exception:
        """Why it has not succeeded."""

    @abstractmethod
    async def result(self) -> ResultT:
        """The result, once it has succeeded.

        Raises:
            MaasError: MAAS cannot be asked for it.
        """

    @abstractmethod
    async def abort_started(self, request: StartRequest) -> None:
        """Make MAAS abort what a cancelled call has begun, and nothing else.

        Raises:
            MaasError: MAAS refuses to, or to be asked.
        """

    async def read(self, read: Callable[[], Awaitable[ReadT]]) -> ReadT:
        """What MAAS answers to a read, once it does: an operation that has succeeded is not lost to an outage."""

        def report(silent: float, answering: bool) -> None:
            known = f"{self.latest.message}; {describe_outage(silent, answering=answering)} while its result is read"
            self.ctx.progress.report(self._measured, known)
            check_outage(silent, self.shared.timing.outage_limit, known)

        return await wait_out_outage(read, report, self.shared.timing)

    @property
    @abstractmethod
    def _measured(self) -> float | None:
        """The fraction that was last measured, without the 1.0 of success."""
