"""Long-running operations on one machine, and the base of all long-running operations."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar

from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.declaring.plugin_services import SettingsT, StateT
from maas_mcp.operations.declaring.strategy_checks import check_strategy
from maas_mcp.operations.declaring.tool import ArgsT, Declaration, ResultT, ToolContext
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling


@dataclass(frozen=True, slots=True)
class OperationContext(ToolContext[SettingsT, StateT]):
    """A tool's services and the machine."""

    machine: Machine
    """The machine as last read: before the start in ``start``, after the end in ``result``."""

    @property
    def system_id(self) -> SystemId:
        """The machine's system id."""
        return self.machine.system_id


@dataclass(frozen=True, slots=True)
class GoneContext(ToolContext[SettingsT, StateT]):
    """A tool's services and the system id of a machine that was deleted from MAAS."""

    system_id: SystemId
    """The deleted machine's system id."""


class CancelPolicy(StrEnum):
    """The effect of a cancelled call on the operation that MAAS is running."""

    DETACH = "detach"
    """MAAS continues. Clients can still follow the operation by its id."""
    ABORT = "abort"
    """MAAS is asked to abort the operation. A lost connection never aborts."""


class LongRunning(Declaration[ArgsT, ResultT]):
    """Common base of operations that take minutes: started once, followed to the end, found again by id.

    Subclass ``Operation`` (one machine), ``BatchOperation`` (many machines) or ``RegionOperation`` (no machine)
    instead.
    """

    deadline: ClassVar[timedelta] = timedelta(minutes=90)
    """The time limit for following the operation. MAAS itself continues after it."""
    typical: ClassVar[timedelta | None] = None
    """How long the operation usually takes, for plans. ``None`` if that is unknown, or depends on the machine."""
    on_cancel: ClassVar[CancelPolicy] = CancelPolicy.DETACH
    """The default effect of a cancelled call. The caller can override it per call."""

    asks_in_task: ClassVar[bool] = False
    """Whether a client with tasks gets a task before :meth:`fill_in` asks, so that the user may answer later. Other
    clients are asked first. Batches always ask first."""
    only_as_task: ClassVar[bool] = False
    """Whether only clients with tasks can call it."""

    @property
    def can_abort(self) -> bool:
        """Whether MAAS can abort the operation."""
        return self._is_abortable()

    @classmethod
    def _is_abortable(cls) -> bool:
        """Whether the class implements ``abort``."""
        return False

    def warnings(self, args: ArgsT) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """Return warnings about arguments that MAAS accepts but that probably do not do what the user wants.

        Each warning is one or two sentences without secrets. Only the call that starts the operation returns them,
        because later calls have only its id. Reject invalid arguments in a validator instead.
        """
        return ()

    async def fill_in(self, ctx: ToolContext, args: ArgsT) -> ArgsT:  # noqa: ARG002 - for subclasses
        """Return the arguments to start with, filled in with the user's answers to ``ctx.ask``.

        Called before anything is checked or sent. It may read from MAAS and must not change anything, because a client
        since 2026-07-28 repeats it for each answer.

        Raises:
            NotAnsweredError: The user declined, or did not answer in time. The operation does not start.
        """
        return args

    @classmethod
    def _check(cls) -> None:
        super()._check()
        check_duration(cls, "deadline")
        if cls.typical is not None:
            check_duration(cls, "typical")
        policy: object = cls.on_cancel
        if not isinstance(policy, CancelPolicy):
            meant = CancelPolicy.ABORT if str(policy).lower() == "abort" else CancelPolicy.DETACH
            raise TypeError(
                f"{cls.__qualname__}.on_cancel: expected a CancelPolicy, but it is {policy!r}. "
                f"Write `on_cancel = CancelPolicy.{meant.name}`."
            )
        if policy is CancelPolicy.ABORT and not cls._is_abortable():
            raise TypeError(
                f"{cls.__qualname__}.on_cancel: expected a method `abort` for CancelPolicy.ABORT, but there is none. "
                "Write `async def abort(self, ctx)`, or omit `on_cancel`."
            )


def resolve_cancel_policy(operation: LongRunning[Any, Any], asked_for: CancelPolicy | None) -> CancelPolicy:
    """Return the effect of a cancelled call.

    Raises:
        InvalidArgumentsError: The caller requested an abort, but MAAS cannot abort this operation.
    """
    policy = asked_for or operation.on_cancel
    if policy is CancelPolicy.ABORT and not operation.can_abort:
        raise InvalidArgumentsError(
            f"{operation.name} cannot be aborted, because MAAS offers no abort for it.",
            hint="Omit on_cancel or pass `detach`: cancelling then only stops following the operation.",
        )
    return policy


def check_duration(cls: type, name: str) -> None:
    """Check that a class attribute is a positive duration.

    Raises:
        TypeError: It is not a positive ``timedelta``.
    """
    value: object = getattr(cls, name)
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise TypeError(
            f"{cls.__qualname__}.{name}: expected a positive timedelta, but it is {value!r}. "
            f"Write `{name} = timedelta(minutes=30)`, for example, with timedelta from datetime."
        )


class Operation(LongRunning[ArgsT, ResultT]):
    """An operation that MAAS runs on one machine for minutes: started once, followed to the end.

    The arguments need a field ``system_id``. If the field has another name, override :meth:`system_id`.
    """

    lifecycle: ClassVar[Lifecycle]
    """The statuses in which the operation starts, runs and ends."""
    polling: ClassVar[PollingStrategy] = StatusPolling()
    """The polling strategy that measures progress. The default shows the status and the elapsed time."""
    compared: ClassVar[frozenset[str]] = frozenset()
    """The arguments that :meth:`differs` compares with MAAS. If another process started the operation, the message
    says that MAAS does not show the other arguments."""

    @classmethod
    def _is_abortable(cls) -> bool:
        return cls.abort is not Operation.abort

    @classmethod
    def _check(cls) -> None:
        super()._check()
        if "system_id" not in cls.arguments.model_fields and cls.system_id is Operation.system_id:
            raise TypeError(
                f"{cls.__qualname__}: expected a field `system_id` in {cls.arguments.__name__}, but there is none. "
                "Add `system_id: SystemId`, or override the method `system_id(self, args)`."
            )
        if not isinstance(getattr(cls, "lifecycle", None), Lifecycle):
            raise TypeError(
                f"{cls.__qualname__}: expected a class attribute `lifecycle = Lifecycle(start_from=…, pending=…, "
                "success=…, failure=…)`, but there is none. Use `Tool` for a change that ends with MAAS's response."
            )
        check_strategy(f"{cls.__qualname__}.polling", cls.polling)
        if cls.lifecycle.gone is Verdict.SUCCEEDED and cls.result_if_gone is Operation.result_if_gone:
            raise TypeError(
                f"{cls.__qualname__}: expected a method `result_if_gone`, but there is none. With `gone=SUCCEEDED` the "
                "operation may end after the machine is deleted: write the result to return then."
            )

    def system_id(self, args: ArgsT) -> SystemId:
        """Return the system id of the machine in the arguments."""
        system_id: SystemId = getattr(args, "system_id")  # noqa: B009 - mypy does not know the field of ArgsT
        return system_id

    async def differs(self, ctx: OperationContext, args: ArgsT) -> str | None:  # noqa: ARG002 - for subclasses
        """Describe how the running operation differs from ``args``; return ``None`` if it does not.

        Called if the machine, ``ctx.machine``, is already in a pending status for the caller. A difference refuses the
        call: a caller who requests one image must not get another one that is being installed. The returned text
        completes the sentence "node04 is already Deploying for admin, but …". Override it if MAAS shows the parameters
        of the running operation, and list the arguments in :attr:`compared`.
        """
        return None

    def is_reached(self, args: ArgsT, machine: Machine) -> bool:  # noqa: ARG002 - for subclasses
        """Whether the machine already is in the requested state. Then nothing is sent and the result is returned.

        Override it if MAAS would reject a second request or the request would do harm. The default is ``False``: the
        caller may want a *Deployed* machine with another operating system.
        """
        return False

    @abstractmethod
    async def start(self, ctx: OperationContext, args: ArgsT) -> None:
        """Send the request that starts the operation: one call, never repeated.

        Raises:
            MaasError: MAAS rejected the request or did not respond. Without a response, the engine checks in MAAS
                whether the operation started.
        """

    @abstractmethod
    async def result(self, ctx: OperationContext) -> ResultT:
        """Return the result of an operation that succeeded, from ``ctx.machine`` and further reads.

        The arguments are not available: another process may request the result by the operation's id, days later.
        """

    def result_if_gone(self, ctx: GoneContext) -> ResultT:
        """Return the result if the operation succeeded by deleting the machine, as ``Lifecycle.gone`` allows."""
        raise NotImplementedError

    async def abort(self, ctx: OperationContext) -> None:
        """Ask MAAS to abort the operation. Omit this method if MAAS cannot.

        Raises:
            MaasError: MAAS rejected the request or did not respond.
        """
        raise NotImplementedError
