"""The URL of a region, from any URL that a user may copy, or an error with the reason."""

import re
import traceback
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import api_url

HOST = "maas.example.com"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://{HOST}", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}:5443/", f"https://{HOST}:5443/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}//MAAS//api/2.0", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/api/2.0/", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/r/machines", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/r/machines?status=%3Dready&q=a b", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/r/machine/4y3h7n/summary?x={{\\é}}", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/r/tag/a%20b/machines", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/#/machines", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/l/dashboard", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/MAAS/api/2.0/machines/?op=power_parameters", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/lab/MAAS/?", f"https://{HOST}/lab/MAAS/api/2.0/"),
        (f"https://{HOST}?next=https://elsewhere/MAAS", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/api/2.0", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/api/2.0/machines/", f"https://{HOST}/MAAS/api/2.0/"),
        (f"https://{HOST}/lab/api/2.0/", f"https://{HOST}/lab/MAAS/api/2.0/"),
        (f"https://{HOST}/lab/MAAS/", f"https://{HOST}/lab/MAAS/api/2.0/"),
        (f"https://{HOST}/lab", f"https://{HOST}/lab/MAAS/api/2.0/"),
        (f" HTTPS://{HOST.upper()} ", f"https://{HOST}/MAAS/api/2.0/"),
        ("http://localhost:5240/MAAS", "http://localhost:5240/MAAS/api/2.0/"),
        ("http://127.8.8.8:5240", "http://127.8.8.8:5240/MAAS/api/2.0/"),
        ("http://[::1]:5240", "http://[::1]:5240/MAAS/api/2.0/"),
    ],
)
def test_any_url_of_a_region_is_accepted(url: str, expected: str) -> None:
    assert api_url(url) == expected


@pytest.mark.parametrize(
    ("url", "reported"),
    [
        ("", "is empty"),
        (f"{HOST}/MAAS", "does not start with https://"),
        (f"{HOST}:5240", "does not start with https://"),
        ("ftp://maas", "does not start with https://"),
        ("https://", "no valid host name"),
        ("https:///MAAS", "no valid host name"),
        ("https://maas:port/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://admin:hunter2@maas/", "user name or password"),
        ("https://hunter2@maas/", "user name or password"),
        ("https://maas/../MAAS", "dot segment"),
        ("https://maas/MAAS/../elsewhere", "dot segment"),
        ("https://maas/%2e%2e/MAAS", "% sign"),
        ("?https://maas/MAAS", "is empty"),
        ("https://ma as/", "a space"),
        ("https://maas\\@evil/", "backslash"),
        ("https://mäas/", "non-ASCII"),
    ],
)
def test_an_invalid_url_is_rejected_with_the_reason(url: str, reported: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(reported)) as caught:
        api_url(url)
    assert caught.value.message.startswith("MAAS_URL cannot be used: ")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z][a-z0-9]{0,10}){0,3}", fullmatch=True)
HOSTS = (
    NAMES | st.ip_addresses(v=4).map(IPv4Address.__str__) | st.ip_addresses(v=6).map(lambda ip: f"[{IPv6Address(ip)}]")
)
PATHS = st.sampled_from(
    ["", "/", "/MAAS", "/MAAS/", "/MAAS/api/2.0", "/MAAS/api/2.0/", "/MAAS/r/machines", "/api/2.0", "/api/2.0/"]
)
ENDS = st.just("") | st.from_regex(r"[?#][ -~]*", fullmatch=True)


@given(st.sampled_from(["http", "https"]), HOSTS, st.none() | st.integers(1, 65_535), PATHS, ENDS)
def test_all_spellings_of_a_url_are_equal(scheme: str, host: str, port: int | None, path: str, end: str) -> None:
    root = f"{scheme}://{host}" + ("" if port is None else f":{port}")
    normal = api_url(root + path + end, allow_http=True)
    assert normal == f"{root}/MAAS/api/2.0/"
    assert api_url(normal, allow_http=True) == normal


@given(st.text() | st.from_regex(r"https?://[ -~]*"))
def test_any_text_is_a_url_of_api_2_or_a_settings_error(text: str) -> None:
    try:
        address = api_url(text)
    except SettingsError as error:
        assert error.message.startswith("MAAS_URL ")  # noqa: PT017 - either outcome is right
    else:
        assert re.fullmatch(r"https?://[^/@?#]+(/[^/?#]+)*/MAAS/api/2\.0/", address)
