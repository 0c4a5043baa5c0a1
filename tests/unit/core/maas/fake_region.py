"""A minimal region on a real socket, for tests of the transport."""

import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

from maas_mcp.maas.address import ApiKey, RegionAccess
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.retry import Backoff

SECRET = "SecretSecretSecretSecretSecret42"
KEY = ApiKey("consumerconsumer18", "tokentokentoken018", SECRET)


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: str


Reply = Callable[[Received, ByteStream], Coroutine[None, None, None]]


@dataclass
class FakeRegion:
    """A minimal region that records its requests."""

    port: int
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    host: str = "localhost"
    hung_up: anyio.Event = field(default_factory=anyio.Event)
    transports: list[HttpTransport] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/MAAS/api/2.0/"

    def transport(self, *, ca_bundle: Path | None = None) -> HttpTransport:
        region = RegionAccess(self.url, KEY, ca_bundle)
        self.transports.append(HttpTransport(region, backoff=Backoff(jitter=lambda: 0.0)))
        return self.transports[-1]


def http(status: int = 200, body: str = "{}", kind: str = "application/json; charset=utf-8", *headers: str) -> bytes:
    content = body.encode()
    head = (f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join((*head, "", "")).encode() + content


def respond_with(*responses: bytes) -> Reply:
    """Send each response once, and then repeat the last one."""
    left = list(responses)

    async def reply(_: Received, stream: ByteStream) -> None:
        await stream.send(left.pop(0) if len(left) > 1 else left[0])

    return reply


async def close_connection(_: Received, stream: ByteStream) -> None:
    await stream.aclose()


async def send_nothing(_: Received, _stream: ByteStream) -> None:
    await anyio.sleep_forever()


@asynccontextmanager
async def serving_fake(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeRegion]:
    listener = await anyio.create_tcp_listener(local_host="localhost", family=socket.AF_INET)
    region = FakeRegion(listener.extra(SocketAttribute.local_port), "https" if tls else "http")

    async def connection(stream: ByteStream) -> None:
        try:
            async with stream, anyio.create_task_group() as replies:
                requests = BufferedByteReceiveStream(stream)
                while True:
                    region.received.append(await receive(requests))
                    replies.start_soon(reply, region.received[-1], stream)
        except* (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
            region.hung_up.set()

    async def serve() -> None:
        async with listener:
            # A client that does not trust the certificate ends the handshake, which is not an error here.
            server = TLSListener(listener, tls, standard_compatible=False) if tls else listener
            await server.serve(connection)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            yield region
        finally:
            with anyio.CancelScope(shield=True):
                for transport in region.transports:
                    await transport.aclose()
            tasks.cancel_scope.cancel()


async def receive(stream: BufferedByteReceiveStream) -> Received:
    head = (await stream.receive_until(b"\r\n\r\n", 65_536)).decode()
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await stream.receive_exactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body.decode())


def collect_reported_text(error: BaseException) -> str:
    """Return the text of an error and its causes that a log, a crash report or a debugger may show."""
    reported = "".join(traceback.format_exception(error))
    below: BaseException | None = error
    while below is not None:
        reported += f"{below!r} {below.args!r} {vars(below)!r}"
        request = getattr(below, "_request", None)
        reported += "" if request is None else f"{request.headers.raw!r} {request.content!r}"
        below = below.__cause__ or below.__context__
    return reported
