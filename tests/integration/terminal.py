"""The output of a command on a terminal of a given size."""

import errno
import fcntl
import os
import pty
import re
import select
import struct
import termios
from collections.abc import Mapping
from types import MappingProxyType

from tests.integration.driver import TIMEOUT, command
from tests.integration.server_process import start_process

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal_lines(
    args: tuple[str, ...],
    environment: Mapping[str, str],
    columns: int,
    lines: int = 24,
    answers: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Run ``maas-mcp`` on a terminal of this size, and return the final state of each line.

    The terminal would break a longer line inside a word. ``answers`` has the text to type at each prompt.

    Raises:
        TimeoutError: The program wrote nothing for a while and did not end, such as at a prompt without an answer.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    known = {key: value for key, value in environment.items() if key not in {"COLUMNS", "LINES"}}
    with os.fdopen(theirs, "r+b", buffering=0) as terminal:
        process = start_process(command(*args), (terminal, terminal, terminal), known)
    written = b""
    waiting = {prompt.encode(): text for prompt, text in answers.items()}
    try:
        while chunk := _read(ours):
            written += chunk
            for prompt in [each for each in waiting if written.endswith(each)]:
                os.write(ours, f"{waiting.pop(prompt)}\n".encode())
    except TimeoutError:
        process.kill()
        raise
    process.wait(TIMEOUT)
    os.close(ours)
    text = _ESCAPES.sub("", written.decode())
    return [each.rpartition("\r")[2] for each in text.replace("\r\n", "\n").splitlines()]


def _read(terminal: int) -> bytes:
    if not select.select([terminal], [], [], TIMEOUT)[0]:
        raise TimeoutError(f"the program wrote nothing for {TIMEOUT} s, and it did not end")
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # the other end is closed
            return b""
        raise
