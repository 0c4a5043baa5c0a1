"""A server imports nothing that no client has requested, and nothing of the metrics, traces and logs that are off."""

import sys
from functools import partial

import pytest

from maas_mcp.server.handlers import MODULES
from maas_simulator import SimulatedRegion
from tests.integration.driver import ERAS, MODERN, Driver, serving_stdio
from tests.integration.http_driver import serving_http

SHOWS_MODULES = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sys.modules, file=sys.stderr))
from maas_mcp.cli import main
main()
"""
TELEMETRY = ("prometheus_client", "opentelemetry.sdk", "opentelemetry.exporter", "pythonjsonlogger")
OWN = ("maas_mcp.calls.log_context", "maas_mcp.server.tracing", "maas_mcp.server.otlp", "maas_mcp.server.http.metrics")


CALLS = (
    "maas_mcp.calls.chain",
    "maas_mcp.calls.operations_service",
    "maas_mcp.calls.tenant",
    "maas_mcp.operations.running.engine",
)
LAZY = {*MODULES.values(), *CALLS, "maas_mcp.server.contents"}
"""Modules that a list of tools does not need."""


def imported_by(server: Driver) -> set[str]:
    """The modules that a server has imported at its end."""
    server.stop("EOF")
    return set(server.log().rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("revision", ERAS)
def test_a_list_of_tools_imports_no_other_handler(region: SimulatedRegion, url: str, revision: str) -> None:
    with serving_stdio(url, region.api_key, revision, program=[sys.executable, "-c", SHOWS_MODULES]) as server:
        assert server.request("tools/list")["tools"]
        modules = imported_by(server)
    assert "maas_mcp.server.tools" in modules
    assert not LAZY & modules


def test_a_list_of_prompts_imports_neither_calls_nor_tasks(region: SimulatedRegion, url: str) -> None:
    with serving_stdio(url, region.api_key, MODERN, program=[sys.executable, "-c", SHOWS_MODULES]) as server:
        assert server.request("prompts/list")["prompts"]
        modules = imported_by(server)
    assert "maas_mcp.server.prompts" in modules
    assert not {"maas_mcp.server.calling", "maas_mcp.server.tasks"} & modules


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
