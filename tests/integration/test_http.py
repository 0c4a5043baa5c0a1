"""The main job over Streamable HTTP, as clients of three protocol revisions see it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from maas_simulator import SimulatedRegion, serving
from tests.integration.conftest import SPEED
from tests.integration.driver import (
    MODERN,
    TIMEOUT,
    Message,
    advance_and_await,
    check_requests_stop,
    command,
    environment,
    eventually,
)
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.server_process import run_to_end

SHOWN = ("Deploying", "Performing PXE boot", "Installing OS")


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def server_ping(server: HttpDriver) -> Message:
    """The shortest request."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": server.revision,
        "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"id": 99, "method": "tools/list", "params": {"_meta": meta}}


@pytest.fixture
def server(region: SimulatedRegion, url: str, revision: str) -> Iterator[HttpDriver]:
    """A running ``maas-mcp serve --http`` and a client of each revision."""
    with serving_http(url, region.api_key, revision) as driver:
        yield driver


@pytest.fixture
def modern(region: SimulatedRegion, url: str) -> Iterator[HttpDriver]:
    """The same, and a client of the newest revision."""
    with serving_http(url, region.api_key) as driver:
        yield driver


def test_a_deploy_shows_its_progress_and_ends_with_a_result(server: HttpDriver, region: SimulatedRegion) -> None:
    region.set_speed(0)
    call = server.start_call("maas_deploy_machine", "token", system_id=region.machine("node01").system_id)
    advance_and_await(server, region, "node01", *SHOWN)
    region.set_speed(SPEED)

    result = server.wait(call)["result"]

    assert not result.get("isError"), result
    assert "node01 is deployed with ubuntu/noble at 10." in result["content"][0]["text"]
    values = [each["progress"] for each in server.progress("token")]
    assert values == sorted(set(values))
    assert values[-1] == 1.0
    assert posts(region) == ["deploy"]


def test_two_clients_with_the_same_request_ids_do_not_cancel_each_others_calls(
    still_region: SimulatedRegion, revision: str
) -> None:
    with serving(still_region) as url, serving_http(url, still_region.api_key, revision) as first:
        second = HttpDriver(first.process, revision, first.errors, port=first.port)
        second.handshake()
        calls = [
            (client, client.start_call("maas_deploy_machine", host, system_id=still_region.machine(host).system_id))
            for client, host in ((first, "node01"), (second, "node02"))
        ]
        assert len({call for _, call in calls}) == 1
        for client, _ in calls:
            client.wait_for_progress("Deploying")

        first.cancel(calls[0][1])

        still_region.set_speed(SPEED)
        assert "is deployed" in second.wait(calls[1][1])["result"]["content"][0]["text"]
        response = first.response(calls[0][1])
        assert response is None or "result" not in response


class TestCancelling:
    @pytest.fixture
    def region(self, still_region: SimulatedRegion) -> SimulatedRegion:
        return still_region

    def test_a_cancelled_call_ends_at_once_and_maas_is_asked_nothing_more(
        self, server: HttpDriver, region: SimulatedRegion
    ) -> None:
        call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
        server.wait_for_progress("Deploying")

        after = server.cancel(call)

        check_requests_stop(region)
        assert len(server.received) == after
        assert region.machine("node01").status_name == "Deploying"

    @pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25"])
    def test_a_cancellation_that_the_client_sends_aborts_where_the_call_says_so(
        self, server: HttpDriver, region: SimulatedRegion
    ) -> None:
        machine = region.machine("node01")
        call = server.start_call("maas_deploy_machine", 1, system_id=machine.system_id, on_cancel="abort")
        server.wait_for_progress("Deploying")

        server.cancel(call)

        eventually(lambda: machine.status_name == "Allocated", "the abort")
        assert posts(region) == ["deploy", "abort"]

    def test_a_closed_stream_never_aborts_an_operation(self, server: HttpDriver, region: SimulatedRegion) -> None:
        machine = region.machine("node01")
        call = server.start_call("maas_deploy_machine", 1, system_id=machine.system_id, on_cancel="abort")
        server.wait_for_progress("Deploying")

        server.close_stream(call)

        assert not server.call("maas_list_machines").get("isError"), "the server serves on"
        region.advance(1)
        assert posts(region) == ["deploy"]
        assert machine.status_name == "Deploying"


class TestPagesForOperators:
    def test_it_is_alive_and_ready(self, modern: HttpDriver) -> None:
        assert modern.get("/healthz") == (200, {"status": "ok"})
        assert modern.get("/readyz") == (200, {"status": "ok"})

    def test_it_is_alive_and_not_ready_where_maas_does_not_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        with serving_http(f"http://127.0.0.1:{port}/MAAS", "a:b:c") as server:
            assert server.get("/healthz")[0] == 200
            status, page = server.get("/readyz")

            assert status == 503
            assert page == {"status": "unavailable", "problem": "MAAS cannot be used."}
            assert f"127.0.0.1:{port}" in server.log()

    def test_it_is_no_longer_ready_once_maas_does_not_answer(self, region: SimulatedRegion) -> None:
        with ExitStack() as maas:
            url = maas.enter_context(serving(region))
            with serving_http(url, region.api_key) as server:
                assert server.get("/readyz")[0] == 200
                maas.close()
                assert eventually(lambda: server.get("/readyz")[0] == 503, "the end of readiness")


class TestRefusals:
    def refused(self, server: HttpDriver, message: Message, **headers: str) -> tuple[int, str]:
        connection, response = server.post(message, **headers)
        status, text = response.status, response.read().decode()
        connection.close()
        return status, text

    def test_a_body_over_the_limit_is_refused_with_the_limit(self, region: SimulatedRegion, url: str) -> None:
        with serving_http(url, region.api_key, MAAS_MCP_HTTP_BODY_LIMIT="10000") as server:
            status, text = self.refused(server, {"id": 9, "method": "ping", "params": {"text": "x" * 20_000}})

            assert status == 413
            assert "10,000 bytes" in text
            assert server.request("tools/list")

    @pytest.mark.parametrize(
        ("name", "value", "status"), [("Host", "evil.example", 421), ("Origin", "http://a.b", 403)]
    )
    def test_a_page_of_another_site_cannot_call_it(
        self, modern: HttpDriver, name: str, value: str, status: int
    ) -> None:
        assert self.refused(modern, {"id": 9, "method": "tools/list"}, **{name: value})[0] == status

    @pytest.mark.parametrize(
        "header", ["Mcp-Protocol-Version", "Mcp-Session-Id", "Mcp-Name", "Authorization", "X-MAAS-API-Key"]
    )
    def test_a_duplicate_security_header_is_refused(self, modern: HttpDriver, header: str) -> None:
        body = b'{"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": {}}'
        head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{modern.port}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n{header}: a\r\n{header}: b\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", modern.port), timeout=TIMEOUT) as client:
            client.sendall(head.encode() + body)
            response = client.makefile("rb").read().decode()

        assert response.startswith("HTTP/1.1 400")
        assert f"The header {header.lower()} was sent more than once." in response

    def test_a_request_whose_end_a_proxy_may_see_elsewhere_is_refused(self, modern: HttpDriver) -> None:
        head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{modern.port}\r\nContent-Type: application/json\r\n"
        hidden = b"0\r\n\r\nPOST /mcp HTTP/1.1\r\nHost: a\r\n\r\n"
        lengths = (
            f"Content-Length: {len(hidden)}\r\nTransfer-Encoding: chunked\r\n",
            f"Content-Length: {len(hidden)}\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            f"Transfer-Encoding: identity\r\nContent-Length: {len(hidden)}\r\n",
            f"Content-Length: +{len(hidden)}\r\n",
        )
        for each in lengths:
            with socket.create_connection(("127.0.0.1", modern.port), timeout=TIMEOUT) as client:
                client.sendall(f"{head}{each}Connection: close\r\n\r\n".encode() + hidden)
                status = client.makefile("rb").read().split(maxsplit=2)[1]
            assert status in {b"400", b"501"}, each

    @pytest.mark.parametrize(
        ("address", "problem"),
        [
            ("8000", "expected HOST:PORT"),
            ("127.0.0.1:99999", "expected HOST:PORT"),
            ("0.0.0.0:8000", "is reachable from other hosts"),
            ("[::]:8000", "is reachable from other hosts"),
            ("maas-mcp.example.com:8000", "is reachable from other hosts"),
        ],
    )
    def test_an_address_that_is_none_or_not_safe_is_refused(
        self, region: SimulatedRegion, url: str, address: str, problem: str
    ) -> None:
        done = run_to_end(command("serve", "--http", address), environment(url, region.api_key))

        assert done.returncode == 2
        assert problem in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_port_that_is_taken_is_reported(self, region: SimulatedRegion, url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = run_to_end(command("serve", "--http", f"127.0.0.1:{port}"), environment(url, region.api_key))

        assert done.returncode == 1
        assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_newest_revision_needs_no_session(modern: HttpDriver) -> None:
    assert modern.revision == MODERN
    assert modern.request("tools/list")["tools"]
    assert modern.session is None


class TestLimits:
    def test_a_client_that_loops_gets_the_seconds_to_wait(self, region: SimulatedRegion, url: str) -> None:
        with serving_http(url, region.api_key, MAAS_MCP_HTTP_RATE="1") as server:
            refused = None
            for _ in range(20):
                connection, response = server.post(server_ping(server))
                if response.status == 429:
                    refused = response.getheader("Retry-After"), response.read().decode()
                connection.close()

            assert refused is not None
            assert refused[0] == "1"
            assert "the limit of 1 requests per second" in refused[1]

    @pytest.mark.parametrize("revision", ["2025-11-25"])
    def test_sessions_are_limited_and_a_closed_one_makes_room(
        self, region: SimulatedRegion, url: str, revision: str
    ) -> None:
        with serving_http(url, region.api_key, revision, MAAS_MCP_HTTP_PRINCIPAL_SESSIONS="2") as first:
            second = HttpDriver(first.process, revision, first.errors, port=first.port)
            second.handshake()
            third = HttpDriver(first.process, revision, first.errors, port=first.port)
            hello = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "third", "version": "1"}}
            connection, response = third.post({"id": 1, "method": "initialize", "params": hello})
            assert response.status == 429
            assert "2 open sessions" in response.read().decode()
            connection.close()

            second.close_session()

            third.handshake()
            assert third.request("tools/list")["tools"]
