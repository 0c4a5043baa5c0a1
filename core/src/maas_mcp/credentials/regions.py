"""Finds the regions of the local user. The first source that is set is used, and the others are ignored.

1. ``MAAS_API_KEY``, with ``MAAS_URL``.
2. ``MAAS_API_KEY_FILE``, with ``MAAS_URL``.
3. ``MAAS_MCP_PROFILES``: logins and profiles of the MAAS CLI by name, each of them a region.
4. All logins of ``maas-mcp login``, each of them a region; with ``MAAS_URL``, only those to this URL.

Principals over HTTP do not use these sources: each has a key of its own, for the region of ``MAAS_URL``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from maas_mcp.credentials.logins import Login, logins_file, read_logins
from maas_mcp.credentials.profiles import profile_names, profiles_file, read_profile
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey, RegionAccess, api_url
from maas_mcp.private_files import read_own
from maas_mcp.settings import Settings, variable_name

KEY_FILE_CONTENT: Final = "the MAAS API key"
LONGEST_KEY: Final = 4096
"""Bytes. A longer file is probably not a key file."""


@dataclass(frozen=True, slots=True)
class LocalRegion:
    """A region of the local user."""

    name: str
    """The name of the profile or login; empty for the region of ``MAAS_URL``."""
    access: RegionAccess
    source: str
    """The source of the API key, for a message."""


class LocalRegions:
    """The regions of the local user, found when they are first needed. The first one is the default.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def all(self) -> tuple[LocalRegion, ...]:
        """All regions, at least one.

        Raises:
            SettingsError: There is none, or one of them cannot be used. The message names the sources.
        """
        return find_regions(self._settings)

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which calls choose a region; empty without a choice.

        Raises no error. A call that needs a region gets it.
        """
        try:
            found = self.all
        except SettingsError:
            return ()
        return tuple(each.name for each in found) if len(found) > 1 else ()

    def access(self, name: str = "") -> RegionAccess:
        """Return the region with this name, or the default.

        Raises:
            SettingsError: As for :attr:`all`.
        """
        return next((each.access for each in self.all if each.name == name), self.all[0].access)

    def anonymous(self) -> RegionAccess:
        """Return the default region without a key. ``MAAS_URL`` is enough.

        Raises:
            SettingsError: As for :attr:`all`.
        """
        if self._settings.maas_url is not None:
            return self._settings.anonymous_region()
        return replace(self.access(), api_key=None)


def find_regions(settings: Settings) -> tuple[LocalRegion, ...]:
    """Return the regions of the local user, the default one first.

    Raises:
        SettingsError: There is none, or one of them cannot be used.
    """
    if settings.maas_api_key is not None:
        return (LocalRegion("", settings.require_region(), "MAAS_API_KEY"),)
    if (path := settings.maas_api_key_file) is not None:
        text = read_own(path, KEY_FILE_CONTENT, LONGEST_KEY).decode("utf-8-sig", "replace")
        key = ApiKey.parse(text, f"The content of {path}")
        return (LocalRegion("", settings.require_region(key), f"MAAS_API_KEY_FILE, {path}"),)
    if settings.profiles:
        logins = read_logins(settings)
        return tuple(_named(name, logins, settings) for name in dict.fromkeys(settings.profiles))
    found = tuple(_of_login(each, settings) for each in _matching(settings))
    if not found:
        raise _no_region(settings)
    return found


def ignored_sources(settings: Settings) -> list[str]:
    """Return the variables of sources that are set, but ignored because of an earlier one."""
    given = [name for name in ("maas_api_key", "maas_api_key_file", "profiles") if getattr(settings, name)]
    return [variable_name(name) for name in given[1:]]


def _named(name: str, logins: dict[str, Login], settings: Settings) -> LocalRegion:
    """Return the region of a login or of a profile of the MAAS CLI."""
    if name in logins:
        return _of_login(logins[name], settings)
    path = profiles_file()
    access = None if path is None else read_profile(path, name, settings)
    if path is not None and access is not None:
        return LocalRegion(name, access, f"the profile {name} of the MAAS CLI in {path}")
    known = [*logins, *(profile_names(path) if path else ())]
    expected = (
        f"Expected one of {', '.join(dict.fromkeys(known))}." if known else "There are no logins and no profiles."
    )
    raise SettingsError(
        f"MAAS_MCP_PROFILES names {name}, which is neither a login of `maas-mcp login` nor a profile of the MAAS CLI. "
        f"{expected}",
        hint=f"Create one with `maas-mcp login --profile {name}` or `maas login {name} URL`.",
    )


def _of_login(login: Login, settings: Settings) -> LocalRegion:
    return LocalRegion(login.name, login.access(settings), f"the login {login.name} in {login.place}")


def _matching(settings: Settings) -> Iterator[Login]:
    """The logins; with ``MAAS_URL``, those to this URL."""
    wanted = settings.maas_url and api_url(settings.maas_url, allow_http=True)
    return (each for each in read_logins(settings).values() if wanted in {None, each.url})


def _no_region(settings: Settings) -> SettingsError:
    """Create the error for a user without a region. It names the sources."""
    try:
        settings.require_region()
    except SettingsError as error:
        missing = error
    to_url = f" to {api_url(settings.maas_url, allow_http=True)}" if settings.maas_url else ""
    others = [
        f"MAAS_API_KEY_FILE and MAAS_MCP_PROFILES are not set either. {logins_file(settings)} has no login{to_url}."
    ]
    if names := _offered_profiles():
        others.append(f"The MAAS CLI has the profiles {', '.join(names)}: choose with MAAS_MCP_PROFILES={names[0]}.")
    return SettingsError(
        " ".join([missing.message, *others]), hint=f"Run `maas-mcp login`, or use an API key. {missing.hint}"
    )


def _offered_profiles() -> list[str]:
    """The profiles of the MAAS CLI. They are not used unless MAAS_MCP_PROFILES names them."""
    path = profiles_file()
    try:
        return profile_names(path) if path is not None else []
    except SettingsError:
        return []
