"""OAuth 2.1 access tokens: JSON Web Tokens (RFC 9068) of the configured issuers, for this server."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt

from maas_mcp.access.callers import Caller, KeyOwner
from maas_mcp.access.issuer_keys import IssuerKeys
from maas_mcp.access.key_sets import ALGORITHMS
from maas_mcp.calls.principal import Scope

logger = logging.getLogger(__name__)

LEEWAY: Final = 30.0
"""Seconds by which the clocks of the issuer and of this machine may differ."""
TYPES: Final = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""Accepted values of the header ``typ``, in lower case. RFC 9068 defines the first; many issuers send the last."""
LONGEST_NAME: Final = 255
"""Maximum characters of a subject or another name. OpenID Connect limits a subject to as many."""


class _RejectedError(Exception):
    """The token is not accepted. The message says why, for the log."""


class AccessTokens:
    """Verifies the access tokens of issuers.

    Args:
        issuers: The keys of each accepted issuer, by the value of the claim ``iss``.
        audiences: The accepted values of the claim ``aud``.
        claim: The claim by which the principal's MAAS API key is found.
    """

    def __init__(self, issuers: Mapping[str, IssuerKeys], audiences: Sequence[str], claim: str = "sub") -> None:
        self._issuers = issuers
        self._audiences = list(audiences)
        self._claim = claim

    async def verify(self, token: str) -> Caller | None:
        """Return the caller who sends a token; ``None`` if it is not accepted, for a reason that the log has.

        Raises:
            KeysUnavailableError: The token's issuer does not answer, and its keys are unknown.
        """
        try:
            issuer, claims = await self._verified(token)
            subject, name = _name(claims, "sub"), _name(claims, self._claim)
        except _RejectedError as error:
            reason: object = error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            reason = str(error) or type(error).__name__
        else:
            # An issuer contains no space, so no other issuer and subject have this name.
            return Caller(f"{issuer} {subject}", granted_scopes(claims), KeyOwner(name, issuer))
        logger.info("An access token is not accepted: %s", reason)
        return None

    async def _verified(self, token: str) -> tuple[str, Mapping[str, Any]]:
        """Return the issuer and the verified claims of a token."""
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg"))
        if algorithm not in ALGORITHMS:
            raise _RejectedError(f"its algorithm is {algorithm[:20]!r}, not one of {', '.join(ALGORITHMS)}")
        if str(header.get("typ", "JWT")).lower() not in TYPES or "crit" in header:
            raise _RejectedError("it is not an access token, or needs an extension (typ, crit)")
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        keys = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if keys is None or not isinstance(issuer, str):
            raise _RejectedError(f"its issuer {str(issuer)[:200]!r} is not one of {', '.join(self._issuers)}")
        key = await keys.find(header.get("kid"), algorithm)
        if key is None:
            raise _RejectedError(f"{issuer} has no key {str(header.get('kid'))[:100]!r} for {algorithm}")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=self._audiences,
            issuer=issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud", "sub", self._claim]},
        )
        if "cnf" in claims:  # RFC 8705 and RFC 9449: the client would have to prove that it has a key
            raise _RejectedError("it is bound to a key of its client, which cannot be checked here (cnf)")
        if self._claim == "email" and claims.get("email_verified") is not True:
            raise _RejectedError("its email address is not verified, so it may belong to somebody else")
        return issuer, claims


def granted_scopes(claims: Mapping[str, Any]) -> frozenset[Scope]:
    """Return this server's scopes in a token's claims: ``scope`` (RFC 8693) or ``scp``, each a text or a list."""
    known = {str(scope): scope for scope in Scope}
    granted = set()
    for claim in ("scope", "scp"):
        value = claims.get(claim)
        words = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
        granted |= {known[word] for word in words if isinstance(word, str) and word in known}
    return frozenset(granted)


def _name(claims: Mapping[str, Any], claim: str) -> str:
    name = claims[claim]
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise _RejectedError(f"its claim {claim} is not a name of at most {LONGEST_NAME} characters")
    return name
