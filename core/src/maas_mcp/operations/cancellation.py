"""The cancellation token: one operation's "stop", from whichever side it comes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final

import anyio

from maas_mcp.errors import OperationCancelledError

PARTING: Final = 1.0
"""Seconds for what has to be undone once the connection is lost: a client kills about two after it closed stdin."""


STOPPING: Final = "The server is stopping and no longer follows the operation, which continues in MAAS."


class CancelReason(Enum):
    """Why an operation was told to stop. Only a client's wish may make MAAS abort what was begun."""

    CLIENT = auto()
    """The client cancelled its request."""
    CANCEL_TOOL = auto()
    """Another call stopped this one from following. It orders MAAS to abort by itself, if that is wanted."""
    CONNECTION_LOST = auto()
    """The client is gone: a client that loses its network must not take a rack with it."""
    SHUTDOWN = auto()
    """The server ends or fails: of a cancellation that simply arrives, nobody knows why."""


class CancellationToken:
    """Tells a running tool to stop, and tells others that it was stopped, and why.

    A cancelled MCP request, a closed connection and ``cancel`` all end at the same place: the scope that
    ``guard`` opened. What waits inside it, a request to MAAS included, is closed at once.
    """

    def __init__(self) -> None:
        self._reason: CancelReason | None = None
        self._cancelled = False
        self._limit = math.inf
        """Seconds for what has to be undone."""
        self._scopes: list[anyio.CancelScope] = []
        self._undoing: list[anyio.CancelScope] = []

    @property
    def cancelled(self) -> bool:
        """Whether the operation was told to stop."""
        return self._cancelled

    @property
    def reason(self) -> CancelReason | None:
        """Why it was told to stop, or will be; the first reason stays."""
        return self._reason

    def cancel(self, reason: CancelReason = CancelReason.CLIENT) -> None:
        """Tell the operation to stop. Further calls change nothing."""
        self.announce(reason)
        self._cancelled = True
        for scope in self._scopes:
            scope.cancel()

    def announce(self, reason: CancelReason) -> None:
        """Say why a cancellation that may follow has come. Once the connection is lost, what has to be undone hurries.

        The SDK cancels a request in the same way whatever the reason is. So the reason comes before.
        """
        self._reason = self._reason or reason
        if reason is CancelReason.CONNECTION_LOST:
            self._limit = PARTING
            for scope in self._undoing:
                scope.deadline = min(scope.deadline, anyio.current_time() + PARTING)

    def raise_if_cancelled(self) -> None:
        """Leave now if the operation was told to stop.

        Raises:
            OperationCancelledError: It was.
        """
        if self._cancelled:
            raise self._error()

    def _error(self) -> OperationCancelledError:
        return OperationCancelledError(STOPPING) if self._reason is CancelReason.SHUTDOWN else OperationCancelledError()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or less if the operation is told to stop.

        Raises:
            OperationCancelledError: It was told to stop.
        """
        with self.guard():
            await anyio.sleep(seconds)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run a block that ends when the operation is told to stop.

        Raises:
            OperationCancelledError: ``cancel`` was called. A cancellation from outside, as of the whole MCP
                request, passes through unchanged and leaves the token cancelled.
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
        """Run a block that is not ended by the operation's being told to stop: what undoes half a beginning.

        It has ``seconds``, and one where the connection is lost: then the scope says that it was cancelled.
        """
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + min(seconds, self._limit)) as scope:
            self._undoing.append(scope)
            try:
                yield scope
            finally:
                self._undoing.remove(scope)


def is_cancellation(error: BaseException) -> bool:
    """Whether what arrived here is the cancellation of a scope around this place, and nothing that somebody raised."""
    return isinstance(error, anyio.get_cancelled_exc_class()) and anyio.current_effective_deadline() == -math.inf
