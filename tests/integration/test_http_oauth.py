"""OAuth over HTTP: access tokens of an issuer on loopback, as well as static tokens."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthToken
from mcp_types import CallToolResult

from maas_mcp.access.issuer_keys import TIMES
from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, Message, eventually
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.test_http_access import call, posts, status_of
from tests.issuer import Issuer, confused, issuing, new_key, unsigned

METADATA = "https://maas-mcp.example.com/.well-known/oauth-protected-resource/mcp"
ALICE, BOB = "f81d4fae", "7dec11d0"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


class Lab:
    """A server that accepts an issuer's access tokens. In MAAS, ``ALICE`` is ``admin`` and ``BOB`` is ``bob``."""

    def __init__(self, region: SimulatedRegion, url: str, issuer: Issuer, folder: Path) -> None:
        self.region = region
        self.url = url
        self.issuer = issuer
        self.keys = folder / "keys.toml"
        self.keys.touch(mode=0o600)
        self.keys.write_text(
            f'alice = "{region.api_key_of("bob")}"\n["{issuer.url}"]\n'
            f'{ALICE} = "{region.api_key_of("admin")}"\n{BOB} = "{region.api_key_of("bob")}"\n'
        )
        self.variables = {
            "MAAS_MCP_HTTP_ISSUERS": issuer.url,
            "MAAS_MCP_HTTP_URL": issuer.audience,
            "MAAS_MCP_HTTP_KEYS": str(self.keys),
            "MAAS_MCP_LOG_LEVEL": "INFO",
        }

    @contextmanager
    def serving(self, token: str, revision: str = MODERN, **variables: str) -> Iterator[HttpDriver]:
        """The server, without a MAAS API key of its own, and a client with a token."""
        headers = {"Authorization": f"Bearer {token}"}
        with serving_http(self.url, "", revision, headers, **{**self.variables, **variables}) as server:
            yield server

    def client(self, server: HttpDriver, token: str | None) -> HttpDriver:
        """Another client of the same server."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return HttpDriver(server.process, server.revision, server.errors, port=server.port, headers=headers)


@pytest.fixture
def lab(region: SimulatedRegion, url: str, issuer: Issuer, tmp_path: Path) -> Lab:
    return Lab(region, url, issuer, tmp_path)


def refused(server: HttpDriver, token: str, message: Message | None = None) -> tuple[int, str, str]:
    """The status, challenge and text of a request with another token."""
    client = HttpDriver(server.process, server.revision, server.errors, port=server.port)
    client.headers = {"Authorization": f"Bearer {token}"}
    return status_of(client, message or call("maas_list_machines"))


def test_a_call_has_the_rights_of_the_subjects_own_maas_user(lab: Lab) -> None:
    machine = lab.region.machine("node01")
    with lab.serving(lab.issuer.token(sub=BOB)) as bob:
        result = bob.call("maas_deploy_machine", system_id=machine.system_id)

        assert not result.get("isError"), result
        assert machine.owner == "bob"
        assert bob.get("/readyz") == (200, {"status": "ok"}), "MAAS is asked without a key"


def test_a_client_without_a_token_finds_the_issuer(lab: Lab) -> None:
    with lab.serving(lab.issuer.token()) as server:
        status, challenge, _ = status_of(lab.client(server, None), call("maas_list_machines"))
        assert status == 401
        assert challenge == f'Bearer scope="maas:read", resource_metadata="{METADATA}"'

        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
            status, document = server.get(path)
            assert status == 200
            assert document["resource"] == lab.issuer.audience
            assert document["authorization_servers"] == [lab.issuer.url]
            assert document["scopes_supported"] == ["maas:read", "maas:operate", "maas:destroy"]
            assert document["bearer_methods_supported"] == ["header"]


def test_a_token_that_is_not_for_this_server_gets_the_same_answer_whatever_is_wrong(lab: Lab) -> None:
    issuer, now = lab.issuer, int(time.time())
    wrong: dict[str, dict[str, Any]] = {
        "issuer": {"iss": "https://evil.example.com/realms/lab"},
        "audience": {"aud": "https://another.example.com/mcp"},
        "expired": {"exp": now - 120},
        "not yet valid": {"nbf": now + 600},
    }
    tokens = {name: issuer.token(**changes) for name, changes in wrong.items()}
    tokens |= {
        "unsigned": unsigned(issuer.claims()),
        "key confusion": confused(issuer.keys["first"], issuer.claims(), "first"),
        "another key": issuer.token(key=new_key()),
        "unknown key id": issuer.token(key=new_key(), kid="made-up"),
        "no token": "maas-mcp_made-up",
    }
    with lab.serving(issuer.token()) as server:
        answers = {name: refused(server, token) for name, token in tokens.items()}

        expected = f'Bearer scope="maas:read", error="invalid_token", resource_metadata="{METADATA}"'
        assert {status for status, _, _ in answers.values()} == {401}
        assert {challenge for _, challenge, _ in answers.values()} == {expected}
        assert len({text for _, _, text in answers.values()}) == 1
        log = server.log()
        assert "Signature has expired" in log
        assert not any(token in log for token in tokens.values())
    assert posts(lab.region) == []


def test_unknown_key_ids_do_not_flood_the_issuer(lab: Lab) -> None:
    forged, began = new_key(), time.monotonic()
    with lab.serving(lab.issuer.token()) as server:
        for number in range(50):
            assert refused(server, lab.issuer.token(key=forged, kid=f"made-up-{number}"))[0] == 401

        assert lab.issuer.key_requests <= 1 + (time.monotonic() - began) / TIMES.cooldown


def test_a_scope_that_is_missing_is_named_before_anything_is_sent(lab: Lab) -> None:
    machine = lab.region.machine("node01")
    with lab.serving(lab.issuer.token(scope="maas:read")) as reader:
        status, challenge, text = status_of(reader, call("maas_release_machine", system_id=machine.system_id))

        assert status == 403
        assert challenge == (f'Bearer scope="maas:operate", error="insufficient_scope", resource_metadata="{METADATA}"')
        assert not text.startswith("event:")
        assert not reader.call("maas_list_machines").get("isError")
        assert refused(reader, lab.issuer.token(scope="openid"))[0] == 403
    assert posts(lab.region) == []


def test_a_subject_without_a_maas_key_is_refused_even_if_a_static_token_has_its_name(lab: Lab) -> None:
    with lab.serving(lab.issuer.token()) as server:
        status, _, text = refused(server, lab.issuer.token(sub="alice"))

    assert status == 403
    assert f"alice of {lab.issuer.url} has no MAAS API key" in text


def test_another_principals_operation_is_unknown(lab: Lab) -> None:
    lab.region.set_speed(0)
    machine = lab.region.machine("node01")
    with lab.serving(lab.issuer.token(sub=ALICE)) as alice:
        started = alice.call("maas_deploy_machine", system_id=machine.system_id, wait_seconds=0)
        operation_id = started["structuredContent"]["operation_id"]
        bob = lab.client(alice, lab.issuer.token(sub=BOB))

        for tool in ("maas_get_operation", "maas_wait_operation", "maas_cancel_operation"):
            result = bob.call(tool, operation_id=operation_id)
            assert result["_meta"]["io.github.maas-mcp/error"]["code"] == "unknown_operation", result
        renewed = lab.client(alice, lab.issuer.token(sub=ALICE, jti="another"))
        assert renewed.call("maas_get_operation", operation_id=operation_id)["structuredContent"]["state"] == "working"


@pytest.mark.parametrize("revision", ["2025-11-25"])
def test_another_principals_session_does_not_exist(lab: Lab, revision: str) -> None:
    with lab.serving(lab.issuer.token(sub=ALICE), revision) as alice:
        bob = lab.client(alice, lab.issuer.token(sub=BOB))
        bob.session = alice.session
        assert status_of(bob, {"id": 5, "method": "tools/list"})[0] == 404

        renewed = lab.client(alice, lab.issuer.token(sub=ALICE, jti="another"))
        renewed.session = alice.session
        assert status_of(renewed, {"id": 5, "method": "tools/list"})[0] == 200


def test_an_issuer_that_is_down_stops_only_the_callers_whose_keys_are_unknown(lab: Lab) -> None:
    with lab.serving(lab.issuer.token()) as server:
        lab.issuer.fault = "down"

        assert refused(server, lab.issuer.token(sub=BOB))[0] == 200


def test_before_the_first_keys_an_issuer_that_is_down_is_a_temporary_error(lab: Lab, tmp_path: Path) -> None:
    lab.issuer.fault = "down"
    token = static_token(lab, tmp_path)
    with lab.serving(token, MAAS_MCP_HTTP_TOKENS=str(tmp_path / "tokens.toml")) as server:
        client = lab.client(server, lab.issuer.token())
        connection, response = client.post(call("maas_list_machines"))
        assert response.status == 503
        assert response.getheader("Retry-After") == "10"
        assert "does not answer" in response.read().decode()
        connection.close()

        assert not server.call("maas_list_machines").get("isError"), "a static token needs no issuer"
        assert eventually(lambda: "status 503" in server.log(), "the reason in the log")


def static_token(lab: Lab, folder: Path) -> str:
    """A static token of ``alice``, whose key in MAAS is that of ``bob``."""
    from maas_mcp.access.tokens import TokenFile  # noqa: PLC0415 - as `maas-mcp token new` does
    from maas_mcp.calls.principal import Scope  # noqa: PLC0415 - as above

    assert "alice" in lab.keys.read_text()
    return TokenFile(folder / "tokens.toml").add("alice", [Scope.DESTROY])


def test_static_tokens_and_access_tokens_work_side_by_side(lab: Lab, tmp_path: Path) -> None:
    token = static_token(lab, tmp_path)
    first, second = lab.region.machine("node01"), lab.region.machine("node02")
    with lab.serving(token, MAAS_MCP_HTTP_TOKENS=str(tmp_path / "tokens.toml")) as static:
        oauth = lab.client(static, lab.issuer.token(sub=ALICE))

        assert not static.call("maas_deploy_machine", system_id=first.system_id).get("isError")
        assert not oauth.call("maas_deploy_machine", system_id=second.system_id).get("isError")
    assert (first.owner, second.owner) == ("bob", "admin")


class Memory:
    """The storage of a client that keeps its tokens until it ends."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> None:
        return None

    async def set_client_info(self, client_info: object) -> None:
        """The client is known in advance."""


def test_the_sdks_client_finds_the_issuer_and_requests_the_scope_that_a_call_needs(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url, issuer, machine = f"http://127.0.0.1:{port}/mcp", lab.issuer, lab.region.machine("node01")
    headers = {"Authorization": f"Bearer {issuer.token(aud=url)}"}
    provider = ClientCredentialsOAuthProvider(url, Memory(), "client", "secret", issuer=issuer.url)

    async def use() -> tuple[CallToolResult, CallToolResult]:
        async with (
            httpx2.AsyncClient(auth=provider, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            listed = await client.call_tool("maas_list_machines", {})
            return listed, await client.call_tool("maas_deploy_machine", {"system_id": machine.system_id})

    variables = {**lab.variables, "MAAS_MCP_HTTP_URL": url}
    with serving_http(lab.url, "", MODERN, headers, address=f"127.0.0.1:{port}", **variables):
        listed, deployed = anyio.run(use)

    assert not listed.is_error, listed
    assert not deployed.is_error, deployed
    assert [each["resource"] for each in issuer.token_requests] == [url, url]
    first, second = (each["scope"].split() for each in issuer.token_requests)
    assert first == ["maas:read"]
    assert "maas:operate" in second


def test_a_public_url_below_another_path_has_its_metadata_there(lab: Lab) -> None:
    url = "https://lab.example.com/tools/maas/mcp"
    token = lab.issuer.token(aud=url)
    with lab.serving(token, MAAS_MCP_HTTP_URL=url) as server:
        _, challenge, _ = status_of(lab.client(server, None), call("maas_list_machines"))
        where = "/.well-known/oauth-protected-resource/tools/maas/mcp"

        assert f'resource_metadata="https://lab.example.com{where}"' in challenge
        assert server.get(where)[1]["resource"] == url
