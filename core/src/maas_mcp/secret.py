"""The secrets that sign operation ids: from the settings, or generated once in a file that only its owner can read."""

import os
import secrets
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from maas_mcp.errors import SettingsError
from maas_mcp.private_files import read_with_exposure
from maas_mcp.settings import Settings

SECRET_BYTES: Final = 32
MAX_FILE_BYTES: Final = 4096
"""The largest accepted file in bytes. A larger file is probably not a secret."""


def load_secrets(settings: Settings) -> tuple[bytes, ...]:
    """Return the secrets of operation ids: the first signs, all of them verify.

    They come from ``MAAS_MCP_SECRET``. If it is not set, they come from the file ``secret`` in the state directory, and
    from ``secret.previous`` next to it if that exists. A missing ``secret`` is created.

    Raises:
        SettingsError: A file cannot be read or created, or other users can read it.
    """
    if settings.secret:
        return tuple(secret.get_secret_value().encode() for secret in settings.secret)
    path = secret_file(settings)
    try:
        if not path.exists():
            _create(path)
    except OSError as error:
        raise _storage_error(path, error.strerror) from None
    previous = previous_file(path)
    return (_read(path), _read(previous)) if previous.exists() else (_read(path),)


def secret_file(settings: Settings) -> Path:
    """Return the path of the generated secret."""
    return state_directory(settings) / "secret"


def state_directory(settings: Settings) -> Path:
    """Return the directory of files that the server creates itself."""
    return settings.state_dir or _default_state_dir()


def previous_file(path: Path) -> Path:
    """Return the path where an administrator may keep the predecessor of the secret in ``path``."""
    return path.with_name(f"{path.name}.previous")


def check_secret_files(settings: Settings) -> None:
    """Check that the secret files can be read or created, without creating any.

    Raises:
        SettingsError: As for :func:`load_secrets`.
    """
    path = secret_file(settings)
    try:
        if not path.exists():
            folder = next(each for each in path.parents if each.exists())
            with TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise _storage_error(path, error.strerror) from None
    for each in (path, previous_file(path)):
        if each.exists():
            _read(each)


def _storage_error(path: Path, reason: str | None) -> SettingsError:
    return SettingsError(
        f"The secret for operation ids cannot be stored in {path}: {reason}.",
        hint="Set MAAS_MCP_STATE_DIR to a writable directory, or set MAAS_MCP_SECRET.",
    )


def _read(path: Path) -> bytes:
    """Read a secret file.

    Raises:
        SettingsError: The file cannot be read, or other users could read or guess the secret and forge ids.
    """
    try:
        secret, mode = read_with_exposure(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _storage_error(path, error.strerror) from None
    if len(secret) < SECRET_BYTES:
        raise SettingsError(
            f"The secret for operation ids in {path} has {len(secret)} bytes. Expected at least {SECRET_BYTES}.",
            hint="Delete the file, and a new one is created. Operation ids issued so far become invalid.",
        )
    if len(secret) > MAX_FILE_BYTES:
        raise SettingsError(
            f"The secret for operation ids in {path} has more than {MAX_FILE_BYTES} bytes, so it is probably another"
            " file.",
            hint="Move the file away, or set MAAS_MCP_STATE_DIR to another directory.",
        )
    if mode is not None:
        raise SettingsError(
            f"Other users can read or change the secret for operation ids in {path} (mode {mode}).",
            hint="Delete the file, and a new one is created. If nobody else has read it, `chmod 600` is enough.",
        )
    return secret


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mine = path.with_name(f"secret.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        os.link(mine, path)  # atomic, and never replaces the file of a process that started at the same time
    except FileExistsError:
        pass
    finally:
        mine.unlink()


def _default_state_dir() -> Path:
    from platformdirs import user_state_path  # noqa: PLC0415 - 30 ms, and only needed here

    return user_state_path("maas-mcp")
