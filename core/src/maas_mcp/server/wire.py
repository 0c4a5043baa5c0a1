"""The wire: the process's own stdin and stdout, taken before anything else can read or print."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wire:
    """File descriptors that lead to the client."""

    reading: int
    writing: int


def take_wire() -> Wire:
    """Take stdin and stdout away from everything else in this process and its children.

    What a plugin prints, while it is imported or later, goes to stderr; who reads stdin finds it at its end.
    """
    wire = Wire(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no stderr
        os.dup2(null, 1)
    os.close(null)
    return wire
