"""Exchanges the user name and password of a MAAS user for an API key, outside the API."""

from dataclasses import replace
from typing import Final

from maas_mcp.errors import MaasAuthError, MaasPermissionError, MaasProtocolError
from maas_mcp.maas.address import API_PATH, ApiKey, RegionAccess
from maas_mcp.maas.exchange import HttpTransport

_ACCOUNTS: Final = "accounts/"
_PARTS: Final = ("consumer_key", "token_key", "token_secret")


async def request_key(region: RegionAccess, username: str, password: str, consumer: str) -> ApiKey:
    """Return an API key of the user: ``POST /MAAS/accounts/authenticate/`` (MAAS 3.7).

    MAAS returns the user's key with the name ``consumer``, and creates it if there is none.

    Args:
        region: The region. Its API key is not used.
        username: The user.
        password: The user's password.
        consumer: The name of the key in MAAS.

    Raises:
        MaasAuthError: MAAS rejects the user or the password.
        MaasError: The request failed, or MAAS could not be reached.
    """
    accounts = region.api_url.removesuffix(API_PATH) + _ACCOUNTS
    transport = HttpTransport(replace(region, api_url=accounts, api_key=None))
    form = [("username", username), ("password", password), ("consumer", consumer)]
    try:
        answer = await transport.request("POST", "authenticate/", form=form)
    except MaasPermissionError:
        answer = None
    finally:
        await transport.aclose()
    if answer is None:
        raise MaasAuthError(
            "MAAS rejected the user name or the password.",
            hint="Nothing was stored. If MAAS uses single sign-on, use an API key instead: it is in the MAAS UI under "
            "your user's preferences (API keys).",
        )
    parts = [answer.get(part) for part in _PARTS] if isinstance(answer, dict) else []
    if not parts or not all(isinstance(part, str) for part in parts):
        raise MaasProtocolError(f"MAAS's response to a login at {accounts} has no API key.")
    return ApiKey.parse(":".join(map(str, parts)), "The key from MAAS")
