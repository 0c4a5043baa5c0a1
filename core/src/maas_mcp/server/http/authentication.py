"""Authenticates HTTP requests: maps a bearer token to a principal with a MAAS API key."""

import logging
from typing import Final

from starlette.datastructures import Headers

from maas_mcp.access.keys import KeyFile
from maas_mcp.access.tokens import TokenFile
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import SettingsError
from maas_mcp.server.http.refusals import Refusal

logger = logging.getLogger(__name__)

LONGEST_TOKEN: Final = 8192
"""Maximum characters of a token. A longer one is refused unread."""


class Authenticator:
    """Authenticates requests by their bearer tokens.

    Args:
        tokens: The accepted tokens.
        keys: The MAAS API keys of their owners.
    """

    def __init__(self, tokens: TokenFile, keys: KeyFile) -> None:
        self._tokens = tokens
        self._keys = keys

    async def principal(self, headers: Headers) -> Principal:
        """Return the principal of a request.

        Raises:
            Refusal: 401 without an accepted token, 403 if its owner has no MAAS API key, 503 if a file cannot be used.
                A refusal does not reveal why a token is not accepted.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _challenge("This server requires a bearer token.", "Send the header Authorization: Bearer TOKEN.")
        try:
            stored = self._tokens.find(token.strip()) if len(token) <= LONGEST_TOKEN else None
            if stored is None:
                raise _challenge(
                    "The bearer token is not accepted.", "Check it, or ask for a new one.", error="invalid_token"
                )
            api_key = self._keys.key_of(stored.name)
        except SettingsError as error:
            logger.error("HTTP requests are refused: %s %s", error.message, error.hint or "")  # noqa: TRY400 - no traceback needed
            raise Refusal(
                503, "The server cannot authenticate requests.", "Its log has the reason. Try again later."
            ) from None
        if api_key is None:
            raise Refusal(
                403, f"{stored.name} has no MAAS API key on this server.", "The operator of this server can add one."
            )
        return Principal(stored.name, stored.scopes, api_key)


def missing_scope(scope: Scope) -> Refusal:
    """Return the refusal of a request whose token lacks a scope (RFC 6750, section 3.1)."""
    return _challenge(
        f"This call requires the scope {scope}, which your token lacks.",
        "Ask the operator of this server for a token with that scope.",
        error="insufficient_scope",
        scope=scope,
        status=403,
    )


def _challenge(problem: str, advice: str, *, error: str = "", scope: str = "", status: int = 401) -> Refusal:
    parts = [f'{name}="{value}"' for name, value in (("error", error), ("scope", scope)) if value]
    return Refusal(status, problem, advice, {"WWW-Authenticate": f"Bearer {', '.join(parts)}".strip()})
