"""Shared by all commands: exit codes, error messages, text output and fast imports."""

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
from maas_mcp.machine_text import make_visible

EXIT_FAILURE: Final = 1
"""The command failed."""
EXIT_USAGE: Final = 2
"""Wrong usage, as click defines it, or invalid settings."""
EXIT_INTERRUPTED: Final = 130
"""Stopped by Ctrl-C. Shells use 128 + the signal number."""

EXIT_CODES: Final = "Exit codes: 0 success; 1 failure; 2 wrong usage or settings; 130 interrupted."
"""The last paragraph of each help text."""

ASCII_REPLACEMENTS: Final = MappingProxyType({"✓": "+", "✗": "x", "…": "...", "━": "-"})
"""Replacements for characters that the terminal's encoding lacks. Any other such character becomes a question mark."""
WRITE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Error numbers of a full disk or a broken device."""

SIMULATOR: Final = "maas_simulator"
"""The package that the distribution ``maas-simulator`` installs."""
MIN_COLUMNS: Final = 40
"""Columns. Text is not wrapped more narrowly than this."""


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """A signal has stopped the command.

    Args:
        number: The signal number.
        message: The message to show to the user.
    """

    def __init__(self, number: int, message: str = "Interrupted.") -> None:
        super().__init__(message)
        self.number = number
        self.message = message

    @property
    def exit_code(self) -> int:
        """The exit code that shells use for a program stopped by this signal."""
        return 128 + self.number


class NumberRange(click.FloatRange):
    """A range of numbers that rejects NaN, which click's own range accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert the typed value to a number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number. Expected a decimal number, such as 2.5.", param, ctx)
        return number


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Pause garbage collection while the block imports.

    Imported objects stay alive, so collecting them only costs time: a tenth of the start-up. The collector ignores them
    afterwards as well.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # before gc.enable(), or the next allocation would start a full collection
        gc.enable()


@contextmanager
def require_simulator(command: str) -> Iterator[None]:
    """Say what to install if the block cannot import the simulator, which production installs lack."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != SIMULATOR:
            raise
        message = f"`maas-mcp {command}` needs the simulator. Install it with `pip install maas-simulator`."
        raise click.ClickException(message) from None


def replace_unencodable_characters() -> None:
    """Replace characters that a terminal's encoding lacks, instead of failing with a traceback."""
    codecs.register_error("lookalikes", _replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="lookalikes")


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(ASCII_REPLACEMENTS.get(each, "?") for each in error.object[error.start : error.end]), error.end


def exit_code(error: MaasMcpError) -> int:
    """Return the exit code for an error."""
    return EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILURE


def show_error(error: MaasMcpError) -> None:
    """Write an error to stderr: its message, MAAS's own words, and what to do."""
    print_text(f"Error: {error.message}", err=True)
    from maas_mcp.operations.wording import maas_words  # noqa: PLC0415 - only errors need it

    if words := maas_words(error):
        print_text(words, err=True)
    if error.hint:
        print_text(error.hint, err=True)


def print_text(
    text: str, *, err: bool = False, indent: str = "", mark: str | None = None, to: TextIO | None = None
) -> None:
    """Print text, wrapped at word boundaries on a terminal and unwrapped elsewhere. Terminal escapes show as text.

    Args:
        text: One or more lines.
        err: Whether to write to stderr instead of stdout.
        indent: The indentation of continuation lines.
        mark: The colour of the first character.
        to: The file to write to, instead of stdout or stderr.
    """
    text = wrap_text(make_visible(text), err=err, indent=indent, to=to)
    click.echo(click.style(text[:1], fg=mark) + text[1:] if mark else text, file=to, err=err)


def wrap_text(text: str, *, err: bool = False, indent: str = "", to: TextIO | None = None) -> str:
    """Wrap the text for :func:`print_text`, if its output is a terminal."""
    stream = to or (sys.stderr if err else sys.stdout)
    if not stream or not stream.isatty():  # a closed one is None
        return text
    width = max(shutil.get_terminal_size().columns, MIN_COLUMNS)
    return "\n".join(_wrap_line(line, width, indent) for line in text.splitlines())


def wrap_error(error: click.ClickException) -> click.ClickException:
    """Wrap the message of an error at word boundaries on a terminal, which click does not do."""
    begin = "Error: "  # click's own
    message = wrap_text(begin + error.format_message(), err=True).removeprefix(begin)
    if isinstance(error, click.UsageError):
        return click.UsageError(message, error.ctx)
    return click.ClickException(message)


def _wrap_line(line: str, width: int, indent: str) -> str:
    start = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=start + indent, break_long_words=False, break_on_hyphens=False)
