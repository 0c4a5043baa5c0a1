"""A TCP proxy in front of a region, which does to connections what networks, load balancers and restarts do to them.

It reads whole requests, so that a test can say by method, op and path which of them meets which fate, and it writes
bytes: an answer can end anywhere, with a FIN or with a RST. It keeps the ``Host`` header as the client sent it. MAAS's
OAuth signature is PLAINTEXT and covers no URL, so a request is as good behind the proxy as in front of it.
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
"""Seconds after which even a stalled connection is cut: no test waits for so long."""


@dataclass
class Passage:
    """A request as it came, and what became of it."""

    time: float
    """Of ``time.monotonic``."""
    method: str
    path: str
    op: str | None
    number: int = 0
    """How many of the same method and path came before it."""
    reached: bool = False
    """Whether all of it was forwarded: then the region has acted, or will."""


class HungUp(Exception):  # noqa: N818 - the end of a connection, which is nobody's error
    """One of the two sides is gone."""


class _Side:
    """One side of a connection, read by whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""

    def read_message(self) -> tuple[bytes, bytes]:
        """The next message's head, with its empty line, and its body, which ends where the head says or at the end."""
        while END_OF_HEAD not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(END_OF_HEAD)
        size = _length(head)
        with suppress(HungUp):
            while len(self._received) < size:
                self._receive()
        if size != math.inf and len(self._received) < size:
            raise HungUp
        end = len(self._received) if size == math.inf else int(size)
        body, self._received = self._received[:end], self._received[end:]
        return head + END_OF_HEAD, body

    def send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise HungUp from error

    def hang_up(self, *, reset: bool = False) -> None:
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
            raise HungUp from error
        if not received:
            raise HungUp
        self._received += received


def _length(head: bytes) -> float:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert "transfer-encoding" not in headers, "neither side of this proxy sends chunks"
    return float(headers.get("content-length", math.inf if first.startswith("HTTP/") else 0))


@dataclass
class Exchange:
    """A request and what can be done with it."""

    passage: Passage
    head: bytes
    body: bytes
    client: _Side
    address: tuple[str, int]
    over: threading.Event

    def forward(self) -> tuple[bytes, bytes]:
        """Hand the request on; answers with the head and the body of what the region says."""
        with self._region() as region:
            region.send(self.head + self.body)
            self.passage.reached = True
            return region.read_message()

    def forward_part(self, share: float = 1.0) -> None:
        """Hand the head on and this share of the body, and leave the region alone with them."""
        with self._region() as region:
            region.send(self.head + self.body[: int(len(self.body) * share)])
            self.passage.reached = share >= 1.0 or not self.body

    def answer(self, head: bytes, body: bytes = b"") -> None:
        """Send this to the client."""
        self.client.send(head + body)

    def wait(self, seconds: float) -> None:
        """Do nothing; ends early, and with it the connection, when the proxy is closed."""
        if self.over.wait(seconds):
            raise HungUp

    def hang_up(self, *, reset: bool = False) -> None:
        """End the client's connection: with a FIN, or with a RST."""
        self.client.hang_up(reset=reset)
        raise HungUp

    @contextmanager
    def _region(self) -> Iterator[_Side]:
        try:
            region = _Side(socket.create_connection(self.address, timeout=LONGEST_STALL))
        except OSError as error:
            raise HungUp from error
        try:
            yield region
        finally:
            region.hang_up()


Fate = Callable[[Exchange], None]


def passes(exchange: Exchange) -> None:
    """The request and its answer pass as they are."""
    exchange.answer(*exchange.forward())


def cut_before(exchange: Exchange) -> None:
    """Nothing of the request gets through."""
    exchange.hang_up(reset=_coin(exchange))


def cut_amid_request(exchange: Exchange) -> None:
    """The head gets through, or the head and half of the body."""
    exchange.forward_part(0.5 * _coin(exchange, 1))
    exchange.hang_up(reset=_coin(exchange))


def cut_after_request(exchange: Exchange) -> None:
    """The request gets through whole, and nobody hears of it; every second time nobody waits for the answer either."""
    if _coin(exchange, 1):
        exchange.forward_part()
    else:
        exchange.forward()
    exchange.hang_up(reset=_coin(exchange))


def cut_amid_answer(positions: int) -> Fate:
    """The answer ends after a share of its bytes, another one each time: in its head, in its body, one byte short."""
    turns = itertools.cycle(range(positions))
    half = positions // 2

    def cut(exchange: Exchange) -> None:
        head, body = exchange.forward()
        turn = next(turns)
        share = turn % half / half
        if turn < half:
            exchange.answer(head[: 1 + int(len(head) * share)])
        else:
            exchange.answer(head, body[:-1] if turn == positions - 1 else body[: int(len(body) * share)])
        exchange.hang_up(reset=_coin(exchange))

    return cut


def truncated_json(exchange: Exchange) -> None:
    """An answer that is whole by its length and broken by its content, as of a proxy whose disk is full."""
    _, body = exchange.forward()
    answer_json = body[: len(body) // 2]
    exchange.answer(_head(HTTPStatus.OK, "application/json", len(answer_json)), answer_json)


def trickles(exchange: Exchange, pieces: int = 8, seconds: float = 0.4) -> None:
    """The answer comes whole, and slowly."""
    head, body = exchange.forward()
    exchange.answer(head)
    size = max(1, math.ceil(len(body) / pieces))
    for start in range(0, len(body), size):
        exchange.wait(seconds / pieces)
        exchange.answer(body[start : start + size])


def stalls(*, forwarded: bool = False) -> Fate:
    """Nothing is heard, whether the request got through or not."""

    def stall(exchange: Exchange) -> None:
        if forwarded:
            exchange.forward()
        exchange.wait(LONGEST_STALL)

    return stall


def says(
    status: int,
    body: str = "",
    *,
    kind: str = "text/html",
    retry_after: float | None = None,
    as_date: bool = False,
    forwarded: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Fate:
    """The proxy answers in the region's place.

    Args:
        status: The HTTP status.
        body: The text.
        kind: The content type.
        retry_after: Seconds for ``Retry-After``.
        as_date: Whether to say them as an HTTP date, which is exact to the second.
        forwarded: Whether the region gets the request all the same.
        headers: What else the head says.
    """

    def say(exchange: Exchange) -> None:
        if forwarded:
            exchange.forward()
        more = dict(headers or {})
        if retry_after is not None:
            more["Retry-After"] = formatdate(time.time() + retry_after, usegmt=True) if as_date else f"{retry_after:g}"
        exchange.answer(_head(HTTPStatus(status), kind, len(body.encode()), more), body.encode())

    return say


def page(status: int) -> str:
    """What nginx says in MAAS's place."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


def _head(status: HTTPStatus, kind: str, size: int, more: Mapping[str, str] | None = None) -> bytes:
    headers = {"Content-Type": kind, "Content-Length": str(size), **(more or {})}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + END_OF_HEAD


def _coin(exchange: Exchange, nth: int = 0) -> bool:
    """Heads or tails, by the path and how often it was asked for: the same for a machine in every run of the tests."""
    passage = exchange.passage
    return bool(crc32(f"{passage.path}{passage.number or ''}".encode()) >> nth & 1)


@dataclass(eq=False)
class _Rule:
    fate: Fate
    method: str | None
    op: str | None
    path: str
    left: float
    after: int
    """POSTs that have to have passed first."""
    met: list[Passage] = field(default_factory=list)

    def matches(self, passage: Passage, posts: int) -> bool:
        wanted = self.method in {None, passage.method} and self.op in {None, passage.op}
        return wanted and self.path in passage.path and self.left > 0 and posts >= self.after


@dataclass
class Proxy:
    """Listens on a free port of 127.0.0.1, in threads of its own."""

    region_url: str
    passed: list[Passage] = field(default_factory=list)
    """Every request, oldest first."""
    _rules: list[_Rule] = field(default_factory=list)
    _clients: set[_Side] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._port = int(self._listener.getsockname()[1])
        self._accept(self._listener)
        return self

    def __exit__(self, *_failure: object) -> None:
        self._over.set()
        self._hang_up_on_all(self._listener)

    @property
    def url(self) -> str:
        """The region's address, as seen from this side."""
        return f"http://127.0.0.1:{self._port}{urlsplit(self.region_url).path}"

    @contextmanager
    def meeting(
        self,
        fate: Fate,
        *,
        method: str | None = None,
        op: str | None = None,
        path: str = "",
        times: float = math.inf,
        after: int = 0,
    ) -> Iterator[Callable[[], list[Passage]]]:
        """For as long as the block runs, requests that match meet ``fate``.

        Args:
            fate: What happens to them.
            method: Of which method; ``None`` for any.
            op: Of which op; ``None`` for any.
            path: What the path has to hold.
            times: To how many at most.
            after: How many POSTs have to have come before.

        Yields:
            What answers with those that have met it so far.
        """
        rule = _Rule(fate, method, op, path, times, after)
        with self._lock:
            self._rules.append(rule)
        try:
            yield lambda: list(rule.met)
        finally:
            with self._lock:
                self._rules.remove(rule)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """For as long as the block runs, the port is closed and all connections are cut: a region that restarts."""
        self._hang_up_on_all(self._listener)
        closed = socket.socket()
        closed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        closed.bind(("127.0.0.1", self._port))  # bound and not listening: refused, and nobody else's meanwhile
        try:
            yield
        finally:
            self._listener = closed
            closed.listen(128)
            self._accept(closed)

    def hang_up(self) -> None:
        """Cut every connection, and go on listening."""
        with self._lock:
            clients = set(self._clients)
        for client in clients:
            client.hang_up()

    def _hang_up_on_all(self, listener: socket.socket) -> None:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        listener.close()
        self.hang_up()

    def _accept(self, listener: socket.socket) -> None:
        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    client = _Side(connection)
                    with self._lock:
                        self._clients.add(client)
                    threading.Thread(target=self._serve, args=(client,), name="proxy-connection", daemon=True).start()

        threading.Thread(target=accept, name="proxy", daemon=True).start()

    def _serve(self, client: _Side) -> None:
        with suppress(HungUp):
            while True:
                head, body = client.read_message()
                self._exchange(client, head, body)
        client.hang_up()
        with self._lock:
            self._clients.discard(client)

    def _exchange(self, client: _Side, head: bytes, body: bytes) -> None:
        method, target, _ = head.decode("latin-1").split("\r\n")[0].split(" ")
        parts = urlsplit(target)
        passage = Passage(time.monotonic(), method, parts.path, parse_qs(parts.query).get("op", [None])[0])
        fate: Fate = passes
        with self._lock:
            posts = len([each for each in self.passed if each.method == "POST"])
            passage.number = len([each for each in self.passed if (each.method, each.path) == (method, parts.path)])
            rule = next((each for each in self._rules if each.matches(passage, posts)), None)
            if rule is not None:
                rule.left -= 1
                rule.met.append(passage)
                fate = rule.fate
            self.passed.append(passage)
        address = urlsplit(self.region_url)
        assert address.hostname
        assert address.port
        fate(Exchange(passage, head, body, client, (address.hostname, address.port), self._over))


@contextmanager
def behind_a_proxy(region: SimulatedRegion) -> Iterator[Proxy]:
    """Serve a region over real HTTP, with a proxy in front of it."""
    with serving(region) as url, Proxy(url) as proxy:
        yield proxy
