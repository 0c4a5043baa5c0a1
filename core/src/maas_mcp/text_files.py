"""Text files written with any editor on any system."""

import codecs
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 10 * 1024 * 1024
"""The largest accepted file in bytes. Settings, certificate bundles and arguments are far smaller."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, because its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks. On Windows, Notepad writes one for UTF-8 and PowerShell's ``>`` writes one for UTF-16."""


def read_text(path: Path) -> str:
    """Read a text file, with normalized line ends and without a byte order mark.

    The encoding is UTF-8, or UTF-16 or UTF-32 with a byte order mark. The file may be a pipe.

    Raises:
        ValueError: The file cannot be read. The message is the reason without a full stop and without any content.
    """
    return decode_text(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Read a file's bytes.

    Raises:
        ValueError: As for :func:`read_text`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        problem = "it is a directory, not a file"
    except OSError as error:
        # Windows reports "permission denied" for a directory.
        problem = "it is a directory, not a file" if path.is_dir() else error.strerror or "unknown reason"
    else:
        if len(content) <= MAX_BYTES:
            return content
        problem = f"it is larger than {MAX_BYTES // 1024**2} MiB"
    raise ValueError(problem)


def decode_text(content: bytes) -> str:
    """Decode a file's bytes.

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
