"""Start requests: each waits for its turn, is sent once, and stays open until MAAS answers.

MAAS talks to a machine's BMC before it answers, which can take minutes. If the call ends earlier, the server keeps the
request open: closing the connection would not stop MAAS, and its late response may be a refusal. After a restart, only
the age of an earlier request is known.
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
from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import format_duration
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.wording import WAITING, answer_of

logger = logging.getLogger(__name__)

KEPT: Final = 256
"""Maximum remembered requests that MAAS has answered."""

Send = Callable[[MaasClient], Awaitable[None]]
"""Sends the request, or runs the check before it, through a client that has its turn."""


class RequestState(Enum):
    """The state of a start request."""

    WAITING = auto()
    """It waits for its turn. MAAS has not received it."""
    SENT = auto()
    """It was sent. MAAS has not answered."""
    ACCEPTED = auto()
    """MAAS accepted it."""
    UNCERTAIN = auto()
    """The response was lost, or does not show whether MAAS accepted it."""
    REFUSED = auto()
    """MAAS refused it, it failed, or it was never sent."""
    ELSEWHERE = auto()
    """Another process sent it, or this process has forgotten it. Only its age is known."""


class StartRequest:
    """One start request. Times are on anyio's clock.

    Args:
        handle: The operation that it starts.
        timing: How long MAAS may take to show a start.
        args: The caller's arguments.
        state: ``ELSEWHERE`` for a request of another process.
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
        """When it was sent. Until then it can be withdrawn."""
        self.answered_at = sent_at
        """When MAAS answered, or when the response was lost."""
        self.failure: BaseException | None = None
        self._timing = timing
        self._withdrawn: Exception = OperationRevertedError("The request was withdrawn before it was sent to MAAS.")
        self._scope = anyio.CancelScope()
        self._turn = anyio.Event()
        self._over = anyio.Event()

    @property
    def is_pending(self) -> bool:
        """Whether MAAS has yet to answer."""
        return self.state in {RequestState.WAITING, RequestState.SENT}

    @property
    def ambiguous_error(self) -> MaasError | None:
        """The error that leaves uncertain whether MAAS carries out the request; ``None`` without one."""
        return self.failure if self.state is RequestState.UNCERTAIN and isinstance(self.failure, MaasError) else None

    @property
    def refusal(self) -> BaseException | None:
        """The reason why nothing was started."""
        return self.failure if self.state is RequestState.REFUSED else None

    @property
    def may_still_start(self) -> bool:
        """Whether MAAS may still start it."""
        return self.refusal is None and (self.is_pending or not self.is_overdue(anyio.current_time()))

    def is_overdue(self, read_at: float) -> bool:
        """Whether a read of MAAS at that time should have shown the start.

        The time counts from MAAS's response, or from the loss of it.
        """
        if self.is_pending:
            return False
        grace = (
            self._timing.start_grace if self.ambiguous_error is None else self._timing.grace_after(self.ambiguous_error)
        )
        return read_at >= self.answered_at + grace

    @property
    def age(self) -> float:
        """Seconds since it was sent."""
        return anyio.current_time() - self.sent_at

    def describe(self) -> str:
        """The state of the request in words, for the time before MAAS shows a start."""
        match self.state:
            case RequestState.WAITING:
                return WAITING
            case RequestState.SENT:
                age = format_duration(self.age)
                return f"Not confirmed yet: the request was sent {age} ago, and MAAS has not answered"
            case RequestState.ACCEPTED:
                return "MAAS accepted the request"
            case RequestState.UNCERTAIN if self.ambiguous_error is not None:
                return f"{answer_of(self.ambiguous_error)}; it is not known yet whether it started"
            case RequestState.REFUSED:
                return "MAAS did not start it"
        return "MAAS does not show yet that it started"

    def check_refusal(self, what: str) -> None:
        """Raise a refusal that arrived after the call had ended.

        Raises:
            OperationError: MAAS refused to start ``what``, or could not be reached.
        """
        if self.refusal is not None:
            raise refused(what, self.refusal)

    async def wait_for_turn(self, until: float) -> bool:
        """Wait until the request is sent or has failed. Returns whether that happened in time."""
        with anyio.CancelScope(deadline=until):
            await self._turn.wait()
        return self._turn.is_set()

    async def wait_for_answer(self, until: float = math.inf) -> bool:
        """Wait for MAAS's response. Returns whether it arrived in time.

        Raises:
            Exception: MAAS refused the request, or the plugin failed to send it.
        """
        await self.wait_until_answered(until)
        if self.refusal is not None:
            raise self.refusal
        return not self.is_pending

    async def wait_until_answered(self, until: float = math.inf) -> None:
        """Wait for MAAS's response or the loss of it. Raises nothing."""
        with anyio.CancelScope(deadline=until):
            await self._over.wait()

    async def withdraw(self, reason: OperationError | None = None) -> None:
        """Withdraw the request if it was not sent. ``reason`` is the error that its callers get."""
        if self.state is RequestState.WAITING:
            self._withdrawn = reason or self._withdrawn
            await self.close()

    async def close(self) -> None:
        """Withdraw the request or close its connection. MAAS may continue with a request that was sent."""
        self._scope.cancel()
        with anyio.move_on_after(self._timing.withdraw_limit, shield=True):
            await self._over.wait()

    async def carry_out(self, send: Send, check: Send, maas: MaasClient) -> None:
        """Send the request when its turn comes, wait for the response, and record it."""
        try:
            with self._scope:
                async with maas.turn() as client:

                    async def before_sending(_change: ChangeRequest) -> None:
                        if self.state is RequestState.WAITING:
                            await check(client)
                            self._mark_sent()

                    await send(client.before_change(before_sending))
                    self._mark_sent()
        except BaseException as error:
            if is_cancellation(error):
                raise
            self.failure = error
            if not isinstance(error, MaasMcpError):
                logger.exception("%s could not be started", self.handle.operation)
        else:
            if self._scope.cancelled_caught:
                closed = MaasUnavailableError("The connection was closed before MAAS answered the request.")
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
    """The start requests of a process.

    Args:
        tasks: The task group in which requests wait. It ends with the server.
        now: Seconds since 1970.
        timing: The timeouts of everything that shares these requests.
    """

    def __init__(self, tasks: TaskGroup, *, now: Callable[[], float] = time.time, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self._tasks = tasks
        self._now = now
        self._all: list[StartRequest] = []
        self._by_target: defaultdict[tuple[str, SystemId], list[StartRequest]] = defaultdict(list)
        """The requests by operation and machine."""

    def submit(
        self, handle: Handle, send: Send, maas: MaasClient, *, check: Send, args: BaseModel | None = None
    ) -> StartRequest:
        """Submit the start request for ``handle``.

        Args:
            handle: The operation.
            send: Called once, when the request has its turn.
            maas: The region. Its turns limit concurrent requests.
            check: Called just before the request, after all reads of ``send``. It may raise to prevent the request.
            args: The caller's arguments.
        """
        request = StartRequest(handle, self.timing, args)
        self._all.append(request)
        self._by_target[handle.operation, handle.system_id].append(request)
        self._tasks.start_soon(request.carry_out, send, check, maas)
        over = [each for each in self._all if not each.is_pending]
        for forgotten in over[:-KEPT]:
            self._forget(forgotten)
        return request

    def find(self, handle: Handle) -> StartRequest:
        """The request for ``handle``; its state is ``ELSEWHERE`` if this process remembers none."""
        for request in reversed(self._by_target.get((handle.operation, handle.system_id), ())):
            if (request.handle.started, request.handle.cursor) == (handle.started, handle.cursor):
                return request
        sent_at = anyio.current_time() - (self._now() - handle.started)
        return StartRequest(handle, self.timing, state=RequestState.ELSEWHERE, sent_at=sent_at)

    def pending(self, operation: str, system_id: SystemId) -> StartRequest | None:
        """The unanswered request for an operation on a machine."""
        on = self._by_target.get((operation, system_id), ())
        return next((each for each in on if each.is_pending), None)

    def all_pending(self) -> list[StartRequest]:
        """All unanswered requests."""
        return [each for each in self._all if each.is_pending]

    def latest(self, operation: str, system_id: SystemId) -> StartRequest | None:
        """The last request for an operation on a machine, if it is remembered."""
        return next(reversed(self._by_target.get((operation, system_id), ())), None)

    def _forget(self, request: StartRequest) -> None:
        self._all.remove(request)
        key = request.handle.operation, request.handle.system_id
        self._by_target[key].remove(request)
        if not self._by_target[key]:
            del self._by_target[key]


def refused(what: str, refusal: BaseException) -> OperationError:
    """The error for a refusal that arrived after the call had ended."""
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
        f"{what} could not be started: its plugin failed with {type(refusal).__name__}.",
        hint="See the server's log. Requests that were already sent to MAAS may have taken effect.",
    )
