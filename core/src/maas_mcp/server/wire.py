"""Takes the process's stdin and stdout for MCP before anything else can read or print."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

if sys.platform != "win32":
    import fcntl

STDERR: Final = 2
FIRST_FREE: Final = 3
"""The first non-standard file descriptor."""


@dataclass(frozen=True, slots=True)
class Wire:
    """The file descriptors of the client's connection."""

    reading: int
    writing: int

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Restore the blocking mode of both after the block.

        The event loop makes them non-blocking, for every process that shares the terminal or pipe, such as the shell.
        """
        if sys.platform == "win32":
            yield
            return
        kept = [(os.dup(fd), os.get_blocking(fd)) for fd in (self.reading, self.writing)]
        try:
            yield
        finally:
            for fd, blocking in kept:
                os.set_blocking(fd, blocking)
                os.close(fd)


def take_wire() -> Wire:
    """Reserve stdin and stdout for MCP, and replace them in this process and its children.

    Output that a plugin prints goes to stderr. Code that reads stdin finds it at its end.
    """
    wire = Wire(_duplicate(0), _duplicate(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(STDERR, 1)
    if null != STDERR:  # without a stderr, the new descriptor is stderr
        os.close(null)
    return wire


def _duplicate(fd: int) -> int:
    if sys.platform == "win32":
        return os.dup(fd)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
