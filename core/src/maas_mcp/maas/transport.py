"""HTTP with the region: the only module, with ``auth``, that knows httpx."""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from maas_mcp import __version__
from maas_mcp.errors import (
    MaasError,
    MaasNotFoundError,
    MaasProtocolError,
    MaasTlsError,
    MaasUnavailableError,
    SettingsError,
)
from maas_mcp.maas.answers import Answer, Question, read
from maas_mcp.maas.auth import MaasAuth
from maas_mcp.maas.client import LONGEST_POST
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.retry import Backoff, retry
from maas_mcp.settings import RegionSettings, is_loopback

MAX_REQUESTS: Final = 4
"""Requests at once: as many as one worker process of a region serves (MAAS 3.7)."""
MAX_CHANGES: Final = 2
"""How many of them may change something: MAAS may hold a POST for minutes, and reads have to get through beside it."""
ABORT: Final = "abort"
"""The change that waits for no other: what holds the others up may be what it is to end."""
EVENTS: Final = "events/"
"""Has a place of its own: one query in MAAS, by which everything is followed, and nothing slower may hold it up."""
_CONNECT_TIMEOUT: Final = 10.0
_READ_TIMEOUT: Final = 60.0
_IDLE_CONNECTION: Final = 30.0  # kept well under nginx's 75 s, so that a POST does not meet a closing connection
_SECRET_FIELDS: Final = ("user_data", "power_parameters", "power_pass", "password", "license_key")


class HttpTransport:
    """The region over HTTP: signed, at most four requests at once, two of them changes, reads retried.

    Certificates are always verified; redirects are never followed. A POST is never sent twice: MAAS acts on one whose
    answer was lost.

    Args:
        region: Address, key and CA bundle.
        backoff: How reads are tried again.
        wire: What carries the requests, for tests; by default the network.

    Raises:
        SettingsError: The CA bundle, or a proxy of the environment, cannot be used.
    """

    def __init__(
        self, region: RegionSettings, *, backoff: Backoff | None = None, wire: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._root = region.api_url
        self._secret = region.api_key.secret
        self._backoff = backoff or Backoff()
        self._events = anyio.CapacityLimiter(1)
        self._others = anyio.CapacityLimiter(MAX_REQUESTS - 1)
        self._changes = anyio.CapacityLimiter(MAX_CHANGES)
        self._http = _http(region, wire)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
    ) -> JSON:
        """Send one request and return the JSON of its answer.

        Args:
            method: ``GET``, ``POST``, ``PUT`` or ``DELETE``; only a ``GET`` is tried again.
            path: Below ``/MAAS/api/2.0/``; its segments are percent-encoded, so that none can lead elsewhere.
            query: Keys and values; a key may repeat.
            form: Keys and values of the body.

        Raises:
            MaasError: MAAS did not do it, or could not be reached.
        """
        path = _api_path(path)
        secrets = [value for key, value in form or () if key.startswith(_SECRET_FIELDS)]
        question = Question(method, path, dict(query).get("op"), (self._secret, *secrets))
        url = self._root + path + (f"?{urlencode(query)}" if query else "")
        body = None if form is None else urlencode(form)

        async def attempt() -> JSON:
            return await self._attempt(question, url, body)

        return await retry(attempt, self._backoff) if method == "GET" else await attempt()

    def once(self) -> "HttpTransport":
        """The same region over the same connections and within the same places, reads tried once."""
        once = copy(self)
        once._backoff = replace(self._backoff, attempts=1)  # noqa: SLF001 - its own
        return once

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def _place(self, question: Question) -> AsyncIterator[None]:
        """Wait for one of the places."""
        async with AsyncExitStack() as places:
            if question.method != "GET" and question.op != ABORT:
                await places.enter_async_context(self._changes)
            await places.enter_async_context(self._events if question.path == EVENTS else self._others)
            yield

    async def _attempt(self, question: Question, url: str, body: str | None) -> JSON:
        try:
            async with self._place(question):
                answer = await self._exchange(question.method, url, body)
        except httpx.HTTPError as error:
            failure = _failure(error, question, url)
        else:
            return read(question, answer)
        # Raised here and not above: httpx's error holds the request, and that the API key.
        raise failure

    async def _exchange(self, method: str, url: str, body: str | None) -> Answer:
        request = self._http.build_request(
            method,
            url,
            content=body,
            headers=None if body is None else {"Content-Type": "application/x-www-form-urlencoded"},
            timeout=httpx.Timeout(
                _READ_TIMEOUT,
                connect=_CONNECT_TIMEOUT,
                read=_READ_TIMEOUT if method == "GET" else LONGEST_POST,
                pool=None,
            ),
        )
        response = await self._http.send(request, stream=True)
        try:
            # MAAS 3.7 prints the secret of the token in some 401s: those stay unread.
            refused = response.status_code == httpx.codes.UNAUTHORIZED
            raw = b"" if refused else b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        # Decompressed only now: an error amid the stream would leave httpx's generators open, which trio reports.
        content = httpx.Response(response.status_code, headers=response.headers, content=raw).content if raw else b""
        return Answer(response.status_code, response.headers, content)


def _http(region: RegionSettings, wire: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    try:
        host = httpx.URL(region.api_url).host
        if not is_loopback(host):
            _check_proxies()
        return httpx.AsyncClient(
            auth=MaasAuth(region.api_key),
            verify=_tls_context(region),
            headers={"User-Agent": f"maas-mcp/{__version__}", "Accept": "application/json"},
            # The limiter queues, and a wait there can be cancelled; httpx's own pool need not.
            limits=httpx.Limits(max_connections=MAX_REQUESTS, keepalive_expiry=_IDLE_CONNECTION),
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # the key is the only identity
            trust_env=not is_loopback(host),  # no proxy leads to this very machine
            transport=wire,
        )
    except (httpx.InvalidURL, ValueError):
        problem = "MAAS_URL, or a proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY), is not a URL"
    except ImportError:
        problem = "The environment names a SOCKS proxy (ALL_PROXY or HTTPS_PROXY), which takes the package socksio"
    raise SettingsError(f"{problem}.", hint="Correct the variable; NO_PROXY=host exempts the region from the proxy.")


def _check_proxies() -> None:
    """Raises ``ValueError`` for a port that cannot be: httpx only finds that when it connects."""
    for scheme, proxy in getproxies().items():
        if scheme in {"http", "https", "all"}:
            _ = urlsplit(proxy if "://" in proxy else f"http://{proxy}").port


def _tls_context(region: RegionSettings) -> ssl.SSLContext:
    bundle = region.ca_bundle
    if bundle is None:
        return _system_context() if region.api_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=bundle)
    except ssl.SSLError:
        problem = "is not a PEM file with certificates"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise SettingsError(
        f"MAAS_CA_BUNDLE names {bundle}, which {problem}.",
        hint="It takes the certificate of the CA that signed the region's, in PEM format (BEGIN CERTIFICATE).",
    )


def _system_context() -> ssl.SSLContext:
    # The system's authorities are where a company installs its own; certifi's are for a system that shows none.
    context = ssl.create_default_context()
    return context if context.get_ca_certs() else _certifi_context()


def _certifi_context() -> ssl.SSLContext:
    try:
        context = httpx.create_ssl_context()
    except ssl.SSLError:
        problem = "there is no certificate in PEM format in it"
    except OSError as error:
        problem = str(error.strerror)
    else:
        context.load_default_certs()
        return context
    file = os.environ.get("SSL_CERT_FILE")
    raise SettingsError(
        f"SSL_CERT_FILE names {file}, which cannot be used: {problem}.",
        hint="Correct or unset the variable; MAAS_CA_BUNDLE is for the authority of the region alone.",
    )


def _api_path(path: str) -> str:
    segments = path.removesuffix("/").split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise MaasNotFoundError(
            f"{path[:100]!r} is not a path of MAAS's API.", hint="A path looks like machines/4y3h7n/ or subnets/."
        )
    return "/".join(quote(segment, safe=":@,") for segment in segments) + "/"


def _failure(error: httpx.HTTPError, question: Question, url: str) -> MaasError:
    if isinstance(error, httpx.DecodingError):
        return MaasProtocolError(f"MAAS answered {question} with a body that cannot be decompressed.")
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)
    causes = list(_causes(error))
    for cause in causes:
        # A connection that just ended is no quarrel about TLS, whatever layer noticed it.
        if isinstance(cause, ssl.SSLError) and not sent and not isinstance(cause, ssl.SSLEOFError):
            return _tls_failure(cause, where)
    if isinstance(error, httpx.TimeoutException):
        what = "did not answer in time" if sent else f"could not be reached within {_CONNECT_TIMEOUT:.0f} s"
    elif isinstance(error, httpx.ProxyError) or (not sent and _is_proxied(parts.scheme, parts.hostname or "")):
        what = "could not be reached through the proxy of the environment (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY)"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        what = "could not be reached: its name is not known (DNS)"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        what = "refused the connection"
    else:
        what = "closed the connection without a whole answer" if sent else "could not be reached"
    return MaasUnavailableError(
        f"MAAS at {where} {what} ({question}).",
        sent=sent,
        hint=None if sent else "Is MAAS_URL right, and MAAS running?",
    )


def _is_proxied(scheme: str, host: str) -> bool:
    return not is_loopback(host) and bool(getproxies().keys() & {scheme, "all"}) and not proxy_bypass(host)


def _tls_failure(cause: ssl.SSLError, where: str) -> MaasTlsError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return MaasTlsError(
            f"The certificate of MAAS at {where} is not trusted: {cause.verify_message}.",
            sent=False,
            hint="Set MAAS_CA_BUNDLE to the PEM file of the CA that signed it. Verification cannot be turned off.",
        )
    return MaasTlsError(
        f"MAAS at {where} does not speak TLS as expected ({cause.reason or 'TLS error'}).",
        sent=False,
        hint="Is MAAS_URL's port the one that MAAS serves https on (`sudo maas config-tls enable` tells)?",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for below in (error.__cause__, error.__context__ if error.__cause__ is None else None):
        if below is not None:
            yield from _causes(below)
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _causes(part)
