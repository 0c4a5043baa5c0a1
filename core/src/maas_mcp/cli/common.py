"""What the commands share: exit codes, how an error is shown, and quick imports."""

import codecs
import errno
import gc
import math
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, TextIO

import click

from maas_mcp.errors import MaasMcpError, SettingsError

EXIT_FAILURE: Final = 1
"""What was asked for could not be done."""
EXIT_USAGE: Final = 2
"""Wrong usage, which is click's own code, or settings that cannot be used."""
EXIT_INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells count it: 128 and the number of SIGINT."""

EXIT_CODES: Final = "Exit codes: 0 success; 1 failure; 2 wrong usage or settings; 130 interrupted."
"""The last paragraph of the help."""

LOOKALIKES: Final = MappingProxyType({"✓": "+", "✗": "x", "…": "...", "━": "-"})
"""What stands for a character that a terminal without Unicode does not have; anything else is a question mark."""
UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of an output that takes no more."""

SIMULATOR: Final = "maas_simulator"
"""The module of the distribution ``maas-simulator``."""
NARROWEST: Final = 40
"""Columns below which wrapping no longer helps."""


class Interrupted(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A signal asked the command to end, and it has.

    Args:
        number: The signal's.
        message: What to tell the person who sent it.
    """

    def __init__(self, number: int, message: str = "Interrupted.") -> None:
        super().__init__(message)
        self.number = number
        self.message = message

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal has ended."""
        return 128 + self.number


class NumberRange(click.FloatRange):
    """A range of numbers. NaN, which is neither below nor above any other, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that was typed."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


@contextmanager
def importing() -> Iterator[None]:
    """No look for garbage while the block imports: what it makes stays, and a tenth of the time would go into looking.

    What is there at the end is never looked through again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # before it is enabled: the next object made would have everything looked through at once
        gc.enable()


@contextmanager
def simulator_needed(command: str) -> Iterator[None]:
    """Explain what to install if the block cannot import the simulator, which a production install does not have."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != SIMULATOR:
            raise
        message = f"`maas-mcp {command}` needs the simulator, which is not installed: pip install maas-simulator"
        raise click.ClickException(message) from None


def accept_any_terminal() -> None:
    """Let text be written whatever a terminal's encoding is, with lookalikes instead of a traceback."""
    codecs.register_error("lookalikes", _lookalikes)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="lookalikes")


def _lookalikes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(LOOKALIKES.get(each, "?") for each in error.object[error.start : error.end]), error.end


def exit_code(error: MaasMcpError) -> int:
    """The exit code for an error."""
    return EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILURE


def show_error(error: MaasMcpError) -> None:
    """Write an error to stderr: what was wrong, MAAS's words, what to do."""
    say(f"Error: {error.message}", err=True)
    if error.maas_says and error.maas_says not in error.message:
        say(f"MAAS says: {error.maas_says}", err=True)
    if error.hint:
        say(error.hint, err=True)


def say(text: str, *, err: bool = False, indent: str = "", mark: str | None = None, to: TextIO | None = None) -> None:
    """Write text for people: wrapped between words on a terminal, each line whole for programs.

    Args:
        text: One or more lines.
        err: Whether to write to stderr instead of stdout.
        indent: What the wrapped parts of a line begin with.
        mark: The colour of the first character.
        to: Where to write it instead.
    """
    text = fitted(text, err=err, indent=indent, to=to)
    click.echo(click.style(text[:1], fg=mark) + text[1:] if mark else text, file=to, err=err)


def fitted(text: str, *, err: bool = False, indent: str = "", to: TextIO | None = None) -> str:
    """The text as :func:`say` writes it."""
    stream = to or (sys.stderr if err else sys.stdout)
    if not stream or not stream.isatty():  # a closed one is None
        return text
    width = max(shutil.get_terminal_size().columns, NARROWEST)
    return "\n".join(_wrapped(line, width, indent) for line in text.splitlines())


def fitted_error(error: click.ClickException) -> click.ClickException:
    """The same error, wrapped between words on a terminal: click itself would leave that to the terminal."""
    begin = "Error: "  # click's own
    message = fitted(begin + error.format_message(), err=True).removeprefix(begin)
    if isinstance(error, click.UsageError):
        return click.UsageError(message, error.ctx)
    return click.ClickException(message)


def _wrapped(line: str, width: int, indent: str) -> str:
    start = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=start + indent, break_long_words=False, break_on_hyphens=False)
