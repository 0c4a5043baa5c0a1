"""The metrics that Prometheus reads from a server, and who may read them."""

import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, TIMEOUT, advance_and_await, environment, eventually
from tests.integration.http_driver import HttpDriver, serving_http
from tests.integration.team import Team


def get(server: HttpDriver, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str]:
    """Send a request as a scraper does."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    status, body = response.status, response.read().decode()
    connection.close()
    return status, body


class Scrape:
    """The samples of one scrape."""

    def __init__(self, server: HttpDriver, **headers: str) -> None:
        status, self.text = get(server, **headers)
        assert status == 200, self.text
        self.samples = [each for family in text_string_to_metric_families(self.text) for each in family.samples]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a sample with exactly these labels; ``None`` if there is none."""
        return next(
            (each.value for each in self.samples if each.name == f"maas_mcp_{name}" and each.labels == labels), None
        )

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels and maybe others."""
        return sum(
            each.value
            for each in self.samples
            if each.name == f"maas_mcp_{name}" and labels.items() <= each.labels.items()
        )


@pytest.fixture
def server(region: SimulatedRegion, url: str) -> Iterator[HttpDriver]:
    with serving_http(url, region.api_key) as driver:
        yield driver


def test_calls_are_counted_and_timed_by_tool_and_outcome(server: HttpDriver) -> None:
    server.call("maas_list_machines")
    server.call("maas_list_machines", no_such_argument=1)
    server.call("maas_get_machine", system_id="zzzzzz")

    scrape = Scrape(server)

    assert scrape.value("calls_total", tool="maas_list_machines", outcome="ok") == 1
    assert scrape.value("calls_total", tool="maas_list_machines", outcome="invalid_arguments") == 1
    assert scrape.value("calls_total", tool="maas_get_machine", outcome="not_found") == 1
    assert scrape.value("call_duration_seconds_count", tool="maas_list_machines") == 2
    assert 0 < scrape.total("call_duration_seconds_sum", tool="maas_list_machines") < TIMEOUT


def test_an_operation_is_counted_while_it_is_followed_and_timed_at_its_end(
    server: HttpDriver, region: SimulatedRegion
) -> None:
    region.set_speed(0)
    name = "maas_deploy_machine"
    call = server.start_call(name, "token", system_id=region.machine("node01").system_id)
    advance_and_await(server, region, "node01", "Installing OS")

    during = Scrape(server)

    assert during.value("running_calls") == 1
    assert during.value("followed_operations", operation=name) == 1
    assert during.value("operations_started_total", operation=name) == 1
    assert during.total("operations_ended_total") == 0
    region.set_speed(400)
    server.wait(call)
    after = Scrape(server)
    assert after.value("running_calls") == 0
    assert after.value("followed_operations", operation=name) is None
    assert after.value("operations_ended_total", operation=name, state="succeeded") == 1
    assert after.value("operation_duration_seconds_count", operation=name, state="succeeded") == 1
    assert after.value("calls_total", tool=name, outcome="ok") == 1
    assert after.value("watcher_polls_total", outcome="ok") is not None


def test_a_cancelled_call_is_counted_as_cancelled_and_its_operation_not_as_ended(
    server: HttpDriver, region: SimulatedRegion
) -> None:
    region.set_speed(0)
    call = server.start_call("maas_deploy_machine", "token", system_id=region.machine("node01").system_id)
    server.wait_for_progress("Deploying")

    server.cancel(call)

    def counted() -> bool:
        return Scrape(server).value("calls_total", tool="maas_deploy_machine", outcome="cancelled") == 1

    eventually(counted, "the count of the cancelled call")
    assert Scrape(server).total("operations_ended_total") == 0


def test_requests_to_maas_are_counted_by_endpoint_without_ids(server: HttpDriver, region: SimulatedRegion) -> None:
    machine = region.machine("node01").system_id
    server.call("maas_get_machine", system_id=machine)
    server.call("maas_get_machine", system_id="zzzzzz")
    server.call("maas_deploy_machine", system_id=machine)

    scrape = Scrape(server)

    read = {"method": "GET", "endpoint": "machines/{id}/"}
    assert scrape.value("region_requests_total", **read, status="404") == 1
    assert scrape.total("region_requests_total", **read, status="200") >= 1
    assert scrape.total("region_requests_total", method="POST", endpoint="machines/{id}/?op=deploy") == 1
    assert scrape.total("region_request_duration_seconds_count") == scrape.total("region_requests_total")
    assert scrape.total("region_requests_total") >= region.requests.total  # a poll may be cancelled
    assert machine not in scrape.text
    assert "zzzzzz" not in scrape.text


def test_polls_that_fail_are_counted_by_their_error(server: HttpDriver, region: SimulatedRegion) -> None:
    region.set_speed(0)
    server.start_call("maas_deploy_machine", "token", system_id=region.machine("node01").system_id)
    server.wait_for_progress("Deploying")

    region.restart(3600)
    eventually(lambda: Scrape(server).total("watcher_polls_total", outcome="unavailable"), "a failed poll")

    assert Scrape(server).total("region_requests_total", status="none") > 0


def test_the_tool_of_an_unknown_name_adds_no_label(server: HttpDriver) -> None:
    before = {(each.name, *each.labels.items()) for each in Scrape(server).samples}

    for number in range(20):
        server.wait(server.start_call(f"unknown_{number}"))

    after = {(each.name, *each.labels.items()) for each in Scrape(server).samples}
    assert {each for each in after - before if "http_refused" not in each[0]} == set()


def test_refused_requests_are_counted_by_status(server: HttpDriver) -> None:
    get(server, "/elsewhere")
    get(server, "/mcp", Host="evil.example.com")

    scrape = Scrape(server)

    assert scrape.value("http_refused_requests_total", status="404") == 1
    assert scrape.value("http_refused_requests_total", status="421") == 1


def test_sessions_plugins_and_the_version_are_shown(region: SimulatedRegion, url: str) -> None:
    with serving_http(url, region.api_key, "2025-11-25") as server:
        scrape = Scrape(server)
        assert scrape.value("http_sessions") == 1
        server.close_session()
        assert Scrape(server).value("http_sessions") == 0
    plugins = [each.labels for each in scrape.samples if each.name == "maas_mcp_plugin_info"]
    assert {("deploy", "loaded"), ("inventory", "loaded")} <= {(each["plugin"], each["state"]) for each in plugins}
    assert scrape.total("info") == 1
    assert any(each.name == "process_resident_memory_bytes" for each in scrape.samples)


class TestAccess:
    def test_with_tokens_a_scraper_needs_one_of_any_scope(
        self, region: SimulatedRegion, url: str, tmp_path: Path
    ) -> None:
        team = Team(region, url, tmp_path)
        alice = team.token("new", "admin", "--scopes", "maas:read").splitlines()[0]
        with team.serving(alice) as server:
            assert get(server)[0] == 401
            assert get(server, Authorization="Bearer wrong")[0] == 401
            scrape = Scrape(server, Authorization=f"Bearer {alice}")
        assert scrape.value("http_refused_requests_total", status="401") == 2
        assert "admin" not in scrape.text

    def test_open_metrics_need_no_token(self, region: SimulatedRegion, url: str, tmp_path: Path) -> None:
        team = Team(region, url, tmp_path)
        team.variables["MAAS_MCP_HTTP_METRICS"] = "open"
        alice = team.token("new", "admin").splitlines()[0]
        with team.serving(alice) as server:
            assert get(server, Host="10.0.0.7:9999")[0] == 200
            assert get(server, "/mcp")[0] == 401

    def test_a_web_page_cannot_read_them_by_dns_rebinding(self, server: HttpDriver) -> None:
        assert get(server, Host="evil.example.com")[0] == 421

    def test_they_can_only_be_read(self, server: HttpDriver) -> None:
        assert get(server, method="POST")[0] == 405

    def test_they_can_be_turned_off(self, region: SimulatedRegion, url: str) -> None:
        with serving_http(url, region.api_key, MODERN, {}, MAAS_MCP_HTTP_METRICS="off") as server:
            assert get(server)[0] == 404


WITHOUT_THE_EXTRA = "import sys; sys.modules['prometheus_client'] = None\nfrom maas_mcp.cli import main\nmain()"


def test_without_the_extra_a_server_that_should_have_metrics_does_not_start(region: SimulatedRegion, url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA, "serve", "--http", "127.0.0.1:0"],
        env=environment(url, region.api_key, MAAS_MCP_HTTP_METRICS="token"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'maas-mcp-core[metrics]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_and_the_setting_there_are_no_metrics(region: SimulatedRegion, url: str) -> None:
    program = [sys.executable, "-c", WITHOUT_THE_EXTRA]
    with serving_http(url, region.api_key, MODERN, {}, program) as server:
        assert get(server)[0] == 404
