"""Long-running operations of the region itself, such as importing images."""

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar, Generic, Protocol, TypeVar

from maas_mcp.operations.declaring.operation import LongRunning, check_duration
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.judging.assessment import Assessment


class RegionObservation(Protocol):
    """The minimum that an observation of the region contains."""

    @property
    def running(self) -> bool:
        """Whether the region is running the operation."""
        ...


ObservationT = TypeVar("ObservationT", bound=RegionObservation)


class RegionOperation(LongRunning[ArgsT, ResultT], Generic[ArgsT, ResultT, ObservationT]):
    """An operation that the region runs for minutes, without a machine. Only one of each kind runs at a time.

    ``ObservationT`` is the result of one poll and has an attribute ``running``. Only ``start`` receives the arguments,
    because they are unknown when the operation is resumed by its id.
    """

    interval: ClassVar[timedelta] = timedelta(seconds=10)
    """The time between two polls while the operation runs."""

    @classmethod
    def _is_abortable(cls) -> bool:
        return cls.abort is not RegionOperation.abort

    @classmethod
    def _check(cls) -> None:
        super()._check()
        check_duration(cls, "interval")

    @abstractmethod
    async def is_running(self, ctx: ToolContext) -> bool:
        """Whether the region is running the operation, no matter who started it. Make one read."""

    @abstractmethod
    async def start(self, ctx: ToolContext, args: ArgsT) -> None:
        """Send the request that starts the operation: one call, never repeated.

        Raises:
            MaasError: MAAS rejected the request or did not respond. Without a response, the engine checks in MAAS
                whether the operation started.
        """

    @abstractmethod
    async def observe(self, ctx: ToolContext, earlier: ObservationT | None) -> ObservationT:
        """Observe the state of the operation. Make only reads.

        Args:
            ctx: The services.
            earlier: The previous observation, so that facts that cannot change need not be read again.
        """

    @abstractmethod
    def assess(self, before: ObservationT | None, earlier: ObservationT | None, seen: ObservationT) -> Assessment:
        """Assess an observation: return the verdict, the fraction and a message. Pure: no reads, no clock.

        Success requires evidence that the operation ran: ``earlier`` was running, or ``seen`` differs from ``before``.

        Args:
            before: The observation before the start. ``None`` if unknown, because the operation was resumed by its id.
                It is then running, was running before, or started so long ago that it has ended; decide which.
            earlier: The latest observation that was running. It is ``before`` if the operation is known to have run
                between two polls, and ``None`` if it was never seen running.
            seen: The observation to assess.
        """

    @abstractmethod
    async def result(self, ctx: ToolContext) -> ResultT:
        """Return the result of an operation that succeeded."""

    async def abort(self, ctx: ToolContext) -> None:
        """Ask MAAS to abort the operation. Omit this method if MAAS cannot.

        Raises:
            MaasError: MAAS rejected the request or did not respond.
        """
        raise NotImplementedError
