"""The regions that the local user has logged in to with ``maas-mcp login``.

A file in the state directory has an entry for each login. The API key is in the keyring of the operating system if
there is one, and otherwise in the file, which only its owner can read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from maas_mcp.credentials import os_keyring
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey, RegionAccess, api_url
from maas_mcp.private_files import read_own, replace_private
from maas_mcp.secret import state_directory
from maas_mcp.settings import Settings

CONTENT: Final = "the logins to MAAS"
_NAME: Final = re.compile(r"[^\s,\"'`]{1,64}")


@dataclass(frozen=True, slots=True)
class Login:
    """A login to a region."""

    name: str
    url: str
    """The URL of the region's API."""
    username: str
    """The MAAS user."""
    ca_bundle: str | None = None
    """The PEM file with the certificates to trust, if not the system's."""
    key: str | None = field(default=None, repr=False)
    """The API key; ``None`` if it is in the keyring."""

    @property
    def account(self) -> str:
        """The name of the key in the keyring."""
        return f"{self.name} ({self.url})"

    @property
    def place(self) -> str:
        """The place of the key, for a message."""
        return "the keyring" if self.key is None else "a file"

    def access(self, settings: Settings) -> RegionAccess:
        """Return the region and API key.

        Raises:
            SettingsError: The key cannot be read, or the URL may not be used.
        """
        source = f"The login {self.name}"
        bundle = settings.maas_ca_bundle or (Path(self.ca_bundle) if self.ca_bundle else None)
        url = api_url(self.url, allow_http=settings.maas_allow_http, source=source)
        key = self.key if self.key is not None else os_keyring.load(self.account)
        return RegionAccess(url, ApiKey.parse(key, source), bundle)


def logins_file(settings: Settings) -> Path:
    """Return the path of the file with the logins."""
    return state_directory(settings) / "logins.json"


def read_logins(settings: Settings) -> dict[str, Login]:
    """Return all logins by name, in the order in which the user logged in.

    Raises:
        SettingsError: The file cannot be used, or others can read or change it.
    """
    path = logins_file(settings)
    try:
        if not path.exists():
            return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return {name: _login(name, entry) for name, entry in json.loads(read_own(path, CONTENT)).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise SettingsError(
        f"{path}, which holds {CONTENT}, has an invalid format.",
        hint="Remove it, and log in again: `maas-mcp login`.",
    )


def store_login(settings: Settings, name: str, access: RegionAccess, username: str) -> Login:
    """Store a login, and replace the one with the same name.

    Raises:
        SettingsError: The file cannot be written.
    """
    if access.api_key is None:
        raise TypeError("a login needs an API key")
    known = read_logins(settings)
    text = f"{access.api_key.consumer}:{access.api_key.token}:{access.api_key.secret}"
    bundle = str(access.ca_bundle.absolute()) if access.ca_bundle else None
    if name in known:
        _forget(known.pop(name))
    login = Login(name, access.api_url, username, bundle)
    if not os_keyring.store(login.account, text):
        login = Login(name, access.api_url, username, bundle, text)
    _write(settings, {**known, name: login})
    return login


def remove_login(settings: Settings, name: str | None) -> Login:
    """Remove a login and its key.

    Args:
        settings: The settings.
        name: The name of the login; ``None`` for the only one.

    Raises:
        SettingsError: There is no such login, or there are several and none is named.
    """
    known = read_logins(settings)
    if not known:
        raise SettingsError("There is no login to remove.")
    if name is None and len(known) > 1:
        raise SettingsError(
            f"There are {len(known)} logins: {', '.join(known)}.",
            hint="Choose one with `maas-mcp logout --profile NAME`.",
        )
    login = known.pop(name or next(iter(known)), None)
    if login is None:
        raise SettingsError(f"There is no login {name}. Expected one of {', '.join(known)}.")
    _write(settings, known)
    _forget(login)
    return login


def login_name(name: str | None, url: str) -> str:
    """Return the name of a new login: the given one, or the host of the region.

    Raises:
        SettingsError: The name contains a space, a comma or a quote, or is too long.
    """
    if name is None:
        return urlsplit(url).hostname or "region"
    if not _NAME.fullmatch(name):
        raise SettingsError(
            "The name of the login is invalid. Expected at most 64 characters, without spaces, commas and quotes.",
            hint="Choose another name with --profile.",
        )
    return name


def _login(name: str, entry: Mapping[str, Any]) -> Login:
    login = Login(name, entry["url"], entry["username"], entry["ca_bundle"], entry["key"])
    texts, optional = (login.url, login.username), (login.ca_bundle, login.key)
    if not all(isinstance(each, str) for each in texts) or not all(isinstance(each, str | None) for each in optional):
        raise TypeError
    return login


def _write(settings: Settings, logins: Mapping[str, Login]) -> None:
    entries = {
        each.name: {"url": each.url, "username": each.username, "ca_bundle": each.ca_bundle, "key": each.key}
        for each in logins.values()
    }
    replace_private(logins_file(settings), json.dumps(entries, indent=1) + "\n")


def _forget(login: Login) -> None:
    if login.key is None:
        os_keyring.remove(login.account)
