"""The stream of changes: every observer is shown them off the event loop, and no operation ever feels one."""

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
"""Changes that an observer may be behind; one that is further behind is dropped."""
REMEMBERED: Final = 1000
"""Operations whose latest change is remembered, so that two calls that follow one do not report it twice."""


@dataclass(frozen=True, slots=True)
class Observer:
    """What is shown the changes."""

    name: str
    """For the log: whose it is."""
    show: Callable[[OperationChange], object]
    """Called in a thread, with one change at a time."""


class ChangeStream:
    """Passes changes on to observers.

    Args:
        observers: Each has a thread of its own while it is called.
        tasks: Where they are called; what is not shown when it ends is lost.
    """

    def __init__(self, observers: Sequence[Observer], tasks: TaskGroup) -> None:
        self._backlogs: dict[str, MemoryObjectSendStream[OperationChange]] = {}
        self._latest: dict[str, OperationChange] = {}
        for observer in observers:
            send, receive = anyio.create_memory_object_stream[OperationChange](BACKLOG)
            self._backlogs[observer.name] = send
            tasks.start_soon(self._show, observer, send, receive)

    @property
    def observed(self) -> bool:
        """Whether there is an observer."""
        return bool(self._backlogs)

    def publish(self, change: OperationChange) -> None:
        """Show a change, unless the same was shown already. Returns at once."""
        before = self._latest.pop(change.operation_id, None)
        self._latest[change.operation_id] = change
        if len(self._latest) > REMEMBERED:
            del self._latest[next(iter(self._latest))]
        if before == change or (before is not None and before.kind is ChangeKind.ENDED):
            self._latest[change.operation_id] = before
            return
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
                    _shown, observer, change, abandon_on_cancel=True, limiter=limiter
                )
                if failure is not None:
                    self._drop(observer.name, f"it raised {failure}")
                    return

    def _drop(self, name: str, why: str) -> None:
        backlog = self._backlogs.pop(name, None)
        if backlog is not None:
            backlog.close()
            logger.warning("%s is not shown operations any longer: %s", name, why)


def _shown(observer: Observer, change: OperationChange) -> str | None:
    """Show one change; what was raised, by its type. Runs in a thread."""
    try:
        observer.show(change)
    except BaseException as error:
        logger.debug("why %s failed", observer.name, exc_info=True)
        return type(error).__name__
    return None
