"""A long-running operation: data plus two small functions; the engine does the rest."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar

from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.declaring.strategy_checks import check_strategy
from maas_mcp.operations.declaring.tool import ArgsT, Declaration, ResultT, ToolContext
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling


@dataclass(frozen=True, slots=True)
class OperationContext(ToolContext):
    """A tool's services, and the machine."""

    machine: Machine
    """The machine as last read: before the start for ``start``, after the end for ``result``."""

    @property
    def system_id(self) -> SystemId:
        """Which machine it is."""
        return self.machine.system_id


@dataclass(frozen=True, slots=True)
class GoneContext(ToolContext):
    """A tool's services, and all that is known of a machine that is no longer in MAAS."""

    system_id: SystemId
    """Which machine it was."""


class CancelPolicy(StrEnum):
    """What a cancelled call does to what MAAS has begun."""

    DETACH = "detach"
    """MAAS goes on; the operation can still be asked for by its id."""
    ABORT = "abort"
    """MAAS is ordered to abort it. A lost connection never does that."""


class LongRunning(Declaration[ArgsT, ResultT]):
    """What takes minutes: started once, followed to its end, asked for again by its id.

    Subclass ``Operation`` for one machine, ``BatchOperation`` for many, ``RegionOperation`` for none, not this.
    """

    deadline: ClassVar[timedelta] = timedelta(minutes=90)
    """How long the whole operation may take. What MAAS does is not ended by it, only the following."""
    on_cancel: ClassVar[CancelPolicy] = CancelPolicy.DETACH
    """What a cancelled call does, unless the call says otherwise."""

    @property
    def can_abort(self) -> bool:
        """Whether MAAS can be ordered to abort it."""
        return self._is_abortable()

    @classmethod
    def _is_abortable(cls) -> bool:
        """Whether its class says how MAAS aborts it."""
        return False

    def warnings(self, args: ArgsT) -> Sequence[str]:  # noqa: ARG002 - for those that override it
        """Warnings about arguments that MAAS accepts but that probably do not do what is meant.

        Each is a sentence or two without secrets. Only the call that starts the operation returns them: later calls
        with its id do not know its arguments. Refuse arguments that cannot work at all in a validator.
        """
        return ()

    @classmethod
    def _check(cls) -> None:
        super()._check()
        check_duration(cls, "deadline")
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
                "Write `async def abort(self, ctx)`, or leave `on_cancel` out."
            )


def policy_of(operation: LongRunning[Any, Any], asked_for: CancelPolicy | None) -> CancelPolicy:
    """What a cancelled call shall do.

    Raises:
        InvalidArgumentsError: MAAS cannot do that.
    """
    policy = asked_for or operation.on_cancel
    if policy is CancelPolicy.ABORT and not operation.can_abort:
        raise InvalidArgumentsError(
            f"{operation.name} cannot be aborted: MAAS offers no way back from it.",
            hint="Leave on_cancel out, or say `detach`: then cancelling only stops the following.",
        )
    return policy


def check_duration(cls: type, name: str) -> None:
    """Make sure that a class's attribute is a time that may pass.

    Raises:
        TypeError: It is not.
    """
    value: object = getattr(cls, name)
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise TypeError(
            f"{cls.__qualname__}.{name}: expected a positive timedelta, but it is {value!r}. "
            f"Write `{name} = timedelta(minutes=30)`, for example, with timedelta from datetime."
        )


class Operation(LongRunning[ArgsT, ResultT]):
    """Something that MAAS does to a machine over minutes: started once, followed to its end.

    The arguments need a field ``system_id``; where the machine is named otherwise, override :meth:`system_id`.
    """

    lifecycle: ClassVar[Lifecycle]
    """The statuses that it begins in, passes through and ends in."""
    polling: ClassVar[PollingStrategy] = StatusPolling()
    """How far it is; without milestones, the status and the elapsed time are told."""
    compared: ClassVar[frozenset[str]] = frozenset()
    """The arguments that :meth:`differs` compares with what MAAS shows. Of the others a caller is told that they are
    unknown, if another process started the operation."""

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
                "success=…, failure=…)`, but there is none. Use `Tool` for what is done when MAAS answers."
            )
        check_strategy(f"{cls.__qualname__}.polling", cls.polling)
        if cls.lifecycle.gone is Verdict.SUCCEEDED and cls.result_if_gone is Operation.result_if_gone:
            raise TypeError(
                f"{cls.__qualname__}: expected a method `result_if_gone`, but there is none. With `gone=SUCCEEDED` it "
                "may end without a machine to read: write what to answer then."
            )

    def system_id(self, args: ArgsT) -> SystemId:
        """Which machine is meant."""
        system_id: SystemId = getattr(args, "system_id")  # noqa: B009 - mypy does not know the field of ArgsT
        return system_id

    async def differs(self, ctx: OperationContext, args: ArgsT) -> str | None:  # noqa: ARG002 - for subclasses
        """How the operation that is already under way differs from ``args``; ``None`` if it does not.

        Asked when the machine, ``ctx.machine``, is in a pending status for the caller. A difference refuses the call:
        a caller who asks for one image must not get the other one that is being installed. The answer completes the
        sentence "node04 is Deploying for admin already, but …". Override it if MAAS shows what is being done, and
        name the arguments in :attr:`compared`.
        """
        return None

    def is_reached(self, args: ArgsT, machine: Machine) -> bool:  # noqa: ARG002 - what overrides it needs them
        """Whether the machine is already as requested: then nothing is sent, and its result is returned.

        Override it where a second request would be refused by MAAS, or would do harm. By default it never is: a machine
        that is *Deployed* may be wanted with another system.
        """
        return False

    @abstractmethod
    async def start(self, ctx: OperationContext, args: ArgsT) -> None:
        """Post what starts the operation: one call, which is never repeated.

        Raises:
            MaasError: MAAS refused it, or did not answer. In the latter case the engine looks whether it took effect.
        """

    @abstractmethod
    async def result(self, ctx: OperationContext) -> ResultT:
        """What to answer once the operation has succeeded, from ``ctx.machine`` and reads.

        It may be asked for by the operation's id in another process, days later. So the arguments are not known.
        """

    def result_if_gone(self, ctx: GoneContext) -> ResultT:
        """What to answer where it has succeeded by MAAS's deleting the machine, as ``Lifecycle.gone`` allows."""
        raise NotImplementedError

    async def abort(self, ctx: OperationContext) -> None:
        """Order MAAS to undo what was begun. Leave it out where MAAS has no way back.

        Raises:
            MaasError: MAAS refused to, or did not answer.
        """
        raise NotImplementedError
