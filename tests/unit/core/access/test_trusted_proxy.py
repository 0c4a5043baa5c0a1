"""A trusted proxy is recognized by the address of its connection, by its secret, or by both."""

import pytest

from maas_mcp.access.trusted_proxy import TrustedProxy, key_principal
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey

SECRET = "a-secret-of-the-proxy"


@pytest.mark.parametrize(
    ("networks", "peer", "trusted"),
    [
        (["10.0.0.5"], "10.0.0.5", True),
        (["10.0.0.5"], "10.0.0.6", False),
        (["10.0.0.0/24", "fd00::/8"], "10.0.0.200", True),
        (["10.0.0.0/24", "fd00::/8"], "fd00::1", True),
        (["10.0.0.0/24"], "::ffff:10.0.0.1", True),
        (["10.0.0.0/24"], "::ffff:10.0.1.1", False),
        (["10.0.0.0/24"], None, False),
        (["10.0.0.0/24"], "testclient", False),
    ],
)
def test_the_address_of_the_connection_decides(networks: list[str], peer: str | None, *, trusted: bool) -> None:
    assert TrustedProxy(networks, []).sends(peer, None) is trusted


@pytest.mark.parametrize(("sent", "trusted"), [(SECRET, True), ("another", False), ("", False), (None, False)])
def test_the_secret_decides(sent: str | None, *, trusted: bool) -> None:
    assert TrustedProxy([], ["the-next-secret-of-the-proxy", SECRET]).sends("192.0.2.1", sent) is trusted


def test_with_networks_and_a_secret_both_are_needed() -> None:
    proxy = TrustedProxy(["10.0.0.5"], [SECRET])

    assert proxy.sends("10.0.0.5", SECRET)
    assert not proxy.sends("10.0.0.6", SECRET)
    assert not proxy.sends("10.0.0.5", None)


@pytest.mark.parametrize("network", ["10.0.0.1/24", "proxy.example.com", "", "10.0.0.0/33"])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(SettingsError, match="is not an address or network"):
        TrustedProxy([network], [])


def test_a_proxy_that_nothing_identifies_is_refused() -> None:
    with pytest.raises(SettingsError, match="MAAS_MCP_HTTP_PROXY_NETWORKS or"):
        TrustedProxy([], [])


def test_the_principal_of_a_key_depends_on_all_of_it_and_does_not_reveal_it() -> None:
    key = ApiKey("consumer", "token", "secret")
    others = [ApiKey("Consumer", "token", "secret"), ApiKey("consumer", "token", "Secret")]

    assert key_principal(key) == key_principal(ApiKey("consumer", "token", "secret"))
    assert all(key_principal(each) != key_principal(key) for each in others)
    assert not any(part in key_principal(key) for part in ("consumer", "token", "secret"))
