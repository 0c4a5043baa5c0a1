"""The choice of a region's proxy from the environment, NO_PROXY, and unusable proxies."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from hypothesis import example, given
from hypothesis import strategies as st

from maas_mcp.errors import MaasUnavailableError, SettingsError
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.connection import connect
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.proxies import region_proxy, with_proxy
from maas_mcp.settings import Settings
from tests.unit.core.maas.fake_region import KEY, Received, collect_reported_text, http, respond_with, serving_fake

pytestmark = pytest.mark.anyio

PROXY = "http://proxy.example.com:3128"
REGION = "https://maas.example.com:5443/MAAS/api/2.0/"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Use the real clock, which sockets need. No test waits on it."""
    return str(request.param)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set these variables and unset all other proxy variables."""
    others = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with mock.patch.dict(os.environ, {**others, **variables}, clear=True):
        yield


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine() -> Iterator[None]:
    with environment({}):
        yield


@pytest.mark.parametrize(
    ("variables", "url", "chosen"),
    [
        ({}, REGION, None),
        ({"HTTPS_PROXY": PROXY}, REGION, f"{PROXY} (HTTPS_PROXY)"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, REGION, f"{PROXY} (https_proxy)"),
        ({"ALL_PROXY": PROXY}, REGION, f"{PROXY} (ALL_PROXY)"),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "socks://x:1"}, REGION, f"{PROXY} (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, REGION, f"{PROXY} (ALL_PROXY)"),
        ({"HTTP_PROXY": PROXY}, REGION, None),
        ({"HTTP_PROXY": PROXY}, "http://maas/MAAS/api/2.0/", f"{PROXY} (HTTP_PROXY)"),
        ({"HTTPS_PROXY": "proxy:3128"}, REGION, "http://proxy:3128 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": f' "{PROXY}" '}, REGION, f"{PROXY} (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": "http://[fd00::1]:3128/path?x"}, REGION, "http://[fd00::1]:3128 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": PROXY}, "https://localhost:5443/MAAS/api/2.0/", None),
        ({"FTP_PROXY": "gopher://x", "TRAVIS_APT_PROXY": "x://"}, REGION, None),
    ],
)
def test_the_urls_scheme_selects_the_proxy(variables: dict[str, str], url: str, chosen: str | None) -> None:
    with environment(variables):
        proxy = region_proxy(url)
    assert (proxy and str(proxy)) == chosen


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ("*", REGION),
        ("maas.example.com", REGION),
        ("MAAS.Example.Com", REGION),
        ("maas.example.com.", REGION),
        ("example.com", REGION),
        (".example.com", REGION),
        ("*.example.com", REGION),
        ("maas*", REGION),
        ("localhost, .example.com ,10.0.0.0/8", REGION),
        ("localhost;example.com", REGION),
        ("localhost example.com", REGION),
        ('"maas.example.com"', REGION),
        ("maas.example.com:5443", REGION),
        (".example.com:5443", REGION),
        ("https://maas.example.com", REGION),
        ("https://maas.example.com:5443/", REGION),
        ("all://*", REGION),
        ("maas:443", "https://maas/MAAS/api/2.0/"),
        ("maas:80", "http://maas/MAAS/api/2.0/"),
        ("10.0.0.2", "https://10.0.0.2/MAAS/api/2.0/"),
        ("10.0.0.2:443", "https://10.0.0.2/MAAS/api/2.0/"),
        ("10.0.0.0/8", "https://10.0.0.2/MAAS/api/2.0/"),
        ("10.0.0.9/8", "https://10.0.0.2/MAAS/api/2.0/"),
        ("10.0.*", "https://10.0.0.2/MAAS/api/2.0/"),
        ("fd00::2", "https://[fd00::2]/MAAS/api/2.0/"),
        ("FD00:0:0::2", "https://[fd00::2]/MAAS/api/2.0/"),
        ("[fd00::2]", "https://[fd00::2]/MAAS/api/2.0/"),
        ("[fd00::2]:5443", "https://[fd00::2]:5443/MAAS/api/2.0/"),
        ("fd00::/8", "https://[fd00::2]/MAAS/api/2.0/"),
        ("[fd00::]/8", "https://[fd00::2]/MAAS/api/2.0/"),
        ("nonsense/99,maas:x,maas.example.com", REGION),
    ],
)
def test_no_proxy_exempts_the_region(entries: str, url: str) -> None:
    with environment({"ALL_PROXY": PROXY, "NO_PROXY": entries}):
        assert region_proxy(url) is None
    with environment({"ALL_PROXY": "gopher://not-even-a-proxy", "no_proxy": entries}):
        assert region_proxy(url) is None


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ("", REGION),
        ("elsewhere.example.com", REGION),
        ("xample.com", REGION),
        ("aas.example.com", REGION),
        ("maas.example.com:443", REGION),
        ("http://maas.example.com", REGION),
        ("10.0.0.0/8,::1,fd00::/8", REGION),
        ("0.2", "https://10.0.0.2/MAAS/api/2.0/"),
        ("10.0.0.20", "https://10.0.0.2/MAAS/api/2.0/"),
        ("10.0.0.2:80", "https://10.0.0.2/MAAS/api/2.0/"),
        ("192.168.0.0/16", "https://10.0.0.2/MAAS/api/2.0/"),
        ("::/0", "https://10.0.0.2/MAAS/api/2.0/"),
        ("[fd00::2]:80", "https://[fd00::2]/MAAS/api/2.0/"),
        ("maas.example.com,2", "https://[fd00::2]/MAAS/api/2.0/"),
    ],
)
def test_no_proxy_exempts_no_other_region(entries: str, url: str) -> None:
    with environment({"ALL_PROXY": PROXY, "NO_PROXY": entries}):
        proxy = region_proxy(url)
    assert proxy
    assert proxy.warnings == ()


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.0/99", "maas/8", "maas:port", "maas:123456", ":80", "[fd00::2", "::1/129", "a(b)", "<local>!", "//"],
)
def test_an_invalid_no_proxy_entry_is_ignored_with_a_warning(entry: str, caplog: pytest.LogCaptureFixture) -> None:
    with environment({"ALL_PROXY": PROXY, "NO_PROXY": f"localhost,{entry},10.0.0.0/8"}):
        proxy = region_proxy(REGION)
        connect(
            with_proxy(Settings(maas_url="http://maas", maas_api_key="a:b:c", maas_allow_http=True).require_region())
        )
    assert proxy
    assert proxy.warnings == (f"NO_PROXY entry {entry!r} is invalid and ignored.",)
    assert [(each.levelno, each.message) for each in caplog.records] == [(logging.WARNING, proxy.warnings[0])]


def test_a_password_in_no_proxy_is_not_shown() -> None:
    with environment({"ALL_PROXY": PROXY, "NO_PROXY": "http://u:hunter2@maas:x"}):
        proxy = region_proxy(REGION)
    assert proxy
    assert proxy.warnings == ("NO_PROXY entry 'maas:x' is invalid and ignored.",)


@pytest.mark.parametrize(
    ("proxy", "reported"),
    [
        ("socks5://u:hunter2@x:1", "ALL_PROXY names the proxy socks5://x:1, which cannot be used: a SOCKS proxy needs"),
        (
            "socks://u:hunter2@x:1/",
            "names the proxy socks://x:1, which cannot be used: socks:// is not supported; expected http",
        ),
        ("socks4a://x:1", "socks4a:// is not supported"),
        ("foo://u:hunter2@x", "names the proxy foo://x, which cannot be used: foo:// is not supported"),
        ("http://u:hunter2@x:99999", "names the proxy http://x:99999, which cannot be used: it is not a URL"),
        ("u:hunter2@x:99999", "names the proxy http://x:99999, which cannot be used: it is not a URL"),
        ("http://u:hunter2#@x:1", "names the proxy http://x:1, which cannot be used: it is not a URL; write"),
        ("http://u:hunter2/@x:1", "names the proxy http://x:1, which cannot be used: it is not a URL; write"),
        ("http://x:1:u:hunter2", "ALL_PROXY names a proxy, which cannot be used: it is not a URL"),
        ("u:hunter2", "ALL_PROXY names a proxy, which cannot be used: it is not a URL"),
        ("http://u:hunter2@", "ALL_PROXY names a proxy, which cannot be used: it has no valid host name"),
        ("http://[u:hunter2]", "ALL_PROXY names a proxy, which cannot be used: it is not a URL"),
        ("http://u:hunter2@xn--:1", "names the proxy http://xn--:1, which cannot be used: it is not a URL"),
        ("http://{hunter2}:1", "ALL_PROXY names a proxy, which cannot be used: it has no valid host name"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(proxy: str, reported: str) -> None:
    with environment({"ALL_PROXY": proxy}), pytest.raises(SettingsError) as caught:
        connect(with_proxy(Settings(maas_url="https://maas.example.com", maas_api_key="a:b:c").require_region()))
    assert reported in caught.value.message
    assert "NO_PROXY=maas.example.com" in str(caught.value.hint)
    assert "hunter2" not in collect_reported_text(caught.value)
    assert "hunter2" not in str(caught.value.hint)


def test_a_socks_proxy_works_if_its_package_is_installed() -> None:
    with environment({"ALL_PROXY": "socks5://u:p@x:1"}), mock.patch("maas_mcp.proxies.find_spec"):
        proxy = region_proxy(REGION)
    assert (proxy and proxy.url) == "socks5://u:p@x:1"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://u:p@x:1", "http://u:p@x:1"),
        ("http://u:p@ss@x:1", "http://u:p%40ss@x:1"),
        ("http://u:p%40s%3As@x:1", "http://u:p%40s%3As@x:1"),
        ("http://u:p:q@x:1", "http://u:p%3Aq@x:1"),
        ("http://DOMAIN\\u:p é@x:1", "http://DOMAIN%5Cu:p%20%C3%A9@x:1"),
        ("http://u:\udcff@x:1", "http://u:%FF@x:1"),
        ("http://u@x:1", "http://u@x:1"),
    ],
)
def test_any_password_is_sent_to_the_proxy_and_never_shown(written: str, read: str) -> None:
    with environment({"ALL_PROXY": written}):
        proxy = region_proxy(REGION)
        assert proxy
        HttpTransport(RegionAccess("http://maas/MAAS/api/2.0/", KEY, proxy=region_proxy("http://maas/MAAS/api/2.0/")))
    assert proxy.url == read
    assert f"{proxy}" == "http://x:1 (ALL_PROXY)"
    assert read not in repr(proxy)


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
PIECES = st.lists(
    st.sampled_from(
        [*"@:/#?[]%,;.*\\ <>\"'0", "://", "http://", "socks5://", "x", "[::1]", "10.0.0.0/8", "99999", "xn--"]
    )
).map("".join)
VALUES = WORDS | PIECES


@given(VALUES, VALUES, VALUES, VALUES)
@example("http://u:p@x:1", "", "", "[::1]:80,10.0.0.0/8")
@example("", "", "socks://127.0.0.1:1080/", "host:port")
def test_any_proxy_variable_is_used_or_named_in_an_error(http_: str, https: str, all_: str, no: str) -> None:
    given = {"HTTP_PROXY": http_, "HTTPS_PROXY": https, "ALL_PROXY": all_, "NO_PROXY": no}
    with environment(given):
        for url in ("http://maas.example.com/MAAS/api/2.0/", "http://10.0.0.2/MAAS/api/2.0/", "http://[fd00::2]/"):
            try:
                HttpTransport(RegionAccess(url, KEY, proxy=region_proxy(url)))
            except SettingsError as error:
                used = "HTTP_PROXY" if http_ else "ALL_PROXY"
                assert error.message.startswith(f"{used} names ")  # noqa: PT017 - either outcome is right
                assert "cannot be used" in error.message  # noqa: PT017 - likewise


@given(VALUES, VALUES, VALUES, VALUES)
def test_an_unused_proxy_variable_is_never_an_error(http_: str, https: str, all_: str, no: str) -> None:
    exempt = {"HTTP_PROXY": http_, "HTTPS_PROXY": https, "ALL_PROXY": all_, "NO_PROXY": f"{no},*"}
    with environment(exempt):
        assert region_proxy("http://maas.example.com/MAAS/api/2.0/") is None
    with environment({"HTTP_PROXY": PROXY, "HTTPS_PROXY": https, "ALL_PROXY": all_}):
        assert region_proxy("http://maas.example.com/MAAS/api/2.0/")
    with environment({**exempt, "NO_PROXY": no}):
        HttpTransport(
            RegionAccess("http://localhost/MAAS/api/2.0/", KEY, proxy=region_proxy("http://localhost/MAAS/api/2.0/"))
        )


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8), st.sampled_from(["", "http://", "x://"])
)
def test_a_password_of_any_characters_is_never_shown(password: str, scheme: str) -> None:
    with environment({"ALL_PROXY": f"{scheme}user:{password}@proxy:3128"}):
        try:
            reported = repr(region_proxy(REGION)) + str(region_proxy(REGION))
        except SettingsError as error:
            reported = f"{error.message}{error.hint}"
    assert password not in reported


async def test_a_region_on_this_machine_needs_no_proxy() -> None:
    with environment({"HTTP_PROXY": "http://localhost:9", "ALL_PROXY": "http://localhost:9"}):
        async with serving_fake(respond_with(http())) as region:
            assert await region.transport().request("GET", "machines/") == {}


async def test_the_proxy_gets_the_password_and_resolves_the_regions_name() -> None:
    async with serving_fake(respond_with(http(200, '"vm"'))) as proxy:
        with environment({"HTTP_PROXY": f"http://user:p%40ss@127.0.0.1:{proxy.port}"}):
            transport = HttpTransport(
                RegionAccess(
                    "http://maas.invalid/MAAS/api/2.0/", KEY, proxy=region_proxy("http://maas.invalid/MAAS/api/2.0/")
                )
            )
        assert await transport.request("GET", "maas/") == "vm"
        await transport.aclose()
    (asked,) = proxy.received
    assert asked.target == "http://maas.invalid/MAAS/api/2.0/maas/"
    assert asked.headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"


async def failure(variables: Mapping[str, str]) -> MaasUnavailableError:
    with environment(variables):
        client = connect(
            with_proxy(Settings(maas_url="https://maas.example.com", maas_api_key="a:b:c").require_region())
        )
    with pytest.raises(MaasUnavailableError) as caught:
        await client.once().version()
    await client.aclose()
    assert not caught.value.sent
    assert "hunter2" not in collect_reported_text(caught.value)
    assert "MAAS_URL" not in str(caught.value.hint)
    assert "NO_PROXY=maas.example.com" in str(caught.value.hint)
    return caught.value


async def test_an_error_distinguishes_an_unreachable_proxy_from_an_unreachable_region() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
    error = await failure({"HTTPS_PROXY": f"http://u:hunter2@127.0.0.1:{port}"})
    assert (
        f"MAAS at maas.example.com:443 could not be reached through a proxy: "
        f"http://127.0.0.1:{port} (HTTPS_PROXY) refused the connection" in error.message
    )


async def test_an_error_quotes_the_proxys_refusal() -> None:
    async def refuse(_: Received, stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with serving_fake(refuse) as proxy:
        error = await failure({"HTTPS_PROXY": f"http://u:hunter2@127.0.0.1:{proxy.port}"})
    assert "(HTTPS_PROXY) reported '407 Proxy Authentication Required'" in error.message
    assert "Check the proxy and its password" in str(error.hint)
