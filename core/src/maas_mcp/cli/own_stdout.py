"""Stdout for a command's own answer: what plugins print, by whatever means, goes to stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Final, TextIO

STDOUT: Final = 1
STDERR: Final = 2


@contextmanager
def diverted_stdout() -> Iterator[None]:
    """Lead to stderr what the block and its children print; afterwards stdout is as it was."""
    stdout = sys.stdout
    if not _is_the_process_own(stdout):
        with redirect_stdout(sys.stderr):
            yield
        return
    kept = _lead_to_stderr(stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        stdout.flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Keep stdout for the caller, and lead to stderr what anyone else in this process and its children prints.

    It stays like this: threads and exit handlers of a plugin print even after the block.
    """
    stdout = sys.stdout
    if not _is_the_process_own(stdout):
        with redirect_stdout(sys.stderr):
            yield stdout
        return
    kept = _lead_to_stderr(stdout)
    with os.fdopen(kept, "w", encoding=stdout.encoding, errors=stdout.errors) as own, redirect_stdout(sys.stderr):
        yield own


def _is_the_process_own(stream: TextIO | None) -> bool:
    """Whether what is printed goes to the process's own stdout: in a test it may not."""
    try:
        return stream is not None and stream.fileno() == STDOUT
    except (AttributeError, OSError, ValueError):  # it has none, or is closed
        return False


def _lead_to_stderr(stdout: TextIO) -> int:
    """Lead file descriptor 1 to stderr; answers with one that leads where it did."""
    stdout.flush()
    kept = os.dup(STDOUT)
    try:
        os.dup2(STDERR, STDOUT)
    except OSError:  # there is no stderr
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDOUT)
        os.close(nowhere)
    return kept
