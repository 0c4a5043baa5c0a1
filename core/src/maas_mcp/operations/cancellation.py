"""The cancellation token: one operation's "stop", from whichever side it comes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from maas_mcp.errors import OperationCancelledError

PARTING: Final = 1.0
"""Seconds for what has to be undone once the connection is lost: a client kills about two after it closed stdin."""


class CancellationToken:
    """Tells a running tool to stop, and tells others that it was stopped.

    A cancelled MCP request, a closed connection and :meth:`cancel` all end at the same place: the scope that
    :meth:`guard` opened. What waits inside it, a request to MAAS included, is closed at once.

    A cancellation undoes nothing unless somebody asked for it: of one that simply arrives, as when the server fails,
    nobody knows why.
    """

    def __init__(self) -> None:
        self._cancelled = False
        self._wanted = False
        self._lost = False
        self._scopes: list[anyio.CancelScope] = []
        self._undoing: list[anyio.CancelScope] = []

    @property
    def cancelled(self) -> bool:
        """Whether the operation was told to stop."""
        return self._cancelled

    def cancel(self, *, undo: bool = True) -> None:
        """Tell the operation to stop. Further calls change nothing.

        Args:
            undo: Whether its policy may have MAAS abort it; else it is only no longer followed.
        """
        self._wanted = undo and not self._lost
        self._cancelled = True
        for scope in self._scopes:
            scope.cancel()

    def want(self) -> None:
        """The client has asked for the cancellation that follows."""
        self._wanted = not self._lost

    @property
    def detached(self) -> bool:
        """Whether nothing may be undone, whatever the policy: nobody asked for that, or the connection was lost."""
        return not self._wanted

    def detach(self) -> None:
        """The connection is lost: a cancellation that follows is nobody's wish, and one that was asked for hurries."""
        self._lost = True
        for scope in self._undoing:
            scope.deadline = min(scope.deadline, anyio.current_time() + PARTING)

    def raise_if_cancelled(self) -> None:
        """Leave now if the operation was told to stop.

        Raises:
            OperationCancelledError: It was.
        """
        if self._cancelled:
            raise OperationCancelledError

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
            OperationCancelledError: :meth:`cancel` was called. A cancellation from outside, as of the whole MCP
                request, passes through unchanged and leaves the token cancelled.
        """
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            try:
                self.raise_if_cancelled()
                yield
            except anyio.get_cancelled_exc_class():
                self._cancelled = True
                raise
            finally:
                self._scopes.remove(scope)
        if scope.cancelled_caught:
            raise OperationCancelledError

    @contextmanager
    def undoing(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Run a block that is not ended by the operation's being told to stop: what undoes half a beginning.

        It has ``seconds``, and one where the connection is lost: then the scope says that it was cancelled.
        """
        limit = min(seconds, PARTING) if self._lost else seconds
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + limit) as scope:
            self._undoing.append(scope)
            try:
                yield scope
            finally:
                self._undoing.remove(scope)


def is_cancellation(error: BaseException) -> bool:
    """Whether what arrived here is the cancellation of a scope around this place, and nothing that somebody raised."""
    return isinstance(error, anyio.get_cancelled_exc_class()) and anyio.current_effective_deadline() == -math.inf
