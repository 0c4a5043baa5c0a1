"""Spans and metrics that a server sends to a real collector, as the ``OTEL_*`` variables say."""

import json
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.collector import Collector, collecting
from tests.integration.driver import MODERN, Driver, serving_stdio
from tests.integration.http_driver import serving_http

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest, region: SimulatedRegion, url: str, collector: Collector) -> Iterator[Driver]:
    serving = partial(serving_stdio if request.param == "stdio" else serving_http, url, region.api_key, MODERN)
    with serving(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100") as driver:
        yield driver


def call(server: Driver, tool: str, **arguments: object) -> None:
    """Call a tool as a client that traces its work."""
    params = {"name": tool, "arguments": arguments, "_meta": {"traceparent": TRACEPARENT}}
    assert "result" in server.wait(server.start_request("tools/call", params))


def test_a_call_an_operation_and_its_requests_are_a_tree_below_the_clients_span(
    server: Driver, collector: Collector, region: SimulatedRegion
) -> None:
    machine = region.machine("node01").system_id
    call(server, "maas_deploy_machine", system_id=machine)
    stop(server)

    (called,) = [each for each in collector.spans if each.name == "tools/call maas_deploy_machine"]
    assert (called.trace, called.parent) == (TRACE, PARENT)
    assert called.attributes["gen_ai.tool.name"] == "maas_deploy_machine"
    judged, operation = collector.children(called)
    assert judged.name == "GET machines/{id}/"  # the policy judges the machine as it is
    assert operation.name == "operation maas_deploy_machine"
    assert operation.attributes["maas_mcp.operation.state"] == "succeeded"
    assert operation.attributes["maas_mcp.operation.id"].startswith(f"maas_deploy_machine.{machine}.")
    requests = collector.children(operation)
    assert "POST machines/{id}/?op=deploy" in {each.name for each in requests}
    for each in requests:
        assert each.attributes["http.response.status_code"] == 200
        assert each.attributes["server.address"] == "127.0.0.1"
        assert each.attributes["url.full"].startswith(f"http://127.0.0.1:{each.attributes['server.port']}/MAAS/api/")
    assert collector.resource["service.name"] == "maas-mcp"


def stop(server: Driver) -> None:
    """Stop the server, which sends all its spans and metrics before it exits."""
    code, _ = server.stop("SIGTERM")
    assert code == 0, server.log()


def test_a_failed_call_has_the_code_of_its_error_and_polls_have_no_spans(
    server: Driver, collector: Collector, region: SimulatedRegion
) -> None:
    call(server, "maas_get_machine", system_id="zzzzzz")
    call(server, "maas_deploy_machine", system_id=region.machine("node01").system_id)
    stop(server)

    (called,) = [each for each in collector.spans if each.name == "tools/call maas_get_machine"]
    assert called.failed
    assert called.attributes["error.type"] == "tool_error"
    assert called.attributes["maas_mcp.error.code"] == "not_found"
    (read,) = [each for each in collector.children(called) if each.failed]  # the others look for a hostname
    assert read.attributes["error.type"] == "404"
    assert {each.trace for each in collector.spans if "events/" in each.name} == {TRACE}
    polls = collector.count("http.client.request.duration", url__template="events/?op=query")
    assert polls > len([each for each in collector.spans if "events/" in each.name])


def test_durations_are_metrics_and_names_that_a_client_invents_are_not_in_them(
    server: Driver, collector: Collector, region: SimulatedRegion
) -> None:
    call(server, "maas_deploy_machine", system_id=region.machine("node01").system_id)
    for number in range(5):
        server.wait(server.start_call(f"invented_{number}"))
        server.wait(server.start_request(f"invented/{number}"))
        server.send({"method": f"notifications/invented_{number}"})
    server.request("tools/list")
    stop(server)

    duration = "mcp.server.operation.duration"
    assert collector.count(duration, mcp__method__name="tools/list") == 1
    assert collector.count(duration, gen_ai__tool__name="maas_deploy_machine", mcp__protocol__version=MODERN) == 1
    assert collector.count("maas_mcp.operation.duration", maas_mcp__operation__state="succeeded") == 1
    assert collector.count(duration, mcp__method__name="tools/call", rpc__response__status_code="-32602") == 5
    assert "invented" not in str(collector.counts)
    assert region.machine("node01").system_id not in str(collector.counts)


def test_the_log_has_the_ids_of_the_trace(region: SimulatedRegion, url: str, collector: Collector) -> None:
    serving = partial(serving_stdio, url, region.api_key, MODERN, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    with serving(MAAS_MCP_LOG_FORMAT="json", MAAS_MCP_LOG_LEVEL="INFO") as server:
        call(server, "maas_list_machines")
        records = [json.loads(line) for line in server.log().splitlines()]
    assert TRACE in {each.get("trace_id") for each in records if each["logger"] == "httpx"}


WITHOUT_THE_EXTRA = "import sys; sys.modules['opentelemetry.sdk'] = None\nfrom maas_mcp.cli import main\nmain()"


def test_without_the_extra_the_variables_cause_one_warning(region: SimulatedRegion, url: str) -> None:
    program = [sys.executable, "-c", WITHOUT_THE_EXTRA]
    with serving_http(
        url, region.api_key, MODERN, {}, program, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1"
    ) as server:
        server.call("maas_list_machines")
        assert server.log().count("pip install 'maas-mcp-core[otel]'") == 1
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"])
def test_no_spans_are_sent_if_a_variable_turns_them_off(
    region: SimulatedRegion,
    url: str,
    collector: Collector,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(*variable.split("="))
    with serving_stdio(url, region.api_key, MODERN, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
        call(server, "maas_list_machines")
        stop(server)
    assert collector.spans == []
    assert bool(collector.counts) is ("DISABLED" not in variable)
