"""A long-running operation: data plus two small functions; the engine does the rest."""

import inspect
from abc import abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.polling import Lifecycle, PollingStrategy, StatusPolling
from maas_mcp.operations.tool import ArgsT, Declaration, ResultT, ToolContext


@dataclass(frozen=True, slots=True)
class OperationContext(ToolContext):
    """A tool's services, and what was true before the operation was started."""

    before: Machine
    """The machine as it was."""


class Operation(Declaration[ArgsT, ResultT]):
    """Something that MAAS does to a machine over minutes: started once, followed to its end.

    The arguments need a field ``system_id``; where the machine is named otherwise, override :meth:`system_id`.
    """

    coroutines = ("start", "result")

    lifecycle: ClassVar[Lifecycle]
    """The statuses that it begins in, passes through and ends in."""
    polling: ClassVar[PollingStrategy] = StatusPolling()
    """How far it is; without milestones, the status and the elapsed time are told."""
    deadline: ClassVar[timedelta] = timedelta(minutes=90)
    """How long the whole operation may take. What MAAS does is not ended by it, only the following."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isabstract(cls) or not getattr(cls, "name", ""):
            return
        if "system_id" not in cls.arguments.model_fields and cls.system_id is Operation.system_id:
            raise TypeError(
                f"{cls.__qualname__}: expected a field `system_id` in {cls.arguments.__name__}, but there is none. "
                "Add `system_id: SystemId`, or override the method `system_id(self, args)`."
            )
        if not isinstance(getattr(cls, "lifecycle", None), Lifecycle):
            raise TypeError(
                f"{cls.__qualname__}: expected a class attribute `lifecycle = Lifecycle(start_from=…, pending=…, "
                "success=…, failure=…)`, but there is none. Use `Tool` for what is done when MAAS answers."
            )

    def system_id(self, args: ArgsT) -> SystemId:
        """Which machine is meant."""
        system_id: SystemId = getattr(args, "system_id")  # noqa: B009 - mypy does not know the field of ArgsT
        return system_id

    @abstractmethod
    async def start(self, ctx: OperationContext, args: ArgsT) -> None:
        """Post what starts the operation: one call, which is never repeated.

        Raises:
            MaasError: MAAS refused it, or did not answer. In the latter case the engine looks whether it took effect.
        """

    @abstractmethod
    async def result(self, ctx: OperationContext, args: ArgsT) -> ResultT:
        """What to answer once the operation has succeeded."""
