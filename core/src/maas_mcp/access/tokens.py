"""Static tokens: generated here, stored as hashes in a file, and shown only once."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from maas_mcp.access.watched_file import WatchedFile
from maas_mcp.calls.principal import Scope
from maas_mcp.errors import SettingsError
from maas_mcp.private_files import read_private_toml, replace_private

PREFIX: Final = "maas-mcp_"
"""The prefix of every token, by which secret scanners find published tokens."""
TOKEN_BYTES: Final = 32
"""Random bytes in a token: enough that a plain hash of it cannot be reversed."""
CONTENT: Final = "the tokens of HTTP clients"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredToken:
    """The stored data of a token, with its hash instead of the token itself."""

    name: str
    """The principal that owns it."""
    sha256: str
    scopes: frozenset[Scope]
    created: str
    """The time of creation, in ISO 8601 format."""


def check_name(name: str) -> None:
    """Check the name of a static token.

    Raises:
        SettingsError: No token can have this name.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is not a valid name for a token: expected up to 64 letters, digits and any of . _ @ -, and a "
            "letter or digit first.",
        )


class TokenFile:
    """The file with the tokens. A running server applies changes at once.

    Args:
        path: A TOML file with a table for each name: ``sha256``, ``scopes``, ``created``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = WatchedFile(path, lambda: {each.sha256: each for each in self.tokens().values()})

    def find(self, token: str) -> StoredToken | None:
        """Return the stored data of a token that a client sent, or ``None`` if it is unknown.

        Raises:
            SettingsError: The file cannot be used.
        """
        return self._file.content().get(_hashed(token))

    def tokens(self) -> Mapping[str, StoredToken]:
        """Return all tokens, by name.

        Raises:
            SettingsError: The file cannot be used.
        """
        return {name: self._stored(name, entry) for name, entry in read_private_toml(self._path, CONTENT).items()}

    def add(self, name: str, scopes: Iterable[Scope]) -> str:
        """Create a token for ``name`` and return it. Only its hash is stored.

        Raises:
            SettingsError: The name is invalid or already has a token, or the file cannot be used.
        """
        check_name(name)
        known = dict(self.tokens()) if self._path.exists() else {}
        if name in known:
            raise SettingsError(
                f"{name} already has a token.", hint=f"Revoke it first: `maas-mcp token revoke {name}`."
            )
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        known[name] = StoredToken(name, _hashed(token), frozenset(scopes), created)
        self._write(known)
        return token

    def remove(self, name: str) -> None:
        """Revoke the token of ``name``.

        Raises:
            SettingsError: The name has no token, or the file cannot be used.
        """
        known = dict(self.tokens())
        if known.pop(name, None) is None:
            raise SettingsError(f"{name} has no token.", hint="`maas-mcp token list` shows the names.")
        self._write(known)

    def _write(self, tokens: Mapping[str, StoredToken]) -> None:
        tables = []
        for each in tokens.values():
            scopes = ", ".join(f'"{scope}"' for scope in sorted(each.scopes))
            tables.append(
                f'["{each.name}"]\nsha256 = "{each.sha256}"\nscopes = [{scopes}]\ncreated = "{each.created}"\n'
            )
        replace_private(self._path, "\n".join(tables))

    def _stored(self, name: str, entry: Any) -> StoredToken:
        known = {str(scope) for scope in Scope}
        scopes = entry.get("scopes") if isinstance(entry, dict) else None
        digest = entry.get("sha256") if isinstance(entry, dict) else None
        if not isinstance(digest, str) or not _HASH.fullmatch(digest):
            raise SettingsError(f"{self._path}: the token of {name} needs `sha256`, 64 hexadecimal digits.")
        if not isinstance(scopes, list) or not scopes or not known.issuperset(map(str, scopes)):
            raise SettingsError(
                f"{self._path}: the token of {name} needs `scopes`, an array of {', '.join(sorted(known))}."
            )
        return StoredToken(name, digest, frozenset(map(Scope, scopes)), str(entry.get("created", "")))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
