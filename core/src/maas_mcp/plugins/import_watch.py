"""Watching plugins while they are imported: one that hangs is named, and Ctrl-C is told from what a plugin raises."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

logger = logging.getLogger(__name__)

SLOW: Final = 3.0
"""Seconds after which it is named what is still going on."""


class UserInterrupt(KeyboardInterrupt):
    """The user pressed Ctrl-C; a plain ``KeyboardInterrupt`` is whatever a plugin has raised."""


class ImportWatch:
    """Watches the steps of loading plugins, for as long as it is entered.

    In the main thread it takes SIGINT over. A second SIGINT ends the process: a plugin may have swallowed the first.
    """

    def __init__(self) -> None:
        self._interrupted = False
        self._before: Any = None

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT) if ours else None
        if callable(before):  # else it is ignored, as in the background of a shell, or ends the process anyway
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Run a plugin's code, and name it where it takes long or the user gives up on it.

        Raises:
            UserInterrupt: The user pressed Ctrl-C, whatever the plugin has made of that.
        """
        timer = threading.Timer(SLOW, logger.warning, ("Still %s", doing))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if self._interrupted:
                logger.warning("Interrupted while %s", doing)
                raise UserInterrupt

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise UserInterrupt
