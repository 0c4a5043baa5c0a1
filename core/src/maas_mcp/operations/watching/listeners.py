"""The listeners of a watcher, which receive the new events of all machines."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from maas_mcp.maas.models import Event
from maas_mcp.operations.event_news import IDLE, EventNews, Listener

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Listening:
    """A listener."""

    listener: Listener
    idle: float
    is_new: bool = True
    """Whether it has received no news yet: it then does not know what happened before."""


class Listeners:
    """The listeners."""

    def __init__(self) -> None:
        self._listening: dict[_Listening, None] = {}

    def __bool__(self) -> bool:
        return bool(self._listening)

    @property
    def idle(self) -> float:
        """Maximum seconds between two polls while no operation is followed."""
        return min((each.idle for each in self._listening), default=IDLE)

    @contextmanager
    def adding(self, listener: Listener, idle: float) -> Iterator[None]:
        """Add a listener during the block."""
        listening = _Listening(listener, idle)
        self._listening[listening] = None
        try:
            yield
        finally:
            self._listening.pop(listening, None)  # it may have failed

    def pass_on(self, events: Sequence[Event], *, complete: bool, asked: float) -> None:
        """Pass news to each listener. One that raises is removed."""
        for each in tuple(self._listening):
            news = EventNews(events, complete and not each.is_new, asked)
            each.is_new = False
            try:
                each.listener(news)
            except Exception:
                logger.exception("A listener of events failed, and receives no more of them")
                self._listening.pop(each, None)
