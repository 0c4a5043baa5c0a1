"""The MAAS API key of each principal, whose permissions and username MAAS applies to the principal's calls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from maas_mcp.access.watched_file import WatchedFile
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.private_files import read_private_toml

CONTENT: Final = "the MAAS API keys of principals"


class KeyFile:
    """The file with the API key of each principal. A running server applies changes at once.

    Args:
        path: A TOML file: ``"NAME" = "consumer:token:secret"`` for each principal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = WatchedFile(path, self._read)

    def key_of(self, name: str) -> ApiKey | None:
        """Return the API key of a principal, or ``None`` if it has none.

        Raises:
            SettingsError: The file cannot be used.
        """
        return self._file.content().get(name)

    def _read(self) -> Mapping[str, ApiKey]:
        keys = {}
        for name, text in read_private_toml(self._path, CONTENT).items():
            try:
                keys[name] = ApiKey.parse(text if isinstance(text, str) else "")
            except SettingsError:
                raise SettingsError(
                    f"{self._path}: the entry of {name} is not a MAAS API key: expected consumer:token:secret."
                ) from None
        return keys
