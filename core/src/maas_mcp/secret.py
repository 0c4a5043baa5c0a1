"""The secret that seals operation ids: given, or made once and kept where only its owner can read it."""

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


def sealing_secret(settings: Settings) -> bytes:
    """``MAAS_MCP_SECRET``, or the content of the file ``secret`` in the state directory, which is made if need be.

    Raises:
        SettingsError: The file can be neither read nor made, or who knows it could be somebody else.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = secret_file(settings)
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        reason = error.strerror
    raise _cannot_be_kept(path, reason)


def secret_file(settings: Settings) -> Path:
    """Where the secret is kept that is not given."""
    return (settings.state_dir or _default_state_dir()) / "secret"


def check_secret_file(path: Path) -> None:
    """Make sure that the secret can be read from the file, or made there. Nothing is left behind.

    Raises:
        SettingsError: It can be neither, or who knows it could be somebody else.
    """
    try:
        if path.exists():
            _read(path)
            return
        folder = next(each for each in path.parents if each.exists())
        with TemporaryFile(dir=folder):
            return
    except OSError as error:
        reason = error.strerror
    raise _cannot_be_kept(path, reason)


def _cannot_be_kept(path: Path, reason: str | None) -> SettingsError:
    return SettingsError(
        f"The secret for operation ids cannot be kept in {path}: {reason}.",
        hint="Set MAAS_MCP_STATE_DIR to a directory that can be written to, or MAAS_MCP_SECRET.",
    )


def _read(path: Path) -> bytes:
    """What the file holds.

    Raises:
        SettingsError: Others may know it, or can guess it: then they could forge ids.
    """
    with path.open("rb") as file:
        secret, mode = file.read(LONGEST + 1), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
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
