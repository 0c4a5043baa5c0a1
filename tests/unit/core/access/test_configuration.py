"""The settings of access over HTTP are checked as a whole before the server starts."""

from pathlib import Path
from typing import Any

import pytest

from maas_mcp.access.configuration import HttpAccess
from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings

OAUTH: dict[str, Any] = {
    "http_issuers": "https://sso.example.com/realms/lab",
    "http_url": "https://maas-mcp.example.com/mcp",
    "http_keys": "/etc/maas-mcp/keys.toml",
}


def test_without_tokens_issuers_and_a_proxy_every_caller_is_the_local_user() -> None:
    assert HttpAccess.from_settings(Settings.load()) is None


def test_the_public_url_is_the_audience_unless_there_are_others() -> None:
    plain = HttpAccess.from_settings(Settings.load(**OAUTH))
    other = HttpAccess.from_settings(Settings.load(**OAUTH, http_audiences="maas-mcp, https://other.example.com"))

    assert plain is not None
    assert plain.oauth is not None
    assert plain.oauth.audiences == ("https://maas-mcp.example.com/mcp",)
    assert plain.oauth.claim == "sub"
    assert other is not None
    assert other.oauth is not None
    assert other.oauth.audiences == ("maas-mcp", "https://other.example.com")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"http_url": None}, "needs MAAS_MCP_HTTP_URL"),
        ({"http_issuers": "http://sso.example.com"}, "MAAS_MCP_HTTP_ISSUERS: .* cannot be used"),
        ({"http_issuers": "sso.example.com"}, "cannot be used"),
        ({"http_issuers": "https://sso.example.com/?a=b"}, "cannot be used"),
        ({"http_issuers": "https://user@sso.example.com"}, "cannot be used"),
        ({"http_issuers": ["https://sso.example.com/a b"]}, "cannot be used"),
        ({"http_issuers": "https://["}, "cannot be used"),
        ({"http_url": "http://maas-mcp.example.com/mcp"}, "MAAS_MCP_HTTP_URL: .* cannot be used"),
        ({"http_url": "https://maas-mcp.example.com/mcp#x"}, "cannot be used"),
        ({"http_keys": None}, "need the MAAS API key of each principal"),
        ({"http_issuers": ""}, "no setting says how they authenticate"),
        ({"http_issuer_ca_bundle": Path("/no/such/file")}, "MAAS_MCP_HTTP_ISSUER_CA_BUNDLE"),
        ({"http_proxy_networks": "everywhere"}, "is not an address or network"),
        ({"vault": Path("/var/lib/vault")}, "needs either MAAS_MCP_VAULT_KEY or"),
    ],
)
def test_a_setting_that_is_missing_or_unsafe_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        HttpAccess.from_settings(Settings.load(**{**OAUTH, **changes}))


def test_an_issuer_on_this_machine_may_use_http() -> None:
    given = {**OAUTH, "http_issuers": "http://127.0.0.1:8080/realms/lab", "http_url": "http://localhost:8000/mcp"}

    assert HttpAccess.from_settings(Settings.load(**given)) is not None
