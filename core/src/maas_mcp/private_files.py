"""Files with secrets: checks that only the owner can access them, and replaces them atomically."""

import os
import secrets
import stat
from pathlib import Path
from typing import Any, Final

from maas_mcp.errors import SettingsError
from maas_mcp.text_files import decode_text

_GROUP_AND_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""The permission bits of everybody except the owner."""


def read_with_exposure(path: Path, most: int = -1) -> tuple[bytes, str | None]:
    """Read a file, at most ``most`` bytes of it, and check who may access it.

    Returns:
        The content; and the file's mode, such as ``0644``, if others than the owner can read or change it.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content, mode = file.read(most), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    exposed = os.name == "posix" and mode & _GROUP_AND_OTHERS
    return content, f"{mode:04o}" if exposed else None


def read_private(path: Path, content: str, most: int = -1) -> bytes:
    """Read a file that only its owner may access.

    Args:
        path: The file.
        content: A phrase for its content in messages, such as "the tokens of HTTP clients".
        most: The largest number of bytes to read; by default all.

    Raises:
        SettingsError: It cannot be read, or others can read or change it.
    """
    try:
        data, mode = read_with_exposure(path, most)
    except OSError as error:
        raise SettingsError(
            f"{path}, which holds {content}, cannot be read: {error.strerror}.",
            hint="Create the file, or correct its path in the settings.",
        ) from None
    if mode is not None:
        raise SettingsError(
            f"{path} holds {content}, and others can read or change it (mode {mode}).",
            hint=f"Run `chmod 600 {path}`.",
        )
    return data


def read_own(path: Path, content: str, most: int = -1) -> bytes:
    """Read a file that only the current user may access.

    Args:
        path: The file.
        content: As for :func:`read_private`.
        most: The largest number of bytes to read; by default all.

    Raises:
        SettingsError: As for :func:`read_private`, or another user owns the file.
    """
    data = read_private(path, content, most)
    if os.name == "posix" and path.stat().st_uid != os.geteuid():
        raise SettingsError(
            f"{path} holds {content}, and belongs to another user, who can change it.",
            hint=f"Run `chown $(id -u) {path}`, or copy the file.",
        )
    return data


def read_private_toml(path: Path, content: str) -> dict[str, Any]:
    """Read a TOML file that only its owner may access.

    Raises:
        SettingsError: As for :func:`read_private`, or it is not TOML. The message contains nothing from the file.
    """
    import tomllib  # noqa: PLC0415 - 3 ms, and every start imports this module

    data = read_private(path, content)
    try:
        return tomllib.loads(decode_text(data))
    except (ValueError, tomllib.TOMLDecodeError):
        pass
    raise SettingsError(f"{path}, which holds {content}, is not valid TOML.")


def replace_private(path: Path, text: str) -> None:
    """Replace a file atomically. Only its owner can read the new one.

    Raises:
        SettingsError: It cannot be written.
    """
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from None
