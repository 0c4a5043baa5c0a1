"""The calls under way: what they follow, so that one call can stop another, and all learn of a lost connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import CancellationToken


@dataclass(eq=False, slots=True)
class Call:
    """One running call."""

    request_id: str | int | None = None
    """What the client names it by when it cancels it."""
    token: CancellationToken = field(default_factory=CancellationToken)
    follows: tuple[str, SystemId] | None = None
    """The operation's name and its machine, if the call follows one."""


class Calls:
    """All running calls of a server."""

    def __init__(self) -> None:
        self._running: set[Call] = set()

    @contextmanager
    def running(self, request_id: str | int | None = None) -> Iterator[Call]:
        """A call, for as long as it runs."""
        call = Call(request_id)
        self._running.add(call)
        try:
            with call.token.guard():
                yield call
        finally:
            self._running.discard(call)

    def stop_following(self, operation: str, system_id: SystemId) -> None:
        """End the calls that follow this operation; what MAAS does is not undone by that."""
        for call in self._running:
            if call.follows == (operation, system_id):
                call.token.cancel(undo=False)

    def cancel_wanted(self, request_id: str | int) -> None:
        """The client asks to cancel this request: then, and only then, may its policy undo something."""
        for call in self._running:
            if call.request_id == request_id:
                call.token.want()

    def connection_lost(self) -> None:
        """Let no cancellation that follows undo anything: nobody has asked for it."""
        for call in self._running:
            call.token.detach()
