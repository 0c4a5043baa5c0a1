"""Observers of a client's responses: the machines that MAAS returns, and the changes that were sent."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.maas.reading import JSON

logger = logging.getLogger(__name__)

_MACHINES: Final = re.compile(r"machines/(?:[^/]+/)?")
"""Paths at which MAAS returns machines."""


class ClientObserver(Protocol):
    """Observes a client and all clients that are derived from the same one.

    Both methods return at once. If one raises, the error is logged, and the request continues.
    """

    def machines_read(self, machines: Sequence[JSON], asked: float) -> None:
        """MAAS has returned machines: in response to a read without ``get_as``, or to a change.

        The response to a change may show the machine as it was before (MAAS 3.7, ``op=abort``). ``change_ended``
        follows.

        Args:
            machines: The JSON objects of MAAS, which must not be changed.
            asked: The time of anyio's clock before the request was sent. Later changes may be missing.
        """
        ...

    def change_ended(self, change: ChangeRequest, asked: float) -> None:
        """A change was answered or refused, or its response was lost. MAAS may have acted in each case.

        Args:
            change: The change.
            asked: The time of anyio's clock before the request was sent.
        """
        ...


class ClientObservers:
    """The observers of a client."""

    def __init__(self) -> None:
        self._observers: dict[object, ClientObserver] = {}

    @contextmanager
    def adding(self, observer: ClientObserver) -> Iterator[None]:
        """Add an observer during the block."""
        key = object()
        self._observers[key] = observer
        try:
            yield
        finally:
            del self._observers[key]

    def note_response(self, path: str, response: JSON, asked: float) -> None:
        """Pass on the machines in a response."""
        if self._observers and _MACHINES.fullmatch(path) and (machines := _machines_in(response)):
            self._notify(lambda each: each.machines_read(machines, asked))

    def note_change(self, change: ChangeRequest, asked: float) -> None:
        """Pass on that a change has ended."""
        self._notify(lambda each: each.change_ended(change, asked))

    def _notify(self, notify: Callable[[ClientObserver], None]) -> None:
        for observer in tuple(self._observers.values()):
            try:
                notify(observer)
            except Exception:
                logger.exception("An observer of the MAAS client failed")


def _machines_in(response: JSON) -> list[JSON]:
    entries = response if isinstance(response, list) else [response]
    return [each for each in entries if isinstance(each, dict) and "system_id" in each]
