"""The calls under way, by the connection that they came by: a client cancels its own calls, and no other's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakSet

from maas_mcp.calls.principal import LOCAL, Principal
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import CancellationToken, CancelReason


@dataclass(eq=False, slots=True)
class RunningCall:
    """One running call."""

    request_id: str | int | None = None
    """What the client names it by when it cancels it: unique within its connection only."""
    token: CancellationToken = field(default_factory=CancellationToken)
    follows: tuple[str, SystemId] | None = None
    """The operation's name and its machine, if the call follows one."""

    @contextmanager
    def following(self, operation: str, system_id: SystemId) -> Iterator[None]:
        """Note what it follows for as long as the block runs."""
        before, self.follows = self.follows, (operation, system_id)
        try:
            yield
        finally:
            self.follows = before


class Connection:
    """The running calls of one client.

    Args:
        principal: Whose calls they are.
    """

    def __init__(self, principal: Principal = LOCAL) -> None:
        self.principal = principal
        self._running: set[RunningCall] = set()

    @contextmanager
    def running(self, request_id: str | int | None = None) -> Iterator[RunningCall]:
        """A call, for as long as it runs."""
        call = RunningCall(request_id)
        self._running.add(call)
        try:
            with call.token.guard():
                yield call
        finally:
            self._running.discard(call)

    def cancel(self) -> None:
        """Cancel all of its calls, as the client would."""
        for call in self._running:
            call.token.cancel()

    def cancelled_by_client(self, request_id: str | int) -> None:
        """The client asks to cancel this request: then, and only then, may its policy undo something."""
        for call in self._running:
            if call.request_id == request_id:
                call.token.announce(CancelReason.CLIENT)

    def lost(self) -> None:
        """The client is gone: no cancellation that follows undoes anything, because nobody has asked for it."""
        for call in self._running:
            call.token.announce(CancelReason.CONNECTION_LOST)

    def shut_down(self) -> None:
        """The server stops: end all calls. What MAAS does is not undone by that."""
        for call in list(self._running):
            call.token.cancel(CancelReason.SHUTDOWN)

    def stop_following(self, operation: str, system_id: SystemId) -> None:
        """As :meth:`Connections.stop_following`, among the calls of this connection."""
        for call in self._running:
            if call.follows == (operation, system_id):
                call.token.cancel(CancelReason.CANCEL_TOOL)


class Connections:
    """The connections of a server, and through them all running calls."""

    def __init__(self) -> None:
        self._connections: WeakSet[Connection] = WeakSet()

    def connect(self, principal: Principal = LOCAL) -> Connection:
        """A new connection of a principal."""
        connection = Connection(principal)
        self._connections.add(connection)
        return connection

    def stop_following(self, principal: Principal, operation: str, system_id: SystemId) -> None:
        """End a principal's own calls that follow this operation; what MAAS does is not undone by that."""
        for connection in list(self._connections):
            if connection.principal.name == principal.name:
                connection.stop_following(operation, system_id)

    def shut_down(self) -> None:
        """The server stops: end all calls. What MAAS does is not undone by that."""
        for connection in list(self._connections):
            connection.shut_down()
