"""Orders: what MAAS is told to begin. Each is given once, and held until MAAS answers, beyond the call that gave it.

MAAS speaks to a machine's BMC before it answers, which may take minutes. A call that does not wait for so long leaves
its order to the server, which goes on holding it: cutting the connection would not stop MAAS, and what it answers in
the end may be a refusal. Of an order that nobody here has given, as after a restart, only MAAS can tell.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup
from pydantic import BaseModel

from maas_mcp.errors import (
    MaasError,
    MaasMcpError,
    MaasUnavailableError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import readable
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.turns import WAITING
from maas_mcp.operations.wording import answer_of

logger = logging.getLogger(__name__)

KEPT: Final = 256
"""How many orders are remembered once MAAS has answered."""


Start = Callable[[MaasClient], Awaitable[None]]
"""Sends the request, with a client whose turn it is."""


class Order:
    """One order, under way until MAAS has answered it or its answer was lost. Times are of anyio's clock."""

    def __init__(self, handle: Handle, timing: Timing, args: BaseModel | None = None) -> None:
        self.handle = handle
        self._timing = timing
        self.args = args
        """The arguments, as the caller gave them."""
        self.sent_at = math.inf
        """When it was sent; until then it can be taken back."""
        self.over_at = math.inf
        """When MAAS answered, or its answer was lost."""
        self.failure: BaseException | None = None
        self._taken_back: Exception = OperationRevertedError("It was withdrawn before it was sent to MAAS.")
        self._scope = anyio.CancelScope()
        self._turn = anyio.Event()
        self._over = anyio.Event()

    @property
    def under_way(self) -> bool:
        """Whether MAAS may yet answer."""
        return not self._over.is_set()

    @property
    def doubt(self) -> MaasError | None:
        """The failure that leaves it open whether MAAS took the order."""
        failure = self.failure
        return failure if self.sent and isinstance(failure, MaasError) and failure.may_have_acted else None

    @property
    def accepted(self) -> bool:
        """Whether MAAS has said that it took the order."""
        return not self.under_way and self.failure is None

    @property
    def refusal(self) -> BaseException | None:
        """Why it came to nothing."""
        return None if self.doubt else self.failure

    @property
    def sent(self) -> bool:
        """Whether MAAS may have it."""
        return self.sent_at < math.inf

    @property
    def may_yet_begin(self) -> bool:
        """Whether MAAS may yet show that it began, or has not shown it for long."""
        return self.refusal is None and anyio.current_time() < self.over_at + self.grace

    @property
    def grace(self) -> float:
        """Seconds after MAAS's answer, or the loss of it, in which a start may still show."""
        return self._timing.start_grace if self.doubt is None else self._timing.grace_after(self.doubt)

    def began(self, handle: Handle) -> bool:
        """Whether this is what ``handle`` names. A batch gives one order a machine, whatever else its handle says."""
        own = self.handle
        if handle.batch:
            return own.batch == handle.batch
        return (own.started, own.cursor) == (handle.started, handle.cursor)

    async def carry_out(
        self,
        start: Start,
        check: Start,
        turn: AbstractAsyncContextManager[object],
        sending: AbstractAsyncContextManager[MaasClient],
    ) -> None:
        """Give the order to MAAS when it is its turn, and wait for the answer; whatever that is, it is kept here."""
        try:
            with self._scope:
                async with turn, sending as maas:

                    async def send() -> None:
                        if not self.sent:
                            await check(maas)
                            self._mark_sent()

                    await start(maas.before_change(send))
                    self._mark_sent()
        except BaseException as error:
            if is_cancellation(error):
                raise
            self.failure = error
            if not isinstance(error, MaasMcpError):
                logger.exception("%s could not be started", self.handle.operation)
        else:
            if self._scope.cancelled_caught:
                closed = MaasUnavailableError("The request was closed before MAAS had answered it.")
                self.failure = closed if self.sent else self._taken_back
        finally:
            self.over_at = anyio.current_time()
            self._turn.set()
            self._over.set()

    def _mark_sent(self) -> None:
        self.sent_at = min(self.sent_at, anyio.current_time())
        self._turn.set()

    async def has_turn(self, until: float) -> bool:
        """Wait until then for it to be sent; whether it has been, or is over."""
        with anyio.CancelScope(deadline=until):
            await self._turn.wait()
        return self._turn.is_set()

    async def answered(self, until: float) -> bool:
        """Wait for MAAS's answer until then; whether it is there.

        Raises:
            Exception: MAAS refused it, or what was to start it failed.
        """
        with anyio.CancelScope(deadline=until):
            await self._over.wait()
        if self.refusal is not None:
            raise self.refusal
        return not self.under_way

    async def take_back(self, reason: OperationError | None = None) -> None:
        """See to it that it never goes out, if it was not sent; ``reason`` is told to who asks for it."""
        if not self.sent:
            self._taken_back = reason or self._taken_back
            await self.close()

    async def withdraw(self) -> None:
        """Take it back, or close its connection: MAAS may go on with it all the same.

        What was sent for a batch is left to the batch: to abort it, MAAS's answer has to be heard.
        """
        if not (self.handle.batch and self.sent):
            await self.close()

    async def close(self) -> None:
        """Close its connection, or take it back."""
        self._scope.cancel()
        with anyio.move_on_after(self._timing.withdrawing, shield=True):
            await self._over.wait()

    async def over(self) -> None:
        """Wait for MAAS's answer, or for the loss of it."""
        await self._over.wait()

    def standing(self) -> str:
        """What is known of it, as long as MAAS shows nothing that it began."""
        if self.accepted:
            return "MAAS has accepted the request"
        if self.under_way and not self.sent:
            return WAITING
        if self.under_way:
            ago = readable(anyio.current_time() - self.sent_at)
            return f"Not confirmed yet: MAAS has not answered the request of {ago} ago"
        if self.doubt is None:
            return "MAAS did not start it"
        return f"{answer_of(self.doubt)}; whether it began is not known yet"


async def _unchecked(_maas: MaasClient) -> None:
    """What has no machine is not taken by anybody else."""


class Orders:
    """The orders of a process.

    Args:
        maas: The region.
        tasks: Where orders are held; it ends with the server, and they with it.
        now: Seconds since 1970.
        timing: How long is waited for what, by all that share these.
    """

    def __init__(
        self,
        maas: MaasClient,
        tasks: TaskGroup,
        *,
        now: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self._maas = maas
        self._tasks = tasks
        self._now = now
        self._orders: list[Order] = []
        self._on: defaultdict[tuple[str, SystemId], list[Order]] = defaultdict(list)
        """The same by operation and machine."""

    def give(
        self,
        handle: Handle,
        start: Start,
        turn: AbstractAsyncContextManager[object] | None = None,
        args: BaseModel | None = None,
        check: Start | None = None,
    ) -> Order:
        """Give the order to begin what ``handle`` names.

        ``start`` is called once, within ``turn`` and in a turn of MAAS's: what waits for either surely was not sent.
        ``check`` comes just before the request, after all that ``start`` reads, and may raise to prevent it.
        """
        order = Order(handle, self.timing, args)
        self._orders.append(order)
        self._on[handle.operation, handle.system_id].append(order)
        self._tasks.start_soon(order.carry_out, start, check or _unchecked, turn or nullcontext(), self._maas.turn())
        over = [each for each in self._orders if not each.under_way]
        for forgotten in over[:-KEPT]:
            self._forget(forgotten)
        return order

    def hand_over(self, act: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Let the server go on with something that a call leaves; it must not raise, and ends with the server."""
        self._tasks.start_soon(act, *args)

    def of_batch(self, name: str) -> list[Order]:
        """Those that were given for a batch."""
        return [each for each in self._orders if each.handle.batch == name]

    def under_way(self, operation: str | None = None, system_id: SystemId | None = None) -> list[Order]:
        """Those that MAAS has not answered, of an operation and on a machine, or all."""
        return [
            each
            for each in self._orders
            if each.under_way
            and operation in (None, each.handle.operation)
            and system_id in (None, each.handle.system_id)
        ]

    def standing(self, handle: Handle) -> str:
        """What is known of the order, as long as MAAS shows nothing that it began."""
        order = self.order(handle)
        return order.standing() if order else "Nothing shows yet that it began"

    def is_held(self, handle: Handle) -> bool:
        """Whether MAAS may yet answer."""
        order = self.order(handle)
        return order is not None and order.under_way

    def is_confirmed(self, handle: Handle) -> bool:
        """Whether MAAS has said that it took the order."""
        order = self.order(handle)
        return order is not None and order.accepted

    def check_refusal(self, handle: Handle, what: str) -> None:
        """Tell of a refusal that came when nobody waited for it any longer.

        Raises:
            OperationError: MAAS refused to start what ``handle`` names, or it could not be asked.
        """
        order = self.order(handle)
        if order is not None and order.refusal is not None:
            raise _refused(what, order.refusal)

    def is_overdue(self, handle: Handle, asked: float) -> bool:
        """Whether what MAAS showed when it was asked should have shown that it began.

        While the order is under way nothing is overdue; the time counts from MAAS's answer, or from the loss of it. Of
        an order that is not held here only its age is known.
        """
        order = self.order(handle)
        return asked >= (order.over_at + order.grace if order else self._begun_at(handle) + self.timing.start_grace)

    def expires(self, handle: Handle, deadline: float) -> float:
        """When what has ``deadline`` seconds is over them, in anyio's clock; they count from when it was sent."""
        order = self.order(handle)
        return (order.sent_at if order else self._begun_at(handle)) + deadline

    def age(self, handle: Handle) -> float:
        """Seconds since it was sent, or since it was requested in another process."""
        order = self.order(handle)
        return anyio.current_time() - (order.sent_at if order else self._begun_at(handle))

    def order(self, handle: Handle) -> Order | None:
        """The order to begin what ``handle`` names, as far as it is remembered."""
        on = self._on.get((handle.operation, handle.system_id), ())
        return next((each for each in reversed(on) if each.began(handle)), None)

    def latest(self, operation: str, system_id: SystemId) -> Order | None:
        """The last order of an operation on a machine, as far as it is remembered."""
        return next(reversed(self._on.get((operation, system_id), ())), None)

    def is_latest(self, order: Order) -> bool:
        """Whether the same was not ordered again on its machine."""
        return self.latest(order.handle.operation, order.handle.system_id) is order

    def _begun_at(self, handle: Handle) -> float:
        return anyio.current_time() - (self._now() - handle.started)

    def _forget(self, order: Order) -> None:
        self._orders.remove(order)
        key = order.handle.operation, order.handle.system_id
        self._on[key].remove(order)
        if not self._on[key]:
            del self._on[key]


def _refused(what: str, refusal: BaseException) -> OperationError:
    """A refusal that came when nobody waited for it any longer."""
    if isinstance(refusal, OperationError):
        return refusal
    if isinstance(refusal, MaasMcpError):
        return OperationRefusedError(
            f"MAAS refused to start {what}: {refusal.message}", hint=refusal.hint, maas_says=refusal.maas_says
        )
    return OperationFailedError(
        f"{what} could not be started: it failed inside its plugin ({type(refusal).__name__}).",
        hint="The server's log has the details. What was already asked of MAAS may have taken effect.",
    )
