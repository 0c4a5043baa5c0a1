"""The base class of batch operations, which run one operation on many machines."""

import inspect
import secrets
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel

from maas_mcp.errors import InvalidArgumentsError, MaasMcpError
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.allocation import allocate
from maas_mcp.operations.batches.labels import LARGEST, Label
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext

NAME_BYTES: Final = 5
"""Random bytes in a batch's name: 40 bits keep one user's batches apart."""


MemberState = Literal["working", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of a batch, and its state."""

    system_id: SystemId
    """Empty if the machine is no longer known."""
    state: MemberState
    message: str
    fraction: float | None = None
    result: BaseModel | None = None
    """The result on this machine. Set if the operation succeeded and its plugin could read the result."""
    error: MaasMcpError | None = None
    """The reason of a failure, or of a missing result after a success."""


class BatchOperation(LongRunning[ArgsT, ResultT]):
    """An operation on many machines at once. A machine that fails does not stop the others."""

    each: ClassVar[type[Operation[Any, Any]]]
    """The operation on each machine. Its arguments need a field ``agent_name``."""
    starts_at_once: ClassVar[int] = 2
    """How many machines are started at the same time. It limits the concurrent changes in MAAS."""

    @property
    def can_abort(self) -> bool:
        """Whether the operation on each machine can be aborted."""
        return self.each().can_abort

    @classmethod
    def _is_abortable(cls) -> bool:
        return cls.each._is_abortable()  # noqa: SLF001 - a declaration's own

    @classmethod
    def _check(cls) -> None:
        each: object = getattr(cls, "each", None)
        if not isinstance(each, type) or not issubclass(each, Operation) or inspect.isabstract(each) or not each.name:
            raise TypeError(
                f"{cls.__qualname__}.each: expected an Operation class with a name, but it is {each!r}. "
                "Write `each = YourOperation`, the operation to run on each machine."
            )
        if "agent_name" not in each.arguments.model_fields:
            raise TypeError(
                f"{cls.__qualname__}.each: expected a field `agent_name` in {each.arguments.__name__}, but there is "
                "none. Add `agent_name: str`, and send it to MAAS in `start`: the batch finds its machines by it."
            )
        super()._check()
        at_once: object = cls.starts_at_once
        if not isinstance(at_once, int) or isinstance(at_once, bool) or at_once < 1:
            raise TypeError(
                f"{cls.__qualname__}.starts_at_once: expected a whole number of 1 or more, but it is {at_once!r}. "
                "Write `starts_at_once = 2`, for example."
            )

    @abstractmethod
    def size(self, args: ArgsT) -> int:
        """Return the number of machines."""

    @abstractmethod
    async def members(self, ctx: ToolContext, args: ArgsT, agent_name: str) -> Sequence[BaseModel]:
        """Choose the machines. Returns the arguments of :attr:`each` for each machine, each with ``agent_name``.

        MAAS 3.7 sets an agent name only when it allocates a machine. So a machine that is already *Allocated*, other
        than by :meth:`allocate`, cannot become a member. Put :meth:`label` into the comment of each request, so that
        the batch can be found without its id. It runs in the background, and may continue after the call has answered.

        Raises:
            MaasMcpError: There are not enough machines. Those allocated with ``agent_name`` are released.
        """

    def label(self, agent_name: str, comment: str | None = None) -> str:
        """Return the comment for the batch's requests. MAAS logs it for each machine."""
        return Label(self.name, agent_name).comment(comment)

    async def allocate(self, ctx: ToolContext, args: ArgsT, agent_name: str, **form: FormValue) -> Sequence[SystemId]:
        """Allocate :meth:`size` machines for :meth:`members`: all of them or none.

        Machines that are not started are released, also after a failure or a cancellation.

        Args:
            ctx: The services.
            args: The arguments of the batch.
            agent_name: The name of the batch.
            form: Constraints and other fields of MAAS's ``allocate``.

        Raises:
            OperationRefusedError: There are not enough matching machines.
            MaasError: MAAS refused an allocation.
        """
        return await allocate(ctx, agent_name, self.size(args), form)

    @abstractmethod
    def result(self, members: Sequence[Member]) -> ResultT:
        """Return the result after all members have ended and at least one has succeeded."""


def new_name(batch: BatchOperation[ArgsT, Any], args: ArgsT, nonce: bytes = b"") -> str:
    """Return a name for a batch, which contains its number of machines.

    Args:
        batch: The operation.
        args: Its arguments.
        nonce: Makes the name unique. By default random.

    Raises:
        InvalidArgumentsError: There are too many machines.
    """
    size = batch.size(args)
    if size > LARGEST:
        raise InvalidArgumentsError(f"{size} machines are too many for one batch. Request {LARGEST} or fewer.")
    return f"b{size}x{(nonce or secrets.token_bytes(NAME_BYTES)).hex()}"


def size_of(name: str) -> int:
    """Return the number of machines in a batch's name."""
    return int(name[1:].partition("x")[0])
