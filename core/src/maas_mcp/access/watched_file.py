"""A file that is read again only after it has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from maas_mcp.errors import SettingsError

ContentT = TypeVar("ContentT")


class WatchedFile(Generic[ContentT]):
    """The current content of a file.

    Args:
        path: The file.
        read: Reads and parses the file.
    """

    def __init__(self, path: Path, read: Callable[[], ContentT]) -> None:
        self._path = path
        self._read = read
        self._state: tuple[int, ...] | None = None
        self._content: ContentT | None = None

    def content(self) -> ContentT:
        """Return the current content.

        Raises:
            SettingsError: The file is missing or cannot be used. Old content is never returned instead.
        """
        try:
            stat = self._path.stat()
        except OSError as error:
            self._state = None
            raise SettingsError(f"{self._path} cannot be read: {error.strerror}.") from None
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_mode)
        if self._content is None or state != self._state:
            self._state = None
            self._content = self._read()
            self._state = state
        return self._content
