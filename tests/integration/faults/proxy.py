"""A TCP proxy in front of a region that injects the faults of networks, load balancers and restarts.

It reads whole requests, so that tests select requests by method, op and path. It writes bytes, so that a response can
end anywhere, with a FIN or a RST. It keeps the client's ``Host`` header. MAAS's OAuth signature is PLAINTEXT and covers
no URL, so it stays valid behind the proxy.
"""

import itertools
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from maas_simulator import SimulatedRegion, serving

END_OF_HEAD: Final = b"\r\n\r\n"
LONGEST_STALL: Final = 120.0
"""Seconds after which a stalled connection is closed: longer than any test waits."""


@dataclass
class RequestRecord:
    """A request that the proxy received."""

    time: float
    """As returned by ``time.monotonic``."""
    method: str
    path: str
    op: str | None
    number: int = 0
    """The number of earlier requests with the same method and path."""
    forwarded: bool = False
    """Whether the whole request was forwarded: the region has acted on it, or will."""


class Disconnected(Exception):  # noqa: N818 - closing a connection is not an error
    """The client or the region has closed its connection."""


class _Peer:
    """The client or the region: a connection that is read by whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""

    def read_message(self) -> tuple[bytes, bytes]:
        """Read the head of the next message, with its empty line, and its body."""
        while END_OF_HEAD not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(END_OF_HEAD)
        size = _length(head)
        with suppress(Disconnected):
            while len(self._received) < size:
                self._receive()
        if size != math.inf and len(self._received) < size:
            raise Disconnected
        end = len(self._received) if size == math.inf else int(size)
        body, self._received = self._received[:end], self._received[end:]
        return head + END_OF_HEAD, body

    def send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise Disconnected from error

    def disconnect(self, *, reset: bool = False) -> None:
        with suppress(OSError):
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads from it
        self.connection.close()

    def _receive(self) -> None:
        try:
            received = self.connection.recv(65536)
        except OSError as error:
            raise Disconnected from error
        if not received:
            raise Disconnected
        self._received += received


def _length(head: bytes) -> float:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert "transfer-encoding" not in headers, "neither side of this proxy sends chunks"
    return float(headers.get("content-length", math.inf if first.startswith("HTTP/") else 0))


@dataclass
class Exchange:
    """A request, and the actions that a fault can take on it."""

    record: RequestRecord
    head: bytes
    body: bytes
    client: _Peer
    address: tuple[str, int]
    over: threading.Event

    def forward(self) -> tuple[bytes, bytes]:
        """Forward the request. Returns the head and the body of the region's response."""
        with self._region() as region:
            region.send(self.head + self.body)
            self.record.forwarded = True
            return region.read_message()

    def forward_part(self, share: float = 1.0) -> None:
        """Forward the head and this share of the body, and close the connection to the region."""
        with self._region() as region:
            region.send(self.head + self.body[: int(len(self.body) * share)])
            self.record.forwarded = share >= 1.0 or not self.body

    def respond(self, head: bytes, body: bytes = b"") -> None:
        """Send a response to the client."""
        self.client.send(head + body)

    def wait(self, seconds: float) -> None:
        """Wait. Closing the proxy ends the wait and the connection."""
        if self.over.wait(seconds):
            raise Disconnected

    def disconnect(self, *, reset: bool = False) -> None:
        """Close the client's connection, with a FIN or a RST."""
        self.client.disconnect(reset=reset)
        raise Disconnected

    @contextmanager
    def _region(self) -> Iterator[_Peer]:
        try:
            region = _Peer(socket.create_connection(self.address, timeout=LONGEST_STALL))
        except OSError as error:
            raise Disconnected from error
        try:
            yield region
        finally:
            region.disconnect()


Behaviour = Callable[[Exchange], None]


def pass_through(exchange: Exchange) -> None:
    """Pass the request and the response unchanged."""
    exchange.respond(*exchange.forward())


def cut_before(exchange: Exchange) -> None:
    """Forward nothing, and close the connection."""
    exchange.disconnect(reset=_coin(exchange))


def cut_during_request(exchange: Exchange) -> None:
    """Forward the head, or the head and half of the body, and close the connection."""
    exchange.forward_part(0.5 * _coin(exchange, 1))
    exchange.disconnect(reset=_coin(exchange))


def cut_after_request(exchange: Exchange) -> None:
    """Forward the whole request and close the connection, in half of the cases without waiting for the response."""
    if _coin(exchange, 1):
        exchange.forward_part()
    else:
        exchange.forward()
    exchange.disconnect(reset=_coin(exchange))


def cut_during_response(positions: int) -> Behaviour:
    """Truncate the response, each time at another position: in its head, in its body, one byte before its end."""
    turns = itertools.cycle(range(positions))
    half = positions // 2

    def cut(exchange: Exchange) -> None:
        head, body = exchange.forward()
        turn = next(turns)
        share = turn % half / half
        if turn < half:
            exchange.respond(head[: 1 + int(len(head) * share)])
        else:
            exchange.respond(head, body[:-1] if turn == positions - 1 else body[: int(len(body) * share)])
        exchange.disconnect(reset=_coin(exchange))

    return cut


def truncated_json(exchange: Exchange) -> None:
    """Respond with truncated JSON and a matching length, as a proxy with a full disk does."""
    _, body = exchange.forward()
    truncated = body[: len(body) // 2]
    exchange.respond(_head(HTTPStatus.OK, "application/json", len(truncated)), truncated)


def trickle(exchange: Exchange, pieces: int = 8, seconds: float = 0.4) -> None:
    """Send the whole response slowly."""
    head, body = exchange.forward()
    exchange.respond(head)
    size = max(1, math.ceil(len(body) / pieces))
    for start in range(0, len(body), size):
        exchange.wait(seconds / pieces)
        exchange.respond(body[start : start + size])


def stalls(*, forwarded: bool = False) -> Behaviour:
    """Send no response, whether or not the request is forwarded."""

    def stall(exchange: Exchange) -> None:
        if forwarded:
            exchange.forward()
        exchange.wait(LONGEST_STALL)

    return stall


def respond_with(
    status: int,
    body: str = "",
    *,
    kind: str = "text/html",
    retry_after: float | None = None,
    as_date: bool = False,
    forwarded: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Behaviour:
    """Respond instead of the region.

    Args:
        status: The HTTP status.
        body: The text.
        kind: The content type.
        retry_after: Seconds for ``Retry-After``.
        as_date: Whether ``Retry-After`` is an HTTP date, which has a resolution of one second.
        forwarded: Whether the request is forwarded to the region as well.
        headers: Additional headers.
    """

    def say(exchange: Exchange) -> None:
        if forwarded:
            exchange.forward()
        more = dict(headers or {})
        if retry_after is not None:
            more["Retry-After"] = formatdate(time.time() + retry_after, usegmt=True) if as_date else f"{retry_after:g}"
        exchange.respond(_head(HTTPStatus(status), kind, len(body.encode()), more), body.encode())

    return say


def nginx_page(status: int) -> str:
    """An error page of nginx."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


def _head(status: HTTPStatus, kind: str, size: int, more: Mapping[str, str] | None = None) -> bytes:
    headers = {"Content-Type": kind, "Content-Length": str(size), **(more or {})}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + END_OF_HEAD


def _coin(exchange: Exchange, nth: int = 0) -> bool:
    """A pseudo-random bit from the path and its number of requests: the same in every run of the tests."""
    record = exchange.record
    return bool(crc32(f"{record.path}{record.number or ''}".encode()) >> nth & 1)


@dataclass(eq=False)
class _Rule:
    behaviour: Behaviour
    method: str | None
    op: str | None
    path: str
    left: float
    after: int
    """The number of POSTs that must come first."""
    affected: list[RequestRecord] = field(default_factory=list)

    def matches(self, record: RequestRecord, posts: int) -> bool:
        wanted = self.method in {None, record.method} and self.op in {None, record.op}
        return wanted and self.path in record.path and self.left > 0 and posts >= self.after


@dataclass
class Proxy:
    """Listens on a free port of 127.0.0.1, in its own threads."""

    region_url: str
    requests: list[RequestRecord] = field(default_factory=list)
    """Every request, oldest first."""
    _rules: list[_Rule] = field(default_factory=list)
    _clients: set[_Peer] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._port = int(self._listener.getsockname()[1])
        self._accept(self._listener)
        return self

    def __exit__(self, *_failure: object) -> None:
        self._over.set()
        self._disconnect_all(self._listener)

    @property
    def url(self) -> str:
        """The region's URL through the proxy."""
        return f"http://127.0.0.1:{self._port}{urlsplit(self.region_url).path}"

    @contextmanager
    def applying(
        self,
        behaviour: Behaviour,
        *,
        method: str | None = None,
        op: str | None = None,
        path: str = "",
        times: float = math.inf,
        after: int = 0,
    ) -> Iterator[Callable[[], list[RequestRecord]]]:
        """Apply ``behaviour`` to matching requests while the block runs.

        Args:
            behaviour: The fault to inject.
            method: The method to match, or ``None`` for any.
            op: The op to match, or ``None`` for any.
            path: Text that the path must contain.
            times: The maximum number of requests.
            after: The number of POSTs that must come first.

        Yields:
            A function that returns the affected requests so far.
        """
        rule = _Rule(behaviour, method, op, path, times, after)
        with self._lock:
            self._rules.append(rule)
        try:
            yield lambda: list(rule.affected)
        finally:
            with self._lock:
                self._rules.remove(rule)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Simulate a restart while the block runs: close the port and all connections."""
        self._disconnect_all(self._listener)
        closed = socket.socket()
        closed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        closed.bind(("127.0.0.1", self._port))  # without listening: refuses connections, and keeps the port
        try:
            yield
        finally:
            self._listener = closed
            closed.listen(128)
            self._accept(closed)

    def disconnect(self) -> None:
        """Close every connection, and keep listening."""
        with self._lock:
            clients = set(self._clients)
        for client in clients:
            client.disconnect()

    def _disconnect_all(self, listener: socket.socket) -> None:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        listener.close()
        self.disconnect()

    def _accept(self, listener: socket.socket) -> None:
        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    client = _Peer(connection)
                    with self._lock:
                        self._clients.add(client)
                    threading.Thread(target=self._serve, args=(client,), name="proxy-connection", daemon=True).start()

        threading.Thread(target=accept, name="proxy", daemon=True).start()

    def _serve(self, client: _Peer) -> None:
        with suppress(Disconnected):
            while True:
                head, body = client.read_message()
                self._exchange(client, head, body)
        client.disconnect()
        with self._lock:
            self._clients.discard(client)

    def _exchange(self, client: _Peer, head: bytes, body: bytes) -> None:
        method, target, _ = head.decode("latin-1").split("\r\n")[0].split(" ")
        parts = urlsplit(target)
        record = RequestRecord(time.monotonic(), method, parts.path, parse_qs(parts.query).get("op", [None])[0])
        behaviour: Behaviour = pass_through
        with self._lock:
            posts = len([each for each in self.requests if each.method == "POST"])
            record.number = len([each for each in self.requests if (each.method, each.path) == (method, parts.path)])
            rule = next((each for each in self._rules if each.matches(record, posts)), None)
            if rule is not None:
                rule.left -= 1
                rule.affected.append(record)
                behaviour = rule.behaviour
            self.requests.append(record)
        address = urlsplit(self.region_url)
        assert address.hostname
        assert address.port
        behaviour(Exchange(record, head, body, client, (address.hostname, address.port), self._over))


@contextmanager
def behind_a_proxy(region: SimulatedRegion) -> Iterator[Proxy]:
    """Serve a region over real HTTP, with a proxy in front of it."""
    with serving(region) as url, Proxy(url) as proxy:
        yield proxy
