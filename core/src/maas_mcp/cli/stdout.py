"""Keeps stdout for a command's own output: the output of plugins goes to stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Final, TextIO

STDOUT: Final = 1
STDERR: Final = 2


@contextmanager
def redirect_stdout_to_stderr() -> Iterator[None]:
    """Redirect the output of the block and its child processes to stderr, and restore stdout afterwards."""
    stdout = sys.stdout
    if not _is_process_stdout(stdout):
        with redirect_stdout(sys.stderr):
            yield
        return
    kept = _point_stdout_to_stderr(stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        stdout.flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


@contextmanager
def reserve_stdout() -> Iterator[TextIO]:
    """Yield stdout for the caller, and redirect all other output of this process and its children to stderr.

    The redirection is permanent: threads and exit handlers of plugins may print after the block.
    """
    stdout = sys.stdout
    if not _is_process_stdout(stdout):
        with redirect_stdout(sys.stderr):
            yield stdout
        return
    kept = _point_stdout_to_stderr(stdout)
    with os.fdopen(kept, "w", encoding=stdout.encoding, errors=stdout.errors) as own, redirect_stdout(sys.stderr):
        yield own


def _is_process_stdout(stream: TextIO | None) -> bool:
    """Whether a stream is the process's own stdout, which tests may replace."""
    try:
        return stream is not None and stream.fileno() == STDOUT
    except (AttributeError, OSError, ValueError):  # the stream has no descriptor, or is closed
        return False


def _point_stdout_to_stderr(stdout: TextIO) -> int:
    """Point file descriptor 1 to stderr. Returns a duplicate of the original descriptor."""
    stdout.flush()
    kept = os.dup(STDOUT)
    try:
        os.dup2(STDERR, STDOUT)
    except OSError:  # stderr is closed
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, STDOUT)
        os.close(devnull)
    return kept
