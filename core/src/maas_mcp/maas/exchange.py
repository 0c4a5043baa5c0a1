"""The HTTP transport. Only this module and ``signer`` import httpx."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from copy import copy
from dataclasses import replace
from functools import lru_cache
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
from maas_mcp.maas.address import Proxy, RegionAccess, proxy_error
from maas_mcp.maas.limits import CHANGE_TIMEOUT, CONNECT_TIMEOUT, READ_TIMEOUT
from maas_mcp.maas.observer import Exchange, ObserveExchange, endpoint_of
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.request_slots import RequestSlots
from maas_mcp.maas.responses import Decode, Request, Response, read_response
from maas_mcp.maas.retry import Backoff, retry
from maas_mcp.maas.signer import MaasAuth
from maas_mcp.maas.tls import is_host_mismatch, read_certificate_names, tls_context, tls_error, wrong_scheme_error
from maas_mcp.redaction import is_secret_name

ABORT: Final = "abort"
"""This change waits for no slot, because it may end the operation that occupies the slots."""
EVENTS: Final = "events/"
"""This path has a slot of its own. One cheap query follows all operations, so slower requests must not delay it."""
_IDLE_CONNECTION: Final = 30.0  # well under nginx's 75 s, so that a POST does not use a closing connection
_HTTPS_PORT: Final = b"The plain HTTP request was sent to HTTPS port"  # from nginx, which serves MAAS


class HttpTransport:
    """Sends signed requests over HTTP: at most four at once, two of them changes. Reads are retried.

    Certificates are always verified, and redirects are never followed. A POST is never sent twice, because MAAS may
    have acted on a request whose response was lost.

    Args:
        region: Address, key and CA bundle.
        slots: The region's request slots, if several clients share them.
        backoff: How often and when to retry reads.
        wire: The transport of a test, instead of the network.
        observers: Observe each HTTP request, also those of a retry. The wait for a slot is not a part of it.

    Raises:
        SettingsError: The CA bundle or the environment's proxy cannot be used.
    """

    def __init__(
        self,
        region: RegionAccess,
        *,
        slots: RequestSlots | None = None,
        backoff: Backoff | None = None,
        wire: httpx.AsyncBaseTransport | None = None,
        observers: Sequence[ObserveExchange] = (),
    ) -> None:
        self._observers = tuple(observers)
        self._region = region
        self._root = region.api_url
        key = region.api_key
        self._secrets = () if key is None else (key.consumer, key.token, key.secret)
        self._backoff = backoff or Backoff()
        self._slots = slots or RequestSlots()
        self.proxy = None if wire else region.proxy
        """The proxy from the environment."""
        self._http = _create_client(region, self.proxy, wire)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        decode: Decode | None = None,
        patience: float | None = None,
    ) -> JSON:
        """Send one request and return the JSON of the response.

        Args:
            method: ``GET``, ``POST``, ``PUT`` or ``DELETE``. Only a ``GET`` is retried.
            path: A path below ``/MAAS/api/2.0/``. Its segments are percent-encoded and cannot leave that path.
            query: Keys and values; a key may repeat.
            form: Keys and values of the body.
            decode: Reads the body of a successful response, instead of the JSON parser.
            patience: Seconds to wait for the response. By default, the limit of reads or of changes.

        Raises:
            MaasError: The request failed, or MAAS could not be reached.
        """
        path = _api_path(path)
        secrets = [value for key, value in form or () if is_secret_name(key)]
        request = Request(method, path, dict(query).get("op"), (*self._secrets, *secrets))
        url = self._root + path + (f"?{urlencode(query)}" if query else "")
        body = None if form is None else urlencode(form)
        limit = patience or (READ_TIMEOUT if method == "GET" else CHANGE_TIMEOUT)

        async def attempt() -> JSON:
            return read_response(request, await self._attempt(request, url, body, limit), decode)

        return await retry(attempt, self._backoff) if method == "GET" else await attempt()

    def once(self) -> "HttpTransport":
        """Return a transport over the same connections and slots that does not retry reads."""
        once = copy(self)
        once._backoff = replace(self._backoff, attempts=1)  # noqa: SLF001 - its own
        return once

    @asynccontextmanager
    async def turn(self, op: str, waiting: Callable[[], None]) -> AsyncIterator["HttpTransport"]:
        """Wait for the turn of a change, and yield a transport for it and for its reads.

        A turn takes one slot of each kind and sends one request at a time, which then waits for no other. An abort
        takes no slot.
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
        """Wait for a slot. An abort does not wait, because it may end the operation that occupies the slots."""
        async with AsyncExitStack() as slots:
            if request.method == "GET" or request.op != ABORT:
                if request.method != "GET":
                    await slots.enter_async_context(self._slots.changes)
                await slots.enter_async_context(self._slots.events if request.path == EVENTS else self._slots.others)
            yield

    async def _attempt(self, request: Request, url: str, body: str | None, limit: float) -> Response:
        try:
            async with self._slot(request):
                response = await self._exchange(request, url, body, limit)
        except (httpx.HTTPError, ssl.SSLError) as error:  # on asyncio, httpx does not wrap an SSLError
            failure = await self._explain_failure(error, request)
        else:
            if response.status == httpx.codes.BAD_REQUEST and _HTTPS_PORT in response.body:
                raise wrong_scheme_error(urlsplit(self._root).netloc)
            return response
        # Raised outside the except block: httpx's error refers to the request, which contains the API key.
        raise failure

    async def _explain_failure(self, error: httpx.HTTPError | ssl.SSLError, request: Request) -> MaasError:
        if isinstance(error, httpx.DecodingError):
            return MaasProtocolError(f"MAAS's response to {request} cannot be decompressed.")
        parts = urlsplit(self._root)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        # From the URL, which has brackets around an IPv6 address.
        where = parts.netloc if parts.port else f"{parts.netloc}:{port}"
        cause = _find_tls_cause(error)
        if cause is None:
            return _outage_error(error, request, where, self.proxy)
        names = None
        if is_host_mismatch(cause) and self.proxy is None:
            names = await read_certificate_names(self._region, host, port)
        return tls_error(cause, self._region, where, names)

    async def _exchange(self, request: Request, url: str, body: str | None, limit: float) -> Response:
        if not self._observers:
            return await self._send(request.method, url, body, {}, limit)
        exchange = Exchange(request.method, url, endpoint_of(request.path, request.op))
        with ExitStack() as observing:
            for observe in self._observers:
                observing.enter_context(observe(exchange))
            response = await self._send(request.method, url, body, exchange.headers, limit)
            exchange.status, exchange.date = response.status, response.headers.get("date")
        return response

    async def _send(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str], limit: float
    ) -> Response:
        form = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
        request = self._http.build_request(
            method,
            _parse_url(url),
            content=body,
            headers={**headers, **form},
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT, read=limit, pool=None),
        )
        response = await self._http.send(request, stream=True)
        try:
            # MAAS 3.7 prints the token's secret in some 401s, so their body is not read.
            refused = response.status_code == httpx.codes.UNAUTHORIZED
            raw = b"" if refused else b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        # Decompressed after the stream: an error during it would leave httpx's generators open, which trio reports.
        encoded = raw and "Content-Encoding" in response.headers
        content = httpx.Response(200, headers=response.headers, content=raw).content if encoded else raw
        return Response(response.status_code, response.headers, content)


class _NoCookies(httpx.Cookies):
    """Keeps none of a response, because the API key is the only identity."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore the cookies of a response."""


class _Client(httpx.AsyncClient):
    """A client without cookies: reading those of a response takes a tenth of a request."""

    cookies = _NoCookies()  # type: ignore[override]  # nobody sets others


def _create_client(
    region: RegionAccess, proxy: Proxy | None, wire: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    if not _is_url(region.api_url):
        raise SettingsError("MAAS_URL cannot be used: it is not a URL.", hint="Check the host name.")
    if proxy and not _is_url(proxy.url):
        raise proxy_error(proxy.variable, proxy.shown, "it is not a URL", urlsplit(region.api_url).hostname or "")
    return _Client(
        auth=None if region.api_key is None else MaasAuth(region.api_key),
        verify=True if wire else tls_context(region),  # a wire uses no TLS
        headers={"User-Agent": f"maas-mcp/{__version__}", "Accept": "application/json"},
        # The request slots limit the connections; httpx's own pool does not have to.
        limits=httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_CONNECTION),
        follow_redirects=False,
        trust_env=False,  # httpx raises for NO_PROXY entries that other programs accept
        proxy=httpx.Proxy(proxy.url) if proxy else None,
        transport=wire,
    )


@lru_cache(maxsize=64)
def _parse_url(text: str) -> httpx.URL:
    """Parse a URL. The same few are polled, and httpx examines each character."""
    return httpx.URL(text)


def _is_url(text: str) -> bool:
    try:
        return bool(httpx.URL(text).host)  # httpx raises for a host that is invalid in IDNA only when it is read
    except (httpx.InvalidURL, ValueError):
        return False


def _api_path(path: str) -> str:
    segments = path.removesuffix("/").split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise MaasNotFoundError(
            f"{path[:100]!r} is not a path of the MAAS API.", hint="Use a path such as machines/4y3h7n/ or subnets/."
        )
    return "/".join(quote(segment, safe=":@,") for segment in segments) + "/"


def _outage_error(
    error: httpx.HTTPError | ssl.SSLError, request: Request, where: str, proxy: Proxy | None
) -> MaasUnavailableError:
    """Create the error for a missing or incomplete response."""
    sent = _was_sent(error)
    causes = list(_walk_causes(error))
    hint = None if sent else "Check MAAS_URL, and whether MAAS is running."
    if isinstance(error, httpx.ProxyError):
        reason = f"it reported {str(error)[:100]!r}"
    elif isinstance(error, httpx.TimeoutException):
        reason = "did not respond in time" if sent else f"could not be reached within {CONNECT_TIMEOUT:.0f} s"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        reason = "could not be reached: its host name does not resolve (DNS)"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        reason = "refused the connection"
    else:
        reason = "closed the connection before the response was complete" if sent else "could not be reached"
    if isinstance(error, httpx.ProxyError) or (proxy and not sent):
        host = where.rpartition(":")[0].strip("[]")
        hint = f"Check the proxy and its password, or exempt the region: NO_PROXY={host}."
        reason = f"could not be reached through a proxy: {proxy or 'it'} {reason.removeprefix('it ')}"
    return MaasUnavailableError(f"MAAS at {where} {reason} ({request}).", sent=sent, hint=hint)


def _was_sent(error: Exception) -> bool:
    """Whether the request may have reached MAAS."""
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)


def _find_tls_cause(error: Exception) -> ssl.SSLError | None:
    """Return the reason of a failed TLS handshake, or ``None`` for other errors such as a closed connection.

    With TLS 1.3, a server rejects a client without a certificate after the client has sent its request. The server does
    not read that request.
    """
    for cause in _walk_causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            asks_for_certificate = "CERTIFICATE_REQUIRED" in str(cause)
            return cause if asks_for_certificate or not _was_sent(error) else None
    return None


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for below in (error.__cause__, error.__context__ if error.__cause__ is None else None):
        if below is not None:
            yield from _walk_causes(below)
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _walk_causes(part)
