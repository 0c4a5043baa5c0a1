"""Orders: what MAAS is told to begin. Each is given once, and held until MAAS answers, beyond the call that gave it.

MAAS speaks to a machine's BMC before it answers, which may take minutes. A call that does not wait for so long leaves
its order to the server, which goes on holding it: cutting the connection would not stop MAAS, and what it answers in
the end may be a refusal. Of an order that nobody here has given, as after a restart, only MAAS can tell.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import (
    MaasError,
    MaasMcpError,
    MaasUnavailableError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
)
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import CancellationToken, is_cancellation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import readable

logger = logging.getLogger(__name__)

START_GRACE: Final = 60.0
"""Seconds that a started operation may take to show in MAAS. A proxy may have answered 504 while MAAS went on."""
AT_ONCE: Final = 2.0
"""Seconds that MAAS has to refuse an order, however short its call's wait: it does so at once, and the call tells."""
WITHDRAWING: Final = 1.0
"""Seconds for closing the connection of an order that was cancelled."""
KEPT: Final = 256
"""How many orders are remembered once MAAS has answered."""


class Order:
    """One order, under way until MAAS has answered it or its answer was lost. Times are of anyio's clock."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.given_at = anyio.current_time()
        self.over_at = math.inf
        """When MAAS answered, or its answer was lost."""
        self.failure: BaseException | None = None
        self._scope = anyio.CancelScope()
        self._over = anyio.Event()

    @property
    def under_way(self) -> bool:
        """Whether MAAS may yet answer."""
        return not self._over.is_set()

    @property
    def doubt(self) -> MaasError | None:
        """The failure that leaves it open whether MAAS took the order."""
        failure = self.failure
        return failure if isinstance(failure, MaasError) and failure.may_have_acted else None

    @property
    def accepted(self) -> bool:
        """Whether MAAS has said that it took the order."""
        return not self.under_way and self.failure is None

    @property
    def refusal(self) -> BaseException | None:
        """Why it came to nothing."""
        return None if self.doubt else self.failure

    async def carry_out(self, start: Callable[[], Awaitable[None]]) -> None:
        """Give the order to MAAS, and wait for its answer; whatever that is, it is kept here."""
        try:
            with self._scope:
                await start()
        except BaseException as error:
            if is_cancellation(error):
                raise
            self.failure = error
            if not isinstance(error, MaasMcpError):
                logger.exception("%s could not be started", self.handle.operation)
        else:
            if self._scope.cancelled_caught:
                self.failure = MaasUnavailableError("The request was closed before MAAS had answered it.")
        finally:
            self.over_at = anyio.current_time()
            self._over.set()

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

    async def withdraw(self) -> None:
        """Close its connection: MAAS may go on with it all the same."""
        self._scope.cancel()
        with anyio.move_on_after(WITHDRAWING, shield=True):
            await self._over.wait()

    def standing(self) -> str:
        """What is known of it, as long as MAAS shows nothing that it began."""
        if self.accepted:
            return "MAAS has accepted the request"
        if self.under_way:
            ago = readable(anyio.current_time() - self.given_at)
            return f"Not confirmed yet: MAAS has not answered the request of {ago} ago"
        return "MAAS did not answer the request; whether it began is not known yet"


class Orders:
    """The orders of a process.

    Args:
        tasks: Where orders are held; it ends with the server, and they with it.
        now: Seconds since 1970.
    """

    def __init__(self, tasks: TaskGroup, *, now: Callable[[], float] = time.time) -> None:
        self._tasks = tasks
        self._now = now
        self._orders: dict[Handle, Order] = {}

    def give(self, handle: Handle, start: Callable[[], Awaitable[None]]) -> Order:
        """Give the order to begin what ``handle`` names; ``start`` is called once."""
        order = self._orders[handle] = Order(handle)
        self._tasks.start_soon(order.carry_out, start)
        over = [each.handle for each in self._orders.values() if not each.under_way]
        for forgotten in over[:-KEPT]:
            del self._orders[forgotten]
        return order

    def under_way(self, operation: str | None = None, system_id: SystemId | None = None) -> list[Order]:
        """Those that MAAS has not answered, of an operation and on a machine, or all."""
        return [
            each
            for each in self._orders.values()
            if each.under_way
            and operation in (None, each.handle.operation)
            and system_id in (None, each.handle.system_id)
        ]

    def unconfirmed(self, like: Handle) -> list[SystemId]:
        """The machines of orders that MAAS has not accepted, whose handles differ from this one by the machine only."""
        return [
            each.handle.system_id
            for each in self._orders.values()
            if not each.accepted and replace(like, system_id=each.handle.system_id) == each.handle
        ]

    def standing(self, handle: Handle) -> str:
        """What is known of the order, as long as MAAS shows nothing that it began."""
        order = self._orders.get(handle)
        return order.standing() if order else "Nothing shows yet that it began"

    def is_held(self, handle: Handle) -> bool:
        """Whether MAAS may yet answer."""
        order = self._orders.get(handle)
        return order is not None and order.under_way

    def is_confirmed(self, handle: Handle) -> bool:
        """Whether MAAS has said that it took the order."""
        order = self._orders.get(handle)
        return order is not None and order.accepted

    def check_refusal(self, handle: Handle, what: str) -> None:
        """Tell of a refusal that came when nobody waited for it any longer.

        Raises:
            OperationError: MAAS refused to start what ``handle`` names, or it could not be asked.
        """
        order = self._orders.get(handle)
        if order is not None and order.refusal is not None:
            raise _refused(what, order.refusal)

    def order(self, handle: Handle) -> Order | None:
        """The order to begin what ``handle`` names, as far as it is remembered."""
        return self._orders.get(handle)

    def is_overdue(self, handle: Handle, asked: float) -> bool:
        """Whether what MAAS showed when it was asked should have shown that it began.

        While the order is under way nothing is overdue; the time counts from MAAS's answer, or from the loss of it. Of
        an order that is not held here only its age is known.
        """
        order = self._orders.get(handle)
        since = order.over_at if order else anyio.current_time() - (self._now() - handle.started)
        return asked >= since + START_GRACE


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


async def start_once(cancellation: CancellationToken, start: Callable[[], Awaitable[None]]) -> MaasError | None:
    """Post once. Returns the failure that leaves it open whether MAAS took it; never posts again."""
    cancellation.raise_if_cancelled()
    try:
        await start()
    except MaasError as error:
        if not error.may_have_acted:
            raise
        return error
    return None
