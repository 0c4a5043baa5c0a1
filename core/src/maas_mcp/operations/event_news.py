"""News of MAAS's event log, for code that listens to the events of all machines."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from maas_mcp.maas.models import Event

IDLE: Final = 15.0
"""Seconds between two polls while no operation is followed: 240 requests an hour."""


@dataclass(frozen=True, slots=True)
class EventNews:
    """The result of one poll of the event log."""

    events: Sequence[Event]
    """The new events of all machines that the user may see, oldest first. Each event is reported once."""
    complete: bool
    """Whether these are all events since the previous news. It is false for the first news, after a reset of the log,
    and if there were too many events to read. Then anything may have changed."""
    asked: float
    """The time of anyio's clock before the request was sent."""


Listener = Callable[[EventNews], None]
"""Receives news, and returns at once."""


class Events(Protocol):
    """The event log of the region, as ``ctx.events`` of a lifespan."""

    def listen(self, listener: Listener, *, idle: float = IDLE) -> AbstractContextManager[None]:
        """Pass the news of each poll to a listener during the block, also if there are no new events.

        The polls are those that follow operations, so they are more frequent while operations run. A failed poll
        calls no listener. A listener that raises is removed, and the error is logged.

        Args:
            listener: Receives the news.
            idle: Maximum seconds between two polls while no operation is followed.
        """
        ...
