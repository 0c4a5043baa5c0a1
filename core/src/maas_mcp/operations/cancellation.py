"""The cancellation token, which stops one operation for every kind of cancellation."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final

import anyio

from maas_mcp.errors import OperationCancelledError

DISCONNECT_CLEANUP: Final = 1.0
"""Seconds for cleanup after the connection is lost: clients kill the server about two seconds after closing stdin."""


STOPPING: Final = "The server is stopping and no longer follows the operation, which continues in MAAS."


class CancelReason(Enum):
    """Why an operation was cancelled. Only a client's cancellation may abort the operation in MAAS."""

    CLIENT = auto()
    """The client cancelled its request."""
    CANCEL_TOOL = auto()
    """Another call stopped this one. That call requests the abort itself, if the user wants one."""
    CONNECTION_LOST = auto()
    """The client disconnected. MAAS continues: a network failure at the client must not abort a rack of machines."""
    SHUTDOWN = auto()
    """The server is stopping or has failed. Also used for a cancellation without a known reason."""


class CancellationToken:
    """Cancels a running tool, and records that it was cancelled and why.

    A cancelled MCP request, a closed connection and ``cancel`` all cancel the scope that ``guard`` opened. Anything
    that waits inside it, including a request to MAAS, is closed at once.
    """

    def __init__(self) -> None:
        self._reason: CancelReason | None = None
        self._cancelled = False
        self._limit = math.inf
        """Seconds for cleanup."""
        self._scopes: list[anyio.CancelScope] = []
        self._undoing: list[anyio.CancelScope] = []

    @property
    def cancelled(self) -> bool:
        """Whether the operation was cancelled."""
        return self._cancelled

    @property
    def reason(self) -> CancelReason | None:
        """Why the operation was cancelled or is about to be. The first reason wins."""
        return self._reason

    def cancel(self, reason: CancelReason = CancelReason.CLIENT) -> None:
        """Cancel the operation. Further calls have no effect."""
        self.announce(reason)
        self._cancelled = True
        for scope in self._scopes:
            scope.cancel()

    def announce(self, reason: CancelReason) -> None:
        """Record the reason before a possible cancellation. A lost connection also shortens the time for cleanup.

        The MCP SDK cancels requests without a reason, so the reason must be recorded first.
        """
        self._reason = self._reason or reason
        if reason is CancelReason.CONNECTION_LOST:
            self._limit = DISCONNECT_CLEANUP
            for scope in self._undoing:
                scope.deadline = min(scope.deadline, anyio.current_time() + DISCONNECT_CLEANUP)

    def raise_if_cancelled(self) -> None:
        """Raise if the operation was cancelled.

        Raises:
            OperationCancelledError: The operation was cancelled.
        """
        if self._cancelled:
            raise self._error()

    def _error(self) -> OperationCancelledError:
        return OperationCancelledError(STOPPING) if self._reason is CancelReason.SHUTDOWN else OperationCancelledError()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or less if the operation is cancelled.

        Raises:
            OperationCancelledError: The operation was cancelled.
        """
        with self.guard():
            await anyio.sleep(seconds)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run a block that ends when the operation is cancelled.

        Raises:
            OperationCancelledError: ``cancel`` was called. A cancellation from outside, for example of the whole MCP
                request, propagates unchanged and marks the token as cancelled.
        """
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            try:
                self.raise_if_cancelled()
                yield
            except anyio.get_cancelled_exc_class():
                self._reason = self._reason or CancelReason.SHUTDOWN
                self._cancelled = True
                raise
            finally:
                self._scopes.remove(scope)
        if scope.cancelled_caught:
            raise self._error()

    @contextmanager
    def undoing(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Run a cleanup block that a cancellation does not interrupt.

        The block has ``seconds``, or one second after the connection was lost. On timeout, the scope's
        ``cancelled_caught`` is true.
        """
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + min(seconds, self._limit)) as scope:
            self._undoing.append(scope)
            try:
                yield scope
            finally:
                self._undoing.remove(scope)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is the cancellation of an enclosing scope, rather than one raised by other code."""
    return isinstance(error, anyio.get_cancelled_exc_class()) and anyio.current_effective_deadline() == -math.inf
