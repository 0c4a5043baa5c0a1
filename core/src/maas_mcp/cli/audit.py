"""``maas-mcp audit``: verifies the record of the calls that change something."""

import sys
from pathlib import Path

import click

from maas_mcp.audit.file import HEAD_SUFFIX, head_file
from maas_mcp.audit.lines import Head
from maas_mcp.audit.verification import Verification, verify
from maas_mcp.calls.audit_log import audit_path
from maas_mcp.cli.common import EXIT_CODES, EXIT_FAILURE, print_text
from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings


def _parse_head(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Head | None:
    head = None if value is None else Head.parse(value.strip())
    if value is not None and head is None:
        raise click.BadParameter("expected a number, a colon and 64 hexadecimal digits, as `audit verify` prints it.")
    return head


@click.group("audit", epilog=EXIT_CODES)
def command() -> None:
    """Verify the audit: the record of the calls that change something.

    MAAS_MCP_AUDIT is the path of the audit file.
    """


@command.command("verify", epilog=EXIT_CODES)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--head",
    callback=_parse_head,
    metavar="SEQ:HASH",
    help="A head that an earlier run printed and you stored elsewhere. The files must contain its line. By default, "
    "they are compared with the head file only.",
)
def verify_files(files: tuple[Path, ...], head: Head | None) -> None:
    """Verify the audit, and print its head.

    Pass the current FILE and the rotated ones, in any order. By default, verifies the file at MAAS_MCP_AUDIT. If a line
    was changed, removed or moved, prints the first one and exits with 1.
    """
    current, paths = _current(files)
    recorded = _recorded_head(current)
    if not paths and recorded is not None:
        written = f"the head file shows that numbers up to {recorded.seq} were written"
        print_text(f"Not intact: {current} does not exist, but {written}.", err=True)
        sys.exit(EXIT_FAILURE)
    try:
        found = verify(paths, recorded=recorded, stored=head)
    except (OSError, EOFError) as error:
        raise SettingsError(
            f"The audit cannot be read: {getattr(error, 'strerror', None) or error}.",
            hint="Check the files and their permissions.",
        ) from None
    if found.fault is not None:
        print_text(f"Not intact: {found.fault}.", err=True)
        sys.exit(EXIT_FAILURE)
    _report(found, has_head=recorded is not None)


def _current(files: tuple[Path, ...]) -> tuple[Path, list[Path]]:
    """Return the current file, and all files to verify. A glob of the shell may also match the head file."""
    paths = [each for each in files if each.suffix != HEAD_SUFFIX]
    if paths:
        return next((each for each in paths if head_file(each).exists()), paths[0]), paths
    path = audit_path(Settings.load())
    if path is None:
        raise SettingsError(
            "MAAS_MCP_AUDIT is off, so there is no current audit file.", hint="Pass the files to verify as arguments."
        )
    return path, [path] if path.exists() else []


def _recorded_head(path: Path) -> Head | None:
    """Return the content of the head file, if there is one.

    Raises:
        SettingsError: It cannot be read, or is damaged.
    """
    file = head_file(path)
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.", hint="Check its permissions.") from None
    if (head := Head.parse(text)) is None and text:
        raise SettingsError(
            f"{file} is damaged, so the verification cannot notice lines that were removed at the end.",
            hint="Verify copies of the audit files without the head file, and pass a head that you stored elsewhere "
            "with `--head`.",
        )
    return head


def _report(found: Verification, *, has_head: bool) -> None:
    if not found.lines:
        print_text("The audit has no lines yet.")
        return
    print_text(f"Intact: {found.lines} lines, from number {found.first} to {found.head.seq}.")
    if found.first > 1:
        print_text(f"Numbers 1 to {found.first - 1} are in earlier files, which were not verified.")
    if found.torn:
        print_text(f"Incomplete lines of killed servers, which the lines after them record: {found.torn}.")
    if found.torn_end:
        print_text(f"The last line is incomplete ({found.torn_end} bytes). The next line will record it.")
    if found.open_calls:
        numbers = ", ".join(map(str, list(found.open_calls.values())[:10]))
        more = " and more" if len(found.open_calls) > 10 else ""  # noqa: PLR2004 - as above
        print_text(f"Calls without an outcome, because they are running or their server was killed: {numbers}{more}.")
    if not has_head:
        print_text("There is no head file. Pass `--head` to notice lines that were removed at the end.")
    print_text(f"Head: {found.head}")
