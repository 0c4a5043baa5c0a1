"""Running calls by connection, so that a client cancels only its own calls."""

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
    """The id by which the client cancels the call, unique only within its connection."""
    token: CancellationToken = field(default_factory=CancellationToken)
    follows: tuple[str, SystemId] | None = None
    """The name and machine of the operation that the call follows, if any."""
    region: str = ""
    """The region that the call uses, if the principal has several."""

    @contextmanager
    def following(self, operation: str, system_id: SystemId) -> Iterator[None]:
        """Set ``follows`` during the block."""
        before, self.follows = self.follows, (operation, system_id)
        try:
            yield
        finally:
            self.follows = before


class Connection:
    """The running calls of one client.

    Args:
        principal: The caller.
    """

    def __init__(self, principal: Principal = LOCAL) -> None:
        self.principal = principal
        self._running: set[RunningCall] = set()

    @contextmanager
    def running(self, request_id: str | int | None = None) -> Iterator[RunningCall]:
        """Register a call during the block."""
        call = RunningCall(request_id)
        self._running.add(call)
        try:
            with call.token.guard():
                yield call
        finally:
            self._running.discard(call)

    @contextmanager
    def outliving(
        self, token: CancellationToken, operation: str, system_id: SystemId, region: str = ""
    ) -> Iterator[None]:
        """Register the rest of an answered call during the block: work on an operation that ``token`` stops."""
        call = RunningCall(token=token, follows=(operation, system_id), region=region)
        self._running.add(call)
        try:
            yield
        finally:
            self._running.discard(call)

    def running_calls(self) -> list[RunningCall]:
        """The running calls of this client."""
        return list(self._running)

    def cancel(self) -> None:
        """Cancel all calls, as the client would."""
        for call in self._running:
            call.token.cancel()

    def announce_client_cancel(self, request_id: str | int) -> None:
        """Announce that the client cancels a request. Only this reason may trigger ``on_cancel=abort``."""
        for call in self._running:
            if call.request_id == request_id:
                call.token.announce(CancelReason.CLIENT)

    def announce_lost(self) -> None:
        """Announce that the connection is lost. Cancellations for this reason never abort an operation in MAAS."""
        for call in self._running:
            call.token.announce(CancelReason.CONNECTION_LOST)

    def shut_down(self) -> None:
        """End all calls because the server stops. Their operations continue in MAAS."""
        for call in list(self._running):
            call.token.cancel(CancelReason.SHUTDOWN)

    def stop_following(self, operation: str, system_id: SystemId, region: str = "") -> None:
        """Do the same as :meth:`Connections.stop_following` for this connection's calls."""
        for call in self._running:
            if (call.follows, call.region) == ((operation, system_id), region):
                call.token.cancel(CancelReason.CANCEL_TOOL)


class Connections:
    """The connections of a server, with all running calls."""

    def __init__(self) -> None:
        self._connections: WeakSet[Connection] = WeakSet()

    def connect(self, principal: Principal = LOCAL) -> Connection:
        """Add a connection of a principal."""
        connection = Connection(principal)
        self._connections.add(connection)
        return connection

    def running_calls(self) -> list[RunningCall]:
        """All running calls."""
        return [call for connection in list(self._connections) for call in connection.running_calls()]

    def stop_following(self, principal: Principal, operation: str, system_id: SystemId, region: str = "") -> None:
        """End the principal's calls that follow this operation of a region. The operation continues in MAAS."""
        for connection in list(self._connections):
            if connection.principal.name == principal.name:
                connection.stop_following(operation, system_id, region)

    def shut_down(self) -> None:
        """End all calls because the server stops. Their operations continue in MAAS."""
        for connection in list(self._connections):
            connection.shut_down()
