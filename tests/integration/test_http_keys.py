"""The MAAS API keys of principals: in the vault that ``maas-mcp login`` fills, or from a trusted proxy."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import command, environment
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.server_process import run_to_end
from tests.integration.terminal import terminal_lines
from tests.integration.test_http_access import call, status_of
from tests.issuer import issuing

PROXY_SECRET = "the-secret-of-the-proxy"


class Office:
    """A vault, the commands that change it, and a server that uses it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.vault = folder / "vault"
        self.variables = {
            "MAAS_MCP_VAULT": str(self.vault),
            "MAAS_MCP_VAULT_KEY": base64.b64encode(os.urandom(32)).decode(),
            "MAAS_MCP_HTTP_TOKENS": str(folder / "tokens.toml"),
        }

    def run(self, *args: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the text ``given`` on stdin."""
        return run_to_end(command(*args), environment(self.url, "", **{**self.variables, **variables}), given)

    @contextmanager
    def serving(self, token: str, **variables: str) -> Iterator[HttpDriver]:
        """The server, and the client of the person who has the token."""
        headers = {"Authorization": f"Bearer {token}"}
        with serving_http(self.url, "", "2026-07-28", headers, **{**self.variables, **variables}) as server:
            yield server


@pytest.fixture
def office(url: str, tmp_path: Path) -> Office:
    return Office(url, tmp_path)


def other(server: HttpDriver, **headers: str) -> HttpDriver:
    """Another client of the same server."""
    return HttpDriver(server.process, server.revision, server.errors, port=server.port, headers=headers)


def test_a_key_that_login_stores_is_used_at_once_and_no_more_after_logout(
    office: Office, region: SimulatedRegion
) -> None:
    tokens = {
        name: office.run("token", "new", name, "--scopes", "maas:destroy").stdout.strip() for name in ("al", "bo")
    }
    office.run("login", "al", given=region.api_key_of("admin"))
    machine = region.machine("node01")
    with office.serving(tokens["al"]) as al:
        bo = other(al, Authorization=f"Bearer {tokens['bo']}")
        assert status_of(bo, call("maas_list_machines"))[0] == 403

        stored = office.run("login", "bo", given=f"{region.api_key_of('bob')}\n")
        assert (stored.returncode, stored.stderr) == (0, "")
        assert stored.stdout.startswith("Stored the MAAS API key of bo: bob at http://")
        assert not bo.call("maas_deploy_machine", system_id=machine.system_id).get("isError")
        assert machine.owner == "bob"

        assert office.run("logout", "bo").returncode == 0
        assert status_of(bo, call("maas_list_machines"))[0] == 403

        next(office.vault.iterdir()).write_text("{}")
        assert status_of(al, call("maas_list_machines"))[0] == 503
        assert "was changed" in al.log()


def test_the_key_is_checked_with_maas_before_it_is_stored_and_never_shown(
    office: Office, region: SimulatedRegion
) -> None:
    wrong = region.api_key_of("bob")[:-4] + "zzzz"
    refusals = {
        given: office.run("login", "bob", given=given)
        for given in (wrong, "", "only-one-part", "https://maas.example.com", "a:b:c d")
    }

    assert all(done.returncode in {1, 2} for done in refusals.values())
    assert "MAAS rejected the API key" in refusals[wrong].stderr
    assert "MAAS_API_KEY" not in refusals[wrong].stderr
    for given, done in refusals.items():
        assert "Traceback" not in done.stderr
        assert not given or given not in done.stdout + done.stderr
    assert not office.vault.exists()
    assert office.run("login", "bob", given="a:b:c", MAAS_URL="").returncode == 2
    assert "Missing argument 'NAME'" in office.run("login", "--issuer", "https://sso.example.com").stderr


def test_a_name_that_no_token_can_have_gets_no_key(office: Office, region: SimulatedRegion) -> None:
    done = office.run("login", "two words", given=region.api_key_of("admin"))

    assert done.returncode == 2
    assert "'two words' is not a valid name for a token" in done.stderr
    assert not office.vault.exists()


def test_on_a_terminal_it_asks_for_the_url_and_hides_the_key(office: Office, region: SimulatedRegion) -> None:
    key = region.api_key_of("bob")
    answers = {"URL of the MAAS region: ": office.url, "MAAS API key of bob: ": key}

    shown = terminal_lines(("login", "bob"), environment("", "", **office.variables), 200, answers=answers)

    assert shown[0] == f"URL of the MAAS region: {office.url}"
    assert shown[-1].startswith("Stored the MAAS API key of bob: bob at ")
    assert not [part for part in key.split(":") if part in "\n".join(shown)]


def test_the_list_shows_names_and_maas_users_and_no_key(office: Office, region: SimulatedRegion) -> None:
    key, issuer = region.api_key_of("bob"), "https://sso.example.com/realms/lab"
    office.run("login", "bob", given=key)
    office.run("login", "f81d4fae", "--issuer", issuer, given=key)

    listed = office.run("login", "--list").stdout

    assert [line.partition(" at ")[0] for line in listed.splitlines()] == ["bob: bob", f"f81d4fae of {issuer}: bob"]
    assert key.rpartition(":")[2] not in listed
    wrong_key = base64.b64encode(bytes(32)).decode()
    failed = office.run("login", "--list", MAAS_MCP_VAULT_KEY=wrong_key)
    assert failed.returncode == 2
    assert "encrypted with another key" in failed.stderr
    assert office.run("logout", "bob", "--issuer", issuer).returncode == 2


def test_a_subject_of_an_issuer_has_the_key_that_was_stored_for_the_issuer(
    office: Office, region: SimulatedRegion
) -> None:
    machine = region.machine("node01")
    with issuing() as issuer:
        office.run("login", "alice@example.com", "--issuer", issuer.url, given=region.api_key_of("bob"))
        office.variables |= {
            "MAAS_MCP_HTTP_ISSUERS": issuer.url,
            "MAAS_MCP_HTTP_URL": issuer.audience,
            "MAAS_MCP_HTTP_PRINCIPAL_CLAIM": "email",
        }
        with office.serving(issuer.token(email="alice@example.com", email_verified=True)) as alice:
            assert not alice.call("maas_deploy_machine", system_id=machine.system_id).get("isError")
            mallory = other(
                alice, Authorization=f"Bearer {issuer.token(email='mallory@example.com', email_verified=True)}"
            )
            assert status_of(mallory, call("maas_list_machines"))[0] == 403
    assert machine.owner == "bob"


def test_the_doctor_checks_tokens_keys_and_issuers(office: Office, region: SimulatedRegion) -> None:
    office.run("token", "new", "bob")
    office.run("login", "bob", given=region.api_key_of("bob"))
    with issuing() as issuer:
        office.variables |= {"MAAS_MCP_HTTP_ISSUERS": issuer.url, "MAAS_MCP_HTTP_URL": issuer.audience}

        healthy = office.run("doctor")
        issuer.fault = "other issuer"
        broken = office.run("doctor")

    assert healthy.returncode == 0, healthy.stdout
    for line in ("HTTP tokens: 1 in", "MAAS API keys: 1 in the vault", "Issuer: http", "Region: reachable"):
        assert f"\n✓ {line}" in f"\n{healthy.stdout}"
    assert "- API key: not checked: each principal has its own" in healthy.stdout
    assert broken.returncode == 1
    assert "is the metadata of another issuer" in broken.stdout
    office.variables["MAAS_MCP_HTTP_URL"] = ""
    assert "needs MAAS_MCP_HTTP_URL" in office.run("doctor").stdout


class TestTrustedProxy:
    def test_its_users_need_no_token_and_have_the_rights_of_their_keys(
        self, office: Office, region: SimulatedRegion
    ) -> None:
        keys = {name: region.api_key_of(name) for name in ("admin", "bob")}
        region.set_speed(0)
        machine = region.machine("node01")
        proxied = {name: {"X-MAAS-API-Key": key, "X-MAAS-Proxy-Secret": PROXY_SECRET} for name, key in keys.items()}
        variables = {"MAAS_MCP_HTTP_PROXY_SECRET": PROXY_SECRET, "MAAS_MCP_LOG_LEVEL": "DEBUG"}
        with serving_http(office.url, "", "2026-07-28", proxied["bob"], **variables) as bob:
            started = bob.call("maas_deploy_machine", system_id=machine.system_id, wait_seconds=0)
            operation_id = started["structuredContent"]["operation_id"]
            assert machine.owner == "bob"
            admin = other(bob, **proxied["admin"])
            result = admin.call("maas_get_operation", operation_id=operation_id)
            assert result["_meta"]["io.github.maas-mcp/error"]["code"] == "unknown_operation"

            message = call("maas_list_machines")
            for headers, status in (
                ({}, 401),
                ({"X-MAAS-Proxy-Secret": PROXY_SECRET}, 401),
                ({"X-MAAS-API-Key": keys["bob"]}, 403),
                ({"X-MAAS-API-Key": keys["bob"], "X-MAAS-Proxy-Secret": "another"}, 403),
                ({**proxied["bob"], "X-MAAS-API-Key": "no key"}, 400),
            ):
                assert status_of(other(bob, **headers), message)[0] == status, headers
            log = bob.log()
        secrets = [PROXY_SECRET, *(part for key in keys.values() for part in key.split(":"))]
        assert not [secret for secret in secrets if secret in log]

    def test_the_address_of_the_connection_counts_and_no_header_changes_it(
        self, office: Office, region: SimulatedRegion
    ) -> None:
        key = {"X-MAAS-API-Key": region.api_key_of("bob")}
        forwarded = {"X-Forwarded-For": "10.0.0.5", "X-Real-IP": "10.0.0.5", "Forwarded": "for=10.0.0.5"}
        token = office.run("token", "new", "bob").stdout.strip()
        office.run("login", "bob", given=region.api_key_of("bob"))
        with office.serving(token, MAAS_MCP_HTTP_PROXY_NETWORKS="10.0.0.5") as server:
            assert status_of(other(server, **key, **forwarded), call("maas_list_machines"))[0] == 403
        with office.serving(token, MAAS_MCP_HTTP_PROXY_NETWORKS="127.0.0.0/8") as server:
            assert status_of(other(server, **key), call("maas_list_machines"))[0] == 200

    def test_a_token_names_the_principal_and_the_proxy_brings_its_key(
        self, office: Office, region: SimulatedRegion
    ) -> None:
        token = office.run("token", "new", "alice", "--scopes", "maas:read").stdout.strip()
        proxy = {"MAAS_MCP_HTTP_PROXY_SECRET": PROXY_SECRET, "MAAS_MCP_VAULT": ""}
        with serving_http(
            office.url,
            "",
            "2026-07-28",
            {
                "Authorization": f"Bearer {token}",
                "X-MAAS-API-Key": region.api_key_of("bob"),
                "X-MAAS-Proxy-Secret": PROXY_SECRET,
            },
            **{**office.variables, **proxy},
        ) as alice:
            assert not alice.call("maas_list_machines").get("isError")
            system_id = region.machine("node01").system_id
            assert status_of(alice, call("maas_release_machine", system_id=system_id))[0] == 403

    def test_a_server_without_a_trusted_proxy_refuses_the_header(self, office: Office, region: SimulatedRegion) -> None:
        key = region.api_key_of("bob")
        with serving_http(office.url, region.api_key) as local:
            assert not local.call("maas_list_machines").get("isError")
            assert status_of(other(local, **{"X-MAAS-API-Key": key}), call("maas_list_machines"))[0] == 403
