"""A batch as a plugin declares it: one operation on many machines, and which machines these are."""

import inspect
import secrets
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel

from maas_mcp.errors import InvalidArgumentsError, MaasMcpError
from maas_mcp.maas.client import FormValue
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.allocation import allocate
from maas_mcp.operations.batches.labels import LARGEST, Label
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, ToolContext

NAME_BYTES: Final = 5
"""Randomness in a batch's name: 40 bits keep one user's batches apart."""


MemberState = Literal["working", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of a batch, and what became of it."""

    system_id: SystemId
    """Empty for one that is no longer known."""
    state: MemberState
    message: str
    fraction: float | None = None
    result: BaseModel | None = None
    """The result on this machine; set once the operation has succeeded, unless its plugin could not read it."""
    error: MaasMcpError | None = None
    """Why it has failed, or why there is no result although it has succeeded."""


class BatchOperation(LongRunning[ArgsT, ResultT]):
    """An operation on many machines at once. A machine that fails does not stop the others."""

    each: ClassVar[type[Operation[Any, Any]]]
    """What is done to each machine; its arguments need a field ``agent_name``."""
    starts_at_once: ClassVar[int] = 2
    """How many machines are started at the same time: no more changes than that are sent to MAAS at once."""

    @property
    def can_abort(self) -> bool:
        """Whether it is possible for each machine."""
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
                "Write `each = YourOperation`: what is done to each machine."
            )
        if "agent_name" not in each.arguments.model_fields:
            raise TypeError(
                f"{cls.__qualname__}.each: expected a field `agent_name` in {each.arguments.__name__}, but there is "
                "none. Add `agent_name: str`, and send it to MAAS in `start`: the batch is found again by it."
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
        """How many machines it is to be."""

    @abstractmethod
    async def members(self, ctx: ToolContext, args: ArgsT, agent_name: str) -> Sequence[BaseModel]:
        """Choose the machines: the arguments of :attr:`each`, one set a machine, each with ``agent_name``.

        MAAS 3.7 takes an agent name only where it allocates the machine: one that is *Allocated* already, and not by
        :meth:`allocate`, cannot become a member. A comment that holds :meth:`label` makes it possible to find the batch
        again without its id.

        Raises:
            MaasMcpError: There are not enough of them. What was allocated with ``agent_name`` is given back.
        """

    def label(self, agent_name: str, comment: str | None = None) -> str:
        """The comment for what is ordered for the batch: MAAS writes it into the log of each machine."""
        return Label(self.name, agent_name).comment(comment)

    async def allocate(self, ctx: ToolContext, args: ArgsT, agent_name: str, **form: FormValue) -> Sequence[SystemId]:
        """Allocate as many machines as :meth:`size` says, for :meth:`members`: all of them, or none.

        Those on which nothing is begun in the end are given back: after a failure, and after a cancellation.

        Args:
            ctx: The services.
            args: Of the batch.
            agent_name: The batch's name.
            form: Constraints and whatever else MAAS's ``allocate`` takes.

        Raises:
            MaasError: One cannot be had.
        """
        return await allocate(ctx, agent_name, self.size(args), form)

    @abstractmethod
    def result(self, members: Sequence[Member]) -> ResultT:
        """What to answer once every member has ended, and one of them at least has succeeded."""


def new_name(batch: BatchOperation[ArgsT, Any], args: ArgsT) -> str:
    """A name for a batch, which says how many machines it has.

    Raises:
        InvalidArgumentsError: They are too many.
    """
    size = batch.size(args)
    if size > LARGEST:
        raise InvalidArgumentsError(f"{size} machines are too many for one batch: {LARGEST} are the most.")
    return f"b{size}x{secrets.token_hex(NAME_BYTES)}"


def size_of(name: str) -> int:
    """How many machines a batch of this name had."""
    return int(name[1:].partition("x")[0])
