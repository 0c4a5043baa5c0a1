"""Async context managers that are entered when first needed, each in a task of its own."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import MaasMcpError, PluginError
from maas_mcp.operations.cancellation import is_cancellation

logger = logging.getLogger(__name__)

CLOSE_LIMIT: Final = 1.0
"""Seconds for a plugin to clean up. MCP clients kill a server about two seconds after they have closed its input."""

Enter = Callable[[], AbstractAsyncContextManager[object]]


@dataclass(eq=False, slots=True)
class _Lifespan:
    """An async context manager, from its entry on."""

    ready: anyio.Event = field(default_factory=anyio.Event)
    """Set when it was entered or has failed."""
    scope: anyio.CancelScope = field(default_factory=lambda: anyio.CancelScope(shield=True))
    value: object = None
    error: BaseException | None = None


class Lifespans:
    """Enters async context managers on demand, and leaves them when it is closed.

    Each one is entered and left by the same task, as task groups and cancel scopes inside it require.

    Args:
        tasks: The task group of these tasks. It must be left only after :meth:`close`.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._entered: dict[str, _Lifespan] = {}
        self._closing = anyio.Event()

    async def value(self, owner: str, enter: Enter) -> object:
        """Return the value that the context manager of ``owner`` yields; enter it first if necessary.

        Args:
            owner: The plugin, also for messages.
            enter: Returns the context manager.

        Raises:
            MaasMcpError: It could not be entered. The next call tries again.
        """
        lifespan = self._entered.get(owner)
        if lifespan is None:
            lifespan = self._entered[owner] = _Lifespan()
            self._tasks.start_soon(self._run, owner, enter, lifespan)
        await lifespan.ready.wait()
        if isinstance(lifespan.error, MaasMcpError):
            raise lifespan.error
        if lifespan.error is not None:
            raise PluginError(
                f"The plugin {owner} could not be prepared ({type(lifespan.error).__name__}).",
                hint="See the server's log for details. The next call tries again.",
            )
        return lifespan.value

    async def _run(self, owner: str, enter: Enter, lifespan: _Lifespan) -> None:
        """Enter the context manager, and leave it when this object is closed."""
        try:
            # A cancellation of the task group must not reach the plugin before it was asked to clean up.
            with lifespan.scope:
                async with enter() as lifespan.value:
                    lifespan.ready.set()
                    await self._closing.wait()
        except BaseException as error:
            if is_cancellation(error):
                raise
            lifespan.error = error
            if lifespan.ready.is_set() or not isinstance(error, MaasMcpError):  # the caller reports any other
                logger.exception("The lifespan of the plugin %s failed", owner)
        finally:
            if self._entered.get(owner) is lifespan:
                del self._entered[owner]
            if not lifespan.ready.is_set():
                lifespan.error = lifespan.error or TimeoutError()
                lifespan.ready.set()

    def close(self) -> None:
        """Leave all context managers. The task group then waits for them, up to a time limit."""
        self._closing.set()
        for lifespan in self._entered.values():
            lifespan.scope.deadline = anyio.current_time() + CLOSE_LIMIT
