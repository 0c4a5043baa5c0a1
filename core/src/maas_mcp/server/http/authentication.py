"""Authenticates HTTP requests: maps a token, or a trusted proxy's header, to a principal with a MAAS API key."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
from starlette.datastructures import Headers

from maas_mcp.access.access_tokens import AccessTokens
from maas_mcp.access.callers import Caller, KeyOwner
from maas_mcp.access.configuration import HttpAccess
from maas_mcp.access.issuer import read_keys
from maas_mcp.access.issuer_keys import TIMES, IssuerKeys, KeysUnavailableError
from maas_mcp.access.keys import KeyFile, PrincipalKeys
from maas_mcp.access.tokens import PREFIX, TokenFile
from maas_mcp.access.trusted_proxy import KEY_HEADER, SECRET_HEADER, key_principal
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.server.http.challenges import Challenges
from maas_mcp.server.http.refusals import Refusal

logger = logging.getLogger(__name__)

LONGEST_TOKEN: Final = 8192
"""Maximum characters of a token. A longer one is refused unread."""
CREDENTIALS: Final = frozenset({b"authorization", KEY_HEADER.encode(), SECRET_HEADER.encode()})
"""The headers that are removed after the authentication."""


class Authenticator:
    """Authenticates requests.

    Args:
        access: Who may call.
        region: The URL of the region's API.

    Raises:
        SettingsError: The file of tokens or of keys cannot be used.
    """

    def __init__(self, access: HttpAccess, region: str) -> None:
        self._access = access
        self._tokens = None if access.tokens is None else TokenFile(access.tokens)
        keys = None if access.keys is None else KeyFile(access.keys)
        self._keys = PrincipalKeys(keys, access.vault, region)
        if access.tokens is not None and access.tokens.exists():  # the first token creates it
            TokenFile(access.tokens).tokens()
        if keys is not None:
            keys.owners()
        self._oauth: AccessTokens | None = None
        self.challenges = Challenges(access.oauth)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Fetch the keys of issuers during the block, when requests need them."""
        oauth = self._access.oauth
        async with anyio.create_task_group() as tasks:
            if oauth is not None:
                fetches = {issuer: partial(read_keys, issuer, oauth.ca_bundle) for issuer in oauth.issuers}
                issuers = {issuer: IssuerKeys(fetch, tasks) for issuer, fetch in fetches.items()}
                self._oauth = AccessTokens(issuers, oauth.audiences, oauth.claim)
            yield
            tasks.cancel_scope.cancel()

    async def principal(self, headers: Headers, peer: str | None) -> Principal:
        """Return the principal of a request.

        Args:
            headers: The request's headers.
            peer: The address of the other end of the connection.

        Raises:
            Refusal: 401 without an accepted token; 403 if its owner has no MAAS API key, or if the request has a key
                and does not come from the trusted proxy; 503 if a file cannot be used or an issuer does not answer.
        """
        sent_key = self._sent_key(headers, peer)
        if sent_key is not None and "authorization" not in headers:
            return Principal(key_principal(sent_key), frozenset(Scope), sent_key)  # MAAS applies the key's permissions
        try:
            caller = await self._caller(headers)
            api_key = sent_key or self._keys.key_of(caller.owner)
        except SettingsError as error:
            raise _unusable(error) from None
        if api_key is None:
            raise Refusal(
                403, f"{caller.owner} has no MAAS API key on this server.", "The operator of this server can add one."
            )
        return Principal(caller.name, caller.scopes, api_key)

    async def check_scope(self, headers: Headers, scope: Scope) -> None:
        """Check that a request's token has a scope. Its owner needs no MAAS API key.

        Raises:
            Refusal: 401 without an accepted token, 403 without the scope, 503 as for :meth:`principal`.
        """
        try:
            caller = await self._caller(headers)
        except SettingsError as error:
            raise _unusable(error) from None
        if not any(each.includes(scope) for each in caller.scopes):
            raise self.challenges.missing_scope(scope)

    async def _caller(self, headers: Headers) -> Caller:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise self.challenges.no_token()
        found = None
        if len(token) <= LONGEST_TOKEN:
            static = self._access.oauth is None or token.startswith(PREFIX)
            found = self._stored(token) if static else await self._issued(token)
        if found is None:
            raise self.challenges.invalid_token()
        return found

    def _stored(self, token: str) -> Caller | None:
        stored = None if self._tokens is None else self._tokens.find(token)
        return None if stored is None else Caller(stored.name, stored.scopes, KeyOwner(stored.name))

    async def _issued(self, token: str) -> Caller | None:
        if self._oauth is None:
            return None
        try:
            return await self._oauth.verify(token)
        except KeysUnavailableError:
            raise Refusal(
                503,
                "The issuer of the token does not answer, so the token cannot be verified.",
                f"Try again in {TIMES.cooldown:.0f} s.",
                {"Retry-After": f"{TIMES.cooldown:.0f}"},
            ) from None

    def _sent_key(self, headers: Headers, peer: str | None) -> ApiKey | None:
        """Return the MAAS API key that the trusted proxy sent, if any."""
        proxy, text = self._access.proxy, headers.get(KEY_HEADER)
        if text is None:
            return None
        if proxy is None or not proxy.sends(peer, headers.get(SECRET_HEADER)):
            raise untrusted_key()
        try:
            return ApiKey.parse(text)
        except SettingsError:
            pass
        raise Refusal(400, f"The header {KEY_HEADER} is not a MAAS API key.", "Send consumer:token:secret.")


def _unusable(error: SettingsError) -> Refusal:
    logger.error("HTTP requests are refused: %s %s", error.message, error.hint or "")
    return Refusal(503, "The server cannot authenticate requests.", "Its log has the reason. Try again later.")


def untrusted_key() -> Refusal:
    """Return the refusal of a MAAS API key in a request that does not come from the trusted proxy."""
    return Refusal(
        403,
        f"The header {KEY_HEADER} is accepted from a trusted proxy only, and this request does not come from one.",
        "Send a bearer token instead. The operator of this server declares trusted proxies.",
    )
