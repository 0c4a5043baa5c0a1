"""HTTP with a region on a real socket: requests, retries, and errors."""

import gzip
import logging
import re
import socket
import ssl
from collections.abc import Callable

import anyio
import httpx
import pytest
from anyio.abc import ByteStream

from maas_mcp import __version__
from maas_mcp.errors import (
    MaasAuthError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasProtocolError,
    MaasUnavailableError,
    SettingsError,
)
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.connection import connect
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.limits import MAX_CHANGES, MAX_REQUESTS
from maas_mcp.settings import Settings
from tests.unit.core.maas.fake_region import (
    KEY,
    SECRET,
    Received,
    Reply,
    close_connection,
    collect_reported_text,
    http,
    respond_with,
    send_nothing,
    serving_fake,
)

pytestmark = pytest.mark.anyio

USER_DATA = "hunter2-hunter2"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Use the real clock, which sockets need. No test waits on it."""
    return str(request.param)


async def test_a_request_is_signed_as_maas_expects() -> None:
    async with serving_fake(respond_with(http())) as region:
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


async def test_each_attempt_has_a_new_nonce() -> None:
    async with serving_fake(
        respond_with(http(503, "no rack", "text/plain"), http(502, "<p>", "text/html"), http())
    ) as region:
        assert await region.transport().request("GET", "machines/") == {}
    nonces = {re.findall(r'oauth_nonce="(\d+)"', request.headers["authorization"])[0] for request in region.received}
    assert len(region.received) == len(nonces) == 3


async def test_a_post_is_a_form_and_not_json() -> None:
    async with serving_fake(respond_with(http())) as region:
        form = [("user_data", "#cloud-config\na=1&b=é"), ("tags", "x"), ("tags", "y z")]
        await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=form)
        await region.transport().request("POST", "machines/7xneda/", query=[("op", "lock")], form=[])
    deploy, lock = region.received
    assert deploy.headers["content-type"] == "application/x-www-form-urlencoded"
    assert deploy.body == "user_data=%23cloud-config%0Aa%3D1%26b%3D%C3%A9&tags=x&tags=y+z"
    assert (lock.method, lock.body, lock.headers["content-length"]) == ("POST", "", "0")


async def test_connections_are_reused_and_cookies_are_not() -> None:
    async with serving_fake(
        respond_with(http(200, "1", "application/json", "Set-Cookie: sessionid=x; Path=/"))
    ) as region:
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
        ("tags/a?op=deploy/", "tags/a%3Fop%3Ddeploy/"),
        ("tags/a#b/", "tags/a%23b/"),
        ("tags/%2e%2e/", "tags/%252e%252e/"),
        ("tags/a b\r\nX: y/", "tags/a%20b%0D%0AX:%20y/"),
        ("tags/..\\users/", "tags/..%5Cusers/"),
        ("tags/é/", "tags/%C3%A9/"),
    ],
)
async def test_a_path_segment_cannot_become_two(path: str, target: str) -> None:
    async with serving_fake(respond_with(http())) as region:
        await region.transport().request("GET", path)
    assert region.received[0].target == f"/MAAS/api/2.0/{target}"


@pytest.mark.parametrize("path", ["", "/", "../users/", "machines/../users/", "machines//", "/machines/", "./machines"])
async def test_a_path_that_would_leave_the_api_is_never_sent(path: str) -> None:
    async with serving_fake(respond_with(http())) as region:
        with pytest.raises(MaasNotFoundError, match="not a path"):
            await region.transport().request("GET", path)
    assert region.received == []


async def test_a_read_is_attempted_four_times() -> None:
    async with serving_fake(respond_with(http(503, "no rack", "text/plain"))) as region:
        with pytest.raises(MaasUnavailableError, match="no rack"):
            await region.transport().request("GET", "machines/")
    assert len(region.received) == 4


@pytest.mark.parametrize(
    "reply",
    [
        respond_with(http(503, "no rack", "text/plain", "Retry-After: 10")),
        respond_with(http(502, "<html>", "text/html")),
        respond_with(http(409, "Conflict", "text/html", "Retry-After: 5")),
        close_connection,
    ],
)
async def test_a_post_is_never_sent_twice_and_may_have_acted(reply: Reply) -> None:
    async with serving_fake(reply) as region:
        with pytest.raises(MaasUnavailableError) as caught:
            await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=[])
    assert len(region.received) == 1
    assert caught.value.sent


async def test_the_error_for_a_conflict_quotes_maas() -> None:
    words = "Can't deploy a machine that is in the 'Deploying' state"
    async with serving_fake(respond_with(http(409, words, "text/plain; charset=utf-8"))) as region:
        with pytest.raises(MaasConflictError, match="Can't deploy a machine"):
            await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=[])


@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_is_not_followed(status: int) -> None:
    moved = http(status, "<html>", "text/html", "Location: https://maas.example.com:5443/MAAS/")
    async with serving_fake(respond_with(moved)) as region:
        with pytest.raises(MaasProtocolError, match=r"https://maas\.example\.com:5443"):
            await region.transport().request("POST", "machines/7xneda/", query=[("op", "deploy")], form=[])
    assert len(region.received) == 1


async def test_the_body_of_a_401_is_never_read_because_maas_prints_the_secret_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reported = f"Authorization Error: 'Invalid signature. Expected signature base string: &{SECRET}'"
    head, _, body = http(401, reported, "text/html; charset=utf-8").partition(b"\r\n\r\n")

    async def send_incomplete_body(_: Received, stream: ByteStream) -> None:
        await stream.send(head + b"\r\n\r\n" + body[:-1])  # a client that reads the whole body would never finish

    async with serving_fake(send_incomplete_body) as region:
        with anyio.fail_after(5), pytest.raises(MaasAuthError) as caught:
            await region.transport().request("GET", "machines/")
    assert SECRET not in collect_reported_text(caught.value)
    assert SECRET not in caplog.text
    assert len(region.received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        respond_with(http(500, f"{SECRET} {USER_DATA}", "text/plain")),
        respond_with(http(400, f'{{"user_data": ["{USER_DATA} {SECRET}"]}}')),
        respond_with(http(200, f"<html>{USER_DATA}", "text/html")),
        respond_with(http(302, USER_DATA, "text/html", "Location: https://x/")),
        respond_with(http(503, USER_DATA, "text/plain")),
        respond_with(http(200, "{}", "application/json", "Content-Encoding: gzip")),
        respond_with(b"garbage\r\n\r\n"),
        close_connection,
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
    reported = collect_reported_text(caught.value) + repr(transport) + repr(vars(transport)["_http"])
    for secret in (SECRET, KEY.token, USER_DATA, "oauth_signature"):
        assert secret not in reported
        assert secret not in caplog.text


async def test_at_most_four_requests_are_in_progress() -> None:
    busy = most = 0
    full = anyio.Event()

    async def slow(_: Received, stream: ByteStream) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == MAX_REQUESTS:
            full.set()
        await full.wait()
        await anyio.wait_all_tasks_blocked()  # gives a fifth request time to start
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
    """Leave some requests without a response."""

    async def reply(request: Received, stream: ByteStream) -> None:
        if held(request):
            await anyio.sleep_forever()
        await stream.send(http())

    return reply


@pytest.mark.parametrize(
    ("method", "path", "op"), [("GET", "machines/", ""), ("GET", "events/", "query"), ("POST", "machines/a/", "abort")]
)
async def test_changes_held_by_maas_do_not_block_reads_and_aborts(method: str, path: str, op: str) -> None:
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


async def test_slow_reads_do_not_block_the_event_query() -> None:
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


async def test_a_client_without_retries_raises_the_first_error() -> None:
    async with serving_fake(respond_with(http(503, "busy", "text/plain", "Retry-After: 20"))) as region:
        with anyio.fail_after(5), pytest.raises(MaasUnavailableError) as failure:
            await region.transport().once().request("GET", "events/")
    assert len(region.received) == 1
    assert failure.value.retry_after == 20


@pytest.mark.parametrize(("method", "slots"), [("GET", MAX_REQUESTS - 1), ("POST", MAX_CHANGES)])
async def test_cancelling_a_request_closes_its_connection_and_frees_its_slot(method: str, slots: int) -> None:
    async with serving_fake(send_nothing) as region:
        transport = region.transport()
        async with anyio.create_task_group() as tasks:
            for _ in range(slots):
                tasks.start_soon(transport.request, method, "machines/")
            while len(region.received) < slots:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await region.hung_up.wait()
        with anyio.move_on_after(5) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(transport.request, method, "machines/")
                while len(region.received) == slots:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert not scope.cancelled_caught


async def test_an_incomplete_body_is_an_outage_and_incomplete_json_a_protocol_error() -> None:
    async def cut(_: Received, stream: ByteStream) -> None:
        await stream.send(http(200, '{"system_id": "7xneda"}')[:-5])
        await stream.aclose()

    async with serving_fake(cut) as region:
        with pytest.raises(MaasUnavailableError, match="before the response was complete") as caught:
            await region.transport().request("GET", "machines/7xneda/")
        assert caught.value.sent
        assert len(region.received) == 4
    async with serving_fake(respond_with(http(200, '{"system_id": "7xn'))) as region:
        with pytest.raises(MaasProtocolError, match="not JSON"):
            await region.transport().request("GET", "machines/7xneda/")
        assert len(region.received) == 1


async def test_the_error_for_a_refused_connection_names_the_port_and_is_unsent() -> None:
    async with serving_fake(respond_with(http())) as region:
        pass
    with pytest.raises(MaasUnavailableError, match=f"localhost:{region.port} refused the connection") as caught:
        await region.transport().request("POST", "machines/", form=[])
    assert not caught.value.sent
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("url", "reported"),
    [
        ("http://[::1]:15340/MAAS", "MAAS at [::1]:15340 could not be reached"),
        ("http://[::1]/MAAS", "MAAS at [::1]:80 could not be reached"),
        ("https://[2001:db8::1]/MAAS", "MAAS at [2001:db8::1]:443 could not be reached"),
        ("https://maas.example.com/MAAS", "MAAS at maas.example.com:443 could not be reached"),
        ("http://127.0.0.1:5240/MAAS", "MAAS at 127.0.0.1:5240 could not be reached"),
    ],
)
async def test_an_error_names_host_and_port_as_in_a_url(url: str, reported: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    region = Settings.load(maas_url=url, maas_api_key="consumer:token:secret").require_region()
    transport = HttpTransport(region, wire=httpx.MockTransport(fail))
    with pytest.raises(MaasUnavailableError, match=f"^{re.escape(reported)}"):
        await transport.request("POST", "machines/", form=[])


@pytest.mark.parametrize(
    ("error", "cause", "reported", "sent"),
    [
        (httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known"), "name does not resolve", False),
        (httpx.ConnectError("x"), OSError(113, "No route to host"), "could not be reached", False),
        (httpx.ConnectTimeout("x"), None, "could not be reached within 10 s", False),
        (httpx.ProxyError("407 Log in"), None, "through a proxy: it reported '407 Log in'", False),
        (httpx.ReadTimeout("x"), None, "did not respond in time", True),
        (httpx.WriteError("x"), None, "before the response was complete", True),
        (ssl.SSLError(1, "bad record mac"), None, "before the response was complete", True),
        (httpx.ReadError("x"), ssl.SSLEOFError(8, "EOF occurred"), "before the response was complete", True),
        (httpx.ConnectError("x"), ssl.SSLEOFError(8, "EOF occurred"), "could not be reached", False),
    ],
)
async def test_the_error_for_a_missing_response_names_the_reason(
    error: Exception, cause: Exception | None, reported: str, sent: bool
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error from cause

    region = RegionAccess("http://maas.example.com:5240/MAAS/api/2.0/", KEY)
    transport = HttpTransport(region, wire=httpx.MockTransport(fail))
    with pytest.raises(MaasUnavailableError, match=reported) as caught:
        await transport.request("POST", "machines/", query=[("op", "allocate")], form=[])
    assert "maas.example.com:5240" in caught.value.message
    assert (caught.value.sent, caught.value.retryable) == (sent, True)
    assert caught.value.__context__ is None


async def test_reads_may_take_a_minute_and_posts_as_long_as_maas_own_proxy_allows() -> None:
    timeouts: list[dict[str, float | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    transport = HttpTransport(RegionAccess("http://maas/MAAS/api/2.0/", KEY), wire=httpx.MockTransport(answer))
    await transport.request("GET", "machines/")
    await transport.request("POST", "machines/", form=[])
    assert [(limits["connect"], limits["read"], limits["pool"]) for limits in timeouts] == [
        (10, 60, None),
        (10, 900, None),
    ]


async def test_a_client_is_created_from_the_settings() -> None:
    async with serving_fake(respond_with(http(200, '{"username": "admin", "is_superuser": true}'))) as region:
        client = connect(
            Settings(maas_url=f"http://localhost:{region.port}", maas_api_key=f"a:b:{SECRET}").require_region()
        )
        assert (await client.whoami()).username == "admin"
        await client.aclose()


async def test_a_compressed_response_is_read() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        body = gzip.compress(b'"vm"')
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    transport = HttpTransport(RegionAccess("http://maas/MAAS/api/2.0/", KEY), wire=httpx.MockTransport(answer))
    assert await transport.request("GET", "maas/") == "vm"


def test_an_invalid_host_name_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="MAAS_URL"):
        connect(Settings(maas_url="https://xn--/", maas_api_key="a:b:c").require_region())
