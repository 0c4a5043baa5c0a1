"""What the region does by itself over minutes, without a machine, such as importing images: the declaration."""

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar, Generic, Protocol, TypeVar

from maas_mcp.operations.declaring.operation import LongRunning, check_duration
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext
from maas_mcp.operations.judging.assessment import Assessment


class RegionObservation(Protocol):
    """What a look has to tell at the least."""

    @property
    def running(self) -> bool:
        """Whether the region is at it."""
        ...


ObservationT = TypeVar("ObservationT", bound=RegionObservation)


class RegionOperation(LongRunning[ArgsT, ResultT], Generic[ArgsT, ResultT, ObservationT]):
    """Something that the region itself does over minutes, without a machine; one of its kind at a time.

    ``ObservationT`` is what one poll saw, with an attribute ``running``. Only ``start`` sees the arguments: they are
    not known any longer where the operation is picked up by its id.
    """

    interval: ClassVar[timedelta] = timedelta(seconds=10)
    """Between two looks, once it has begun."""

    @classmethod
    def _is_abortable(cls) -> bool:
        return cls.abort is not RegionOperation.abort

    @classmethod
    def _check(cls) -> None:
        super()._check()
        check_duration(cls, "interval")

    @abstractmethod
    async def is_running(self, ctx: ToolContext) -> bool:
        """Whether the region is at it, whoever started it: one read."""

    @abstractmethod
    async def start(self, ctx: ToolContext, args: ArgsT) -> None:
        """Post what starts it: one call, which is never repeated.

        Raises:
            MaasError: MAAS refused it, or did not answer. In the latter case it is looked whether it took effect.
        """

    @abstractmethod
    async def observe(self, ctx: ToolContext, earlier: ObservationT | None) -> ObservationT:
        """Look how far it is, by reads only.

        Args:
            ctx: The services.
            earlier: The look before this one, so that what cannot have changed is not read again.
        """

    @abstractmethod
    def assess(self, before: ObservationT | None, earlier: ObservationT | None, seen: ObservationT) -> Assessment:
        """What a look comes to: the verdict, how far it is, and what to call that. Pure: no reads, no clock.

        Success takes evidence that it ran: ``earlier`` was running, or what is there differs from ``before``.

        Args:
            before: What was there before the start. ``None`` if that is not known, since it was picked up by its id:
                then it is either running, or was before, or was started so long ago that it has run; say which.
            earlier: The latest look at which it was running, if there was one; ``before``, where it is known to have
                run without having been looked at meanwhile.
            seen: The look.
        """

    @abstractmethod
    async def result(self, ctx: ToolContext) -> ResultT:
        """What to answer once it has succeeded."""

    async def abort(self, ctx: ToolContext) -> None:
        """Order MAAS to stop it. Leave it out where MAAS cannot.

        Raises:
            MaasError: MAAS refused to, or did not answer.
        """
        raise NotImplementedError
