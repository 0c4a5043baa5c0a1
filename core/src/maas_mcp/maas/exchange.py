"""HTTP with the region: the only module, with ``signer``, that knows httpx."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import httpx

from maas_mcp import __version__
from maas_mcp.errors import (
    MaasError,
    MaasNotFoundError,
    MaasProtocolError,
    MaasUnavailableError,
    SettingsError,
)
from maas_mcp.maas.address import Proxy, RegionAccess, unusable
from maas_mcp.maas.limits import CONNECT_TIMEOUT, LONGEST_POST, READ_TIMEOUT
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.request_slots import RequestSlots
from maas_mcp.maas.responses import Request, Response, read
from maas_mcp.maas.retry import Backoff, retry
from maas_mcp.maas.signer import MaasAuth
from maas_mcp.maas.tls import certificate_names, is_for_another_host, tls_context, tls_failure, wrong_scheme

ABORT: Final = "abort"
"""The change that waits for no other: what holds the others up may be what it is to end."""
EVENTS: Final = "events/"
"""Has a place of its own: one query in MAAS, by which everything is followed, and nothing slower may hold it up."""
_IDLE_CONNECTION: Final = 30.0  # kept well under nginx's 75 s, so that a POST does not meet a closing connection
_HTTPS_PORT: Final = b"The plain HTTP request was sent to HTTPS port"  # nginx, which is what serves MAAS
_SECRET_FIELDS: Final = ("user_data", "power_parameters", "power_pass", "password", "license_key")


class HttpTransport:
    """The region over HTTP: signed, at most four requests at once, two of them changes, reads retried.

    Certificates are always verified; redirects are never followed. A POST is never sent twice: MAAS acts on one whose
    answer was lost.

    Args:
        region: Address, key and CA bundle.
        slots: Those of the region, where several clients share them.
        backoff: How reads are tried again.
        wire: What carries the requests, for tests; by default the network.

    Raises:
        SettingsError: The CA bundle, or a proxy of the environment, cannot be used.
    """

    def __init__(
        self,
        region: RegionAccess,
        *,
        slots: RequestSlots | None = None,
        backoff: Backoff | None = None,
        wire: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._region = region
        self._root = region.api_url
        self._secret = region.api_key.secret
        self._backoff = backoff or Backoff()
        self._slots = slots or RequestSlots()
        self.proxy = None if wire else region.proxy
        """The proxy of the environment through which the region is reached."""
        self._http = _http(region, self.proxy, wire)

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
        request = Request(method, path, dict(query).get("op"), (self._secret, *secrets))
        url = self._root + path + (f"?{urlencode(query)}" if query else "")
        body = None if form is None else urlencode(form)

        async def attempt() -> JSON:
            return await self._attempt(request, url, body)

        return await retry(attempt, self._backoff) if method == "GET" else await attempt()

    def once(self) -> "HttpTransport":
        """The same region over the same connections and within the same places, reads tried once."""
        once = copy(self)
        once._backoff = replace(self._backoff, attempts=1)  # noqa: SLF001 - its own
        return once

    @asynccontextmanager
    async def turn(self, op: str, waiting: Callable[[], None]) -> AsyncIterator["HttpTransport"]:
        """The same region over the same connections, for a change whose turn has come, and what is read for it.

        A turn is one place of each kind, and has one request at a time: it waits for nobody any longer. An abort takes
        no place at all.
        """
        async with AsyncExitStack() as slots:
            if op != ABORT:
                for limiter in (self._slots.changes, self._slots.others):
                    if not limiter.available_tokens:
                        waiting()
                    await slots.enter_async_context(limiter)
            mine = copy(self)
            mine._slots = RequestSlots(events=self._slots.events, others=1, changes=1)  # noqa: SLF001 - its own
            yield mine

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def _slot(self, request: Request) -> AsyncIterator[None]:
        """Wait for one of the places. What holds all of them may be what an abort is to end: it waits for none."""
        async with AsyncExitStack() as slots:
            if request.method == "GET" or request.op != ABORT:
                if request.method != "GET":
                    await slots.enter_async_context(self._slots.changes)
                await slots.enter_async_context(self._slots.events if request.path == EVENTS else self._slots.others)
            yield

    async def _attempt(self, request: Request, url: str, body: str | None) -> JSON:
        try:
            async with self._slot(request):
                response = await self._exchange(request.method, url, body)
        except (httpx.HTTPError, ssl.SSLError) as error:  # httpx lets the latter through amid an exchange on asyncio
            failure = await self._failure(error, request)
        else:
            if response.status == httpx.codes.BAD_REQUEST and _HTTPS_PORT in response.body:
                raise wrong_scheme(urlsplit(self._root).netloc)
            return read(request, response)
        # Raised here and not above: httpx's error holds the request, and that the API key.
        raise failure

    async def _failure(self, error: httpx.HTTPError | ssl.SSLError, request: Request) -> MaasError:
        if isinstance(error, httpx.DecodingError):
            return MaasProtocolError(f"MAAS answered {request} with a body that cannot be decompressed.")
        parts = urlsplit(self._root)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        # As the URL has it: there an IPv6 address stands in brackets.
        where = parts.netloc if parts.port else f"{parts.netloc}:{port}"
        cause = _tls_cause(error)
        if cause is None:
            return _outage(error, request, where, self.proxy)
        names = None
        if is_for_another_host(cause) and self.proxy is None:
            names = await certificate_names(self._region, host, port)
        return tls_failure(cause, self._region, where, names)

    async def _exchange(self, method: str, url: str, body: str | None) -> Response:
        request = self._http.build_request(
            method,
            url,
            content=body,
            headers=None if body is None else {"Content-Type": "application/x-www-form-urlencoded"},
            timeout=httpx.Timeout(
                READ_TIMEOUT,
                connect=CONNECT_TIMEOUT,
                read=READ_TIMEOUT if method == "GET" else LONGEST_POST,
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
        return Response(response.status_code, response.headers, content)


def _http(region: RegionAccess, proxy: Proxy | None, wire: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    if not _is_url(region.api_url):
        raise SettingsError("MAAS_URL cannot be used: it is not a URL.", hint="Check the name of the host.")
    if proxy and not _is_url(proxy.url):
        raise unusable(proxy.variable, proxy.shown, "it is not a URL", urlsplit(region.api_url).hostname or "")
    return httpx.AsyncClient(
        auth=MaasAuth(region.api_key),
        verify=tls_context(region),
        headers={"User-Agent": f"maas-mcp/{__version__}", "Accept": "application/json"},
        # The limiter queues, and a wait there can be cancelled; httpx's own pool need not.
        limits=httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_CONNECTION),
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # the key is the only identity
        trust_env=False,  # httpx raises for entries of NO_PROXY that other programs understand
        proxy=httpx.Proxy(proxy.url) if proxy else None,
        transport=wire,
    )


def _is_url(text: str) -> bool:
    try:
        return bool(httpx.URL(text).host)  # a host of which IDNA knows no meaning is only noticed where it is read
    except (httpx.InvalidURL, ValueError):
        return False


def _api_path(path: str) -> str:
    segments = path.removesuffix("/").split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise MaasNotFoundError(
            f"{path[:100]!r} is not a path of MAAS's API.", hint="A path looks like machines/4y3h7n/ or subnets/."
        )
    return "/".join(quote(segment, safe=":@,") for segment in segments) + "/"


def _outage(
    error: httpx.HTTPError | ssl.SSLError, request: Request, where: str, proxy: Proxy | None
) -> MaasUnavailableError:
    """No answer, or none that is whole."""
    sent = _was_sent(error)
    causes = list(_causes(error))
    hint = None if sent else "Is MAAS_URL right, and MAAS running?"
    if isinstance(error, httpx.ProxyError):
        reason = f"it says {str(error)[:100]!r}"
    elif isinstance(error, httpx.TimeoutException):
        reason = "did not answer in time" if sent else f"could not be reached within {CONNECT_TIMEOUT:.0f} s"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        reason = "could not be reached: its name is not known (DNS)"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        reason = "refused the connection"
    else:
        reason = "closed the connection without a whole answer" if sent else "could not be reached"
    if isinstance(error, httpx.ProxyError) or (proxy and not sent):
        host = where.rpartition(":")[0].strip("[]")
        hint = f"Check the proxy and its password, or exempt the region from it: NO_PROXY={host}."
        reason = f"could not be reached through a proxy: {proxy or 'it'} {reason.removeprefix('it ')}"
    return MaasUnavailableError(f"MAAS at {where} {reason} ({request}).", sent=sent, hint=hint)


def _was_sent(error: Exception) -> bool:
    """Whether the request may have reached MAAS."""
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)


def _tls_cause(error: Exception) -> ssl.SSLError | None:
    """Why the handshake failed, if it did: a connection that just ended is no quarrel about TLS.

    TLS 1.3 refuses a client without a certificate only after the client has sent its request, which then goes unread.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            asks_for_certificate = "CERTIFICATE_REQUIRED" in str(cause)
            return cause if asks_for_certificate or not _was_sent(error) else None
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for below in (error.__cause__, error.__context__ if error.__cause__ is None else None):
        if below is not None:
            yield from _causes(below)
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _causes(part)
