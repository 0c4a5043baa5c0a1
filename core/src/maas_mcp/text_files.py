"""Text files that people wrote, with any editor on any system."""

import codecs
from pathlib import Path
from typing import Final

LARGEST: Final = 10 * 1024 * 1024
"""Bytes that a file may have: a setting, a certificate bundle or an argument is far smaller."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks. Windows writes them: Notepad before UTF-8, PowerShell's ``>`` before UTF-16."""


def read_text(path: Path) -> str:
    """The text in a file, with line feeds between lines and without a byte order mark.

    UTF-8, or the UTF-16 or UTF-32 that a byte order mark announces. The file may be a pipe.

    Raises:
        ValueError: It cannot be read. The message is the reason, without a full stop, and nothing of the content.
    """
    return decoded(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        ValueError: As for :func:`read_text`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except IsADirectoryError:
        problem = "it is a directory, not a file"
    except OSError as error:
        # Windows says "permission denied" of a directory.
        problem = "it is a directory, not a file" if path.is_dir() else error.strerror or "unknown reason"
    else:
        if len(content) <= LARGEST:
            return content
        problem = f"it has more than {LARGEST // 1024**2} MiB"
    raise ValueError(problem)


def decoded(content: bytes) -> str:
    """The text in the content of a file.

    Raises:
        ValueError: As for :func:`read_text`.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    try:
        text = content.removeprefix(mark).decode(encoding)
    except UnicodeDecodeError as error:
        problem = f"it is not {encoding.upper()} text (byte {error.start + len(mark) + 1}); save it as UTF-8"
    else:
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
        problem = "it is binary, or UTF-16 without a byte order mark; save it as UTF-8 text"
    raise ValueError(problem)
