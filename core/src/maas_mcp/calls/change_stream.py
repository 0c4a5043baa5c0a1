"""Sends operation changes to observers in threads, so that an observer never delays an operation."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange

logger = logging.getLogger(__name__)

BACKLOG: Final = 1000
"""Maximum pending changes of an observer. An observer with more is dropped."""
MAX_REMEMBERED: Final = 1000
"""Operations whose latest change is kept, so that two calls that follow an operation report a change only once."""


@dataclass(frozen=True, slots=True)
class Observer:
    """A receiver of operation changes."""

    name: str
    """For the log."""
    show: Callable[[OperationChange], object]
    """Called in a thread, with one change at a time."""


class ChangeStream:
    """Passes changes to observers.

    Args:
        observers: Each one is called in its own thread.
        tasks: The task group that calls them. Pending changes are lost when it ends.
        immediate: The server's own observers, which are called at once in the task of the call. They do not raise.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        tasks: TaskGroup,
        immediate: Sequence[Callable[[OperationChange], None]] = (),
    ) -> None:
        self._immediate = tuple(immediate)
        self._backlogs: dict[str, MemoryObjectSendStream[OperationChange]] = {}
        self._latest: dict[str, OperationChange] = {}
        for observer in observers:
            send, receive = anyio.create_memory_object_stream[OperationChange](BACKLOG)
            self._backlogs[observer.name] = send
            tasks.start_soon(self._show, observer, send, receive)

    @property
    def observed(self) -> bool:
        """Whether there is an observer."""
        return bool(self._backlogs or self._immediate)

    def publish(self, change: OperationChange) -> None:
        """Send a change to the observers, unless it was already sent. Returns at once."""
        before = self._latest.pop(change.operation_id, None)
        self._latest[change.operation_id] = change
        if len(self._latest) > MAX_REMEMBERED:
            del self._latest[next(iter(self._latest))]
        if before == change or (before is not None and before.kind is ChangeKind.ENDED):
            self._latest[change.operation_id] = before
            return
        for show in self._immediate:
            show(change)
        for name, backlog in list(self._backlogs.items()):
            try:
                backlog.send_nowait(change)
            except anyio.WouldBlock:
                self._drop(name, f"it is {BACKLOG} changes behind")

    async def _show(
        self,
        observer: Observer,
        backlog: MemoryObjectSendStream[OperationChange],
        changes: MemoryObjectReceiveStream[OperationChange],
    ) -> None:
        limiter = anyio.CapacityLimiter(1)
        with changes, backlog:
            async for change in changes:
                failure = await anyio.to_thread.run_sync(
                    _call_observer, observer, change, abandon_on_cancel=True, limiter=limiter
                )
                if failure is not None:
                    self._drop(observer.name, f"it raised {failure}")
                    return

    def _drop(self, name: str, why: str) -> None:
        backlog = self._backlogs.pop(name, None)
        if backlog is not None:
            backlog.close()
            logger.warning("%s no longer receives operation changes: %s", name, why)


def _call_observer(observer: Observer, change: OperationChange) -> str | None:
    """Call an observer with a change, and return the type of a raised exception. Runs in a thread."""
    try:
        observer.show(change)
    except BaseException as error:
        logger.debug("%s failed", observer.name, exc_info=True)
        return type(error).__name__
    return None
