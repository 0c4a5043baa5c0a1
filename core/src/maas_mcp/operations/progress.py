"""The progress reporter: what an operation says about itself, at a pace and in a form that every client bears."""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio

logger = logging.getLogger(__name__)

MINIMUM_GAP: Final = 0.25
"""Seconds between two messages: more is noise to a person and a burden to a client that renders each."""
HEARTBEAT: Final = 10.0
"""Seconds of silence after which the last message goes again: clients give up on silent calls, some after 60 s."""
SEND_LIMIT: Final = 2.0
"""Seconds that one send may take: a client that does not read must not hold up the operation."""
SMALLEST_STEP: Final = 1e-4
"""How far a repeated message moves the value, as a part of what is left: MCP wants every value larger than the last."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One ``notifications/progress``: ``total`` is 1.0 for a fraction, ``None`` where only time can be told."""

    value: float
    total: float | None
    message: str


ProgressSend = Callable[[Progress], Awaitable[None]]


async def nobody(_progress: Progress) -> None:
    """Hears progress where nobody waits for it."""


class ProgressReporter:
    """Sends the latest of what :meth:`report` was told, while :meth:`reporting` is open.

    The first report and the last one always go; between them the latest wins, :data:`MINIMUM_GAP` apart. Values only
    ever increase. After a cancellation nothing is sent: the protocol forbids it, and over HTTP it would never return.
    A client that does not listen, or fails, never harms the operation.
    """

    def __init__(self, send: ProgressSend) -> None:
        self._send = send
        self._report: tuple[float | None, str] | None = None
        self._news = anyio.Event()
        self._sending = anyio.Lock()
        self._measured: bool | None = None
        self._last: float | None = None
        self._started = 0.0

    def report(self, fraction: float | None, message: str) -> None:
        """Say how far the operation is. Returns at once; may be called as often as there is news.

        Args:
            fraction: From 0.0 to 1.0, or ``None`` where it cannot be known: then the elapsed time stands for it. A
                value that is not finite, or lower than the last one, leaves the value where it was.
            message: What is happening now, in MAAS's own words where it has some.
        """
        self._report = (fraction, message)
        self._news.set()

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Send reports for as long as the block runs, and the last one when it ends by itself."""
        self._started = anyio.current_time()
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pump)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
                failure = error
            async with self._sending:  # what is on its way arrives whole: it may be the last
                tasks.cancel_scope.cancel()
        if self._news.is_set():
            await self._send_latest(repeated=False)
        if failure is not None:
            raise failure

    async def _pump(self) -> None:
        while True:
            repeated = True
            with anyio.move_on_after(HEARTBEAT):
                await self._news.wait()
                repeated = False
            async with self._sending:
                await self._send_latest(repeated=repeated)
            await anyio.sleep(MINIMUM_GAP)

    async def _send_latest(self, *, repeated: bool) -> None:
        if self._report is None:
            return
        self._news = anyio.Event()
        fraction, message = self._report
        elapsed = anyio.current_time() - self._started
        if repeated:
            message = f"{message} ({readable(elapsed)} so far)"
        if self._measured is None:
            self._measured = fraction is not None
        value = self._increased(fraction) if self._measured else elapsed
        if self._last is not None and value <= self._last:
            return
        self._last = value
        progress = Progress(value, 1.0 if self._measured else None, message)
        try:
            with anyio.move_on_after(SEND_LIMIT):
                await self._send(progress)
        except Exception:  # the client's trouble is not the operation's
            logger.debug("a progress message could not be sent", exc_info=True)

    def _increased(self, fraction: float | None) -> float:
        value = fraction if fraction is not None and math.isfinite(fraction) else 0.0
        value = min(max(value, 0.0), 1.0)
        if self._last is None:
            return value
        return max(value, self._last + (1.0 - self._last) * SMALLEST_STEP)


class PartialProgress(ProgressReporter):
    """Progress of a part, which goes into that of the whole.

    Args:
        passed: Gets each fraction and message.
    """

    def __init__(self, passed: Callable[[float | None, str], None]) -> None:
        super().__init__(nobody)
        self._passed = passed

    def report(self, fraction: float | None, message: str) -> None:
        """Pass it on."""
        self._passed(fraction, message)


def silence(seconds: float, *, answering: bool) -> str:
    """For how long nothing could be read; ``answering`` where there were answers, such as a 500 or a proxy's page."""
    said = "No usable answer from MAAS" if answering else "MAAS unreachable"
    return f"{said} for {readable(seconds)}"


def readable(seconds: float) -> str:
    """A duration for people: ``40 s``, ``4 min 10 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
