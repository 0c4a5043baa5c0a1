"""Profiles of the MAAS CLI, each the URL of a region with an API key.

``maas login`` stores them in an SQLite database, in the table ``profiles`` with the columns ``name`` and ``data``. The
data is JSON: ``url``, ``credentials`` (the three parts of the API key, or ``null``) and ``cacerts`` (PEM, or ``null``),
which it also writes to ``~/.maascli.certs/NAME.pem`` (MAAS 3.3).
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey, RegionAccess, api_url
from maas_mcp.private_files import read_own
from maas_mcp.setting_types import expand_user
from maas_mcp.settings import Settings

DATABASES: Final = ("~/.maascli.db", "~/snap/maas/current/.maascli.db")
"""Files in which the MAAS CLI stores its profiles: as a package, and as a snap, which has another home directory."""
CERTIFICATES: Final = "~/.maascli.certs"
CONTENT: Final = "the API keys of the MAAS CLI"


def profiles_file() -> Path | None:
    """Return the database of the MAAS CLI, or ``None`` without one."""
    for text in DATABASES:
        try:
            path = expand_user(text)
            if path.is_file():
                return path
        except (ValueError, OSError):  # no home directory, or one that cannot be read
            continue
    return None


def profile_names(path: Path) -> list[str]:
    """Return the names of all profiles in a database, in the order in which they were created.

    Raises:
        SettingsError: The database cannot be used, or others can read or change it.
    """
    return [str(name) for (name,) in _select(path, "SELECT name FROM profiles ORDER BY id")]


def read_profile(path: Path, name: str, settings: Settings) -> RegionAccess | None:
    """Return the region and API key of a profile, or ``None`` if the database has no such profile.

    Raises:
        SettingsError: The database or the profile cannot be used. The message contains no part of a key.
    """
    rows = _select(path, "SELECT data FROM profiles WHERE name = ?", name)
    if not rows:
        return None
    source = f"The profile {name} of the MAAS CLI"
    try:
        data = json.loads(rows[0][0])
        url, credentials, certificates = data["url"], data["credentials"], data.get("cacerts")
    except (ValueError, KeyError, TypeError, AttributeError):
        url = None
    if not isinstance(url, str):
        raise SettingsError(f"{source} cannot be read.", hint=f"Create it again: `maas login {name} URL`.")
    if not isinstance(credentials, list):
        raise SettingsError(f"{source} has no API key.", hint=f"Create it again with a key: `maas login {name} {url}`.")
    return RegionAccess(
        api_url(url, allow_http=settings.maas_allow_http, source=source),
        ApiKey.parse(":".join(map(str, credentials)), source),
        settings.maas_ca_bundle or (_certificates(name, str(certificates)) if certificates else None),
    )


def _certificates(name: str, pem: str) -> Path:
    """Return the file with the certificates that a profile trusts."""
    path = expand_user(f"{CERTIFICATES}/{name}.pem")
    try:
        if path.read_text(encoding="utf-8") == pem:
            return path
    except (OSError, ValueError):
        pass
    raise SettingsError(
        f"The profile {name} of the MAAS CLI trusts certificates that are not in {path}.",
        hint="Set MAAS_CA_BUNDLE to a PEM file with them.",
    )


def _select(path: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    import sqlite3  # noqa: PLC0415 - 5 ms, and only needed with profiles

    read_own(path, CONTENT, most=0)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise SettingsError(
            f"The profiles of the MAAS CLI in {path} cannot be read: {error}.", hint="Check them with `maas list`."
        ) from None
