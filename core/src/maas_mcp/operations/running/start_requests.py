"""Requests to start something: each waits for its turn, is sent once, and is held until MAAS answers, beyond its call.

MAAS speaks to a machine's BMC before it answers, which may take minutes. A call that does not wait for so long leaves
its request to the server, which goes on holding it: closing the connection would not stop MAAS, and its late answer may
be a refusal. Of a request that this process did not make, as after a restart, only its age is known.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final

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
from maas_mcp.operations.progress import format_duration
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.wording import WAITING, answer_of

logger = logging.getLogger(__name__)

KEPT: Final = 256
"""How many requests are remembered once MAAS has answered."""

Send = Callable[[MaasClient], Awaitable[None]]
"""Sends the request, or checks before it, with a client whose turn it is."""


class RequestState(Enum):
    """Where a request to start something stands."""

    WAITING = auto()
    """It waits for its turn; MAAS has not seen it."""
    SENT = auto()
    """It was sent, and MAAS has not answered."""
    ACCEPTED = auto()
    """MAAS has answered that it does it."""
    UNCERTAIN = auto()
    """The answer was lost, or says nothing of whether MAAS does it."""
    REFUSED = auto()
    """MAAS refused it, it failed, or it was never sent."""
    ELSEWHERE = auto()
    """Another process sent it, or it is so old that this one has forgotten it: only its age is known."""


class StartRequest:
    """One request. Times are of anyio's clock.

    Args:
        handle: The operation that it starts.
        timing: How long a start may take to show.
        args: The arguments, as the caller gave them.
        state: ``ELSEWHERE`` for a request that this process did not make.
        sent_at: When it was sent.
    """

    def __init__(
        self,
        handle: Handle,
        timing: Timing,
        args: BaseModel | None = None,
        *,
        state: RequestState = RequestState.WAITING,
        sent_at: float = math.inf,
    ) -> None:
        self.handle = handle
        self.args = args
        self.state = state
        self.sent_at = sent_at
        """When it was sent; until then it can be taken back."""
        self.answered_at = sent_at
        """When MAAS answered, or its answer was lost."""
        self.failure: BaseException | None = None
        self._timing = timing
        self._withdrawn: Exception = OperationRevertedError("It was withdrawn before it was sent to MAAS.")
        self._scope = anyio.CancelScope()
        self._turn = anyio.Event()
        self._over = anyio.Event()

    @property
    def under_way(self) -> bool:
        """Whether MAAS may yet answer."""
        return self.state in {RequestState.WAITING, RequestState.SENT}

    @property
    def ambiguous_error(self) -> MaasError | None:
        """The failure that leaves it open whether MAAS does what was requested."""
        return self.failure if self.state is RequestState.UNCERTAIN and isinstance(self.failure, MaasError) else None

    @property
    def refusal(self) -> BaseException | None:
        """Why it came to nothing."""
        return self.failure if self.state is RequestState.REFUSED else None

    @property
    def may_yet_begin(self) -> bool:
        """Whether MAAS may yet show that it began, or has not shown it for long."""
        return self.refusal is None and (self.under_way or not self.is_overdue(anyio.current_time()))

    def is_overdue(self, asked: float) -> bool:
        """Whether what MAAS showed when it was asked should have shown that it began.

        While the request is under way nothing is overdue: the time counts from MAAS's answer, or from the loss of it.
        """
        if self.under_way:
            return False
        grace = (
            self._timing.start_grace if self.ambiguous_error is None else self._timing.grace_after(self.ambiguous_error)
        )
        return asked >= self.answered_at + grace

    @property
    def age(self) -> float:
        """Seconds since it was sent."""
        return anyio.current_time() - self.sent_at

    def standing(self) -> str:
        """What is known of it, as long as MAAS shows nothing that it began."""
        match self.state:
            case RequestState.WAITING:
                return WAITING
            case RequestState.SENT:
                return f"Not confirmed yet: MAAS has not answered the request of {format_duration(self.age)} ago"
            case RequestState.ACCEPTED:
                return "MAAS has accepted the request"
            case RequestState.UNCERTAIN if self.ambiguous_error is not None:
                return f"{answer_of(self.ambiguous_error)}; whether it began is not known yet"
            case RequestState.REFUSED:
                return "MAAS did not start it"
        return "Nothing shows yet that it began"

    def check_refusal(self, what: str) -> None:
        """Report a refusal that came when nobody waited for it any longer.

        Raises:
            OperationError: MAAS refused to start ``what``, or it could not be asked.
        """
        if self.refusal is not None:
            raise _refused(what, self.refusal)

    async def has_turn(self, until: float) -> bool:
        """Wait until then for it to be sent; whether it has been, or is over."""
        with anyio.CancelScope(deadline=until):
            await self._turn.wait()
        return self._turn.is_set()

    async def answered(self, until: float = math.inf) -> bool:
        """Wait for MAAS's answer until then; whether it is there.

        Raises:
            Exception: MAAS refused it, or the plugin that was to start it failed.
        """
        await self.over(until)
        if self.refusal is not None:
            raise self.refusal
        return not self.under_way

    async def over(self, until: float = math.inf) -> None:
        """Wait until then for MAAS's answer, or for the loss of it."""
        with anyio.CancelScope(deadline=until):
            await self._over.wait()

    async def withdraw(self, reason: OperationError | None = None) -> None:
        """Make sure that it is never sent, if it was not; ``reason`` is the error for those who ask for it."""
        if self.state is RequestState.WAITING:
            self._withdrawn = reason or self._withdrawn
            await self.close()

    async def close(self) -> None:
        """Take it back, or close its connection: MAAS may go on with it all the same."""
        self._scope.cancel()
        with anyio.move_on_after(self._timing.withdraw_limit, shield=True):
            await self._over.wait()

    async def carry_out(self, send: Send, check: Send, maas: MaasClient) -> None:
        """Send it when it is its turn, and wait for the answer; whatever that is, it is kept here."""
        try:
            with self._scope:
                async with maas.turn() as mine:

                    async def before_sending() -> None:
                        if self.state is RequestState.WAITING:
                            await check(mine)
                            self._mark_sent()

                    await send(mine.before_change(before_sending))
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
                self.failure = closed if self.state is RequestState.SENT else self._withdrawn
        finally:
            self.answered_at = anyio.current_time()
            self.state = self._answered()
            self._turn.set()
            self._over.set()

    def _mark_sent(self) -> None:
        self.state = RequestState.SENT
        self.sent_at = min(self.sent_at, anyio.current_time())
        self._turn.set()

    def _answered(self) -> RequestState:
        if self.state is RequestState.SENT and isinstance(self.failure, MaasError) and self.failure.may_have_acted:
            return RequestState.UNCERTAIN
        return RequestState.ACCEPTED if self.failure is None else RequestState.REFUSED


class StartRequests:
    """The requests of a process.

    Args:
        tasks: Where requests are held; it ends with the server, and they with it.
        now: Seconds since 1970.
        timing: How long is waited for what, by all that share these.
    """

    def __init__(self, tasks: TaskGroup, *, now: Callable[[], float] = time.time, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self._tasks = tasks
        self._now = now
        self._all: list[StartRequest] = []
        self._on: defaultdict[tuple[str, SystemId], list[StartRequest]] = defaultdict(list)
        """The same by operation and machine."""

    def give(
        self, handle: Handle, send: Send, maas: MaasClient, *, check: Send, args: BaseModel | None = None
    ) -> StartRequest:
        """Request what ``handle`` names.

        Args:
            handle: The operation.
            send: Called once, when one of the turns of ``maas`` has come.
            maas: The region; a request that waits for a turn of it surely was not sent.
            check: Called just before the request, after all that ``send`` reads; may raise to prevent it.
            args: The arguments, as the caller gave them.
        """
        request = StartRequest(handle, self.timing, args)
        self._all.append(request)
        self._on[handle.operation, handle.system_id].append(request)
        self._tasks.start_soon(request.carry_out, send, check, maas)
        over = [each for each in self._all if not each.under_way]
        for forgotten in over[:-KEPT]:
            self._forget(forgotten)
        return request

    def of(self, handle: Handle) -> StartRequest:
        """The request for what ``handle`` names; where this process remembers none, one that is ``ELSEWHERE``."""
        for request in reversed(self._on.get((handle.operation, handle.system_id), ())):
            if (request.handle.started, request.handle.cursor) == (handle.started, handle.cursor):
                return request
        sent_at = anyio.current_time() - (self._now() - handle.started)
        return StartRequest(handle, self.timing, state=RequestState.ELSEWHERE, sent_at=sent_at)

    def under_way(self, operation: str, system_id: SystemId) -> StartRequest | None:
        """The request for an operation on a machine that MAAS has not answered."""
        on = self._on.get((operation, system_id), ())
        return next((each for each in on if each.under_way), None)

    def all_under_way(self) -> list[StartRequest]:
        """Those that MAAS has not answered."""
        return [each for each in self._all if each.under_way]

    def latest(self, operation: str, system_id: SystemId) -> StartRequest | None:
        """The last request for an operation on a machine, as far as it is remembered."""
        return next(reversed(self._on.get((operation, system_id), ())), None)

    def _forget(self, request: StartRequest) -> None:
        self._all.remove(request)
        key = request.handle.operation, request.handle.system_id
        self._on[key].remove(request)
        if not self._on[key]:
            del self._on[key]


def _refused(what: str, refusal: BaseException) -> OperationError:
    """A refusal that came when nobody waited for it any longer."""
    if isinstance(refusal, OperationError):
        return refusal
    if isinstance(refusal, MaasMcpError):
        return OperationRefusedError(
            f"MAAS refused to start {what}: {refusal.message}",
            hint=refusal.hint,
            maas_says=refusal.maas_says,
            next_steps=refusal.next_steps,
        )
    return OperationFailedError(
        f"{what} could not be started: it failed inside its plugin ({type(refusal).__name__}).",
        hint="The server's log has the details. What was already asked of MAAS may have taken effect.",
    )
