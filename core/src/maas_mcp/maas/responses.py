"""Reading MAAS's answers: JSON where it did what it was asked, an error of :mod:`maas_mcp.errors` where it did not."""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

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
from maas_mcp.maas.text import parsed

logger = logging.getLogger(__name__)

LONGEST_WAIT: Final = 60.0
"""Seconds to which a longer ``Retry-After`` is cut: it may be a proxy's guess, which must not end what is followed; and
one request a minute burdens nobody."""
_LONGEST_WORDS: Final = 2000
_LONGEST_NAME: Final = 64
_MOST_FIELDS: Final = 20
_MOST_MESSAGES: Final = 5
_SHORTEST_SECRET: Final = 6  # shorter ones occur in MAAS's words by chance
_ESCAPED: Final = re.compile(r"[^\w #:;,./@+=-]+")
_OLDEST_TIMESTAMP: Final = 300
"""Seconds after which MAAS 3.7 refuses an OAuth timestamp. Any time ahead of it is accepted."""
_ANONYMOUS_PATHS: Final = frozenset({"machines/", "nodes/"})
"""Where MAAS 3.7 answers a request without credentials not by a 401: their anonymous handler knows no plain GET."""
_OF_MACHINES: Final = ("machines/", "nodes/")
_READS_OF_A_MACHINE: Final = frozenset({None, "query_power_state"})
"""Reads that MAAS allows to everyone who may see the machine; some others take an administrator."""
_NO_MACHINE: Final = ("No Machine ", "No Node ")
"""How MAAS's words begin where it has no machine of that system id."""
_NOT_FOUND: Final = re.compile(r"No \w+ matches the given query\.")
"""How MAAS 3.3 to 3.7 says that it finds nothing. Other texts are those of proxies: ``404 page not found``."""
_REFUSAL_HINTS: Final[Mapping[str, str]] = {
    "Node must be configured to use a network": (
        "None of the machine's interfaces is linked to a subnet. Link one to a subnet in MAAS, or commission the "
        "machine again, which sets up its network."
    ),
    "Node has no address family in common with the server": (
        "None of the machine's interfaces can get an address, IPv4 or IPv6, by which it reaches MAAS. A commissioning "
        "that failed may have removed its network configuration. Link an interface to a subnet of MAAS's network, or "
        "commission the machine again."
    ),
}
"""What to do about a 400, by a text in it (MAAS 3.7, ``op=deploy``)."""
_IN_BETWEEN: Final = "A firewall, a proxy or a login page in between has answered. Ask whoever runs it."
_URL_HINT: Final = "Check MAAS_URL: it is the address of the region, such as https://maas.example.com:5443/MAAS."


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, as far as an error may tell."""

    method: str
    path: str
    """Below ``/MAAS/api/2.0/``."""
    op: str | None = None
    secrets: Sequence[str] = field(default=(), repr=False)
    """What must not be shown even where MAAS says it: user data, passwords, the secret of the key."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f"?op={self.op}" if self.op else "")


@dataclass(frozen=True, slots=True)
class Response:
    """What MAAS answered."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive, or in lower case."""
    body: bytes = field(default=b"", repr=False)
    """Empty for a 401: MAAS 3.7 prints the secret of the token in one, so nobody reads it."""

    @property
    def kind(self) -> str:
        """The content type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text; empty where it is a page for people, such as a proxy's, or not text at all."""
        text = self.body.decode("utf-8", "replace").strip()
        readable = self.kind.startswith(("text/", "application/json")) or not self.kind
        return text if readable and not text.startswith("<") else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds that MAAS asked to wait, :data:`LONGEST_WAIT` at the most; the header may also be a date."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return min(float(value), LONGEST_WAIT)
        at = _timestamp(value)
        return None if at is None else min(max(0.0, at - time.time()), LONGEST_WAIT)

    @property
    def seconds_behind(self) -> float:
        """How far this machine's clock is behind the region's, by the answer's ``Date``."""
        at = _timestamp(self.headers.get("date", ""))
        return 0.0 if at is None else at - time.time()


def read(request: Request, response: Response) -> JSON:
    """The JSON of the answer; ``None`` where it is empty, a string where MAAS answers a POST in plain text.

    Raises:
        MaasError: The one that fits; its ``maas_says`` holds MAAS's words, clipped, without the question's secrets.
            Nothing else is raised, whatever is answered: who follows operations would end with it.
    """
    try:
        return _read(request, response)
    except MaasError:
        raise
    except Exception:
        logger.exception("an answer to %s could not be read", request)
    raise MaasProtocolError(f"MAAS answered {request} with something that cannot be read ({response.status}).")


def _read(request: Request, response: Response) -> JSON:
    if not HTTPStatus(200) <= response.status < HTTPStatus(300):
        error = _error(request, response)
        error.status = response.status
        raise error
    if not response.body:
        return None
    if response.kind == "text/plain" and request.method == "POST" and response.text:
        return _json_or_text(response)
    try:
        return parsed(response.body)
    except (ValueError, RecursionError):
        problem = f"{response.kind or 'no content type'}, {len(response.body)} bytes"
    raise MaasProtocolError(
        f"MAAS answered {request} with something that is not JSON ({problem}).",
        hint=f"Is there a proxy or a login page in between? {_URL_HINT}",
    )


def _json_or_text(response: Response) -> JSON:
    try:
        return parsed(response.body)
    except (ValueError, RecursionError):
        return response.text


def _error(request: Request, response: Response) -> MaasError:
    if 300 <= response.status < 400:  # noqa: PLR2004 - every redirect
        return _redirected(request, response)
    mapped = _ERRORS.get(response.status)
    if mapped is not None:
        return mapped(request, response)
    words = _words(request, response)
    hint = None if words else "The answer has no words of MAAS's own: a proxy in between may have given it."
    if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        hint = "Send less, such as shorter user_data. Or raise the limit of the proxy in front of MAAS."
    return MaasError(_sentence(f"MAAS answered {response.status} to {request}", words), hint=hint, maas_says=words)


def _unauthorized(request: Request, response: Response) -> MaasError:  # noqa: ARG001 - the table's signature
    behind = response.seconds_behind
    if behind > _OLDEST_TIMESTAMP * 0.9:
        hint = (
            f"This machine's clock is {behind:.0f} s behind the region's, and MAAS refuses requests more than"
            f" {_OLDEST_TIMESTAMP} s old: set the clock."
        )
    else:
        hint = f"Check MAAS_API_KEY: the key may have been deleted, or belong to another region. {KEY_HINT}"
    return MaasAuthError("MAAS does not accept the API key (401).", hint=hint)


def _bad_request(request: Request, response: Response) -> MaasError:
    words = _words(request, response)
    if _is_anonymous(request, words):
        return MaasAuthError(
            "MAAS answered as if no API key had been sent.",
            hint="A proxy may drop the Authorization header. " + KEY_HINT,
        )
    fields = _fields(request, response)
    if fields:
        told = " ".join(
            (f"{name}: " if name != "__all__" else "") + " ".join(messages) for name, messages in fields.items()
        )
        return MaasBadRequestError(
            f"MAAS refused {request}: {_clip(told)}",
            fields=fields,
            hint=_refusal_hint(told),
            maas_says=_clip(told),
        )
    if words is None and response.body:
        return MaasProtocolError(
            f"{request} was refused (400), but not by MAAS: by what is in between.", hint=_IN_BETWEEN
        )
    return MaasBadRequestError(
        _sentence(f"MAAS refused {request} (400)", words), hint=_refusal_hint(words or ""), maas_says=words
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
    words = _words(request, response)
    if words is None and response.body:
        return MaasProtocolError(
            f"{request} was refused (403), but not by MAAS: by what is in between.",
            hint=_IN_BETWEEN,
        )
    error = MaasPermissionError(
        _sentence(f"MAAS does not allow {request} (403)", words),
        hint=None if words else _who_may(request),
        maas_says=words,
    )
    error.op = request.op or request.method
    return error


def _who_may(request: Request) -> str:
    """Who may do what was refused without a word (MAAS 3.7), as far as the request alone shows it."""
    if not request.path.startswith(_OF_MACHINES):
        return "This needs a MAAS administrator."
    if request.method == "GET" and request.op in _READS_OF_A_MACHINE:
        return "The machine belongs to another user. Only its owner and MAAS administrators may see it."
    return "The machine may be locked or belong to someone else, or this takes a MAAS administrator."


def _not_found(request: Request, response: Response) -> MaasError:
    words = _words(request, response)
    if words is None or words.startswith("Unknown API endpoint"):
        return MaasProtocolError(
            f"There is no {request} at this address (404): it is not a MAAS region, or one without this path.",
            hint=_URL_HINT,
            maas_says=words,
        )
    if not _NOT_FOUND.fullmatch(words):
        return MaasProtocolError(
            f"{request} was answered with a 404 that is not MAAS's: {words}",
            hint=f"A proxy in between may have lost the region for a moment. {_URL_HINT}",
            maas_says=words,
        )
    return MaasNotFoundError(
        _sentence(f"MAAS finds nothing for {request}", words),
        hint=f"{SYSTEM_ID_RULE}." if words.startswith(_NO_MACHINE) else None,
        maas_says=words,
    )


def _conflict(request: Request, response: Response) -> MaasError:
    words = _words(request, response)
    if response.kind == "text/html" or words is None:
        return MaasUnavailableError(
            f"MAAS could not do {request} because others were changing the same things (409).",
            retry_after=response.retry_after,
        )
    return MaasConflictError(_sentence(f"MAAS refused {request}", words), maas_says=words)


def _unavailable(request: Request, response: Response) -> MaasError:
    words = _words(request, response)
    return MaasUnavailableError(
        _sentence(f"MAAS is not available: {response.status} to {request}", words),
        retry_after=response.retry_after,
        maas_says=words,
    )


def _redirected(request: Request, response: Response) -> MaasError:
    target = _redirect_target(response.headers.get("location", ""))
    return MaasProtocolError(
        f"MAAS answered {request} with a redirect ({response.status}) to {target}. Redirects are not followed: they"
        " would turn a POST into a GET, and could carry the API key elsewhere.",
        hint=f"If {target} is the region itself, set MAAS_URL to {target}/MAAS. Otherwise do not: a login page or "
        "another host must not get the API key."
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
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme or 'https'}://{shown}" + ("" if port is None else f":{port}")


_ERRORS: Final[Mapping[int, Callable[[Request, Response], MaasError]]] = {
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


def _words(request: Request, response: Response) -> str | None:
    return _clip(_without(request.secrets, response.text)) or None


def _fields(request: Request, response: Response) -> dict[str, list[str]]:
    try:
        told = parsed(response.body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {
        _clip(_without(request.secrets, name), _LONGEST_NAME): [
            _clip(_without(request.secrets, str(message)))
            for message in (messages if isinstance(messages, list) else [messages])[:_MOST_MESSAGES]
        ]
        for name, messages in islice(told.items(), _MOST_FIELDS)
    }


def _without(secrets: Sequence[str], text: str) -> str:
    # MAAS may repeat a value cut, quoted or escaped, so pieces that survive that are looked for, and one is enough.
    pieces = (piece.strip() for secret in secrets for piece in _ESCAPED.split(secret))
    if any(len(piece) >= _SHORTEST_SECRET and piece in text for piece in pieces):
        return "[left out: it repeats a secret parameter]"
    return text


def _clip(text: str, length: int = _LONGEST_WORDS) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _sentence(start: str, words: str | None) -> str:
    return f"{start}: {words}" if words else f"{start}."


def _timestamp(value: str) -> float | None:
    """An HTTP date in seconds since 1970; ``None`` for what is none, or lies beyond what a date can be."""
    try:
        at = parsedate_to_datetime(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
