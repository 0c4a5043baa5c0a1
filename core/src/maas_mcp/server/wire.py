"""The wire: the process's own stdin and stdout, taken before anything else can read or print."""

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
"""The first file descriptor that is not one of the standard ones."""


@dataclass(frozen=True, slots=True)
class Wire:
    """File descriptors that lead to the client."""

    reading: int
    writing: int

    @contextmanager
    def left_as_found(self) -> Iterator[None]:
        """Leave both as they were found, whatever the block makes of them.

        On an event loop they do not block, and that is shared with every process that has the same terminal or pipe:
        the shell that comes after this one, for instance.
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
    """Take stdin and stdout away from everything else in this process and its children.

    What a plugin prints, while it is imported or later, goes to stderr; who reads stdin finds it at its end.
    """
    wire = Wire(_duplicate(0), _duplicate(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(STDERR, 1)
    if null != STDERR:  # where there was none, it has just become one
        os.close(null)
    return wire


def _duplicate(fd: int) -> int:
    if sys.platform == "win32":
        return os.dup(fd)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
