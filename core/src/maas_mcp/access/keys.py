"""The MAAS API key of each principal, whose permissions and username MAAS applies to the principal's calls."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from maas_mcp.access.callers import KeyOwner
from maas_mcp.access.vault import Vault
from maas_mcp.access.watched_file import WatchedFile
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.private_files import read_private_toml

CONTENT: Final = "the MAAS API keys of principals"


class KeyFile:
    """The file with the API key of each principal. A running server applies changes at once.

    Args:
        path: A TOML file: ``"NAME" = "consumer:token:secret"`` for the owner of each static token, and a table of such
            lines for each issuer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = WatchedFile(path, lambda: dict(self._read()))

    def key_of(self, owner: KeyOwner) -> ApiKey | None:
        """Return the API key of a principal, or ``None`` if it has none.

        Raises:
            SettingsError: The file cannot be used.
        """
        return self._file.content().get(owner)

    def owners(self) -> frozenset[KeyOwner]:
        """Return all principals that have a key.

        Raises:
            SettingsError: The file cannot be used.
        """
        return frozenset(self._file.content())

    def _read(self) -> Iterator[tuple[KeyOwner, ApiKey]]:
        for name, value in read_private_toml(self._path, CONTENT).items():
            # A key that contains "://" is the identifier of an issuer, with a table of its subjects.
            if isinstance(value, dict) and "://" in name:
                yield from self._parsed(value, name)
            else:
                yield from self._parsed({name: value}, None)

    def _parsed(self, entries: Mapping[str, Any], issuer: str | None) -> Iterator[tuple[KeyOwner, ApiKey]]:
        for name, text in entries.items():
            owner = KeyOwner(name, issuer)
            try:
                key = ApiKey.parse(text if isinstance(text, str) else "")
            except SettingsError:
                raise SettingsError(
                    f"{self._path}: the entry of {owner} is not a MAAS API key: expected consumer:token:secret."
                ) from None
            yield owner, key


class PrincipalKeys:
    """The API keys of principals, from a file and the vault. The file takes precedence.

    Args:
        file: The file, if there is one.
        vault: The vault, if there is one.
        region: The URL of the region's API. Keys of the vault for another region are not sent to it.
    """

    def __init__(self, file: KeyFile | None, vault: Vault | None, region: str) -> None:
        self._file = file
        self._vault = vault
        self._region = region

    def key_of(self, owner: KeyOwner) -> ApiKey | None:
        """Return the API key of a principal, or ``None`` if it has none.

        Raises:
            SettingsError: The file or the principal's entry of the vault cannot be used.
        """
        found = self._file.key_of(owner) if self._file is not None else None
        if found is None and self._vault is not None:
            found = self._vault.key_of(owner, self._region)
        return found
