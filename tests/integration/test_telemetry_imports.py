"""Without metrics, traces and JSON logs, a server imports nothing of them."""

import sys
from functools import partial

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, serving_stdio
from tests.integration.http_driver import serving_http

SHOWS_MODULES = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sys.modules, file=sys.stderr))
from maas_mcp.cli import main
main()
"""
TELEMETRY = ("prometheus_client", "opentelemetry.sdk", "opentelemetry.exporter", "pythonjsonlogger")
OWN = ("maas_mcp.calls.log_context", "maas_mcp.server.tracing", "maas_mcp.server.otlp", "maas_mcp.server.http.metrics")


def test_plain_stdio_imports_none_of_it_even_after_an_operation(region: SimulatedRegion, url: str) -> None:
    program = [sys.executable, "-c", SHOWS_MODULES]
    with serving_stdio(url, region.api_key, MODERN, program=program) as server:
        assert not server.call("maas_deploy_machine", system_id=region.machine("node01").system_id).get("isError")
        server.stop("EOF")
        modules = server.log().rpartition("MODULES ")[2].split()
    assert "maas_mcp.operations.running.engine" in modules
    assert [each for each in modules if each.startswith((*TELEMETRY, *OWN))] == []


@pytest.mark.parametrize(
    ("variable", "module"),
    [
        ("MAAS_MCP_HTTP_METRICS=token", "prometheus_client"),
        ("OTEL_TRACES_EXPORTER=console", "opentelemetry.sdk.trace"),
        ("MAAS_MCP_LOG_FORMAT=json", "pythonjsonlogger"),
    ],
)
def test_each_part_is_imported_where_it_is_used(region: SimulatedRegion, url: str, variable: str, module: str) -> None:
    name, _, value = variable.partition("=")
    serving = partial(serving_http, url, region.api_key, MODERN, {}, [sys.executable, "-c", SHOWS_MODULES])
    with serving(**{"MAAS_MCP_HTTP_METRICS": "off", "OTEL_METRICS_EXPORTER": "none", name: value}) as server:
        server.stop("SIGTERM")
        modules = set(server.log().rpartition("MODULES ")[2].split())
    assert module in modules
    assert {each for each in TELEMETRY if each in modules} <= {module, "opentelemetry.sdk"}
