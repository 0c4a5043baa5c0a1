"""A terminal: what a command shows on one of a given size, line by line."""

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping

from tests.integration.driver import PATIENCE, command

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown(args: tuple[str, ...], environment: Mapping[str, str], columns: int, lines: int = 24) -> list[str]:
    """The lines that ``maas-mcp`` has written to a terminal of that size, as they were at the end of each.

    A line that is longer than the terminal is wide is what the terminal would break amid a word.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    known = {key: value for key, value in environment.items() if key not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(command(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=known) as process:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
        process.wait(PATIENCE)
    os.close(ours)
    text = _ESCAPES.sub("", written.decode())
    return [each.rpartition("\r")[2] for each in text.replace("\r\n", "\n").splitlines()]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # nobody has the other end open any more
            return b""
        raise
