"""MAAS's responses, parsed to JSON or to an error of :mod:`maas_mcp.errors`."""

import logging
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from maas_mcp.errors import (
    MaasAuthError,
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    MaasUnavailableError,
)
from maas_mcp.maas.address import KEY_HINT
from maas_mcp.maas.models import SYSTEM_ID_RULE
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.text import parse_json, visible_json
from maas_mcp.machine_text import MAX_TEXT, cut, cut_visible, make_visible, quoted

logger = logging.getLogger(__name__)

MAX_RETRY_AFTER: Final = 60.0
"""The longest accepted ``Retry-After`` in seconds. A longer one may be a proxy's guess and must not end the following
of an operation. One request a minute is no load."""
_MAX_NAME_LENGTH: Final = 64
_MAX_FIELDS: Final = 20
_MAX_MESSAGES: Final = 5
_ENCODED_PIECE_LENGTH: Final = 24
_MIN_PIECE_LENGTH: Final = 6  # shorter ones may occur in MAAS's messages by chance
_MAX_PIECE_LENGTH: Final = 1_000  # so much of a longer one identifies it
_ENCODED_LENGTH: Final = 12  # the most characters for one of a secret, such as %F0%9F%98%80
_ESCAPED_CHARACTERS: Final = re.compile(r"[^\w #:;,./@+=-]+")
_MAX_TIMESTAMP_AGE: Final = 300
"""The age in seconds at which MAAS 3.7 rejects an OAuth timestamp. It accepts any timestamp in the future."""
_ANONYMOUS_PATHS: Final = frozenset({"machines/", "nodes/"})
"""Paths for which MAAS 3.7 returns no 401 without credentials, because their anonymous handler has no plain GET."""
_MACHINE_PATHS: Final = ("machines/", "nodes/")
_MACHINE_READS: Final = frozenset({None, "query_power_state"})
"""Reads that MAAS allows to all users who may see the machine. Some others need an administrator."""
_NO_MACHINE_PREFIXES: Final = ("No Machine ", "No Node ")
"""The start of MAAS's message for an unknown system id."""
_NOT_FOUND: Final = re.compile(r"No \w+ matches the given query\.")
"""The 404 message of MAAS 3.3 to 3.7. Other messages, such as ``404 page not found``, are from proxies."""
_TAKEN_ADDRESS: Final = "IP address is already in use."
"""MAAS's 404 for a state conflict (MAAS 3.7, ``op=link_subnet``)."""
_REFUSAL_HINTS: Final[Mapping[str, str]] = {
    "Node must be configured to use a network": (
        "None of the machine's interfaces is linked to a subnet. Link one to a subnet in MAAS, or commission the "
        "machine again, which configures its network."
    ),
    "Node has no address family in common with the server": (
        "None of the machine's interfaces can get an IPv4 or IPv6 address that reaches MAAS. A failed commissioning "
        "may have removed its network configuration. Link an interface to a subnet of MAAS's network, or commission "
        "the machine again."
    ),
}
"""The hint for a 400, by a text in MAAS's message (MAAS 3.7, ``op=deploy``)."""
_INTERMEDIARY_HINT: Final = (
    "A firewall, a proxy or a login page between this machine and MAAS sent the response. Ask its administrator."
)
_URL_HINT: Final = "Check MAAS_URL. Expected the URL of the region, such as https://maas.example.com:5443/MAAS."


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that an error message needs."""

    method: str
    path: str
    """The path below ``/MAAS/api/2.0/``."""
    op: str | None = None
    secrets: Sequence[str] = field(default=(), repr=False)
    """Values to remove from MAAS's messages: user data, passwords and the parts of the API key."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f"?op={self.op}" if self.op else "")


@dataclass(frozen=True, slots=True)
class Response:
    """A response of MAAS."""

    status: int
    headers: Mapping[str, str]
    """Headers with case-insensitive or lower-case names."""
    body: bytes = field(default=b"", repr=False)
    """The body; empty for a 401, which is not read because MAAS 3.7 prints the token's secret in it."""

    @property
    def content_type(self) -> str:
        """The content type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text; empty if it is an HTML page, such as a proxy's, or not text."""
        text = self.body.decode("utf-8", "replace").strip()
        readable = self.content_type.startswith(("text/", "application/json")) or not self.content_type
        return text if readable and not text.startswith("<") else ""

    @property
    def retry_after(self) -> float | None:
        """The seconds that MAAS asked to wait, at most :data:`MAX_RETRY_AFTER`. The header may also be a date."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return min(float(value), MAX_RETRY_AFTER)
        at = _timestamp(value)
        return None if at is None else min(max(0.0, at - time.time()), MAX_RETRY_AFTER)

    @property
    def seconds_behind(self) -> float:
        """The seconds by which this machine's clock is behind the region's, from the ``Date`` header."""
        at = _timestamp(self.headers.get("date", ""))
        return 0.0 if at is None else at - time.time()


Decode = Callable[[bytes], JSON]
"""Reads the body of a response. It may raise a ``ValueError`` or a ``RecursionError`` for an unexpected body."""


def read_response(request: Request, response: Response, decode: Decode | None = None) -> JSON:
    """Return the JSON of a response, ``None`` if it is empty, or a string for a POST's plain-text response.

    With ``decode``, return what it returns for the JSON text, whose strings have no invisible characters.

    Raises:
        MaasError: The response is an error. ``maas_says`` is MAAS's message, shortened and without the request's
            secrets. No response raises another exception, because that would end the following of operations.
    """
    try:
        return _read(request, response, decode)
    except MaasError:
        raise
    except Exception:
        logger.exception("The response to %s could not be read", request)
    raise MaasProtocolError(f"MAAS's response to {request} cannot be read ({response.status}).")


def _read(request: Request, response: Response, decode: Decode | None) -> JSON:
    if not HTTPStatus(200) <= response.status < HTTPStatus(300):
        error = _create_error(request, response)
        error.status = response.status
        raise error
    if decode is None and not response.body:
        return None
    if decode is None and response.content_type == "text/plain" and request.method == "POST" and response.text:
        return _json_or_text(response)
    try:
        return parse_json(response.body) if decode is None else decode(visible_json(response.body))
    except (ValueError, RecursionError):
        kind = quoted(response.content_type) if response.content_type else "no content type"
        problem = f"{kind}, {len(response.body)} bytes"
    raise MaasProtocolError(
        f"MAAS's response to {request} is not JSON ({problem}).",
        hint=f"It may come from a proxy or a login page. {_URL_HINT}",
    )


def _json_or_text(response: Response) -> JSON:
    try:
        return parse_json(response.body)
    except (ValueError, RecursionError):
        return make_visible(response.text)


def _create_error(request: Request, response: Response) -> MaasError:
    if 300 <= response.status < 400:  # noqa: PLR2004 - every redirect
        return _redirected(request, response)
    mapped = _ERROR_FACTORIES.get(response.status)
    if mapped is not None:
        return mapped(request, response)
    words = _maas_text(request, response)
    hint = None if words else "The response has no message from MAAS, so a proxy may have sent it."
    if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        hint = "Send less, such as shorter user_data, or raise the limit of the proxy in front of MAAS."
    return MaasError(_join_text(f"MAAS returned {response.status} for {request}", words), hint=hint, maas_says=words)


def _unauthorized(request: Request, response: Response) -> MaasError:  # noqa: ARG001 - the table's signature
    behind = response.seconds_behind
    if behind > _MAX_TIMESTAMP_AGE * 0.9:
        hint = (
            f"Set this machine's clock: it is {behind:.0f} s behind the region's, and MAAS rejects requests more than"
            f" {_MAX_TIMESTAMP_AGE} s old."
        )
    else:
        hint = f"Check MAAS_API_KEY. The key may have been deleted or belong to another region. {KEY_HINT}"
    return MaasAuthError("MAAS rejected the API key (401).", hint=hint)


def _bad_request(request: Request, response: Response) -> MaasError:
    words = _maas_text(request, response)
    if _is_anonymous(request, words):
        return MaasAuthError(
            "MAAS responded as if the request had no API key.",
            hint=f"Check MAAS_API_KEY, and whether a proxy removes the Authorization header. {KEY_HINT}",
        )
    fields = _fields(request, response)
    if fields:
        text = " ".join(
            (f"{name}: " if name != "__all__" else "") + " ".join(messages) for name, messages in fields.items()
        )
        return MaasBadRequestError(
            f"MAAS refused {request}: {quoted(text)}",
            fields=fields,
            hint=_refusal_hint(text),
            maas_says=cut(text, MAX_TEXT),
        )
    if words is None and response.body:
        return MaasProtocolError(f"{request} was refused (400), but not by MAAS.", hint=_INTERMEDIARY_HINT)
    return MaasBadRequestError(
        _join_text(f"MAAS refused {request} (400)", words), hint=_refusal_hint(words or ""), maas_says=words
    )


def _refusal_hint(words: str) -> str | None:
    return next((hint for text, hint in _REFUSAL_HINTS.items() if text in words), None)


def _is_anonymous(request: Request, words: str | None) -> bool:
    return (
        request.method == "GET"
        and request.op is None
        and request.path in _ANONYMOUS_PATHS
        and (words or "").startswith("Unrecognised signature:")
    )


def _forbidden(request: Request, response: Response) -> MaasError:
    words = _maas_text(request, response)
    if words is None and response.body:
        return MaasProtocolError(
            f"{request} was refused (403), but not by MAAS.",
            hint=_INTERMEDIARY_HINT,
        )
    error = MaasPermissionError(
        _join_text(f"MAAS does not allow {request} (403)", words),
        hint=None if words else _permission_hint(request),
        maas_says=words,
    )
    error.op = request.op or request.method
    return error


def _permission_hint(request: Request) -> str:
    """Explain a 403, which MAAS 3.7 sends without a message, as far as the request shows the reason."""
    if not request.path.startswith(_MACHINE_PATHS):
        return "This needs a MAAS administrator."
    if request.method == "GET" and request.op in _MACHINE_READS:
        return "The machine belongs to another user. Only its owner and MAAS administrators may see it."
    return "The machine may be locked or belong to another user, or this needs a MAAS administrator."


def _not_found(request: Request, response: Response) -> MaasError:
    words = _maas_text(request, response)
    if words is None or words.startswith("Unknown API endpoint"):
        return MaasProtocolError(
            f"MAAS_URL has no {request} (404). It is not a MAAS region, or its version does not have this path.",
            hint=_URL_HINT,
            maas_says=words,
        )
    if words == _TAKEN_ADDRESS:
        return _conflict(request, response)
    if not _NOT_FOUND.fullmatch(words):
        return MaasProtocolError(
            f"{request} returned a 404 that is not from MAAS: {quoted(words)}",
            hint=f"A proxy may have lost its connection to the region. {_URL_HINT}",
            maas_says=words,
        )
    return MaasNotFoundError(
        _join_text(f"MAAS finds nothing for {request}", words),
        hint=f"{SYSTEM_ID_RULE}." if words.startswith(_NO_MACHINE_PREFIXES) else None,
        maas_says=words,
    )


def _conflict(request: Request, response: Response) -> MaasError:
    words = _maas_text(request, response)
    if response.content_type == "text/html" or words is None:
        return MaasUnavailableError(
            f"MAAS could not process {request}, because other requests changed the same objects (409).",
            retry_after=response.retry_after,
        )
    return MaasConflictError(_join_text(f"MAAS refused {request}", words), maas_says=words)


def _unavailable(request: Request, response: Response) -> MaasError:
    words = _maas_text(request, response)
    return MaasUnavailableError(
        _join_text(f"MAAS is not available: {response.status} for {request}", words),
        retry_after=response.retry_after,
        maas_says=words,
    )


def _redirected(request: Request, response: Response) -> MaasError:
    target = _redirect_target(response.headers.get("location", ""))
    return MaasProtocolError(
        f"MAAS redirected {request} ({response.status}) to {target}. Redirects are not followed, because they turn a"
        " POST into a GET and could send the API key to another host.",
        hint=f"If {target} is the region itself, set MAAS_URL to {target}/MAAS. Never send the API key to a login page"
        " or another host."
        if "://" in target
        else _URL_HINT,
    )


def _redirect_target(location: str) -> str:
    try:
        parts = urlsplit(location)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        return "another path of the same host"
    shown = f"[{host}]" if ":" in host else quoted(host)
    return f"{parts.scheme or 'https'}://{shown}" + ("" if port is None else f":{port}")


_ERROR_FACTORIES: Final[Mapping[int, Callable[[Request, Response], MaasError]]] = {
    400: _bad_request,
    401: _unauthorized,
    403: _forbidden,
    404: _not_found,
    409: _conflict,
    429: _unavailable,
    502: _unavailable,
    503: _unavailable,
    504: _unavailable,
}


def _maas_text(request: Request, response: Response) -> str | None:
    return _without_secrets(request.secrets, response.text, MAX_TEXT) or None


def _fields(request: Request, response: Response) -> dict[str, list[str]]:
    try:
        fields = parse_json(response.body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    return {
        _without_secrets(request.secrets, name, _MAX_NAME_LENGTH): [
            _without_secrets(request.secrets, str(message), MAX_TEXT)
            for message in (messages if isinstance(messages, list) else [messages])[:_MAX_MESSAGES]
        ]
        for name, messages in islice(fields.items(), _MAX_FIELDS)
    }


def _without_secrets(secrets: Sequence[str], text: str, limit: int) -> str:
    """Return the text in at most ``limit`` characters, unless it has a piece of a secret."""
    # MAAS may shorten, quote, escape, encode or decode a value that it repeats, so any piece of a secret counts. A
    # piece that begins in the shown characters ends in those that are searched.
    start = text[: limit + _ENCODED_LENGTH * _MAX_PIECE_LENGTH]
    texts = {start, unquote_plus(start)}
    pieces = (piece.strip()[:_MAX_PIECE_LENGTH] for secret in secrets for form in _forms(secret) for piece in form)
    if any(len(piece) >= _MIN_PIECE_LENGTH and any(piece in each for each in texts) for piece in pieces):
        return "[removed: it repeats a secret parameter]"
    return cut_visible(text, limit)


def _forms(secret: str) -> Iterator[Sequence[str]]:
    """Yield the pieces of a secret as it was sent, encoded in base64, and decoded from it."""
    yield _ESCAPED_CHARACTERS.split(secret)
    encoded = b64encode(secret.encode("utf-8", "replace")).decode()
    yield encoded.rstrip("="), encoded[:_ENCODED_PIECE_LENGTH]
    try:
        decoded = b64decode("".join(secret.split()), validate=True)
    except ValueError:
        return
    yield _ESCAPED_CHARACTERS.split(decoded.decode("utf-8", "replace"))


def _join_text(start: str, words: str | None) -> str:
    return f"{start}: {quoted(words)}" if words else f"{start}."


def _timestamp(value: str) -> float | None:
    """Parse an HTTP date to seconds since 1970; ``None`` if it is invalid or out of range."""
    try:
        at = parsedate_to_datetime(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
