"""HTTP with a region on a real socket: what is sent, what is never sent twice, and what a person is told."""

import gzip
import logging
import re
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

from maas_mcp import __version__
from maas_mcp.errors import (
    MaasAuthError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasProtocolError,
    MaasTlsError,
    MaasUnavailableError,
    SettingsError,
)
from maas_mcp.maas.client import connect
from maas_mcp.maas.retry import Backoff
from maas_mcp.maas.transport import MAX_CHANGES, MAX_REQUESTS, HttpTransport
from maas_mcp.settings import ApiKey, RegionSettings, Settings

pytestmark = pytest.mark.anyio

SECRET = "SecretSecretSecretSecretSecret42"
USER_DATA = "hunter2-hunter2"
KEY = ApiKey("consumerconsumer18", "tokentokentoken018", SECRET)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Sockets need the real clock; nothing here waits on it."""
    return str(request.param)


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: str


Reply = Callable[[Received, ByteStream], Coroutine[None, None, None]]


@dataclass
class FakeRegion:
    """A region of a few lines, which remembers what it was asked."""

    port: int
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    hung_up: anyio.Event = field(default_factory=anyio.Event)
    transports: list[HttpTransport] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/MAAS/api/2.0/"

    def transport(self, *, ca_bundle: Path | None = None) -> HttpTransport:
        region = RegionSettings(self.url, KEY, ca_bundle)
        self.transports.append(HttpTransport(region, backoff=Backoff(jitter=lambda: 0.0)))
        return self.transports[-1]


def http(status: int = 200, body: str = "{}", kind: str = "application/json; charset=utf-8", *headers: str) -> bytes:
    content = body.encode()
    head = (f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join((*head, "", "")).encode() + content


def answering(*answers: bytes) -> Reply:
    """Each answer once, then the last one for ever."""
    left = list(answers)

    async def reply(_: Received, stream: ByteStream) -> None:
        await stream.send(left.pop(0) if len(left) > 1 else left[0])

    return reply


async def hanging_up(_: Received, stream: ByteStream) -> None:
    await stream.aclose()


async def silent(_: Received, _stream: ByteStream) -> None:
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
            # A client that does not trust the certificate ends the handshake: that is its good right.
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


def everything_told(error: BaseException) -> str:
    """All that a log, a crash report or a debugger's summary might show of an error and of what caused it."""
    told = "".join(traceback.format_exception(error))
    below: BaseException | None = error
    while below is not None:
        told += f"{below!r} {below.args!r} {vars(below)!r}"
        request = getattr(below, "_request", None)
        told += "" if request is None else f"{request.headers.raw!r} {request.content!r}"
        below = below.__cause__ or below.__context__
    return told


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    bundle = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    return ca, bundle


async def test_a_request_is_signed_the_way_maas_reads_it() -> None:
    async with serving_fake(answering(http())) as region:
        await region.transport().request("GET", "users/", query=[("op", "whoami")])
    request = region.received[0]
    assert request.target == "/MAAS/api/2.0/users/?op=whoami"
    assert request.headers["user-agent"] == f"maas-mcp/{__version__}"
    scheme, _, parameters = request.headers["authorization"].partition(" ")
    given = dict(re.findall(r'(\w+)="([^"]*)"', parameters))
    assert scheme == "OAuth"
    assert given.pop("oauth_nonce")
    assert given.pop("oauth_timestamp").isdecimal()
    assert given == {
        "oauth_version": "1.0",
        "oauth_signature_method": "PLAINTEXT",
        "oauth_consumer_key": KEY.consumer,
        "oauth_token": KEY.token,
        "oauth_signature": f"%26{SECRET}",
    }


async def test_every_attempt_has_a_nonce_of_its_own() -> None:
    async with serving_fake(
        answering(http(503, "no rack", "text/plain"), http(502, "<p>", "text/html"), http())
    ) as region:
        assert await region.transport().request("GET", "machines/") == {}
    nonces = {re.findall(r'oauth_nonce="(\d+)"', request.headers["authorization"])[0] for request in region.received}
    assert len(region.received) == len(nonces) == 3


async def test_a_post_is_a_form_and_not_json() -> None:
    async with serving_fake(answering(http())) as region:
        form = [("user_data", "#cloud-config\na=1&b=é"), ("tags", "x"), ("tags", "y z")]
        await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=form)
        await region.transport().request("POST", "machines/7xneda/", query=[("op", "lock")], form=[])
    deploy, lock = region.received
    assert deploy.headers["content-type"] == "application/x-www-form-urlencoded"
    assert deploy.body == "user_data=%23cloud-config%0Aa%3D1%26b%3D%C3%A9&tags=x&tags=y+z"
    assert (lock.method, lock.body, lock.headers["content-length"]) == ("POST", "", "0")


async def test_connections_are_kept_and_cookies_are_not() -> None:
    async with serving_fake(answering(http(200, "1", "application/json", "Set-Cookie: sessionid=x; Path=/"))) as region:
        transport = region.transport()
        for _ in range(3):
            await transport.request("GET", "version/")
        assert not region.hung_up.is_set()
        await transport.aclose()
        await region.hung_up.wait()
    assert all("cookie" not in request.headers for request in region.received)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("machines/", "machines/"),
        ("machines/7xneda", "machines/7xneda/"),
        ("tags/a?op=delete/", "tags/a%3Fop%3Ddelete/"),
        ("tags/a#b/", "tags/a%23b/"),
        ("tags/%2e%2e/", "tags/%252e%252e/"),
        ("tags/a b\r\nX: y/", "tags/a%20b%0D%0AX:%20y/"),
        ("tags/..\\users/", "tags/..%5Cusers/"),
        ("tags/é/", "tags/%C3%A9/"),
    ],
)
async def test_a_path_segment_stays_a_segment(path: str, target: str) -> None:
    async with serving_fake(answering(http())) as region:
        await region.transport().request("GET", path)
    assert region.received[0].target == f"/MAAS/api/2.0/{target}"


@pytest.mark.parametrize("path", ["", "/", "../users/", "machines/../users/", "machines//", "/machines/", "./machines"])
async def test_a_path_that_would_leave_the_api_is_never_sent(path: str) -> None:
    async with serving_fake(answering(http())) as region:
        with pytest.raises(MaasNotFoundError, match="not a path"):
            await region.transport().request("GET", path)
    assert region.received == []


async def test_a_read_is_tried_four_times() -> None:
    async with serving_fake(answering(http(503, "no rack", "text/plain"))) as region:
        with pytest.raises(MaasUnavailableError, match="no rack"):
            await region.transport().request("GET", "machines/")
    assert len(region.received) == 4


@pytest.mark.parametrize(
    "reply",
    [
        answering(http(503, "no rack", "text/plain", "Retry-After: 10")),
        answering(http(502, "<html>", "text/html")),
        answering(http(409, "Conflict", "text/html", "Retry-After: 5")),
        hanging_up,
    ],
)
async def test_a_post_is_never_sent_twice_and_may_have_acted(reply: Reply) -> None:
    async with serving_fake(reply) as region:
        with pytest.raises(MaasUnavailableError) as caught:
            await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=[])
    assert len(region.received) == 1
    assert caught.value.sent


async def test_a_conflict_is_told_in_maas_words() -> None:
    words = "Can't deploy a machine that is in the 'Deploying' state"
    async with serving_fake(answering(http(409, words, "text/plain; charset=utf-8"))) as region:
        with pytest.raises(MaasConflictError, match="Can't deploy a machine"):
            await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=[])


@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_is_not_followed(status: int) -> None:
    moved = http(status, "<html>", "text/html", "Location: https://maas.example.com:5443/MAAS/")
    async with serving_fake(answering(moved)) as region:
        with pytest.raises(MaasProtocolError, match=r"https://maas\.example\.com:5443"):
            await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=[])
    assert len(region.received) == 1


async def test_the_body_of_a_401_is_never_read_because_maas_prints_the_secret_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = f"Authorization Error: 'Invalid signature. Expected signature base string: &{SECRET}'"
    head, _, body = http(401, told, "text/html; charset=utf-8").partition(b"\r\n\r\n")

    async def half_an_answer(_: Received, stream: ByteStream) -> None:
        await stream.send(head + b"\r\n\r\n" + body[:-1])  # whoever wants the whole body waits for ever

    async with serving_fake(half_an_answer) as region:
        with anyio.fail_after(5), pytest.raises(MaasAuthError) as caught:
            await region.transport().request("GET", "machines/")
    assert SECRET not in everything_told(caught.value)
    assert SECRET not in caplog.text
    assert len(region.received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        answering(http(500, f"{SECRET} {USER_DATA}", "text/plain")),
        answering(http(400, f'{{"user_data": ["{USER_DATA} {SECRET}"]}}')),
        answering(http(200, f"<html>{USER_DATA}", "text/html")),
        answering(http(302, USER_DATA, "text/html", "Location: https://x/")),
        answering(http(503, USER_DATA, "text/plain")),
        answering(http(200, "{}", "application/json", "Content-Encoding: gzip")),
        answering(b"garbage\r\n\r\n"),
        hanging_up,
    ],
)
async def test_neither_the_key_nor_user_data_is_in_an_error_its_causes_or_the_log(
    reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving_fake(reply) as region:
        transport = region.transport()
        with pytest.raises(MaasError) as caught:
            await transport.request("POST", "machines/7xneda/", form=[("user_data", USER_DATA)])
    told = everything_told(caught.value) + repr(transport) + repr(vars(transport)["_http"])
    for secret in (SECRET, KEY.token, USER_DATA, "oauth_signature"):
        assert secret not in told
        assert secret not in caplog.text


async def test_at_most_four_requests_are_under_way() -> None:
    busy = most = 0
    full = anyio.Event()

    async def slow(_: Received, stream: ByteStream) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == MAX_REQUESTS:
            full.set()
        await full.wait()
        await anyio.wait_all_tasks_blocked()  # time for a fifth, if there were one
        busy -= 1
        await stream.send(http())

    async with serving_fake(slow) as region:
        transport = region.transport()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(transport.request, "POST", "machines/")
                tasks.start_soon(transport.request, "GET", "machines/")
                tasks.start_soon(transport.once().request, "GET", "machines/")
                tasks.start_soon(transport.once().request, "GET", "events/")
    assert len(region.received) == 12
    assert most == MAX_REQUESTS == 4


def holding(held: Callable[[Received], bool]) -> Reply:
    """Some requests are not answered."""

    async def reply(request: Received, stream: ByteStream) -> None:
        if held(request):
            await anyio.sleep_forever()
        await stream.send(http())

    return reply


@pytest.mark.parametrize(
    ("method", "path", "op"), [("GET", "machines/", ""), ("GET", "events/", "query"), ("POST", "machines/a/", "abort")]
)
async def test_changes_that_maas_holds_leave_room_for_reads_and_for_an_abort(method: str, path: str, op: str) -> None:
    held = holding(lambda request: request.method == "POST" and "op=abort" not in request.target)
    async with serving_fake(held) as region:
        transport = region.transport()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(transport.request, "POST", "machines/")
            while len(region.received) < MAX_CHANGES:
                await anyio.lowlevel.checkpoint()
            with anyio.fail_after(5):
                await transport.request(method, path, query=[("op", op)])
            tasks.cancel_scope.cancel()
    assert [each.method for each in region.received] == ["POST"] * MAX_CHANGES + [method]


async def test_reads_that_maas_is_slow_to_answer_leave_room_for_the_events() -> None:
    async with serving_fake(holding(lambda request: "/machines/" in request.target)) as region:
        transport = region.transport()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(transport.request, "GET", "machines/")
            while len(region.received) < MAX_REQUESTS - 1:
                await anyio.lowlevel.checkpoint()
            with anyio.fail_after(5):
                await transport.once().request("GET", "events/")
            tasks.cancel_scope.cancel()


async def test_a_read_that_is_repeated_anyway_is_tried_once_and_told_at_once() -> None:
    async with serving_fake(answering(http(503, "busy", "text/plain", "Retry-After: 20"))) as region:
        with anyio.fail_after(5), pytest.raises(MaasUnavailableError) as failure:
            await region.transport().once().request("GET", "events/")
    assert len(region.received) == 1
    assert failure.value.retry_after == 20


@pytest.mark.parametrize(("method", "places"), [("GET", MAX_REQUESTS - 1), ("POST", MAX_CHANGES)])
async def test_cancelling_a_request_hangs_up_at_once_and_frees_its_place(method: str, places: int) -> None:
    async with serving_fake(silent) as region:
        transport = region.transport()
        async with anyio.create_task_group() as tasks:
            for _ in range(places):
                tasks.start_soon(transport.request, method, "machines/")
            while len(region.received) < places:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await region.hung_up.wait()
        with anyio.move_on_after(5) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(transport.request, method, "machines/")
                while len(region.received) == places:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert not scope.cancelled_caught


async def test_a_body_that_ends_early_is_an_outage_and_json_that_does_is_not_maas() -> None:
    async def cut(_: Received, stream: ByteStream) -> None:
        await stream.send(http(200, '{"system_id": "7xneda"}')[:-5])
        await stream.aclose()

    async with serving_fake(cut) as region:
        with pytest.raises(MaasUnavailableError, match="without a whole answer") as caught:
            await region.transport().request("GET", "machines/7xneda/")
        assert caught.value.sent
        assert len(region.received) == 4
    async with serving_fake(answering(http(200, '{"system_id": "7xn'))) as region:
        with pytest.raises(MaasProtocolError, match="not JSON"):
            await region.transport().request("GET", "machines/7xneda/")
        assert len(region.received) == 1


async def test_a_refused_connection_names_the_port_and_was_never_sent() -> None:
    async with serving_fake(answering(http())) as region:
        pass
    with pytest.raises(MaasUnavailableError, match=f"localhost:{region.port} refused the connection") as caught:
        await region.transport().request("POST", "machines/", form=[])
    assert not caught.value.sent
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://[::1]:15340/MAAS", "MAAS at [::1]:15340 could not be reached"),
        ("http://[::1]/MAAS", "MAAS at [::1]:80 could not be reached"),
        ("https://[2001:db8::1]/MAAS", "MAAS at [2001:db8::1]:443 could not be reached"),
        ("https://maas.example.com/MAAS", "MAAS at maas.example.com:443 could not be reached"),
        ("http://127.0.0.1:5240/MAAS", "MAAS at 127.0.0.1:5240 could not be reached"),
    ],
)
async def test_an_error_names_host_and_port_as_they_stand_in_a_url(url: str, told: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    region = Settings.load(maas_url=url, maas_api_key="consumer:token:secret").require_region()
    transport = HttpTransport(region, wire=httpx.MockTransport(fail))
    with pytest.raises(MaasUnavailableError, match=f"^{re.escape(told)}"):
        await transport.request("POST", "machines/", form=[])


@pytest.mark.parametrize(
    ("error", "cause", "told", "sent"),
    [
        (httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known"), "name is not known", False),
        (httpx.ConnectError("x"), OSError(113, "No route to host"), "could not be reached", False),
        (httpx.ConnectTimeout("x"), None, "could not be reached within 10 s", False),
        (httpx.ProxyError("x"), None, "through the proxy", False),
        (httpx.ReadTimeout("x"), None, "did not answer in time", True),
        (httpx.WriteError("x"), None, "without a whole answer", True),
        (httpx.ReadError("x"), ssl.SSLEOFError(8, "EOF occurred"), "without a whole answer", True),
        (httpx.ConnectError("x"), ssl.SSLEOFError(8, "EOF occurred"), "could not be reached", False),
    ],
)
async def test_no_answer_is_told_in_words_for_people(
    error: httpx.TransportError, cause: Exception | None, told: str, sent: bool
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error from cause

    region = RegionSettings("https://maas.example.com/MAAS/api/2.0/", KEY)
    transport = HttpTransport(region, wire=httpx.MockTransport(fail))
    with pytest.raises(MaasUnavailableError, match=told) as caught:
        await transport.request("POST", "machines/", query=[("op", "allocate")], form=[])
    assert "maas.example.com:443" in caught.value.message
    assert (caught.value.sent, caught.value.retryable) == (sent, True)
    assert caught.value.__context__ is None


async def test_reads_may_take_a_minute_and_posts_as_long_as_maas_own_proxy_waits() -> None:
    timeouts: list[dict[str, float | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    transport = HttpTransport(RegionSettings("https://maas/MAAS/api/2.0/", KEY), wire=httpx.MockTransport(answer))
    await transport.request("GET", "machines/")
    await transport.request("POST", "machines/", form=[])
    assert [(limits["connect"], limits["read"], limits["pool"]) for limits in timeouts] == [
        (10, 60, None),
        (10, 900, None),
    ]


async def test_a_certificate_of_an_unknown_authority_is_explained_and_not_tried_again(
    authority: tuple[trustme.CA, Path],
) -> None:
    ca, _ = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    async with serving_fake(answering(http()), context) as region:
        with pytest.raises(MaasTlsError, match=r"certificate of MAAS at localhost:\d+ is not trusted") as caught:
            await region.transport().request("GET", "machines/")
    assert "MAAS_CA_BUNDLE" in str(caught.value.hint)
    assert not caught.value.retryable
    assert not caught.value.sent
    assert region.received == []


async def test_a_private_authority_is_trusted_through_the_bundle(authority: tuple[trustme.CA, Path]) -> None:
    ca, bundle = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    async with serving_fake(answering(http(200, '"vm"')), context) as region:
        assert await region.transport(ca_bundle=bundle).request("GET", "maas/") == "vm"


async def test_a_certificate_for_another_host_is_explained(authority: tuple[trustme.CA, Path]) -> None:
    ca, bundle = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("elsewhere.example.com").configure_cert(context)
    async with serving_fake(answering(http()), context) as region:
        with pytest.raises(MaasTlsError, match="Hostname mismatch"):
            await region.transport(ca_bundle=bundle).request("GET", "machines/")


async def test_https_to_a_port_that_speaks_http_is_explained() -> None:
    async def plain(stream: ByteStream) -> None:
        async with stream:
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listener = await anyio.create_tcp_listener(local_host="localhost", family=socket.AF_INET)
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, plain)
        with pytest.raises(MaasTlsError, match="does not speak TLS as expected"):
            await FakeRegion(port, "https").transport().request("GET", "machines/")
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read: No such file"), (b"hello", "is not a PEM"), (b"", "is not a PEM")]
)
def test_a_ca_bundle_that_cannot_be_used_is_a_settings_error(tmp_path: Path, content: bytes | None, told: str) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    settings = Settings(maas_url="https://maas", maas_api_key="a:b:c", maas_ca_bundle=bundle)
    with pytest.raises(SettingsError, match=told) as caught:
        connect(settings)
    assert str(bundle) in caught.value.message


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file or directory"), (b"hello", "there is no certificate in PEM format")]
)
def test_system_certificates_that_cannot_be_read_are_a_settings_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, told: str
) -> None:
    bundle = tmp_path / "all.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(SettingsError, match=f"^SSL_CERT_FILE .*: {told}") as caught:
        connect(Settings(maas_url="https://maas", maas_api_key="a:b:c"))
    assert str(bundle) in caught.value.message


async def test_a_client_is_made_of_the_settings() -> None:
    async with serving_fake(answering(http(200, '{"username": "admin", "is_superuser": true}'))) as region:
        client = connect(Settings(maas_url=f"http://localhost:{region.port}", maas_api_key=f"a:b:{SECRET}"))
        assert (await client.whoami()).username == "admin"
        await client.aclose()


async def test_a_compressed_answer_is_read() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        body = gzip.compress(b'"vm"')
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    transport = HttpTransport(RegionSettings("https://maas/MAAS/api/2.0/", KEY), wire=httpx.MockTransport(answer))
    assert await transport.request("GET", "maas/") == "vm"


async def test_proxies_of_the_environment_are_not_asked_for_this_very_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:9")
    monkeypatch.setenv("ALL_PROXY", "http://localhost:9")
    async with serving_fake(answering(http())) as region:
        assert await region.transport().request("GET", "machines/") == {}


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("socks5://u:hunter2@x:1", "SOCKS proxy"),
        ("foo://u:hunter2@x", "is not a URL"),
        ("http://u:hunter2@x:99999", "is not a URL"),
        ("u:hunter2@x:99999", "is not a URL"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_settings_error(
    monkeypatch: pytest.MonkeyPatch, proxy: str, told: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(SettingsError, match=told) as caught:
        connect(Settings(maas_url="https://maas.example.com", maas_api_key="a:b:c"))
    assert "hunter2" not in everything_told(caught.value)


async def test_a_proxy_that_does_not_answer_is_told_from_a_region_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
    monkeypatch.setenv("HTTPS_PROXY", f"http://u:hunter2@127.0.0.1:{port}")
    client = connect(Settings(maas_url="https://maas.example.com", maas_api_key="a:b:c"))
    with pytest.raises(MaasUnavailableError, match="could not be reached through the proxy of the environment") as told:
        await client.once().version()
    await client.aclose()
    assert "hunter2" not in everything_told(told.value)


def test_a_host_that_cannot_be_a_host_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="MAAS_URL"):
        connect(Settings(maas_url="https://xn--/", maas_api_key="a:b:c"))
