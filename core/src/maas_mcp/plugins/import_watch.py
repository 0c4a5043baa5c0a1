"""A watch over the import of plugins: it logs slow ones, and distinguishes Ctrl-C from a plugin's own exceptions."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

logger = logging.getLogger(__name__)

SLOW: Final = 3.0
"""Seconds after which a slow step is logged."""


class UserInterrupt(KeyboardInterrupt):
    """The user pressed Ctrl-C. A plain ``KeyboardInterrupt`` comes from a plugin."""


class ImportWatch:
    """A context manager that watches the steps of loading plugins.

    In the main thread it handles SIGINT. A second SIGINT ends the process, because a plugin may have caught the first.
    """

    def __init__(self) -> None:
        self._interrupted = False
        self._before: Any = None

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT) if ours else None
        if callable(before):  # otherwise SIGINT is ignored, as in a shell's background, or ends the process anyway
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Run a plugin's code, and log the step if it is slow or the user interrupts it.

        Args:
            doing: The step for the log, such as ``importing acme.plugin``.

        Raises:
            UserInterrupt: The user pressed Ctrl-C, even if the plugin caught the interrupt.
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
