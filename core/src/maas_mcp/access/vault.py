"""The vault: the MAAS API keys of principals, each in a file of its own, encrypted with AES-256-GCM.

Any number of processes may read and write it: a file is replaced as a whole, and no two principals share one. The
principal's name and everything else in a file is authenticated, so a file that was changed, or copied over that of
another principal, is noticed.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from maas_mcp.access.callers import KeyOwner
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.private_files import read_private, replace_private
from maas_mcp.settings import Settings

VERSION: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""As NIST SP 800-38D recommends for GCM. It is random, which is safe for four billion entries."""
CONTENT: Final = "the encrypted MAAS API key of a principal"
_KEY_HINT: Final = "Create one with `openssl rand -base64 32`."
_GROUP_AND_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """A stored key, without the key itself."""

    owner: KeyOwner
    region: str
    """The URL of the region's API that the key is for."""
    username: str
    """The MAAS user of the key."""
    stored: str
    """When it was stored, in ISO 8601 format."""


class Vault:
    """The vault in a directory.

    Args:
        folder: The directory. The first stored key creates it.
        keys: Keys of 32 bytes. The first encrypts, each decrypts.
    """

    def __init__(self, folder: Path, keys: Iterable[bytes]) -> None:
        self._folder = folder
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = next(iter(self._ciphers))

    @classmethod
    def from_settings(cls, settings: Settings) -> "Vault | None":
        """Return the vault of the settings, or ``None`` if they name none.

        Raises:
            SettingsError: It has no key, or the key is invalid or in a file that others can read.
        """
        if settings.vault is None:
            return None
        if bool(settings.vault_key) is (settings.vault_key_file is not None):
            count = "both are" if settings.vault_key else "neither is"
            raise SettingsError(
                f"MAAS_MCP_VAULT needs either MAAS_MCP_VAULT_KEY or MAAS_MCP_VAULT_KEY_FILE, and {count} set.",
                hint=_KEY_HINT,
            )
        if settings.vault_key_file is None:
            return cls(settings.vault, [_key(each.get_secret_value()) for each in settings.vault_key])
        text = read_private(settings.vault_key_file, "the key of the vault").decode("ascii", "replace")
        return cls(settings.vault, [_key(each) for each in text.split() or [""]])

    def store(self, owner: KeyOwner, key: ApiKey, *, region: str, username: str) -> None:
        """Store the key of a principal, and replace the one that it has.

        Raises:
            SettingsError: The vault cannot be written, or others can write to it.
        """
        self._check_folder()
        head = {
            "version": VERSION,
            "issuer": owner.issuer,
            "name": owner.name,
            "region": region,
            "username": username,
            "stored": datetime.now(UTC).isoformat(timespec="seconds"),
            "key_id": self._current,
        }
        nonce = secrets.token_bytes(NONCE_BYTES)
        text = f"{key.consumer}:{key.token}:{key.secret}".encode()
        sealed = nonce + self._ciphers[self._current].encrypt(nonce, text, _canonical(head))
        entry = {**head, "sealed": base64.b64encode(sealed).decode()}
        replace_private(self._path(owner), json.dumps(entry, indent=1) + "\n")

    def key_of(self, owner: KeyOwner, region: str) -> ApiKey | None:
        """Return the key of a principal, or ``None`` if it has none.

        Raises:
            SettingsError: The entry cannot be read, was changed, was encrypted with another key, or is for another
                region.
        """
        path = self._path(owner)
        self._check_folder()
        try:
            path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
        entry, key = self._open(path)
        if entry.owner != owner:
            raise SettingsError(f"{path} is not the entry of {owner}: it was copied from {entry.owner}.")
        if entry.region != region:
            raise SettingsError(
                f"The MAAS API key of {owner} in the vault is for {entry.region}, not for {region}.",
                hint=f"Store one for this region: `maas-mcp login {owner.name}`.",
            )
        return key

    def entries(self) -> list[VaultEntry]:
        """Return all entries, by name.

        Raises:
            SettingsError: One of them cannot be opened.
        """
        self._check_folder()
        found = [self._open(path)[0] for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda entry: (entry.owner.issuer or "", entry.owner.name))

    def remove(self, owner: KeyOwner) -> None:
        """Remove the key of a principal.

        Raises:
            SettingsError: It has none, or the vault cannot be written.
        """
        try:
            self._path(owner).unlink()
        except FileNotFoundError:
            raise SettingsError(
                f"{owner} has no key in the vault.", hint="`maas-mcp login --list` shows the names."
            ) from None
        except OSError as error:
            raise SettingsError(f"{self._path(owner)} cannot be removed: {error.strerror}.") from None

    def _path(self, owner: KeyOwner) -> Path:
        return self._folder / f"{hashlib.sha256(_canonical([owner.issuer, owner.name])).hexdigest()}.json"

    def _check_folder(self) -> None:
        """Refuse a directory in which others could replace entries by older ones."""
        try:
            mode = self._folder.stat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise SettingsError(f"The vault {self._folder} cannot be read: {error.strerror}.") from None
        if os.name == "posix" and mode & _GROUP_AND_OTHERS_WRITE:
            raise SettingsError(
                f"Others can change the vault {self._folder} (mode {stat.S_IMODE(mode):04o}).",
                hint=f"Run `chmod 700 {self._folder}`.",
            )

    def _open(self, path: Path) -> tuple[VaultEntry, ApiKey]:
        damaged = SettingsError(
            f"{path} is not an entry of the vault, or was changed.",
            hint="Remove it, and store the key again with `maas-mcp login`.",
        )
        try:
            head = json.loads(read_private(path, CONTENT))
            sealed = base64.b64decode(head.pop("sealed"), validate=True)
            key_id, entry = head["key_id"], _entry(head)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise damaged from None
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SettingsError(
                f"{path} was encrypted with another key than that of the vault.",
                hint="Set MAAS_MCP_VAULT_KEY to the key that it was encrypted with. It may contain several keys, "
                "separated by spaces.",
            )
        try:
            text = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _canonical(head))
        except (InvalidTag, ValueError):
            raise damaged from None
        return entry, ApiKey.parse(text.decode())


def _entry(head: Mapping[str, Any]) -> VaultEntry:
    texts = [head[name] for name in ("name", "region", "username", "stored", "key_id")]
    if not all(isinstance(each, str) for each in texts) or not isinstance(head["issuer"], str | None):
        raise TypeError
    name, region, username, stored, _ = texts
    return VaultEntry(KeyOwner(name, head["issuer"]), region, username, stored)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _key_id(key: bytes) -> str:
    """Identify a key without revealing it, so that an error can name a wrong key instead of a changed file."""
    return hmac.digest(key, b"maas-mcp vault key id", "sha256").hex()[:16]


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"The key of the vault is not {KEY_BYTES} bytes in Base64.", hint=_KEY_HINT)
    return key
