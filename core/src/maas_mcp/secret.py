"""The secrets that seal operation ids: given, or made once and kept where only their owner can read them."""

import os
import secrets
import stat
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings

SECRET_BYTES: Final = 32
LONGEST: Final = 4096
"""Bytes of a secret that people may put there; a longer file is something else."""
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""What a file's mode allows to others than its owner."""


def sealing_secrets(settings: Settings) -> tuple[bytes, ...]:
    """The secrets of operation ids: the first seals, all of them open.

    Those of ``MAAS_MCP_SECRET``; or the content of the file ``secret`` in the state directory, which is made if need
    be, and of the file ``secret.previous`` beside it, if there is one.

    Raises:
        SettingsError: A file can be neither read nor made, or others may know its content.
    """
    if settings.secret:
        return tuple(secret.get_secret_value().encode() for secret in settings.secret)
    path = secret_file(settings)
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise _cannot_be_kept(path, error.strerror) from None
    previous = previous_file(path)
    return (_read(path), _read(previous)) if previous.exists() else (_read(path),)


def secret_file(settings: Settings) -> Path:
    """Where the secret is kept that is not given."""
    return (settings.state_dir or _default_state_dir()) / "secret"


def previous_file(path: Path) -> Path:
    """Where the secret is kept that the one in ``path`` has replaced, if somebody put it there."""
    return path.with_name(f"{path.name}.previous")


def check_secret_files(settings: Settings) -> None:
    """Make sure that the secrets can be read from their files, or one made there. Nothing is left behind.

    Raises:
        SettingsError: As for :func:`sealing_secrets`.
    """
    path = secret_file(settings)
    try:
        if not path.exists():
            folder = next(each for each in path.parents if each.exists())
            with TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise _cannot_be_kept(path, error.strerror) from None
    for each in (path, previous_file(path)):
        if each.exists():
            _read(each)


def _cannot_be_kept(path: Path, reason: str | None) -> SettingsError:
    return SettingsError(
        f"The secret for operation ids cannot be kept in {path}: {reason}.",
        hint="Set MAAS_MCP_STATE_DIR to a directory that can be written to, or MAAS_MCP_SECRET.",
    )


def _read(path: Path) -> bytes:
    """What the file holds.

    Raises:
        SettingsError: It cannot be read, or others may know it, or can guess it: then they could forge ids.
    """
    try:
        with path.open("rb") as file:
            secret, mode = file.read(LONGEST + 1), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise _cannot_be_kept(path, error.strerror) from None
    if len(secret) < SECRET_BYTES:
        raise SettingsError(
            f"The secret for operation ids in {path} has {len(secret)} bytes, and needs {SECRET_BYTES} at the least.",
            hint="Delete the file: another is made then. The ids that were given out so far are no longer known.",
        )
    if len(secret) > LONGEST:
        raise SettingsError(
            f"The secret for operation ids in {path} has more than {LONGEST} bytes: it is probably another file.",
            hint="Move the file away, or set MAAS_MCP_STATE_DIR to another directory.",
        )
    if os.name == "posix" and mode & OTHERS:
        raise SettingsError(
            f"The secret for operation ids in {path} can be read or changed by others (mode {mode:04o}).",
            hint="Delete the file: another is made then. Or, if nobody has looked at it, make its mode 0600.",
        )
    return secret


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mine = path.with_name(f"secret.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        os.link(mine, path)  # whole or not at all, and never over another process's, which may have been as quick
    except FileExistsError:
        pass
    finally:
        mine.unlink()


def _default_state_dir() -> Path:
    from platformdirs import user_state_path  # noqa: PLC0415 - 30 ms, and only needed here

    return user_state_path("maas-mcp")
