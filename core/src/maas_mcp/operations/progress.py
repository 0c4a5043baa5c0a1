"""The progress reporter, which limits how often an operation's progress is sent to the client."""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup

logger = logging.getLogger(__name__)

MINIMUM_GAP: Final = 0.25
"""Minimum seconds between two messages. Clients render each one, and more of them only distract people."""
HEARTBEAT: Final = 10.0
"""Seconds without a message after which the last one is repeated: clients give up on silent calls, some after 60 s."""
SEND_LIMIT: Final = 2.0
"""Maximum seconds for one send: a client that does not read must not delay the operation."""
SMALLEST_STEP: Final = 1e-4
"""How much a repeated message increases the value, as a fraction of the rest. MCP requires every value to increase."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One ``notifications/progress``. ``total`` is 1.0 for a fraction, and ``None`` for seconds elapsed."""

    value: float
    total: float | None
    message: str


ProgressSend = Callable[[Progress], Awaitable[None]]


async def discard_progress(_progress: Progress) -> None:
    """Discard progress."""


class ProgressReporter:
    """Sends the latest report of :meth:`report` while :meth:`reporting` is open.

    The first and the last report are always sent. In between, only the latest one is sent, at least :data:`MINIMUM_GAP`
    seconds after the previous one. Values always increase. Nothing is sent after a cancellation: MCP forbids it, and
    over HTTP the send would never return. A client that does not read, or fails, never affects the operation.
    """

    def __init__(self, send: ProgressSend) -> None:
        self._send = send
        self._report: tuple[float | None, str] | None = None
        self._updated = anyio.Event()
        self._sending = anyio.Lock(fast_acquire=True)
        self._tasks: TaskGroup | None = None
        """Where sending starts with the first report. Most calls end without one."""
        self._has_fraction: bool | None = None
        self._last: float | None = None
        self._started = 0.0

    def report(self, fraction: float | None, message: str) -> None:
        """Report the progress of the operation. Returns at once and may be called at any rate.

        Args:
            fraction: The progress from 0.0 to 1.0, or ``None`` if unknown; the elapsed time is then sent instead. A
                value that is not finite, or lower than the last one, does not change the progress.
            message: The current step, in MAAS's own words if it has any.
        """
        self._report = (fraction, message)
        self._updated.set()
        self._start_sending()

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Send reports while the block runs, and the last report when it ends without cancellation."""
        self._started = anyio.current_time()
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            if self._updated.is_set():
                self._start_sending()
            try:
                yield
            except Exception as error:  # noqa: BLE001 - re-raised below, outside the task group, which would wrap it
                failure = error
            finally:
                self._tasks = None
            async with self._sending:  # do not cut off a message that is being sent: it may be the last
                tasks.cancel_scope.cancel()
        if self._updated.is_set():
            await self._send_latest(repeated=False)
        if failure is not None:
            raise failure

    def _start_sending(self) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(self._send_loop)
            self._tasks = None

    async def _send_loop(self) -> None:
        while True:
            repeated = True
            with anyio.move_on_after(HEARTBEAT):
                await self._updated.wait()
                repeated = False
            async with self._sending:
                await self._send_latest(repeated=repeated)
            await anyio.sleep(MINIMUM_GAP)

    async def _send_latest(self, *, repeated: bool) -> None:
        if self._report is None:
            return
        self._updated = anyio.Event()
        fraction, message = self._report
        elapsed = anyio.current_time() - self._started
        if repeated:
            message = f"{message} ({format_duration(elapsed)} so far)"
        if self._has_fraction is None:
            self._has_fraction = fraction is not None
        value = self._increased(fraction) if self._has_fraction else elapsed
        if self._last is not None and value <= self._last:
            return
        self._last = value
        progress = Progress(value, 1.0 if self._has_fraction else None, message)
        try:
            with anyio.move_on_after(SEND_LIMIT):
                await self._send(progress)
        except Exception:  # a client's failure must not affect the operation
            logger.debug("a progress message could not be sent", exc_info=True)

    def _increased(self, fraction: float | None) -> float:
        value = fraction if fraction is not None and math.isfinite(fraction) else 0.0
        value = min(max(value, 0.0), 1.0)
        if self._last is None:
            return value
        return max(value, self._last + (1.0 - self._last) * SMALLEST_STEP)


class PartialProgress(ProgressReporter):
    """Progress of a part of an operation, passed on to the whole.

    Args:
        forward: Called with each fraction and message.
    """

    def __init__(self, forward: Callable[[float | None, str], None]) -> None:
        super().__init__(discard_progress)
        self._forward = forward

    def report(self, fraction: float | None, message: str) -> None:
        """Pass the report on."""
        self._forward(fraction, message)


def describe_outage(seconds: float, *, answering: bool) -> str:
    """Describe an outage; ``answering`` if MAAS still responds with errors, such as a 500 or a proxy's page."""
    problem = "No usable response from MAAS" if answering else "MAAS unreachable"
    return f"{problem} for {format_duration(seconds)}"


def format_duration(seconds: float) -> str:
    """Format a duration for people: ``40 s``, ``4 min 10 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
