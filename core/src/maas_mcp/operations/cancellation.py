"""The cancellation token: one operation's "stop", from whichever side it comes."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from maas_mcp.errors import OperationCancelledError


class CancellationToken:
    """Tells a running tool to stop, and tells others that it was stopped.

    A cancelled MCP request, a closed connection and :meth:`cancel` all end at the same place: the scope that
    :meth:`guard` opened. What waits inside it, a request to MAAS included, is closed at once.
    """

    def __init__(self) -> None:
        self._cancelled = False
        self._detached = False
        self._scopes: list[anyio.CancelScope] = []

    @property
    def cancelled(self) -> bool:
        """Whether the operation was told to stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Tell the operation to stop. Further calls change nothing."""
        self._cancelled = True
        for scope in self._scopes:
            scope.cancel()

    @property
    def detached(self) -> bool:
        """Whether the connection was lost: then nothing may be undone, whatever the policy."""
        return self._detached

    def detach(self) -> None:
        """The connection is lost; the cancellation that follows is nobody's wish."""
        self._detached = True

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
