"""Users and their API keys, and the check of OAuth 1.0 credentials."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from urllib.parse import quote, unquote

from oauthlib.oauth1.rfc5849.signature import base_string_uri, normalize_parameters, signature_base_string

from maas_simulator.model.refusals import HTML, Refusal


@dataclass(frozen=True)
class Signed:
    """The signed parts of a request; ``parameters`` are those of the query, and of a form that was posted."""

    method: str = "GET"
    url: Callable[[], str] = str
    """Returns the URL, which few signatures cover."""
    parameters: Mapping[str, str] = field(default_factory=dict)


UNSIGNED = Signed()
"""A request signed with PLAINTEXT, whose signature does not cover its parts."""

MAX_AGE = 300
"""The age in real seconds above which timestamps are rejected. Future timestamps are accepted."""

REQUIRED = tuple(
    f"oauth_{name}" for name in ("consumer_key", "token", "signature", "signature_method", "timestamp", "nonce")
)
"""MAAS ignores credentials that do not name all of these, wherever in the header."""
Nonce = tuple[str, str, str]
"""Consumer key, token key and nonce."""

USUAL_CONSUMER = "MAAS consumer"
"""The name of an API key, unless the user gives another."""

_PARTS = (("consumer", 18), ("token", 18), ("secret", 32))
"""The parts of an API key with their lengths."""


@dataclass(frozen=True)
class Token:
    """An API key with its name."""

    name: str
    consumer: str
    key: str
    secret: str

    @property
    def api_key(self) -> str:
        """``consumer:token:secret``, the only credentials an API client needs."""
        return f"{self.consumer}:{self.key}:{self.secret}"


@dataclass(frozen=True)
class User:
    """A user of the region. The three parts of the API key are derived from the name, so they never change."""

    username: str
    is_superuser: bool = False
    password: str = ""
    """For logging in. If it is empty, the password is the username."""
    email: str = ""
    """By default the username at example.com."""

    @property
    def api_key(self) -> str:
        """The user's first API key."""
        return self.own_token.api_key

    @cached_property
    def own_token(self) -> Token:
        """The API key that every user has from the start. Its parts protect nothing real."""
        return Token(USUAL_CONSUMER, *(_derive(f"{self.username} {part}", length) for part, length in _PARTS))

    @property
    def consumer(self) -> str:
        """The consumer key; its secret is empty."""
        return self.own_token.consumer

    @property
    def token(self) -> str:
        """The token's key."""
        return self.own_token.key

    @property
    def secret(self) -> str:
        """The token's secret. It protects nothing real."""
        return self.own_token.secret

    def accepts(self, password: str) -> bool:
        """Whether this is the user's password. It protects nothing real."""
        return password == (self.password or self.username)

    def as_json(self) -> dict[str, object]:
        """The user as ``users/?op=whoami`` shows it."""
        return {
            "is_superuser": self.is_superuser,
            "username": self.username,
            "email": self.email or f"{self.username}@example.com",
            "is_local": True,
            "resource_uri": f"/MAAS/api/2.0/users/{quote(self.username)}/",
        }


NOBODY = User("")
"""Stands for the user of a request without credentials."""


@dataclass
class Authenticator:
    """Finds the user of a request from its ``Authorization`` header, as MAAS 3.7 does."""

    users: Mapping[str, User]
    tokens: dict[str, list[Token]] = field(default_factory=dict)
    """The API keys by username, of users who have not only their first one."""
    clock: Callable[[], float] = time.time
    """Returns the time that timestamps are compared with, in epoch seconds."""
    _nonces: set[Nonce] = field(default_factory=set)
    _expiring: list[tuple[int, Nonce]] = field(default_factory=list)
    """The same nonces as a heap by timestamp. Old ones can be forgotten, because their timestamps are rejected
    anyway."""

    def user(self, header: str | None, request: Signed = UNSIGNED) -> User | None:
        """Return the user, or None without credentials; raises a ``Refusal`` for bad ones.

        The credentials are in the header, or among the request's parameters.
        """
        if not any(all(name in place for name in REQUIRED) for place in (header or "", request.parameters)):
            return None
        given = {**request.parameters, **_parse_header(header or "")}
        version = given.get("oauth_version", "1.0")
        if version not in ("", "1.0"):
            raise _refusal(f"'OAuth version {version} not supported.'")
        for name in REQUIRED:
            if name not in given and name != "oauth_signature":
                # The header has another scheme, such as ``oauth``.
                raise Refusal(400, f"'Bad Request: Parameter not found: {name}'")
        user, token = self._owner(given)
        self._check_nonce(given, self._check_time(given["oauth_timestamp"]))
        _check_signature(given, token, request)
        return user

    def tokens_of(self, user: User) -> list[Token]:
        """The API keys of a user."""
        return self.tokens.get(user.username, [user.own_token])

    def create_token(self, user: User, name: str) -> Token:
        """Add an API key."""
        serial = f"{user.username} {time.monotonic_ns()}"
        token = Token(name, *(_derive(f"{serial} {part}", length) for part, length in _PARTS))
        self.tokens[user.username] = [*self.tokens_of(user), token]
        return token

    def _owner(self, given: Mapping[str, str]) -> tuple[User, Token]:
        """The owner of the token. MAAS accepts it with any consumer key that exists."""
        every = [(user, token) for user in self.users.values() for token in self.tokens_of(user)]
        if not any(token.consumer == given["oauth_consumer_key"] for _, token in every):
            raise _refusal("Invalid API key.")
        for user, token in every:
            if token.key == given["oauth_token"]:
                return user, token
        raise _refusal(f"'Invalid access token: {given['oauth_token']}'")

    def _check_time(self, timestamp: str) -> int:
        try:
            then = int(timestamp)
        except ValueError as error:
            raise Refusal(500, str(error)) from error
        now = int(self.clock())
        if now - then > MAX_AGE:
            raise _refusal(
                f"'Expired timestamp: given {then} and now {now} has a greater difference than threshold {MAX_AGE}'"
            )
        while self._expiring and now - self._expiring[0][0] > MAX_AGE:
            self._nonces.remove(heappop(self._expiring)[1])
        return then

    def _check_nonce(self, given: Mapping[str, str], then: int) -> None:
        used = (given["oauth_consumer_key"], given["oauth_token"], given["oauth_nonce"])
        if not given["oauth_nonce"]:  # MAAS does not notice when an empty nonce is used again.
            return
        if used in self._nonces:
            raise _refusal(f"'Nonce already used: {given['oauth_nonce']}'")
        self._nonces.add(used)
        heappush(self._expiring, (then, used))


def _check_signature(given: Mapping[str, str], token: Token, request: Signed) -> None:
    method = given["oauth_signature_method"]
    if method not in ("PLAINTEXT", "HMAC-SHA1"):
        raise _refusal(f"'Signature method {method} not supported try one of the following: PLAINTEXT, HMAC-SHA1'")
    if "oauth_signature" not in given:
        raise _refusal("'Missing signature.'")
    # MAAS 3.7 returns the base string, which with PLAINTEXT is the secret. Clients must never show a 401's body.
    base = f"&{token.secret}" if method == "PLAINTEXT" else _base_string(request, given)
    wanted = base if method == "PLAINTEXT" else _hmac_sha1(base, token.secret)
    if given["oauth_signature"] != wanted:
        raise _refusal(f"'Invalid signature. Expected signature base string: {base}'")


def _base_string(request: Signed, given: Mapping[str, str]) -> str:
    """Return the signature base string (RFC 5849, section 3.4.1) of a request with all its parameters."""
    signed = [(name, value) for name, value in given.items() if name != "oauth_signature"]
    normalized = normalize_parameters(signed)  # type: ignore[arg-type] # its stubs want a dict, RFC 5849 a list
    return str(signature_base_string(request.method, base_string_uri(request.url()), normalized))  # type: ignore[arg-type] # any method may be signed


def _hmac_sha1(text: str, secret: str) -> str:
    """Sign a text with a token's secret; MAAS's consumer secret is empty."""
    digest = hmac.new(f"&{secret}".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _derive(text: str, length: int) -> str:
    return hashlib.sha256(f"simulated {text}".encode()).hexdigest()[:length]


def _parse_header(header: str) -> dict[str, str]:
    """The parameters of an ``OAuth`` header. The scheme is case-sensitive, and quotes are optional."""
    if not header.startswith("OAuth "):
        return {}
    pairs = (part.strip().partition("=") for part in header[6:].split(",") if "realm" not in part)
    return {name: unquote(value.strip('"')) for name, _, value in pairs}


def _refusal(reason: str) -> Refusal:
    return Refusal(401, f"Authorization Error: {reason}", HTML, {"WWW-Authenticate": 'OAuth realm="OAuth"'})
