"""The reference lists exactly the metrics that a server has, and queries use only these."""

import re

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from maas_mcp.calls.connections import Connections
from maas_mcp.calls.telemetry import ObservedCall
from maas_mcp.maas.observer import Exchange
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange
from maas_mcp.plugins.registry import PluginRecord, PluginState
from maas_mcp.server.http.metrics import Metrics, MetricsSources
from tests.docs.snippets import ROOT, pages, snippets

REFERENCE = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(maas_mcp_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", re.MULTILINE)
SUFFIXES = ("_bucket", "_count", "_sum")


def a_change(kind: ChangeKind) -> OperationChange:
    return OperationChange(
        kind=kind,
        operation="maas_deploy_machine",
        operation_id="x",
        started=0,
        system_id="4y3h7n",
        state="succeeded",
        fraction=1.0,
        message="",
        username=None,
    )


async def text_after_each_event() -> str:
    connections = Connections()
    plugin = PluginRecord("deploy", "maas-mcp-deploy", "1.0", PluginState.LOADED)
    metrics = Metrics(MetricsSources(connections, lambda: 1, lambda: [plugin]))
    metrics.operation_changed(a_change(ChangeKind.STARTED))
    metrics.operation_changed(a_change(ChangeKind.ENDED))
    metrics.polled(None)
    metrics.refused(429)
    with metrics.call(ObservedCall("maas_deploy_machine", "", None)), metrics.exchange(Exchange("GET", "", "version/")):
        pass
    connection = connections.connect()
    with connection.running() as running, running.following("maas_deploy_machine", "4y3h7n"):
        return metrics.text().decode()


@pytest.fixture(scope="module")
def scraped() -> dict[str, tuple[str, frozenset[str], str]]:
    """The type, labels and description of each metric, after each event has happened once."""
    text = anyio.run(text_after_each_event)
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
            family.documentation,
        )
        for family in text_string_to_metric_families(text)
        if family.name.startswith("maas_mcp_") and not family.name.endswith("_created")
    }


def test_the_reference_has_each_metric_with_its_type_labels_and_meaning(
    scraped: dict[str, tuple[str, frozenset[str], str]],
) -> None:
    shown = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, labels, meaning in ROW.findall(REFERENCE)
    }
    assert shown == scraped


def test_the_queries_and_alerts_use_existing_metrics(scraped: dict[str, tuple[str, frozenset[str], str]]) -> None:
    used = {
        name
        for page in pages()
        for snippet in snippets(page)
        if page.name == "observe.md" and snippet.language in {"text", "yaml"}
        for name in re.findall(r"\b(maas_mcp_\w+)[{\[]", snippet.text)
    }
    assert len(used) > 4
    histograms = {name + suffix for name, (kind, *_) in scraped.items() if kind == "histogram" for suffix in SUFFIXES}
    assert used <= scraped.keys() | histograms
    states = {"succeeded", "failed", "reverted", "gone", "timed_out"}
    assert all(f"`{state}`" in REFERENCE for state in states)


def test_the_reference_has_each_opentelemetry_metric_and_attribute() -> None:
    source = (ROOT / "core/src/maas_mcp/server/tracing.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"((?:mcp|gen_ai|http|url|server|error|rpc|user|maas_mcp)\.[a-z_.]+)"', source))
    assert len(named) > 12
    assert {name for name in named if f"`{name}`" not in REFERENCE} == set()
