"""No secret gets out: not in logs, results, errors, traces, metrics or the audit file, whatever clients and MAAS send.

    pytest tests/integration/test_canary_secrets.py --canary-lines 100000

Each place where a secret can enter has a canary of its own. The servers log at DEBUG.
"""

import base64
import itertools
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from maas_simulator import Fault, SimulatedRegion, demo_region, serving
from tests.integration.canaries import Canaries, forms
from tests.integration.collector import Collector, collecting
from tests.integration.driver import MODERN, Driver, Message, serving_stdio
from tests.integration.fuzzing import Fuzz
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.test_cli import run_command
from tests.integration.test_fuzz import SEED, HttpCrowd, send_lines
from tests.issuer import Issuer, issuing

SUBJECT: Final = "f81d4fae"
TEXT: Final = {"Content-Type": "text/plain"}
AT_ONCE: Final = 10
"""Concurrent calls of each client."""
READS: Final = ("maas_list_machines", "maas_whoami", "maas_list_operations", "maas_get_machine")


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> int:
    """The least number of log lines for each server."""
    return int(request.config.getoption("--canary-lines")) // 4


@dataclass
class Scene:
    """A region, the canaries, and where telemetry goes."""

    region: SimulatedRegion
    url: str
    folder: Path
    collector: Collector
    canaries: Canaries = field(default_factory=Canaries)
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))

    def variables(self, log_format: str) -> dict[str, str]:
        """The settings that every server has."""
        add = self.canaries.add
        return {
            "MAAS_MCP_LOG_LEVEL": "DEBUG",
            "MAAS_MCP_LOG_FORMAT": log_format,
            "MAAS_MCP_SECRET": self.canaries.word("sealing secret") * 2,
            "MAAS_MCP_HTTP_RATE": "10000",
            "HTTP_PROXY": f"http://proxyuser:{self.canaries.word('HTTP proxy')}@127.0.0.1:9",
            "HTTPS_PROXY": f"http://proxyuser:{self.canaries.word('HTTPS proxy')}@127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "HOME": str(self.canaries.home(self.folder)),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={self.canaries.word('telemetry header')}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "ACME_TOKEN": add("variable of another program"),
            "MAAS_MCP_AUDIT": str(self.folder / "audit.jsonl"),
        }

    def faults(self) -> list[Callable[[], Fault]]:
        """What MAAS and proxies answer, with secrets of the request or of their own in it."""
        consumer, token, secret = self.region.api_key.split(":")
        header = f'OAuth oauth_consumer_key="{consumer}", oauth_token="{token}", oauth_signature="%26{secret}"'
        data = self.canaries.add("user data")
        coded = base64.b64encode(data.encode()).decode()
        key = self.canaries.add("license key")
        word = self.canaries.word
        target = f"http://u:{word('userinfo of a redirect')}@evil.example/x?t={word('query of a redirect')}"
        cookie = {"Set-Cookie": f"sessionid={word('cookie of MAAS')}", **TEXT}
        echoes = (
            f"You sent {header}",
            f"user_data: {data}",
            f"{coded} is wrong",
            quote(data),
            f"license {key}",
            f"{key!r} {data!r}",
        )
        forms = [json.dumps({"user_data": [echo]}) for echo in echoes]
        return [
            lambda: Fault(status=401, body=f"Invalid access token: oauth_token_secret={secret}&oauth_token={token}"),
            lambda: Fault(status=500, body=f"You sent {header}", headers=cookie),
            lambda: Fault(status=500, body=f"No token {token}", headers=cookie),
            lambda: Fault(status=403, body=f"No consumer {quote(consumer)}", headers=cookie),
            *(lambda echo=echo: Fault(op="deploy", status=400, body=echo, headers=TEXT) for echo in echoes),
            *(lambda form=form: Fault(op="deploy", status=400, body=form) for form in forms),
            lambda: Fault(status=302, headers={"Location": target}),
            lambda: Fault(status=200, body=f"<html>{header}</html>", headers={"Content-Type": "text/html", **cookie}),
            lambda: Fault(status=403, body="", headers=TEXT),
            lambda: Fault(
                status=200, body=json.dumps({"power_parameters": {"power_pass": word("BMC")}}), headers=cookie
            ),
            *(
                lambda answer=answer: Fault(answer=answer, headers={"Retry-After": "0"})
                for answer in ("bad gateway", "rack down", "rate limit")
            ),
            *(lambda drop=drop: Fault(drop=drop) for drop in ("before", "after", "headers", "body")),
            lambda: Fault(spoil="truncated"),
            lambda: Fault(spoil="malformed"),
        ]

    def calls(self) -> Iterator[tuple[str, Message]]:
        """Calls of tools with secrets among their arguments, for ever."""
        data, key = self.canaries.add("user data"), self.canaries.add("license key")
        password = self.canaries.add("power password")
        machines = [each.system_id for each in self.region.machines.values()]
        for number in itertools.count():
            one = {"system_id": self.chance.choice(machines)}
            yield self.chance.choice(READS[:3]), {}
            yield "maas_get_machine", one
            yield "maas_query_power_state", one
            given = {"user_data": data, "license_key": key, "wait_seconds": 0.2}
            wrong = ({}, {"user_data": [data]}, {"license_key": {"x": key}}, {"distro_series": 7})[number % 4]
            yield "maas_deploy_machine", {**one, **given, **wrong}
            yield "maas_release_machine", {**one, "wait_seconds": 0, "comment": "done"}
            power = {"power_type": "ipmi", "power_parameters": {"power_pass": password}}
            odd: Sequence[Message] = ({}, {"power_parameters": password}, {"power_parameters": [password]})
            yield "maas_set_power_parameters", {**one, **power, **odd[number % 3], "plan": number % 3 == 0 or None}

    def drive(self, server: Driver, clients: list[Driver], lines: int, fuzz: Callable[[Fuzz], None]) -> int:
        """Call and fuzz the server until it has logged enough. Returns the number of lines of its log."""
        faults, calls = self.faults(), self.calls()
        fuzzer = Fuzz(SEED, MODERN, server.request("tools/list")["tools"], [self.region.machine("node01").system_id])
        while (written := server.errors.read_bytes().count(b"\n")) < lines:
            fuzz(fuzzer)
            for client in clients:
                given = list(itertools.islice(calls, AT_ONCE))
                self.region.faults.extend(self.chance.choice(faults)() for _ in given)
                sent = [client.start_request("tools/call", {"name": t, "arguments": args}) for t, args in given]
                for request_id in sent:
                    client.wait(request_id)
                self.region.faults.clear()
            for client in clients:
                self.canaries.wrote("messages", *(json.dumps(each).encode() for each in client.received))
                client.received.clear()
        return written

    def check(self, server: Driver) -> None:
        """Check everything that got out."""
        self.canaries.wrote("log", server.errors.read_bytes())
        self.canaries.wrote("telemetry", *self.collector.bodies)
        self.canaries.wrote("audit", (self.folder / "audit.jsonl").read_bytes())
        assert self.collector.spans
        assert len(self.canaries.outputs["audit"][0]) > 1_000
        leaks = self.canaries.found()
        assert not leaks, "\n".join(leaks)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    region = demo_region(speed=400.0)
    with serving(region) as url, collecting() as collector:
        scene = Scene(region, url, tmp_path, collector)
        scene.canaries.add_api_keys(region, ("admin",))
        yield scene


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_server_on_stdio_writes_no_secret(
    scene: Scene, log_format: str, lines: int, record_property: Callable[[str, object], None]
) -> None:
    serving: Any = partial(serving_stdio, scene.url, scene.region.api_key, MODERN)
    with serving(**scene.variables(log_format)) as server:
        written = scene.drive(server, [server], lines, lambda fuzz: send_lines(server, list(fuzz.messages(50))))
        record_property("lines", written)
        assert server.stop("EOF")[0] == 0
        scene.check(server)


class Office:
    """The credentials of a server over HTTP: a static token, an issuer's, a trusted proxy, a vault with a key."""

    def __init__(self, scene: Scene, issuer: Issuer, log_format: str) -> None:
        canaries, folder = scene.canaries, scene.folder
        keys = folder / "keys.toml"
        keys.touch(mode=0o600)
        keys.write_text(f'["{issuer.url}"]\n{SUBJECT} = "{scene.region.api_key}"\n')
        vault_key = base64.b64encode(os.urandom(32)).decode()
        self.variables = {
            **scene.variables(log_format),
            "MAAS_MCP_HTTP_TOKENS": str(folder / "tokens.toml"),
            "MAAS_MCP_HTTP_KEYS": str(keys),
            "MAAS_MCP_HTTP_ISSUERS": issuer.url,
            "MAAS_MCP_HTTP_URL": issuer.audience,
            "MAAS_MCP_HTTP_PROXY_SECRET": canaries.word("proxy secret"),
            "MAAS_MCP_VAULT": str(folder / "vault"),
            "MAAS_MCP_VAULT_KEY": canaries.add("vault key", vault_key),
        }
        done = run_command("token", "new", "al", "--scopes", "maas:destroy", MAAS_URL=scene.url, **self.variables)
        token = canaries.add("static token", done.stdout.strip())
        login = run_command("login", "al", typed=scene.region.api_key, MAAS_URL=scene.url, **self.variables)
        assert login.returncode == 0, login.stderr
        canaries.wrote("login", login.stdout.encode(), login.stderr.encode())
        jwt = canaries.add("access token", issuer.token(sub=SUBJECT, scope="maas:destroy"))
        cookie = {"Cookie": f"session={canaries.word('cookie')}"}
        self.headers: list[dict[str, str]] = [
            {"Authorization": f"Bearer {token}", **cookie},
            {"Authorization": f"Bearer {jwt}", **cookie},
            {
                "X-MAAS-API-Key": scene.region.api_key,
                "X-MAAS-Proxy-Secret": self.variables["MAAS_MCP_HTTP_PROXY_SECRET"],
                **cookie,
            },
        ]
        self.refused: list[dict[str, str]] = [
            {"Authorization": f"Basic {canaries.word('basic credentials')}"},
            {"Authorization": f"Bearer maas-mcp_{canaries.word('invented token')}"},
            {"X-MAAS-API-Key": f"a:b:{canaries.word('key without a proxy secret')}"},
            {"Authorization": f"Bearer {jwt[:-4]}AAAA"},
        ]


@contextmanager
def serving_office(scene: Scene, office: Office) -> Iterator[tuple[HttpDriver, list[Driver]]]:
    """The server, and a client for each kind of credentials."""
    with serving_http(scene.url, "", MODERN, office.headers[0], **office.variables) as server:
        clients = [
            HttpDriver(server.process, MODERN, server.errors, port=server.port, headers=h) for h in office.headers
        ]
        yield server, list(clients)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_server_over_http_writes_no_secret(
    scene: Scene, log_format: str, lines: int, record_property: Callable[[str, object], None]
) -> None:
    with issuing() as issuer:
        office = Office(scene, issuer, log_format)
        in_url = f"/mcp?token={scene.canaries.word('query of a request')}"
        absolute = f"http://u:{scene.canaries.word('userinfo of a request')}@127.0.0.1/mcp"
        ping: Message = {"id": 1, "method": "tools/list", "params": {}}
        with serving_office(scene, office) as (server, clients):

            def fuzz(fuzzer: Fuzz) -> None:
                crowd = HttpCrowd(server.port, MODERN, None, fuzzer.messages(50), office.headers[0])
                crowd.run(0)
                assert crowd.failures == []
                for path in ("/mcp", in_url, absolute, *(in_url.replace("mcp", each) for each in ("x", "metrics"))):
                    for headers in ({}, *office.refused):
                        connection, response = server.post(ping, path, **headers)
                        scene.canaries.wrote("answers", response.read(), str(response.headers).encode())
                        connection.close()

            written = scene.drive(server, clients, lines, fuzz)
            record_property("lines", written)
            assert server.stop("SIGTERM")[0] == 0
            scene.check(server)


@pytest.mark.parametrize("url", ["http://u:{}@maas.example/MAAS", "http://maas.example/MAAS?key={}"])
def test_a_url_of_maas_with_a_secret_is_refused_without_it(url: str) -> None:
    canaries = Canaries()
    given = url.format(canaries.word("URL of MAAS"))
    for command in ("serve", "doctor"):
        done = run_command(command, MAAS_URL=given, MAAS_API_KEY=canaries.word("API key"), MAAS_MCP_LOG_LEVEL="DEBUG")
        canaries.wrote(command, done.stdout.encode(), done.stderr.encode())

    assert canaries.found() == []


@pytest.mark.parametrize("secret", ["Canary0123456789abcdef", "canary/+=x y'\"é"])
def test_the_search_finds_every_form_of_a_secret(secret: str) -> None:
    for text in (
        *(secret.encode(), json.dumps({"x": secret}).encode(), secret.encode().hex().encode()),
        *(base64.b64encode(b"a" * before + secret.encode() + b"z" * 5) for before in range(6)),
        *(base64.urlsafe_b64encode(b"a" * before + secret.encode()) for before in range(6)),
    ):
        assert any(form in text for form in forms(secret)), text
