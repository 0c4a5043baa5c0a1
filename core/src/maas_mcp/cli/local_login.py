"""Logs the local user in to a region: asks for a password or an API key, checks it, and stores the key."""

import platform
import sys
from functools import partial
from typing import Final

import click

from maas_mcp.cli.common import print_text
from maas_mcp.cli.interrupt import run
from maas_mcp.credentials.logins import login_name, read_logins, remove_login, store_login
from maas_mcp.errors import MaasAuthError, SettingsError
from maas_mcp.maas.address import KEY_HINT, ApiKey, RegionAccess, api_url
from maas_mcp.setting_values import unwrap
from maas_mcp.settings import Settings

LONGEST_INPUT: Final = 4096
"""Maximum characters of a password or key on standard input."""


def log_in(settings: Settings, *, url: str | None, username: str | None, profile: str | None) -> None:
    """Log in to a region, and print the place of the key.

    Args:
        settings: The settings.
        url: The URL of the region; by default ``MAAS_URL``, or the user is asked.
        username: The MAAS user whose password is read; without one, the API key is read.
        profile: The name of the login; by default the region's host.

    Raises:
        MaasMcpError: The input or the region cannot be used. Nothing was stored.
    """
    asks = sys.stdin.isatty()
    if url is None and settings.maas_url is None and asks:
        url = click.prompt("URL of the MAAS region", err=True)
    region = settings.anonymous_region() if url is None else _region(settings, url)
    name = login_name(profile, region.api_url)
    if username is None and asks:
        username = click.prompt("MAAS user name (empty for an API key)", default="", show_default=False, err=True)
    if username:
        password = read_secret(f"Password of {username}", "a password")
        key = _request_key(region, username, password)
    else:
        key = read_key("MAAS API key")
    user = whose_key(region, key)
    login = store_login(settings, name, RegionAccess(region.api_url, key, region.ca_bundle), user)
    print_text(f"Logged in to {region.api_url} as {user}. The API key is in {login.place}, under the name {name}.")
    if settings.maas_api_key or settings.maas_api_key_file:
        print_text("MAAS_API_KEY or MAAS_API_KEY_FILE is set, and takes precedence over this login.", err=True)


def log_out(settings: Settings, profile: str | None) -> None:
    """Remove a login.

    Raises:
        SettingsError: There is no such login.
    """
    login = remove_login(settings, profile)
    print_text(f"Removed the login {login.name}: {login.username} at {login.url}. MAAS still accepts the API key.")


def list_logins(settings: Settings) -> None:
    """Print the logins without their keys."""
    for login in read_logins(settings).values():
        print_text(f"{login.name}: {login.username} at {login.url} (API key in {login.place})")


def read_secret(prompt: str, what: str) -> str:
    """Read a secret without showing it. Other users of the machine could see an argument.

    Raises:
        SettingsError: Standard input is empty.
    """
    if sys.stdin.isatty():
        text: str = click.prompt(prompt, hide_input=True, err=True)
    else:
        text = sys.stdin.readline(LONGEST_INPUT).rstrip("\r\n")
    if not text.strip():
        raise SettingsError(f"There is no {what.removeprefix('a ')} on standard input.", hint=KEY_HINT)
    return text


def read_key(prompt: str) -> ApiKey:
    """Read an API key without showing it.

    Raises:
        SettingsError: There is no key on standard input, or it does not have the form of a key.
    """
    return ApiKey.parse(read_secret(prompt, "a MAAS API key"), "The input")


def whose_key(region: RegionAccess, key: ApiKey) -> str:
    """Return the MAAS user of a key. The error gives the reason if the key cannot be used.

    Raises:
        MaasError: MAAS rejects the key, or cannot be reached.
    """
    from maas_mcp.maas.connection import connect  # noqa: PLC0415 - only needed for the request
    from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - as above

    async def whoami() -> str:
        maas = connect(with_proxy(RegionAccess(region.api_url, key, region.ca_bundle)))
        try:
            return (await maas.once().whoami()).username
        except MaasAuthError as error:
            raise MaasAuthError(error.message, hint=f"Nothing was stored. {KEY_HINT}") from None
        finally:
            await maas.aclose()

    return run(whoami)


def _request_key(region: RegionAccess, username: str, password: str) -> ApiKey:
    from maas_mcp.maas.password import request_key  # noqa: PLC0415 - a third of a second, and only needed here
    from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - as above

    consumer = f"maas-mcp@{platform.node() or 'unknown'}"
    return run(partial(request_key, with_proxy(region), username, password, consumer))


def _region(settings: Settings, url: str) -> RegionAccess:
    checked = api_url(unwrap(url), allow_http=settings.maas_allow_http, source="The URL")
    return RegionAccess(checked, ca_bundle=settings.maas_ca_bundle)
